/*
 * merge_results: see merge_results.h.
 *
 * The cells of the whole run are laid out again from the scenario that the results carry; samples
 * go to their cells, and the result is written as `run` writes it. The inputs are put in an order
 * of their own first, so that the order on the command line does not matter. A sample that two
 * inputs have must be the same in both.
 */
#include "result/merge_results.h"

#include "common/file_io.h"
#include "result/document.h"
#include "result/gbench_file.h"
#include "result/layer_table.h"
#include "result/log_check.h"
#include "result/merge_lines.h"
#include "result/result_set.h"
#include "result/results.h"
#include "result/results_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct merge {
    struct result_set set;
    struct scenario scenario;
    struct matrix matrix;
    struct results results;
    bool without_log; /* an input has no layers.jsonl, and another has */
};

static const json_t *effective_of(const struct result_file *file)
{
    return json_object_get(json_object_get(file->ours, "scenario"), "effective");
}

/* ---- the order of the inputs ---- */

static int64_t started(const struct result_file *file)
{
    return json_integer_value(json_object_get(file->ours, "started_realtime_ns"));
}

/* By start, because what was joined before starts with its earliest part. */
static int by_start(const void *a, const void *b)
{
    const struct result_file *x = a, *y = b;
    if (started(x) != started(y))
        return started(x) < started(y) ? -1 : 1;
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
    const json_t *routing = json_object_get(model, "synthetic_routing");
    r->model.synthetic_routing = routing != NULL;
    r->model.routing.skew = json_number_value(json_object_get(routing, "skew"));
    r->model.routing.persistence = json_number_value(json_object_get(routing, "persistence"));
    r->repetitions = (uint32_t)number(effective, "repetitions");
    r->warmup = (uint32_t)number(effective, "warmup");
    r->seed = number(effective, "seed");
    r->filter = filter;
    return status;
}

/* ---- joining ---- */

/* A reference that only other cells' shards have measured stays borrowed, so that its own shard's
 * can take its place when that is joined. */
static void mark_borrowed(struct merge *m)
{
    for (size_t i = 0; i < m->matrix.count; i++)
        m->matrix.cells[i].borrowed = m->results.by_cell[i].count == 0;
}

static enum lb_status take_all(struct merge *m, struct lb_error *err)
{
    m->results.started_realtime_ns = started(&m->set.files[0]);
    for (int borrowed = 0; borrowed <= 1; borrowed++) {
        if (borrowed)
            mark_borrowed(m);
        for (size_t i = 0; i < m->set.count; i++) {
            const struct result_file *f = &m->set.files[i];
            if (results_take_cells(&m->results, f->document, (uint32_t)i, borrowed == 1, err) !=
                LB_OK) {
                lb_error_prefix(err, "%s", f->path);
                return err->code;
            }
        }
    }
    for (size_t i = 0; i < m->matrix.count; i++) /* what nobody has measured is not borrowed */
        m->matrix.cells[i].borrowed &= m->results.by_cell[i].count > 0;
    for (size_t i = 0; i < m->set.count; i++)
        results_take_rest(&m->results, m->set.files[i].document);
    m->results.environment = json_incref(json_object_get(m->set.files[0].ours, "environment"));
    return LB_OK;
}

/* ---- warnings ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(json_string_value(*(json_t *const *)a), json_string_value(*(json_t *const *)b));
}

/* In an order of their own, without those of an earlier merge and those of the parts' figures: they
 * are said anew where they hold of the whole. */
