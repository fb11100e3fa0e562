/*
 * merge_results: joins the results of shards, of machines, or of parts of one run.
 *
 * The cells of the whole run are laid out again from the scenario that the results carry; samples
 * go to their cells, and the result is written as `run` writes it. The inputs are put in an order
 * of their own first, so that the order on the command line does not matter. A sample that two
 * inputs have must be the same in both.
 */
#include "cli.h"
#include "commands.h"
#include "exit_codes.h"
#include "file_io.h"
#include "layer_lines.h"
#include "model_options.h"
#include "result_set.h"
#include "results.h"
#include "results_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct merge_options {
    const char *out;
};

static const struct option own[] = {
    {"out", "DIR", "where the joined result goes", OPTION_TEXT, offsetof(struct merge_options, out),
     .letter = 'o'},
};

struct merge {
    struct result_set set;
    struct scenario scenario;
    struct matrix matrix;
    struct results results;
};

static const json_t *effective_of(const struct result_file *file)
{
    return json_object_get(json_object_get(file->ours, "scenario"), "effective");
}

/* ---- the order of the inputs ---- */

static int by_content(const void *a, const void *b)
{
    const struct result_file *x = a, *y = b;
    char *p = json_dumps(x->ours, JSON_SORT_KEYS | JSON_COMPACT);
    char *q = json_dumps(y->ours, JSON_SORT_KEYS | JSON_COMPACT);
    int order = p && q ? strcmp(p, q) : 0;
    free(p);
    free(q);
    return order;
}

/* ---- the run they are parts of ---- */

