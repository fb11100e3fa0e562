/* compare_rows: see compare_rows.h. */
#include "gate/compare_rows.h"

#include "common/array.h"
#include "common/file_io.h"
#include "result/gbench_file.h"
#include "sample/sample.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A median of fewer samples has no 99% interval: 2 / 2^n of the time all lie on one side of it. */
enum { MIN_FOR_SAME = 8 };

static const char *const side_names[] = {"base", "head"};

/* ---- metrics ---- */

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* NAN where it is 0: nothing was decoded. */
static double of_sample(const json_t *json, double batch, double (*of)(const struct sample *s))
{
    struct sample sample;
    sample_from_json_partly(json, (uint32_t)batch, &sample);
    double value = of(&sample);
    sample_free(&sample);
    return value > 0 ? value : NAN;
}

static double pass_ns(const json_t *sample, double batch)
{
    return of_sample(sample, batch, sample_pass_ns);
}

static double tokens_per_second(const json_t *sample, double batch)
{
    return of_sample(sample, batch, sample_tokens_per_s);
}

/* Of a decode pass. */
static double of_pass(const json_t *sample, const char *key)
{
    const size_t n = json_array_size(json_object_get(sample, "pass_ns"));
    return n > 0 ? number(json_object_get(sample, "decode"), key) / (double)n : NAN;
}

static double wait_ns(const json_t *sample, double batch)
{
    (void)batch;
    return of_pass(sample, "wait_ns");
}

static double bytes_read(const json_t *sample, double batch)
{
    (void)batch;
    return of_pass(sample, "bytes_read");
}

static const struct compare_metric metrics[] = {
    {"pass", "ns", false, .of = pass_ns},
    {"ttft", "ns", false, .key = "ttft_ns"},
    {"prefill", "ns", false, .key = "prefill_ns"},
    {"wait", "ns", false, .of = wait_ns},
    {"bytes_read", "bytes", false, .of = bytes_read},
    {"tokens_per_second", "1/s", true, .of = tokens_per_second},
};
#define N_METRICS (sizeof metrics / sizeof *metrics)

const struct compare_metric *compare_metrics(size_t *count)
{
    *count = N_METRICS;
    return metrics;
}

struct compare_metric compare_metric_of_key(const char *key)
{
    bool time = strcmp(key, "real_time") == 0 || strcmp(key, "cpu_time") == 0;
    return (struct compare_metric){.name = key,
                                   .key = key,
                                   .unit = time ? "ns" : "",
                                   .higher_is_better = strstr(key, "per_second") != NULL};
}

double compare_metric_value(const struct compare_metric *metric, const json_t *sample, double batch)
{
    return metric->of ? metric->of(sample, batch) : number(sample, metric->key);
}

const char *compare_relation_name(enum gate_relation relation)
{
    static const char *const names[] = {"same", "different", "unknown"};
    return names[relation];
}

/* ---- problems ---- */

static bool add_problem(struct comparison *c, enum compare_problem_kind kind, const char *format,
                        ...) __attribute__((format(printf, 3, 4)));

static bool add_problem(struct comparison *c, enum compare_problem_kind kind, const char *format,
                        ...)
{
    struct compare_problem *problem = array_add(&c->problems, &c->n_problems, sizeof *problem);
    if (!problem)
        return false;
    problem->kind = kind;
    va_list args;
    va_start(args, format);
    vsnprintf(problem->text, sizeof problem->text, format, args);
    va_end(args);
    return true;
}

/* All results of both sets against the first of base. */
static bool check_scenarios(struct comparison *c, const struct result_set *sets[2])
{
    const struct result_file *first = &sets[0]->files[0];
    const char *hash = result_scenario_hash(first);
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < sets[side]->count; i++) {
            const struct result_file *file = &sets[side]->files[i];
            if (strcmp(result_scenario_hash(file), hash) != 0)
                return add_problem(c, COMPARE_OTHER_WORK, "%s is of another scenario than %s",
                                   file->path, first->path);
        }
    }
    return true;
}

/* ---- one cell ---- */

struct sides {            /* one cell in both sets */
    const char *name;     /* for people */
    const char *names[2]; /* in each */
    const struct result_set *sets[2];
};

const json_t *compare_samples(const struct result_file *file, const char *name, double *batch)
{
    const json_t *cell = result_cell(file, name);
    *batch = number(json_object_get(cell, "options"), "batch");
    if (isnan(*batch))
        *batch = 1;
    return json_object_get(cell, "invalid") ? NULL : json_object_get(cell, "samples");
}

static size_t count_samples(const struct sides *s, int side)
{
    size_t n = 0;
    double batch;
    for (size_t i = 0; i < s->sets[side]->count; i++)
        n += json_array_size(compare_samples(&s->sets[side]->files[i], s->names[side], &batch));
    return n;
}

