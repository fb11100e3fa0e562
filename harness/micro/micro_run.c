/*
 * micro_run: runs the micro-benchmarks through Google Benchmark: a table on stdout as they come,
 * the library's JSON where asked. See micro.h; each kind of benchmark is a file of its own.
 */
#include "micro/micro.h"

#include "base/memory.h"
#include "common/amounts.h"
#include "common/array.h"
#include "common/exit_codes.h"
#include "common/file_io.h"
#include "common/gbench_shim.h"
#include "stats/stats.h"

#include <math.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One case and what its samples gave. */
struct bench {
    struct micro *micro;
    struct micro_case *c;
    struct micro_result *samples; /* [n_samples], n_taken of them */
    uint32_t n_samples, n_taken;
    int64_t *iteration_ns; /* [c->events] */
    struct lb_error err;
};

struct micro_case *micro_add(struct micro_list *list, const char *format, ...)
{
    struct micro_case *c = array_add(&list->cases, &list->count, sizeof *c);
    if (!c)
        return NULL;
    c->events = 1;
    va_list args;
    va_start(args, format);
    vsnprintf(c->name, sizeof c->name, format, args);
    va_end(args);
    return c;
}

uint32_t micro_hash(const void *data, size_t bytes)
{
    const uint8_t *p = data;
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ p[i]) * 16777619u;
    return hash;
}

/* ---- which ---- */

static enum lb_status list_cases(struct micro_list *list, const char *model, struct lb_error *err)
{
    if (micro_list_memory(list, err) || micro_list_products(list, err) ||
        micro_list_model(list, model, err) || micro_list_storage(list, err) ||
        micro_list_costs(list, err))
        return err->code;
    return LB_OK;
}

static enum lb_status filter_cases(struct micro_list *list, const char *filter,
                                   struct lb_error *err)
{
    regex_t re;
    size_t kept = 0;
    int code = regcomp(&re, filter, REG_EXTENDED | REG_NOSUB);
    if (code != 0) {
        char why[128];
        regerror(code, &re, why, sizeof why);
        return lb_fail(err, LB_ERR_INPUT, "--filter: '%s': %s", filter, why);
    }
    for (size_t i = 0; i < list->count; i++)
        if (regexec(&re, list->cases[i].name, 0, NULL, 0) == 0)
            list->cases[kept++] = list->cases[i];
    regfree(&re);
    list->count = kept;
    if (kept == 0)
        return lb_fail(err, LB_ERR_INPUT,
                       "--filter: '%s': expected it to match a name that --list prints", filter);
    return LB_OK;
}

static bool any_named(const struct micro_list *list, const char *beginning)
{
    for (size_t i = 0; i < list->count; i++)
        if (strncmp(list->cases[i].name, beginning, strlen(beginning)) == 0)
            return true;
    return false;
}

/* ---- what they gave ---- */

/* Median over the samples of a field. */
static double median_of(const struct bench *b, double (*field)(const struct micro_result *))
{
    double values[1000];
    for (uint32_t i = 0; i < b->n_taken; i++)
        values[i] = field(&b->samples[i]);
    return stats_median(values, b->n_taken);
}

static double field_ns(const struct micro_result *s)
{
    return s->ns;
}
static double field_gbs(const struct micro_result *s)
{
    return s->bytes / s->ns;
}
static double field_gflops(const struct micro_result *s)
{
    return s->flops / s->ns;
}
static double field_in_order(const struct micro_result *s)
{
    return s->memory.in_order / 1e9;
}
static double field_in_streams(const struct micro_result *s)
{
    return s->memory.in_streams / 1e9;
}
/* Of the faster way to read */
static double field_share(const struct micro_result *s)
{
    return s->bytes / s->ns / (memory_rate_better(s->memory) / 1e9);
}

/* A figure of the table, or "-" where it does not apply. */
static char *figure(double value, bool applies, const char *format, char *text, size_t size)
{
    if (!applies)
        snprintf(text, size, "-");
    else
        snprintf(text, size, strcmp(format, "%") == 0 ? "%.0f%%" : "%.2f",
                 strcmp(format, "%") == 0 ? 100 * value : value);
    return text;
}

