/* simulate_against: see simulate_against.h. */
#include "predict/simulate_against.h"

#include "common/amounts.h"
#include "common/file_io.h"
#include "common/json_text.h"
#include "result/document.h"
#include "result/summary.h"
#include "stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A cell as the result has it. */
struct known {
    const json_t *json;
    struct settings settings;
    struct cell_samples samples; /* with a decode pass */
    struct summary summary;      /* of them */
    char **texts;                /* [options]: what the settings point into */
};

static enum lb_status no_memory(struct lb_error *err)
{
    return lb_fail(err, LB_ERR_NOMEM, "predictions: out of memory");
}

/* ---- reading the result ---- */

static enum lb_status read_result(const char *path, json_t **document, struct lb_error *err)
{
    char *file = document_file(path, "result.json");
    enum lb_status status = file ? document_read(file, document, err) : no_memory(err);
    if (status == LB_OK)
        status = document_check(file, *document, err);
    if (status == LB_OK &&
        !json_is_array(json_object_get(json_object_get(*document, "layerbench"), "cells")))
        status =
            lb_fail(err, LB_ERR_INPUT, "%s: expected a result of layerbench, with its cells", file);
    free(file);
    return status;
}

/* Options of a result are typed as in a scenario; what is empty or unknown stays as by default. */
static bool read_settings(const json_t *options, struct known *k)
{
    size_t count;
    const struct option *table = options_table(&count);
    k->settings = settings_default();
    k->texts = calloc(count, sizeof *k->texts);
    for (size_t i = 0; k->texts && i < count; i++) {
        char text[OPTION_LONGEST];
        json_t *value = json_object_get(options, table[i].name);
        if (!value || !scenario_option_text(&table[i], value, text, sizeof text) || !*text)
            continue;
        k->texts[i] = strdup(text);
        if (!k->texts[i])
            return false;
        option_set(&table[i], &k->settings, k->texts[i], NULL);
    }
    return k->texts != NULL;
}

static enum lb_status read_cell(const json_t *json, struct known *k, struct lb_error *err)
{
    const json_t *samples = json_object_get(json, "samples");
    size_t i;
    json_t *sample;
    const char *where;
    *k = (struct known){.json = json};
    k->samples.list = calloc(json_array_size(samples) + 1, sizeof *k->samples.list);
    if (!k->samples.list || !read_settings(json_object_get(json, "options"), k))
        return no_memory(err);
    if (!json_is_string(json_object_get(json, "name")))
        return lb_fail(err, LB_ERR_INPUT, "a cell without a name");
    json_array_foreach(samples, i, sample)
    {
        struct sample *to = &k->samples.list[k->samples.count];
        if (!sample_from_json(sample, k->settings.engine.batch, to, &where))
            return lb_fail(err, LB_ERR_INPUT, "cell '%s': a sample's '%s' is missing or damaged",
                           json_string_value(json_object_get(json, "name")), where);
        if (sample_pass_ns(to) > 0)
            k->samples.count++;
        else
            sample_free(to);
    }
    k->summary = summary_of(&k->samples, &(struct floor){.ns = 0});
    return LB_OK;
}

static void free_known(struct known *k)
{
    size_t count;
    options_table(&count);
    for (size_t i = 0; i < k->samples.count; i++)
        sample_free(&k->samples.list[i]);
    for (size_t i = 0; k->texts && i < count; i++)
        free(k->texts[i]);
    free(k->texts);
    free(k->samples.list);
}

static enum lb_status read_model(const json_t *document, struct sim_model *model,
                                 struct lb_error *err)
{
    const json_t *scenario = json_object_get(json_object_get(document, "layerbench"), "scenario");
    const json_t *effective = json_object_get(json_object_get(scenario, "effective"), "model");
    const json_t *synth =
        json_object_get(json_object_get(json_object_get(scenario, "requested"), "model"), "synth");
    const char *path = json_string_value(json_object_get(effective, "path"));
    if (path && file_exists(path))
        return sim_model_of_file(path, model, err);
    struct lb_synth shape = {
        .shape = json_string_value(json_object_get(synth, "shape")),
        .quant = json_string_value(json_object_get(synth, "quant")),
        .n_layers = (uint32_t)json_integer_value(json_object_get(effective, "layers"))};
    if (!shape.shape || !shape.quant)
        return lb_fail(err, LB_ERR_INPUT, "the result's model '%s' is not there any more",
                       path ? path : "");
    return sim_model_of_shape(&shape, model, err);
}

/* ---- predicting ---- */

/* Passes before those that count, as far as they matter. */
static uint32_t prompt_passes(const struct sample *s)
{
    enum { MOST = 1000 };
    uint64_t n = s->all.passes > s->n_pass ? s->all.passes - s->n_pass : 0;
    return n < MOST ? (uint32_t)n : MOST;
}

