/* results_json: see results_json.h. The keys are those of the design and of the schema in
 * results/schema. */
#include "result/results_json.h"

#include "common/amounts.h"
#include "common/array.h"
#include "common/gbench_shim.h"
#include "common/json_text.h"
#include "common/version.h"
#include "result/document.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- options ---- */

static json_t *device_value(const struct settings *settings)
{
    const struct lb_options *o = &settings->engine;
    if (o->device_bandwidth <= 0 && o->device_latency_ns <= 0 && o->device_queue_depth == 0)
        return json_null();
    json_t *object = json_object();
    char text[64];
    if (o->device_bandwidth > 0) {
        amount_format_bandwidth(o->device_bandwidth, text, sizeof text);
        json_object_set_new(object, "bandwidth", json_text(text));
    }
    if (o->device_latency_ns > 0) {
        amount_format_duration(o->device_latency_ns, text, sizeof text);
        json_object_set_new(object, "latency", json_text(text));
    }
    if (o->device_queue_depth > 0)
        json_object_set_new(object, "queue_depth", json_integer(o->device_queue_depth));
    return object;
}

static json_t *option_value(const struct option *o, const struct settings *settings)
{
    const void *field = (const char *)settings + o->offset;
    char text[OPTION_LONGEST];
    option_format(o, settings, text, sizeof text);
    for (const char *const *word = o->words; word && *word; word++) {
        if (strcmp(*word, text) == 0)
            return json_text(text);
    }
    switch (o->kind) {
    case OPTION_FLAG:
    case OPTION_BOOL:
        return json_boolean(*(const bool *)field);
    case OPTION_COUNT:
    case OPTION_SIZE32:
        return json_integer(*(const uint32_t *)field);
    case OPTION_COUNT64:
    case OPTION_SIZE:
        return json_integer((json_int_t) * (const uint64_t *)field);
    case OPTION_DURATION:
        return json_integer(*(const int64_t *)field);
    case OPTION_REAL:
    case OPTION_BANDWIDTH:
        return json_real(*(const double *)field);
    case OPTION_CUSTOM:
        return strcmp(o->name, "device") == 0 ? device_value(settings) : json_text(text);
    default:
        return json_text(text);
    }
}

/* Left out: hidden options that are not in use, and the budget that does not rule the cache. */
static bool is_left_out(const struct option *o, const struct settings *settings)
{
    const struct lb_options *e = &settings->engine;
    struct settings defaults = settings_default();
    char mine[OPTION_LONGEST], usual[OPTION_LONGEST];
    if (strcmp(o->name, "engine") == 0)
        return strcmp(settings->program, PEER_OURS) == 0;
    if (strcmp(o->name, "cache_bytes") == 0)
        return e->cache_bytes == 0;
    if (strcmp(o->name, "cache_layers") == 0)
        return e->cache_bytes > 0 || strcmp(e->prefetch, "resident") == 0;
    option_format(o, settings, mine, sizeof mine);
    option_format(o, &defaults, usual, sizeof usual);
    return (o->flags & OPTION_HIDDEN) && strcmp(mine, usual) == 0;
}

json_t *results_options(const struct settings *settings)
{
    size_t count;
    const struct option *table = options_table(&count);
    json_t *object = json_object();
    for (size_t i = 0; i < count; i++) {
        if (!is_left_out(&table[i], settings))
            json_object_set_new(object, table[i].name, option_value(&table[i], settings));
    }
    return object;
}

/* ---- Google Benchmark's part ---- */

/* The samples of one cell in the order of their repetitions. */
struct replay {
    const struct sample **samples;
    double floor_ns;
    bool same_passes; /* all samples took as many; else each is told as its mean pass */
    int64_t mean_ns;
};

static void counter(struct gbench_result *result, const char *name, double value)
{
    result->counters[result->n_counters++] = (struct gbench_counter){name, value};
}