static void print_head(void)
{
    printf("%-58s %10s %8s %9s %19s %10s  %s\n", "", "", "", "", "reads, GB/s:", "share of", "");
    printf("%-58s %10s %8s %9s %9s %9s %10s  %s\n", "benchmark", "time", "GB/s", "GFLOP/s",
           "in order", "streams", "the faster", "result");
}

static void print_row(const struct bench *b)
{
    char time[32], gbs[32], gflops[32], in_order[32], streams[32], share[32], result[64] = "right";
    if (b->err.code != LB_OK) {
        printf("%-58s %s\n", b->c->name, b->err.text);
        return;
    }
    const struct micro_result *s = &b->samples[0];
    if (s->deviation > 0)
        snprintf(result, sizeof result, "deviates by %.1e", s->deviation);
    else if (s->flops > 0)
        snprintf(result, sizeof result, "exact");
    else if (s->tokens > 0)
        snprintf(result, sizeof result, "right, %.1f tok/s",
                 s->tokens * 1e9 / median_of(b, field_ns));
    amount_human_duration(median_of(b, field_ns), time, sizeof time);
    printf(
        "%-58s %10s %8s %9s %9s %9s %10s  %s\n", b->c->name, time,
        figure(median_of(b, field_gbs), s->bytes > 0, "", gbs, sizeof gbs),
        figure(median_of(b, field_gflops), s->flops > 0, "", gflops, sizeof gflops),
        figure(median_of(b, field_in_order), s->memory.in_order > 0, "", in_order, sizeof in_order),
        figure(median_of(b, field_in_streams), s->memory.in_order > 0, "", streams, sizeof streams),
        figure(median_of(b, field_share), s->memory.in_order > 0, "%", share, sizeof share),
        result);
    fflush(stdout);
}

static void add_counter(struct gbench_result *result, const char *name, double value)
{
    result->counters[result->n_counters++] = (struct gbench_counter){name, value};
}

/* The library's view of a sample. */
static void hand_over(const struct bench *b, const struct micro_result *s,
                      struct gbench_result *result)
{
    double events = b->c->events, given = 0;
    for (uint32_t i = 0; i < b->c->events; i++) { /* so that the sum is right to a nanosecond */
        double until = round(s->ns * (i + 1));
        b->iteration_ns[i] = (int64_t)(until - given);
        given = until;
    }
    result->iteration_ns = b->iteration_ns;
    add_counter(result, "median_of", (double)s->iterations);
    if (events > 1)
        add_counter(result, "median_ns", s->ns);
    if (s->p99_ns > 0)
        add_counter(result, "p99_ns", s->p99_ns);
    if (s->bytes > 0)
        add_counter(result, "GB_per_s", field_gbs(s));
    if (s->flops > 0) {
        add_counter(result, "GFLOP_per_s", field_gflops(s));
        add_counter(result, "rows", b->c->rows);
        add_counter(result, "deviation", s->deviation);
    }
    if (s->tokens > 0)
        add_counter(result, "tokens_per_s", s->tokens * 1e9 / s->ns);
    if (s->output_hash)
        add_counter(result, "output_hash", s->output_hash);
    if (s->memory.in_order > 0) {
        add_counter(result, "in_order_GB_per_s", field_in_order(s));
        add_counter(result, "in_streams_GB_per_s", field_in_streams(s));
        add_counter(result, "share_of_faster_read", field_share(s));
    }
}

/* One sample; once one has failed, all do. */
static void repetition(void *ctx, uint32_t index, struct gbench_result *result)
{
    struct bench *b = ctx;
    struct micro_result *s = &b->samples[index];
    if (b->err.code == LB_OK && b->c->measure(b->micro, b->c, s, &b->err) == LB_OK) {
        hand_over(b, s, result);
        b->n_taken++;
    } else {
        result->error = b->err.text;
    }
    if (index + 1 == b->n_samples)
        print_row(b);
}

/* ---- all of them ---- */