static enum lb_status sort_warnings(struct results *r, struct lb_error *err)
{
    size_t n = 0, count = json_array_size(r->warnings);
    json_t **list = calloc(count + 1, sizeof *list), *sorted = json_array();
    if (!list || !sorted) {
        free(list);
        json_decref(sorted);
        return lb_fail(err, LB_ERR_NOMEM, "merge: out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        json_t *warning = json_array_get(r->warnings, i);
        const char *text = json_string_value(warning);
        if (strncmp(text, "merge: ", 7) != 0 && !results_is_of_figures(text))
            list[n++] = warning;
    }
    if (n > 0)
        qsort(list, n, sizeof *list, by_text);
    for (size_t i = 0; i < n; i++)
        json_array_append(sorted, list[i]);
    free(list);
    json_decref(r->warnings);
    r->warnings = sorted;
    return LB_OK;
}

/* Samples that no input has; the whole is complete when nothing is missing. */
static void note_missing(struct merge *m, struct merged *merged)
{
    struct results *r = &m->results;
    r->complete = !m->without_log;
    for (uint32_t i = 0; i < m->matrix.count; i++) {
        size_t n = r->by_cell[i].count;
        if (m->matrix.cells[i].skipped)
            continue;
        merged->n_samples += r->repetitions;
        if (n >= r->repetitions)
            continue;
        merged->n_missing += r->repetitions - n;
        r->complete = false;
        results_warn(r, "merge: missing: %s: %zu of %u repetitions", m->matrix.cells[i].name,
                     r->repetitions - n, r->repetitions);
    }
}

/* The machine of a merged cell: that of its first sample's input. */
static const char *machine_of(const struct merge *m, uint32_t i)
{
    const struct result_file *from = &m->set.files[m->results.by_cell[i].list[0].origin];
    return result_cell_machine(from, result_cell(from, m->matrix.cells[i].name));
}

static void note_machines(struct merge *m)
{
    struct results *r = &m->results;
    const char *first = NULL;
    bool same = true;
    for (uint32_t i = 0; i < m->matrix.count; i++) {
        if (r->by_cell[i].count == 0)
            continue;
        first = first ? first : machine_of(m, i);
        same = same && strcmp(machine_of(m, i), first) == 0;
    }
    if (same)
        return;
    results_warn(r, "merge: the results come from different environments: times of cells with "
                    "different 'machine' are not to be compared");
    for (uint32_t i = 0; i < m->matrix.count; i++)
        if (r->by_cell[i].count > 0)
            results_attach(r, i, "machine", json_string(machine_of(m, i)));
}

/* ---- logs ---- */

/* Where the sample stands in the whole run, if it comes from that input; else -1. */
static int64_t place_of(void *ctx, size_t file, const char *cell, int32_t rep)
{
    const struct merge *m = ctx;
    int i = matrix_find(&m->matrix, cell);
    const struct cell_samples *c = i < 0 ? NULL : &m->results.by_cell[i];
    for (size_t k = 0; c && k < c->count; k++)
        if (c->list[k].rep == rep && c->list[k].origin == file)
            return c->list[k].seq;
    return -1;
}

struct lacking {
    const struct merge *m;
    const char *path;
    struct lb_error *err;
};

static void refuse_lacking(void *ctx, uint32_t cell, size_t k, uint64_t lines, uint64_t expected)
{
    const struct lacking *l = ctx;
    lb_fail(
        l->err, LB_ERR_INPUT,
        "%s: %llu of %llu lines of %s, repetition %d: expected all (its run measures the sample "
        "again with --resume)",
        l->path, (unsigned long long)lines, (unsigned long long)expected,
        l->m->matrix.cells[cell].name, l->m->results.by_cell[cell].list[k].rep + 1);
}

static void note_lacking(void *ctx, uint32_t cell, size_t k, uint64_t lines, uint64_t expected)
{
    (void)cell, (void)k, (void)lines, (void)expected;
    *(bool *)ctx = true;
}

/* Every log has the lines of its samples. Results come without a log too (committed ones do); where
 * only some have one, the whole says so. */
static enum lb_status check_logs(struct merge *m, struct lb_error *err)
{
    size_t n_logs = 0, n_without = 0;
    for (size_t i = 0; i < m->set.count && err->code == LB_OK; i++) {
        char *path = document_file(m->set.files[i].path, "layers.jsonl");
        struct lacking lacking = {m, path, err};
        bool there = path && file_exists(path), lacks = false;
        if (!path)
            lb_fail(err, LB_ERR_NOMEM, "merge: out of memory");
        else
            log_check(&m->results, path, (uint32_t)i, there ? refuse_lacking : note_lacking,
                      there ? (void *)&lacking : &lacks, err);
        n_logs += there;
        n_without += lacks;
        free(path);
    }
    m->without_log = n_logs > 0 && n_without > 0;
    if (m->without_log)
        results_warn(&m->results,
                     "merge: %zu of %zu results have no layers.jsonl: single accesses of their "
                     "samples are missing",
                     n_without, m->set.count);
    return err->code;
}

static enum lb_status merge(struct merge *m, char *const *paths, size_t n, const char *out,
                            struct merged *merged, struct lb_error *err)
{
    enum lb_status status = LB_OK;
    for (size_t i = 0; status == LB_OK && i < n; i++)
        status = result_set_add(paths[i], &m->set, err);
    for (size_t i = 0; status == LB_OK && i < m->set.count; i++)
        if (gbench_file_imported(m->set.files[i].ours))
            status = lb_fail(err, LB_ERR_INPUT,
                             "%s: a file of Google Benchmark: expected a result of layerbench",
                             m->set.files[i].path);
    if (status != LB_OK)
        return status;
    qsort(m->set.files, m->set.count, sizeof *m->set.files, by_start);
    status = lay_out(m, err);
    if (status == LB_OK)
        status = results_open(&m->results, out, err);
    if (status != LB_OK)
        return status;
    merged->writing = true;
    status = take_all(m, err);
    if (status == LB_OK)
        status = sort_warnings(&m->results, err);
    if (status == LB_OK)
        status = check_logs(m, err);
    if (status == LB_OK)
        status = merge_lines(&m->set, place_of, m, m->results.files[LAYERS_JSONL], err);
    if (status != LB_OK)
        return status;
    results_warn_of_figures(&m->results);
    note_missing(m, merged);
    note_machines(m);
    status = results_write(&m->results, err);
    return status == LB_OK ? layer_table_write(out, err) : status;
}

enum lb_status merge_results(char *const *paths, size_t n, const char *out, struct merged *merged,
                             struct lb_error *err)
{
    struct merge m = {.results = {0}};
    *merged = (struct merged){.warnings = NULL};
    enum lb_status status = merge(&m, paths, n, out, merged, err);
    if (status == LB_OK)
        merged->warnings = json_incref(m.results.warnings);
    results_close(&m.results);
    matrix_free(&m.matrix);
    scenario_free(&m.scenario);
    result_set_free(&m.set);
    return status;
}