static void repeat(void *ctx, uint32_t index, struct gbench_result *result)
{
    struct replay *r = ctx;
    const struct sample *s = r->samples[index];
    if (*s->failed) {
        result->error = s->failed;
        return;
    }
    double n = s->n_pass;
    r->mean_ns = llround(sample_pass_ns(s));
    result->iteration_ns = r->same_passes ? s->pass_ns : &r->mean_ns;
    counter(result, "tokens_per_second", sample_tokens_per_s(s));
    if (s->drafted > 0) {
        counter(result, "tokens_a_pass", sample_tokens_a_pass(s));
        counter(result, "drafts_kept", (double)s->drafts_kept / (double)s->drafted);
    }
    if (s->printed) /* of another program nothing else is known */
        return;
    counter(result, "hit", (double)s->decode.hits / n);
    counter(result, "prefetched", (double)s->decode.prefetched / n);
    counter(result, "late", (double)s->decode.late / n);
    counter(result, "miss", (double)s->decode.misses / n);
    counter(result, "bytes_read", (double)s->decode.bytes_read / n);
    counter(result, "wait_ms", (double)s->decode.wait_ns / n / 1e6);
    counter(result, "compute_ms", (double)s->decode.compute_ns / n / 1e6);
    counter(result, "prefill_ms", (double)s->prefill_ns / 1e6);
    counter(result, "cpu_ms", (double)s->cpu_ns / 1e6);
    if (r->floor_ns > 0)
        counter(result, "floor_ms", r->floor_ns / 1e6);
}

static int by_repetition(const void *a, const void *b)
{
    const struct sample *x = *(const struct sample *const *)a,
                        *y = *(const struct sample *const *)b;
    return (x->rep > y->rep) - (x->rep < y->rep);
}

/* Room for the benchmarks of a result; `samples` is cut into the parts of the replays. */
struct report {
    struct gbench_benchmark *list;
    struct replay *replays;
    const struct sample **samples;
    size_t n_benchmarks, n_samples;
};

/* One benchmark of the n samples added last. */
static void add_benchmark(struct report *report, const struct cell *cell, double floor_ns, size_t n)
{
    struct replay *replay = &report->replays[report->n_benchmarks];
    *replay =
        (struct replay){.samples = report->samples + report->n_samples - n, .floor_ns = floor_ns};
    qsort(replay->samples, n, sizeof *replay->samples, by_repetition);
    uint32_t n_pass = replay->samples[0]->n_pass;
    replay->same_passes = n_pass > 0;
    for (size_t i = 0; i < n; i++)
        replay->same_passes &= replay->samples[i]->n_pass == n_pass;
    report->list[report->n_benchmarks++] = (struct gbench_benchmark){
        cell->name, replay->same_passes ? n_pass : 1, (uint32_t)n, repeat, replay};
}

/* The measured samples of a cell as the repetitions of one benchmark, each failed one by itself. */
static void add_cell(struct report *report, const struct results *r, uint32_t i)
{
    const struct cell *cell = &r->matrix->cells[i];
    const struct cell_samples *c = &r->by_cell[i];
    double floor_ns = results_summary(r, i).floor.ns;
    size_t good = 0;
    for (size_t k = 0; k < c->count; k++) {
        if (!*c->list[k].failed) {
            report->samples[report->n_samples++] = &c->list[k];
            good++;
        }
    }
    if (good > 0)
        add_benchmark(report, cell, floor_ns, good);
    for (size_t k = 0; k < c->count; k++) {
        if (*c->list[k].failed) {
            report->samples[report->n_samples++] = &c->list[k];
            add_benchmark(report, cell, floor_ns, 1);
        }
    }
}

/* Google Benchmark's document about all cells; NULL when out of memory or refused. */
static json_t *benchmarks_of(const struct results *r)
{
    size_t most = 1;
    for (size_t i = 0; i < r->matrix->count; i++)
        most += r->by_cell[i].count;
    struct report report = {.list = calloc(most, sizeof *report.list),
                            .replays = calloc(most, sizeof *report.replays),
                            .samples = calloc(most, sizeof *report.samples)};
    char *text = NULL;
    json_t *document = NULL;
    if (report.list && report.replays && report.samples) {
        for (uint32_t i = 0; i < r->matrix->count; i++)
            add_cell(&report, r, i);
        if (gbench_run(report.list, report.n_benchmarks, &text))
            document = json_loads(text, 0, NULL);
    }
    free(text);
    free(report.list);
    free(report.replays);
    free(report.samples);
    return document;
}

/* ---- ours ---- */

static json_t *number_or_null(double value)
{
    return isnan(value) || value <= 0 ? json_null() : json_integer((json_int_t)llround(value));
}