/* The metric of all samples of a side; *n of them, in the order of measurement. malloc. */
static double *values_of(const struct sides *s, int side, const struct compare_metric *metric,
                         size_t *n)
{
    double *values = malloc((count_samples(s, side) + 1) * sizeof *values), batch;
    *n = 0;
    for (size_t i = 0; values && i < s->sets[side]->count; i++) {
        const json_t *samples = compare_samples(&s->sets[side]->files[i], s->names[side], &batch),
                     *sample;
        size_t k;
        json_array_foreach(samples, k, sample)
        {
            double value = compare_metric_value(metric, sample, batch);
            if (isfinite(value))
                values[(*n)++] = value;
        }
    }
    return values;
}

static bool is_constant(const double *x, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (x[i] != x[0])
            return false;
    return true;
}

static double median_of(const double *x, size_t n, double *scratch)
{
    memcpy(scratch, x, n * sizeof *x);
    return stats_median(scratch, n);
}

static void judge_exact(struct compare_row *row)
{
    row->interval = (struct stats_interval){row->ratio, row->ratio};
    row->p = NAN;
    row->relation = row->median[0] == row->median[1] ? GATE_RELATION_SAME : GATE_RELATION_DIFFERENT;
}

bool compare_values(const struct gate_rule *rule, double *const values[2], struct compare_row *row)
{
    struct stats_bootstrap how = {rule->level, rule->rounds, rule->seed};
    const size_t *n = row->n;
    size_t least = n[0] < n[1] ? n[0] : n[1];
    double higher, lower;
    if (is_constant(values[0], n[0]) && is_constant(values[1], n[1]) && least > 1) {
        judge_exact(row);
        return true;
    }
    row->interval = (struct stats_interval){NAN, NAN};
    row->p = NAN;
    row->relation = GATE_RELATION_UNKNOWN;
    if (least < 2)
        return true; /* one sample says nothing of its own spread */
    if (!stats_mann_whitney(values[0], n[0], values[1], n[1], &higher) ||
        !stats_mann_whitney(values[1], n[1], values[0], n[0], &lower) ||
        !stats_ratio_interval(values[0], n[0], values[1], n[1], how, &row->interval))
        return false;
    row->p = fmin(1, 2 * fmin(higher, lower));
    row->relation = gate_relate(rule, row->ratio, row->interval);
    if ((row->relation == GATE_RELATION_DIFFERENT && row->p >= rule->alpha) ||
        (row->relation == GATE_RELATION_SAME && least < MIN_FOR_SAME))
        row->relation = GATE_RELATION_UNKNOWN;
    return true;
}

static bool add_row(const struct gate_rule *rule, struct comparison *c, const struct sides *s,
                    const struct compare_metric *metric)
{
    struct compare_row row = {.cell = s->name,
                              .metric = metric->name,
                              .unit = metric->unit,
                              .higher_is_better = metric->higher_is_better};
    double *values[2] = {values_of(s, 0, metric, &row.n[0]), values_of(s, 1, metric, &row.n[1])};
    size_t most = row.n[0] > row.n[1] ? row.n[0] : row.n[1];
    double *scratch = malloc((most + 1) * sizeof *scratch);
    bool good = values[0] && values[1] && scratch;
    if (good && row.n[0] > 0 && row.n[1] > 0) {
        for (int side = 0; side < 2; side++)
            row.median[side] = median_of(values[side], row.n[side], scratch);
        row.ratio = stats_ratio(row.median[1], row.median[0]);
        struct compare_row *kept =
            compare_values(rule, values, &row) ? array_add(&c->rows, &c->n_rows, sizeof row) : NULL;
        good = kept;
        if (kept)
            *kept = row;
    } else if (good && row.n[0] + row.n[1] > 0) { /* a metric that neither has does not apply */
        good = add_problem(c, COMPARE_NO_SAMPLES, "%s: %s has no %s", s->name,
                           side_names[row.n[0] > 0], metric->name);
    }
    free(values[0]);
    free(values[1]);
    free(scratch);
    return good;
}