static enum lb_status open_micro(struct micro *m, const struct micro_options *o,
                                 const struct micro_list *list, struct lb_error *err)
{
    enum lb_status status = lb_pool_open((int)o->threads, &m->pool, err);
    m->sample_ns = o->sample_ns;
    m->file = o->file;
    if (status == LB_OK &&
        (any_named(list, "product/") || any_named(list, "memory/") || any_named(list, "model/"))) {
        m->weights_bytes = o->buffer_bytes;
        m->weights = lb_map(m->weights_bytes);
        if (!m->weights)
            return lb_fail(err, LB_ERR_NOMEM, "--buffer: %zu bytes: out of memory",
                           m->weights_bytes);
        memset(m->weights, 1, m->weights_bytes);
    }
    if (status == LB_OK && (any_named(list, "storage/") || any_named(list, "cache/")))
        status = micro_file_open(m, o->file_bytes, err);
    return status;
}

static void close_micro(struct micro *m)
{
    micro_model_close(m);
    micro_file_close(m);
    if (m->weights)
        lb_unmap(m->weights, m->weights_bytes);
    lb_pool_close(m->pool);
}

static enum lb_status make_benches(struct micro *m, const struct micro_options *o,
                                   const struct micro_list *list, struct bench *benches,
                                   struct gbench_benchmark *registered, struct lb_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        struct micro_case *c = &list->cases[i];
        benches[i] = (struct bench){.micro = m, .c = c, .n_samples = o->repetitions};
        benches[i].samples = lb_calloc(o->repetitions, sizeof *benches[i].samples);
        benches[i].iteration_ns = lb_calloc(c->events, sizeof *benches[i].iteration_ns);
        if (!benches[i].samples || !benches[i].iteration_ns)
            return lb_fail(err, LB_ERR_NOMEM, "out of memory for benchmarks");
        registered[i] = (struct gbench_benchmark){.name = c->name,
                                                  .iterations = c->events,
                                                  .repetitions = o->repetitions,
                                                  .repetition = repetition,
                                                  .ctx = &benches[i]};
    }
    return LB_OK;
}

/* Measures them and writes the JSON; *failed: some did not work. */
static enum lb_status measure_all(struct micro *m, const struct micro_options *o,
                                  const struct micro_list *list, bool *failed, struct lb_error *err)
{
    struct bench *benches = lb_calloc(list->count, sizeof *benches);
    struct gbench_benchmark *registered = lb_calloc(list->count, sizeof *registered);
    char *json = NULL;
    enum lb_status status;
    if (!benches || !registered)
        status = lb_fail(err, LB_ERR_NOMEM, "out of memory for benchmarks");
    else
        status = make_benches(m, o, list, benches, registered, err);
    if (status == LB_OK) {
        print_head();
        if (!gbench_run(registered, list->count, &json))
            status = lb_fail(err, LB_ERR_NOMEM, "Google Benchmark failed");
    }
    if (status == LB_OK && o->json)
        status = file_replace(o->json, json, strlen(json), err);
    for (size_t i = 0; benches && i < list->count; i++) {
        *failed |= benches[i].err.code != LB_OK && benches[i].err.code != LB_ERR_UNSUPPORTED;
        lb_free(benches[i].samples);
        lb_free(benches[i].iteration_ns);
    }
    free(json);
    lb_free(benches);
    lb_free(registered);
    return status;
}

int micro_run(const struct micro_options *o, struct lb_error *err)
{
    struct micro m = {.file_fd = -1};
    struct micro_list list = {0};
    bool failed = false;
    enum lb_status status = list_cases(&list, o->model, err);
    if (status == LB_OK && o->filter)
        status = filter_cases(&list, o->filter, err);
    if (status == LB_OK && o->list) {
        for (size_t i = 0; i < list.count; i++)
            puts(list.cases[i].name);
    } else if (status == LB_OK) {
        if (o->json)
            status = file_check_output(o->json, err);
        if (status == LB_OK)
            status = open_micro(&m, o, &list, err);
        if (status == LB_OK)
            status = measure_all(&m, o, &list, &failed, err);
        close_micro(&m);
    }
    free(list.cases);
    if (status != LB_OK)
        return status == LB_ERR_INPUT ? EXIT_USAGE : EXIT_FAILED;
    return failed ? EXIT_FAILED : EXIT_OK;
}