static json_t *floor_json(const struct results *r, uint32_t i, const struct summary *s)
{
    const struct floor *f = &s->floor;
    json_t *object = json_object();
    json_object_set_new(object, "ns", number_or_null(f->ns));
    json_object_set_new(object, "compute_ns", number_or_null(f->compute_ns));
    json_object_set_new(object, "load_ns", number_or_null(f->load_ns));
    json_object_set_new(object, "all_load_ns", number_or_null(f->all_load_ns));
    const char *source;
    (void)results_bandwidth(r, i, &source);
    json_object_set_new(object, "bandwidth", number_or_null(f->bandwidth));
    json_object_set_new(object, "bandwidth_source", json_text(source));
    /* what the passes made of it, waits and all */
    json_object_set_new(object, "bandwidth_used", number_or_null(s->bandwidth_used));
    return object;
}

/* Of another program: the options that vary its cells, beside those of cells that are ours. */
static json_t *options_of(const struct results *r, const struct cell *cell)
{
    json_t *options = results_options(&cell->settings), *value;
    const char *key;
    void *next;
    if (r->scenario->n_peers > 0)
        json_object_set_new(options, "engine", json_text(cell->settings.program));
    json_object_foreach_safe(options, next, key, value)
    {
        if (cell->peer && !peer_uses(cell->peer, key))
            json_object_del(options, key);
    }
    return options;
}

static json_t *cell_json(const struct results *r, uint32_t i)
{
    const struct cell *cell = &r->matrix->cells[i];
    const struct cell_samples *c = &r->by_cell[i];
    struct summary summary = results_summary(r, i);
    json_t *object = json_object(), *samples = json_array(), *failures = json_array();
    const struct sample **sorted = calloc(c->count + 1, sizeof *sorted);
    for (size_t k = 0; sorted && k < c->count; k++)
        sorted[k] = &c->list[k];
    if (sorted)
        qsort(sorted, c->count, sizeof *sorted, by_repetition);
    for (size_t k = 0; sorted && k < c->count; k++) {
        json_t *sample = sample_to_json(sorted[k]);
        if (!*sorted[k]->failed)
            json_object_set_new(sample, "floor_ns", number_or_null(summary.floor.ns));
        json_array_append_new(*sorted[k]->failed ? failures : samples, sample);
    }
    free(sorted);
    json_object_set_new(object, "name", json_text(cell->name));
    json_object_set_new(object, "options", options_of(r, cell));
    if (cell->peer) /* with its command, and unchecked */
        json_object_set(object, "program", cell->peer->definition);
    if (cell->reference)
        json_object_set_new(object, "reference", json_true());
    if (cell->borrowed)
        json_object_set_new(object, "borrowed", json_true());
    if (cell->skipped)
        json_object_set_new(object, "skipped", json_text(cell->skipped));
    if (json_array_size(failures) > 0)
        json_object_set(object, "failed", json_object_get(json_array_get(failures, 0), "failed"));
    if (summary_broken(c))
        json_object_set_new(object, "invalid", json_text(summary_broken(c)));
    json_object_set_new(object, "floor", floor_json(r, i, &summary));
    json_object_set_new(object, "samples", samples);
    json_object_set_new(object, "failures", failures);
    json_object_update(object, json_object_get(r->attached, cell->name));
    return object;
}

static json_t *scenario_json(const struct results *r)
{
    json_t *scenario = json_object(), *effective = json_object();
    json_t *model = json_object();
    json_object_set_new(model, "path", json_text(r->model_path));
    json_object_set_new(model, "architecture", json_text(r->model.architecture));
    json_object_set_new(model, "layers", json_integer(r->model.n_layers));
    json_object_set_new(model, "file_bytes", json_integer((json_int_t)r->model.file_bytes));
    json_object_set_new(model, "layer_bytes", json_integer((json_int_t)r->model.layer_bytes));
    if (r->model.synthetic_routing)
        json_object_set_new(model, "synthetic_routing",
                            json_pack("{s:f, s:f}", "skew", r->model.routing.skew, "persistence",
                                      r->model.routing.persistence));
    json_object_set_new(effective, "model", model);
    json_object_set_new(effective, "repetitions", json_integer(r->repetitions));
    json_object_set_new(effective, "warmup", json_integer(r->warmup));
    json_object_set_new(effective, "seed", json_integer((json_int_t)r->seed));
    json_object_set_new(effective, "filter", json_text(r->filter));
    json_object_set_new(effective, "shard", json_text(r->shard));
    json_object_set(scenario, "requested", r->scenario->document);
    json_object_set_new(scenario, "effective", effective);
    json_object_set_new(scenario, "sha256", json_text(r->scenario->sha256));
    json_object_set_new(scenario, "file", json_text(r->scenario->path));
    return scenario;
}