/* Computing of a prompt's pass: median over the samples; NAN: there is no sample. */
static double prompt_compute(const struct cell_samples *c)
{
    double *values = calloc(c->count + 1, sizeof *values), median = NAN;
    for (size_t i = 0; values && i < c->count; i++) {
        const struct sample *s = &c->list[i];
        double prompts = (double)s->all.passes - s->n_pass;
        if (prompts > 0)
            values[i] = (double)(s->all.compute_ns - s->decode.compute_ns) / prompts;
    }
    if (values && c->count > 0)
        median = stats_median(values, c->count);
    free(values);
    return median;
}

static bool is_resident(const struct known *k)
{
    return strcmp(k->settings.engine.prefetch, "resident") == 0;
}

static bool is_plain(const struct known *k) /* nothing is slowed or made to fail */
{
    return !*k->settings.engine.slow && !*k->settings.engine.fault;
}

/* The resident cell that does the same work with memory enough, or NULL. */
static const struct known *reference_of(const struct known *cells, size_t n, const struct known *k)
{
    for (size_t i = 0; i < n; i++)
        if (matrix_shows_compute(&cells[i].settings) && cells[i].samples.count > 0 &&
            matrix_same_work(&cells[i].settings, &k->settings))
            return &cells[i];
    return NULL;
}

/* The routes that the result's first repetition of the cell recorded; an empty trace: none. */
static enum lb_status read_routes(const struct sim_model *model, const char *file, const char *cell,
                                  struct route_trace *trace, struct lb_error *err)
{
    struct lb_error none = LB_ERROR_INIT;
    *trace = (struct route_trace){0};
    if (!model->experts || !file || !file_exists(file))
        return LB_OK;
    enum lb_status status = route_trace_read(file, cell, trace, &none);
    if (status == LB_ERR_NOMEM)
        return lb_fail(err, status, "%s", none.text);
    return LB_OK;
}

static enum lb_status predict(const struct sim_model *model, const struct known *k,
                              const struct known *reference, double bandwidth,
                              const struct route_trace *routes, struct sim_check *check,
                              struct lb_error *err)
{
    const struct sample *first = &k->samples.list[0];
    struct sim_accesses accesses = {.routes = model->experts ? routes : NULL};
    double compute = reference->summary.compute_ns;
    struct settings settings = k->settings;
    if (settings.engine.cache_layers == 0 && settings.engine.cache_bytes == 0)
        settings.engine.cache_bytes = first->all.cache_bytes; /* auto: what it came to */
    struct sim_times times = {.layers_ns = compute,
                              .other_ns = reference->summary.other_ns,
                              .first_pass = prompt_compute(&reference->samples) / compute,
                              .bandwidth = bandwidth};
    check->cell = json_string_value(json_object_get(k->json, "name"));
    check->measured_ns = k->summary.pass_ns;
    check->measured_bytes = k->summary.bytes_read;
    enum lb_status status = sim_predict(model, &times, &accesses, &settings, prompt_passes(first),
                                        first->n_pass, &check->prediction, err);
    check->error = fabs(check->prediction.pass_ns / check->measured_ns - 1);
    return status;
}

static enum lb_status predict_all(const struct sim_model *model, const struct known *cells,
                                  size_t n, const char *routes_file, struct sim_checks *checks,
                                  struct lb_error *err)
{
    enum lb_status status = LB_OK;
    for (size_t i = 0; status == LB_OK && i < n; i++) {
        const struct known *k = &cells[i], *reference = reference_of(cells, n, k);
        const json_t *floor = json_object_get(k->json, "floor");
        double bandwidth = json_number_value(json_object_get(floor, "bandwidth"));
        if (is_resident(k) || k->samples.count == 0 || !is_plain(k))
            continue;
        if (!reference || reference->summary.compute_ns <= 0 ||
            (bandwidth <= 0 && k->settings.engine.device_bandwidth <= 0)) {
            checks->n_left_out++;
            continue;
        }
        struct route_trace routes;
        status = read_routes(model, routes_file,
                             json_string_value(json_object_get(k->json, "name")), &routes, err);
        if (status == LB_OK && model->experts && routes.length == 0) {
            checks->n_unrouted++;
            continue;
        }
        if (status == LB_OK)
            status = predict(model, k, reference, bandwidth, &routes,
                             &checks->list[checks->count++], err);
        route_trace_free(&routes);
        if (status != LB_OK)
            lb_error_prefix(err, "%s", checks->list[checks->count - 1].cell);
    }
    return status;
}

enum lb_status sim_check_result(const char *path, struct sim_checks *checks, struct lb_error *err)
{
    struct sim_model model = {.tensors = NULL};
    char *routes = document_file(path, "routes.csv");
    *checks = (struct sim_checks){.count = 0};
    enum lb_status status = read_result(path, &checks->document, err);
    const json_t *list = json_object_get(json_object_get(checks->document, "layerbench"), "cells");
    size_t n = json_array_size(list), n_read = 0;
    struct known *cells = calloc(n + 1, sizeof *cells);
    checks->list = calloc(n + 1, sizeof *checks->list);
    if (status == LB_OK && (!cells || !checks->list))
        status = no_memory(err);
    for (; status == LB_OK && n_read < n; n_read++)
        status = read_cell(json_array_get(list, n_read), &cells[n_read], err);
    if (status == LB_OK)
        status = read_model(checks->document, &model, err);
    if (status == LB_OK)
        status = predict_all(&model, cells, n, routes, checks, err);
    free(routes);
    for (size_t i = 0; cells && i < n; i++)
        free_known(&cells[i]);
    free(cells);
    sim_model_free(&model);
    return status;
}