static uint64_t number(const json_t *object, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static enum lb_status check_filters(const struct merge *m, struct lb_error *err)
{
    const json_t *first = json_object_get(effective_of(&m->set.files[0]), "filter");
    for (size_t i = 1; i < m->set.count; i++) {
        const json_t *other = json_object_get(effective_of(&m->set.files[i]), "filter");
        if (first && other && !json_equal((json_t *)first, (json_t *)other))
            return lb_fail(err, LB_ERR_INPUT, "%s: filtered otherwise than %s: cannot be joined",
                           m->set.files[i].path, m->set.files[0].path);
    }
    return LB_OK;
}

static enum lb_status lay_out(struct merge *m, struct lb_error *err)
{
    const struct result_file *first = &m->set.files[0];
    json_t *scenario = json_object_get(first->ours, "scenario");
    const json_t *effective = effective_of(first), *model = json_object_get(effective, "model");
    struct results *r = &m->results;
    const char *filter = text(effective, "filter"), *architecture = text(model, "architecture");
    const char *file = text(scenario, "file"), *path = text(model, "path");
    enum lb_status status = check_filters(m, err);
    if (status == LB_OK)
        status =
            scenario_from_json(json_object_get(scenario, "requested"), file ? file : first->path,
                               result_scenario_hash(first), &m->scenario, err);
    if (status == LB_OK)
        status = matrix_build(&m->scenario, (uint32_t)number(model, "layers"), &m->matrix, err);
    if (status == LB_OK && filter)
        status = matrix_filter(&m->matrix, filter, err);
    if (status == LB_OK)
        status = matrix_add_references(&m->matrix, err);
    r->scenario = &m->scenario;
    r->matrix = &m->matrix;
    r->model_path = path ? path : "";
    snprintf(r->model.architecture, sizeof r->model.architecture, "%s",
             architecture ? architecture : "");
    r->model.n_layers = (uint32_t)number(model, "layers");
    r->model.file_bytes = number(model, "file_bytes");
    r->model.layer_bytes = number(model, "layer_bytes");
    r->repetitions = (uint32_t)number(effective, "repetitions");
    r->warmup = (uint32_t)number(effective, "warmup");
    r->seed = number(effective, "seed");
    r->filter = filter;
    return status;
}

/* ---- joining ---- */

static enum lb_status take_all(struct merge *m, struct lb_error *err)
{
    for (int borrowed = 0; borrowed <= 1; borrowed++) {
        for (size_t i = 0; i < m->set.count; i++) {
            const struct result_file *f = &m->set.files[i];
            if (results_take_cells(&m->results, f->document, (uint32_t)i, borrowed == 1, err) !=
                LB_OK) {
                lb_error_prefix(err, "%s", f->path);
                return err->code;
            }
        }
    }
    for (size_t i = 0; i < m->set.count; i++)
        results_take_rest(&m->results, m->set.files[i].document);
    m->results.environment = json_incref(json_object_get(m->set.files[0].ours, "environment"));
    return LB_OK;
}

struct origin { /* which lines of a log are wanted */
    const struct results *results;
    uint32_t origin;
};

static bool is_from(void *ctx, const char *cell, int32_t rep)
{
    const struct origin *o = ctx;
    const struct matrix *m = o->results->matrix;
    for (size_t i = 0; i < m->count; i++) {
        const struct cell_samples *c = &o->results->by_cell[i];
        if (strcmp(m->cells[i].name, cell) != 0)
            continue;
        for (size_t k = 0; k < c->count; k++) {
            if (c->list[k].rep == rep)
                return c->list[k].origin == o->origin;
        }
    }
    return false;
}

static enum lb_status copy_logs(const struct merge *m, struct lb_error *err)
{
    char *to = file_text("%s/layers.jsonl", m->results.directory);
    enum lb_status status = to ? LB_OK : lb_fail(err, LB_ERR_NOMEM, "merge: out of memory");
    for (size_t i = 0; status == LB_OK && i < m->set.count; i++) {
        const char *path = m->set.files[i].path, *slash = strrchr(path, '/');
        struct origin origin = {&m->results, (uint32_t)i};
        char *from = file_text("%.*slayers.jsonl", slash ? (int)(slash + 1 - path) : 0, path);
        status = from ? layer_lines_copy(from, to, is_from, &origin, err)
                      : lb_fail(err, LB_ERR_NOMEM, "merge: out of memory");
        free(from);
    }
    free(to);
    return status;
}

/* Samples that no input has; machines that differ. The whole is complete when nothing is missing.
 */
static void judge(struct merge *m)
{
    struct results *r = &m->results;
    r->complete = true;
    for (uint32_t i = 0; i < m->matrix.count; i++) {
        size_t n = r->by_cell[i].count;
        if (m->matrix.cells[i].skipped || n >= r->repetitions)
            continue;
        r->complete = false;
        results_warn(r, "missing: %s: %zu of %u repetitions", m->matrix.cells[i].name,
                     r->repetitions - n, r->repetitions);
    }
    const char *first = result_machine(&m->set.files[0]);
    bool same = true;
    for (size_t i = 1; i < m->set.count; i++)
        same = same && strcmp(result_machine(&m->set.files[i]), first) == 0;
    if (same)
        return;
    results_warn(r, "the results come from different environments: times of cells with different "
                    "'machine' are not to be compared");
    for (uint32_t i = 0; i < m->matrix.count; i++) {
        if (r->by_cell[i].count > 0) {
            const struct result_file *from = &m->set.files[r->by_cell[i].list[0].origin];
            results_attach(r, i, "machine", json_string(result_machine(from)));
        }
    }
}

static enum lb_status merge(struct merge *m, char *const *paths, size_t n, const char *out,
                            struct lb_error *err)
{
    enum lb_status status = LB_OK;
    for (size_t i = 0; status == LB_OK && i < n; i++)
        status = result_set_add(paths[i], &m->set, err);
    if (status != LB_OK)
        return status;
    qsort(m->set.files, m->set.count, sizeof *m->set.files, by_content);
    status = lay_out(m, err);
    if (status == LB_OK)
        status = results_open(&m->results, out, err);
    if (status != LB_OK)
        return status;
    m->results.started_realtime_ns = 0; /* of the earliest input */
    status = take_all(m, err);
    if (status == LB_OK)
        status = copy_logs(m, err);
    if (status != LB_OK)
        return status;
    judge(m);
    return results_write(&m->results, err);
}

int command_merge(int argc, char **argv)
{
    struct merge_options options = {NULL};
    struct cli_group groups[] = {{"options", own, sizeof own / sizeof *own, &options, 0},
                                 {NULL, NULL, 0, NULL, 0}};
    struct cli cli = {"merge", "RESULT... --out DIR",
                      "Joins the results of shards, of machines, or of parts of one run.", groups};
    int code = cli_parse(&cli, &argc, argv);
    if (code >= 0)
        return code;
    if (argc < 2 || !options.out)
        return cli_fail("merge", "expected %s", argc < 2 ? "at least one result" : "--out DIR");
    struct merge m = {.results = {0}};
    struct lb_error err = LB_ERROR_INIT;
    code = EXIT_OK;
    if (merge(&m, argv + 1, (size_t)(argc - 1), options.out, &err) == LB_OK) {
        size_t i;
        json_t *warning;
        json_array_foreach(m.results.warnings, i, warning)
            fprintf(stderr, "note: %s\n", json_string_value(warning));
        printf("result: %s/result.json\n", m.results.directory);
    } else {
        code = model_options_open_error("merge", &err);
    }
    results_close(&m.results);
    matrix_free(&m.matrix);
    scenario_free(&m.scenario);
    result_set_free(&m.set);
    return code;
}