json_t *results_to_json(const struct results *r)
{
    json_t *document = benchmarks_of(r), *ours = json_object(), *cells = json_array();
    if (!document || !ours || !cells) {
        json_decref(document);
        json_decref(ours);
        json_decref(cells);
        return NULL;
    }
    for (uint32_t i = 0; i < r->matrix->count; i++)
        json_array_append_new(cells, cell_json(r, i));
    json_object_set_new(ours, "schema_version", json_integer(RESULT_SCHEMA_VERSION));
    json_object_set_new(ours, "version", json_text(LAYERBENCH_VERSION));
    json_object_set_new(ours, "scenario", scenario_json(r));
    json_object_set_new(ours, "started_realtime_ns", json_integer(r->started_realtime_ns));
    json_object_set(ours, "environment", r->environment);
    json_object_set_new(ours, "bandwidth", raw_paths_to_json(&r->paths));
    json_object_set_new(ours, "cells", cells);
    json_object_set(ours, "warnings", r->warnings);
    json_object_set_new(ours, "complete", json_boolean(r->complete));
    if (r->context)
        json_object_set(document, "context", r->context);
    json_object_set_new(document, "layerbench", ours);
    return document;
}

/* ---- back ---- */

static bool same_number(const json_t *object, const char *key, uint64_t expected)
{
    return (uint64_t)json_integer_value(json_object_get(object, key)) == expected;
}

static enum lb_status check_same_run(const struct results *r, const json_t *ours,
                                     struct lb_error *err)
{
    const json_t *scenario = json_object_get(ours, "scenario");
    const json_t *effective = json_object_get(scenario, "effective");
    const json_t *model = json_object_get(effective, "model");
    const char *sha256 = json_string_value(json_object_get(scenario, "sha256"));
    const char *what = NULL;
    if (!sha256 || strcmp(sha256, r->scenario->sha256) != 0)
        what = "another scenario";
    else if (!same_number(model, "file_bytes", r->model.file_bytes) ||
             !same_number(model, "layer_bytes", r->model.layer_bytes))
        what = "another model";
    else if (!same_number(effective, "seed", r->seed) ||
             !same_number(effective, "repetitions", r->repetitions) ||
             !same_number(effective, "warmup", r->warmup))
        what = "another seed or number of repetitions";
    if (!what)
        return LB_OK;
    return lb_fail(err, LB_ERR_INPUT, "belongs to %s: cannot be joined", what);
}

static bool same_sample(const struct sample *a, const struct sample *b)
{
    json_t *x = sample_to_json(a), *y = sample_to_json(b);
    bool same = json_equal(x, y) == 1;
    json_decref(x);
    json_decref(y);
    return same;
}

/* The sample is taken over. One that is there already: fine when it is the same, or when it is of
 * a borrowed reference cell, which several shards measure (the earliest counts); else a conflict.
 */
static enum lb_status take_sample(struct results *r, uint32_t cell, bool borrowed,
                                  struct sample *sample, struct lb_error *err)
{
    struct cell_samples *c = &r->by_cell[cell];
    for (size_t k = 0; k < c->count; k++) {
        if (c->list[k].rep != sample->rep)
            continue;
        bool fine = borrowed || same_sample(&c->list[k], sample);
        int32_t rep = sample->rep;
        if (r->matrix->cells[cell].borrowed && sample->start_ns < c->list[k].start_ns) {
            struct sample later = c->list[k];
            c->list[k] = *sample;
            *sample = later;
        }
        sample_free(sample);
        return fine ? LB_OK
                    : lb_fail(err, LB_ERR_INPUT,
                              "cell '%s' has repetition %d already, with other figures",
                              r->matrix->cells[cell].name, rep);
    }
    struct sample *place = array_add(&c->list, &c->count, sizeof *place);
    if (place)
        *place = *sample;
    else
        sample_free(sample);
    return place ? LB_OK : lb_fail(err, LB_ERR_NOMEM, "out of memory for samples");
}