void sim_checks_free(struct sim_checks *checks)
{
    free(checks->list);
    json_decref(checks->document);
    *checks = (struct sim_checks){.count = 0};
}

/* ---- output ---- */

struct errors {
    double median, p95, worst;
};

/* The 95th percentile here is the smallest error that 95 of 100 cells do not exceed: the cells are
 * all there are, not a sample. */
static bool sum_up(const struct sim_checks *c, struct errors *e)
{
    double *errors = calloc(c->count + 1, sizeof *errors);
    if (!errors || c->count == 0) {
        free(errors);
        return false;
    }
    for (size_t i = 0; i < c->count; i++)
        errors[i] = c->list[i].error;
    e->median = stats_median(errors, c->count);
    e->p95 = stats_select(errors, c->count, (size_t)ceil(0.95 * (double)c->count) - 1);
    e->worst = stats_select(errors, c->count, c->count - 1);
    free(errors);
    return true;
}

void sim_print_checks(const struct sim_checks *c, FILE *out)
{
    struct errors e;
    size_t width = strlen("cell");
    for (size_t i = 0; i < c->count; i++)
        width = strlen(c->list[i].cell) > width ? strlen(c->list[i].cell) : width;
    fprintf(out, "%-*s %10s %10s %8s %10s %10s\n", (int)width, "cell", "predicted", "measured",
            "error", "predicted", "read");
    for (size_t i = 0; i < c->count; i++) {
        const struct sim_check *k = &c->list[i];
        char time[32], measured[32], bytes[32], read[32];
        fprintf(out, "%-*s %10s %10s %+7.1f%% %10s %10s\n", (int)width, k->cell,
                amount_human_duration(k->prediction.pass_ns, time, sizeof time),
                amount_human_duration(k->measured_ns, measured, sizeof measured),
                100 * (k->prediction.pass_ns / k->measured_ns - 1),
                amount_human_size(k->prediction.bytes, bytes, sizeof bytes),
                amount_human_size(k->measured_bytes, read, sizeof read));
    }
    if (sum_up(c, &e))
        fprintf(out,
                "%zu cells: error %.1f%% in the median, %.1f%% at the 95th percentile, %.1f%% at "
                "worst\n",
                c->count, 100 * e.median, 100 * e.p95, 100 * e.worst);
    if (c->n_unrouted > 0)
        fprintf(
            out,
            "%zu cells of a mixture of experts left out: no routes were recorded (log_routes)\n",
            c->n_unrouted);
    if (c->n_left_out > 0)
        fprintf(out,
                "%zu cells left out: no bandwidth known, or no resident cell of the same work\n",
                c->n_left_out);
}

static json_t *prediction_json(const struct sim_prediction *p)
{
    return json_pack("{s:f, s:f, s:f, s:{s:f, s:f, s:f, s:f}}", "pass_ns", p->pass_ns, "wait_ns",
                     p->wait_ns, "bytes_read", p->bytes, "outcomes", "hit", p->hit, "prefetched",
                     p->prefetched, "late", p->late, "miss", p->miss);
}

int sim_print_checks_json(const struct sim_checks *c, FILE *out)
{
    struct errors e = {0};
    json_t *cells = json_array();
    sum_up(c, &e);
    for (size_t i = 0; i < c->count; i++) {
        const struct sim_check *k = &c->list[i];
        json_array_append_new(
            cells, json_pack("{s:o, s:o, s:f, s:f, s:f}", "name", json_text(k->cell), "prediction",
                             prediction_json(&k->prediction), "measured_ns", k->measured_ns,
                             "measured_bytes", k->measured_bytes, "error", k->error));
    }
    json_t *document = json_pack("{s:o, s:I, s:f, s:f, s:f}", "cells", cells, "left_out",
                                 (json_int_t)c->n_left_out, "error_median", e.median, "error_p95",
                                 e.p95, "error_worst", e.worst);
    int failed = document ? json_dumpf(document, out, JSON_INDENT(1)) : -1;
    fputc('\n', out);
    json_decref(document);
    return failed;
}

/* ---- as part of a run ---- */

enum lb_status sim_attach(struct results *r, struct lb_error *err)
{
    struct sim_checks checks;
    struct lb_error why = LB_ERROR_INIT;
    if (sim_check_result(r->directory, &checks, &why) != LB_OK)
        results_warn(r, "no predictions: %s", why.text);
    for (size_t i = 0; why.code == LB_OK && i < checks.count; i++) {
        int cell = matrix_find(r->matrix, checks.list[i].cell);
        if (cell >= 0)
            results_attach(r, (uint32_t)cell, "prediction",
                           prediction_json(&checks.list[i].prediction));
    }
    sim_checks_free(&checks);
    return results_write(r, err);
}