/* Every sample of both sides computed the same tokens, on machines of one key. */
static bool check_cell(struct comparison *c, const struct sides *s)
{
    const char *hash = NULL, *machine = NULL;
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < s->sets[side]->count; i++) {
            const struct result_file *file = &s->sets[side]->files[i];
            const json_t *cell = result_cell(file, s->names[side]), *sample;
            const char *here = result_cell_machine(file, cell);
            size_t k;
            if (!cell)
                continue;
            if ((machine && strcmp(here, machine) != 0) || !*here) {
                if (!add_problem(c, COMPARE_OTHER_MACHINE, "%s: %s", s->name,
                                 *here ? "measured on machines that are not comparable"
                                       : "a result does not say on what machine it was measured"))
                    return false;
                return true;
            }
            machine = here;
            json_array_foreach(json_object_get(cell, "samples"), k, sample)
            {
                const char *own = json_string_value(json_object_get(sample, "tokens_hash"));
                if (json_integer_value(json_object_get(sample, "first_prompt")) > 0)
                    continue; /* of prompts in turn, the first is compared */
                if (hash && own && strcmp(hash, own) != 0)
                    return add_problem(c, COMPARE_OTHER_WORK,
                                       "%s: different work: token hash %s and %s", s->name, hash,
                                       own);
                hash = own ? own : hash;
            }
        }
    }
    return true;
}

/* Which sides have the cell at all, and why one may have no figures. */
static bool check_there(struct comparison *c, const struct sides *s, bool *both)
{
    bool has[2] = {false, false}, skipped = false;
    const char *why[2] = {NULL, NULL};
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < s->sets[side]->count; i++) {
            const json_t *cell = result_cell(&s->sets[side]->files[i], s->names[side]);
            static const char *const reasons[] = {"invalid", "failed", "skipped"};
            has[side] = has[side] || cell;
            skipped = skipped || json_object_get(cell, "skipped");
            for (size_t k = 0; k < 3; k++)
                if (json_object_get(cell, reasons[k]))
                    why[side] = json_string_value(json_object_get(cell, reasons[k]));
        }
    }
    *both = false;
    if (!has[0] || !has[1])
        return add_problem(c, COMPARE_MISSING_CELL, "%s: %s has no such cell", s->name,
                           side_names[has[0]]);
    size_t n[2] = {count_samples(s, 0), count_samples(s, 1)};
    if (skipped && n[0] == 0 && n[1] == 0)
        return true; /* neither build can measure it, and says so */
    for (int side = 0; side < 2; side++)
        if (n[side] == 0)
            return add_problem(c, COMPARE_NO_SAMPLES, "%s: %s measured nothing%s%s", s->name,
                               side_names[side], why[side] ? ": " : "", why[side] ? why[side] : "");
    *both = true;
    return true;
}

static bool compare_cell(const struct gate_rule *rule, struct comparison *c, const struct sides *s)
{
    bool both;
    if (!check_there(c, s, &both))
        return false;
    if (!both)
        return true;
    if (!check_cell(c, s))
        return false;
    const json_t *sample =
        json_array_get(json_object_get(result_cell(s->sets[0]->files, s->name), "samples"), 0);
    const char *key;
    json_t *unused;
    if (!gbench_file_imported(s->sets[0]->files[0].ours)) {
        for (size_t i = 0; i < N_METRICS; i++)
            if (!add_row(rule, c, s, &metrics[i]))
                return false;
        return true;
    }
    json_object_foreach((json_t *)sample, key, unused)
    {
        struct compare_metric metric = compare_metric_of_key(key);
        if (!add_row(rule, c, s, &metric))
            return false;
    }
    return true;
}

/* Has an earlier result of either set a cell of that name? Then it has been compared. */
static bool seen_before(const struct result_set *sets[2], int side, size_t i, const char *name)
{
    for (int s = 0; s <= side; s++)
        for (size_t k = 0; k < (s < side ? sets[s]->count : i); k++)
            if (result_cell(&sets[s]->files[k], name))
                return true;
    return false;
}

bool compare_sets(const struct gate_rule *rule, const struct result_set *base,
                  const struct result_set *head, struct comparison *c)
{
    const struct result_set *sets[2] = {base, head};
    *c = (struct comparison){0};
    if (!check_scenarios(c, sets))
        return false;
    if (base->cell && head->cell) {
        c->title = file_text("%s : %s", base->cell, head->cell);
        struct sides s = {c->title, {base->cell, head->cell}, {base, head}};
        return c->title && compare_cell(rule, c, &s);
    }
    if (base->cell || head->cell)
        return add_problem(c, COMPARE_NO_SAMPLES, "expected a cell of both results, or of neither");
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < sets[side]->count; i++) {
            size_t k;
            const json_t *cell;
            json_array_foreach(json_object_get(sets[side]->files[i].ours, "cells"), k, cell)
            {
                const char *name = json_string_value(json_object_get(cell, "name"));
                struct sides s = {name, {name, name}, {base, head}};
                if (!seen_before(sets, side, i, name) && !compare_cell(rule, c, &s))
                    return false;
            }
        }
    }
    if (c->n_rows == 0 && c->n_problems == 0)
        return add_problem(c, COMPARE_NO_SAMPLES, "there is nothing to compare");
    return true;
}

void compare_free(struct comparison *c)
{
    free(c->rows);
    free(c->problems);
    free(c->title);
    *c = (struct comparison){0};
}
