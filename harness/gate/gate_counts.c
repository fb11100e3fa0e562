/* gate_counts: see gate_counts.h. */
#include "gate/gate_counts.h"

#include "common/array.h"
#include "common/exit_codes.h"
#include "common/json_text.h"
#include "result/document.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BASELINE_VERSION = 1 };

static enum lb_status no_memory(struct lb_error *err)
{
    return lb_fail(err, LB_ERR_NOMEM, "gate: out of memory");
}

/* ---- measuring ---- */

/* The quantity's place in a sample: "decode.outcomes.hit" by its parts. */
struct quantity {
    const char *name;
    const char *path[3];
    bool timeless; /* also with prefetch async */
};

static const struct quantity quantities[] = {
    {"passes", {"passes"}, true},
    {"accesses", {"accesses"}, true},
    {"allocations", {"allocations"}, true},
    {"tokens_hash", {"tokens_hash"}, true},
    {"hit", {"outcomes", "hit"}, false},
    {"prefetched", {"outcomes", "prefetched"}, false},
    {"late", {"outcomes", "late"}, false},
    {"miss", {"outcomes", "miss"}, false},
    {"decode_hit", {"decode", "outcomes", "hit"}, false},
    {"bytes_read", {"bytes_read"}, false},
    {"decode_bytes_read", {"decode", "bytes_read"}, false},
    {"reads", {"reads"}, false},
    {"evictions", {"evictions"}, false},
    {"wasted", {"wasted"}, false},
};
#define N_QUANTITIES (sizeof quantities / sizeof *quantities)

static json_t *counts_of(const struct gate_cell *cell, const json_t *sample)
{
    json_t *counts = json_object();
    bool async = strcmp(cell->settings->engine.prefetch, "async") == 0;
    for (size_t i = 0; i < N_QUANTITIES; i++) {
        const struct quantity *q = &quantities[i];
        const json_t *value = sample;
        for (size_t k = 0; k < 3 && q->path[k]; k++)
            value = json_object_get(value, q->path[k]);
        if (value && (q->timeless || !async))
            json_object_set_new(counts, q->name, json_deep_copy(value));
    }
    return counts;
}

static enum lb_status measure_cell(const struct gate_arm *arm, const struct gate_cell *cell,
                                   uint32_t timeout_s, json_t *measured, struct lb_error *err)
{
    json_t *sample;
    char failed[256];
    enum lb_status status = gate_arm_measure(arm, cell, timeout_s, &sample, failed, err);
    if (status != LB_OK)
        return status;
    json_t *counts = sample ? counts_of(cell, sample) : json_object();
    if (!sample)
        json_object_set_new(counts, "failed", json_text(failed));
    json_decref(sample);
    return json_object_set_new(measured, cell->name, counts) == 0 ? LB_OK : no_memory(err);
}

enum lb_status gate_counts_measure(const struct gate_arm *arm, const struct gate_cell *cells,
                                   size_t n, uint32_t timeout_s, struct gate_counts *counts,
                                   struct lb_error *err)
{
    const char *const extra[] = {"--kernels=generic", NULL};
    const struct gate_arm generic = {.program = arm->program, .extra = extra};
    *counts = (struct gate_counts){.measured = json_object()};
    enum lb_status status = counts->measured ? LB_OK : no_memory(err);
    for (size_t i = 0; i < n && status == LB_OK; i++)
        status = measure_cell(&generic, &cells[i], timeout_s, counts->measured, err);
    return status;
}

/* ---- comparing ---- */

static void as_text(const json_t *value, char text[64])
{
    char *dump = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    const char *from = json_is_string(value) ? json_string_value(value) : dump;
    snprintf(text, 64, "%s", from ? from : "-");
    free(dump);
}

static bool add(struct gate_counts *counts, const char *cell, const char *quantity,
                const json_t *expected, const json_t *got)
{
    struct gate_count *c = array_add(&counts->list, &counts->n, sizeof *c);
    if (!c)
        return false;
    c->cell = cell;
    snprintf(c->quantity, sizeof c->quantity, "%s", quantity);
    as_text(expected, c->expected);
    as_text(got, c->got);
    if (strcmp(quantity, "failed") == 0 || !expected || !got)
        c->kind = GATE_COUNT_FAILED;
    else if (json_equal(expected, got))
        c->kind = GATE_COUNT_EQUAL;
    else
        c->kind = strcmp(quantity, "tokens_hash") == 0 ? GATE_COUNT_WORK : GATE_COUNT_CHANGED;
    counts->n_differ += c->kind != GATE_COUNT_EQUAL;
    return true;
}