/* What to add to a start time of the document to make it one of the result. */
static int64_t time_shift(const struct results *r, const json_t *document)
{
    const json_t *ours = json_object_get(document, "layerbench");
    int64_t started = json_integer_value(json_object_get(ours, "started_realtime_ns"));
    return r->started_realtime_ns ? started - r->started_realtime_ns : 0;
}

static enum lb_status take_samples(struct results *r, uint32_t cell, const json_t *list,
                                   int64_t shift_ns, uint32_t origin, bool borrowed,
                                   struct lb_error *err)
{
    size_t n;
    json_t *json;
    json_array_foreach(list, n, json)
    {
        struct sample sample;
        const char *where;
        if (!sample_from_json(json, r->matrix->cells[cell].settings.engine.batch, &sample, &where))
            return lb_fail(err, LB_ERR_INPUT, "cell '%s': a sample's '%s' is missing or damaged",
                           r->matrix->cells[cell].name, where);
        sample.origin = origin;
        sample.start_ns += shift_ns;
        enum lb_status status = take_sample(r, cell, borrowed, &sample, err);
        if (status != LB_OK)
            return status;
    }
    return LB_OK;
}

static enum lb_status take_cell(struct results *r, const json_t *json, int64_t shift_ns,
                                uint32_t origin, struct lb_error *err)
{
    const char *name = json_string_value(json_object_get(json, "name"));
    static const char *const lists[] = {"samples", "failures"};
    static const char *const keys[] = {"profile", "prediction", "machine"};
    bool borrowed = json_is_true(json_object_get(json, "borrowed"));
    int found = matrix_find(r->matrix, name ? name : "");
    uint32_t i = (uint32_t)found;
    if (found < 0)
        return lb_fail(err, LB_ERR_INPUT,
                       "has a cell '%s' that does not belong to this run (was it filtered "
                       "otherwise?)",
                       name ? name : "");
    for (size_t k = 0; k < 2; k++) {
        enum lb_status status =
            take_samples(r, i, json_object_get(json, lists[k]), shift_ns, origin, borrowed, err);
        if (status != LB_OK)
            return status;
    }
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        json_t *value = json_object_get(json, keys[k]);
        if (value)
            results_attach(r, i, keys[k], json_incref(value));
    }
    return LB_OK;
}

enum lb_status results_take_cells(struct results *r, const json_t *document, uint32_t origin,
                                  bool borrowed, struct lb_error *err)
{
    const json_t *ours = json_object_get(document, "layerbench");
    size_t i;
    json_t *cell;
    if (!json_is_object(ours) || !json_is_array(json_object_get(ours, "cells")))
        return lb_fail(err, LB_ERR_INPUT, "expected a result with layerbench.cells");
    const json_t *sha256 = json_object_get(json_object_get(ours, "environment"), "model_sha256");
    enum lb_status status = check_same_run(r, ours, err);
    if (status == LB_OK)
        status = results_check_model(r, json_string_value(json_object_get(sha256, "value")), err);
    json_array_foreach(json_object_get(ours, "cells"), i, cell)
    {
        if (status == LB_OK && json_is_true(json_object_get(cell, "borrowed")) == borrowed)
            status = take_cell(r, cell, time_shift(r, document), origin, err);
    }
    return status;
}

void results_take_rest(struct results *r, const json_t *document)
{
    const json_t *ours = json_object_get(document, "layerbench");
    int64_t started = json_integer_value(json_object_get(ours, "started_realtime_ns"));
    size_t i;
    json_t *warning;
    raw_paths_from_json(&r->paths, json_object_get(ours, "bandwidth"), time_shift(r, document));
    if (r->started_realtime_ns == 0 || started < r->started_realtime_ns)
        r->started_realtime_ns = started;
    if (!r->context)
        r->context = json_incref(json_object_get(document, "context"));
    json_array_foreach(json_object_get(ours, "warnings"), i, warning)
        results_warn(r, "%s", json_string_value(warning));
}

enum lb_status results_from_json(struct results *r, const json_t *document, struct lb_error *err)
{
    enum lb_status status = results_take_cells(r, document, 0, false, err);
    if (status == LB_OK)
        status = results_take_cells(r, document, 0, true, err);
    if (status == LB_OK)
        results_take_rest(r, document);
    return status;
}