static bool compare_cell(struct gate_counts *counts, const char *cell, json_t *expected,
                         json_t *got)
{
    const char *quantity;
    json_t *value;
    if (!json_is_object(expected) || !json_is_object(got))
        return add(counts, cell, "cell", expected, got);
    if (json_object_get(got, "failed"))
        return add(counts, cell, "failed", NULL, json_object_get(got, "failed"));
    json_object_foreach(expected, quantity, value)
    {
        if (!add(counts, cell, quantity, value, json_object_get(got, quantity)))
            return false;
    }
    json_object_foreach(got, quantity, value)
    {
        if (!json_object_get(expected, quantity) && !add(counts, cell, quantity, NULL, value))
            return false;
    }
    return true;
}

static enum lb_status read_baseline(const char *path, const char *scenario_sha256,
                                    json_t **baseline, struct lb_error *err)
{
    enum lb_status status = document_read(path, baseline, err);
    if (status != LB_OK)
        return status;
    const char *sha256 = json_string_value(json_object_get(*baseline, "scenario_sha256"));
    json_t *version = json_object_get(*baseline, "schema_version");
    if (!json_is_object(json_object_get(*baseline, "cells")) || !sha256 ||
        json_integer_value(version) != BASELINE_VERSION)
        return lb_fail(err, LB_ERR_INPUT,
                       "%s: expected a baseline of version %d with scenario_sha256 and cells", path,
                       BASELINE_VERSION);
    if (strcmp(sha256, scenario_sha256) != 0)
        return lb_fail(err, LB_ERR_STATE,
                       "%s: is of another scenario (or an earlier text of it): expected sha256 "
                       "%.12s...; --update-baseline writes a new one",
                       path, scenario_sha256);
    return LB_OK;
}

/* Cells of the baseline that no cell of the scenario answers to. */
static bool add_missing(struct gate_counts *counts, json_t *expected)
{
    const char *cell;
    json_t *value;
    json_object_foreach(expected, cell, value)
    {
        const char *kept = cell;
        if (!json_object_get(counts->measured, cell)) {
            /* the text has to outlive the baseline */
            json_object_set_new(counts->measured, cell, json_null());
            void *at = json_object_iter_at(counts->measured, cell);
            kept = at ? json_object_iter_key(at) : "?";
            if (!add(counts, kept, "cell", value, NULL))
                return false;
        }
    }
    return true;
}

enum lb_status gate_counts_compare(struct gate_counts *counts, const struct gate_cell *cells,
                                   size_t n, const char *path, const char *scenario_sha256,
                                   struct lb_error *err)
{
    json_t *baseline = NULL;
    enum lb_status status = read_baseline(path, scenario_sha256, &baseline, err);
    json_t *expected = json_object_get(baseline, "cells");
    for (size_t i = 0; i < n && status == LB_OK; i++) {
        if (!compare_cell(counts, cells[i].name, json_object_get(expected, cells[i].name),
                          json_object_get(counts->measured, cells[i].name)))
            status = no_memory(err);
    }
    if (status == LB_OK && !add_missing(counts, expected))
        status = no_memory(err);
    json_decref(baseline);
    return status;
}

enum lb_status gate_counts_write(const struct gate_counts *counts, const char *path,
                                 const struct scenario *scenario, struct lb_error *err)
{
    const char *cell;
    json_t *value;
    json_object_foreach(counts->measured, cell, value)
    {
        const char *failed = json_string_value(json_object_get(value, "failed"));
        if (failed)
            return lb_fail(err, LB_ERR_STATE, "%s: %s: no baseline is written", cell, failed);
    }
    json_t *baseline = json_object();
    json_object_set_new(baseline, "schema_version", json_integer(BASELINE_VERSION));
    json_object_set_new(baseline, "scenario", json_text(scenario->name));
    json_object_set_new(baseline, "scenario_sha256", json_text(scenario->sha256));
    json_object_set(baseline, "cells", counts->measured);
    enum lb_status status = json_replace_file(path, baseline, JSON_INDENT(1), err);
    json_decref(baseline);
    return status;
}

int gate_counts_exit_code(const struct gate_counts *counts)
{
    int code = counts->n > 0 ? EXIT_OK : EXIT_FAILED;
    for (size_t i = 0; i < counts->n; i++) {
        enum gate_count_kind kind = counts->list[i].kind;
        if (kind == GATE_COUNT_FAILED || kind == GATE_COUNT_WORK)
            return EXIT_FAILED;
        if (kind == GATE_COUNT_CHANGED)
            code = EXIT_REGRESSION;
    }
    return code;
}

void gate_counts_free(struct gate_counts *counts)
{
    free(counts->list);
    json_decref(counts->measured);
    *counts = (struct gate_counts){0};
}
