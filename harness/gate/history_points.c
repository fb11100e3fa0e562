/* history_points: see history_points.h. */
#include "gate/history_points.h"

#include "common/array.h"
#include "result/gbench_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static enum lb_status no_memory(struct lb_error *err)
{
    return lb_fail(err, LB_ERR_NOMEM, "history: out of memory");
}

/* ---- results ---- */

static json_int_t started(const struct result_file *file)
{
    return json_integer_value(json_object_get(file->ours, "started_realtime_ns"));
}

static int by_start(const void *a, const void *b)
{
    json_int_t x = started(a), y = started(b);
    return (x > y) - (x < y);
}

const char *history_label(const struct result_file *file, char text[32])
{
    const json_t *environment = json_object_get(file->ours, "environment");
    const char *revision =
        json_string_value(json_object_get(json_object_get(environment, "git_revision"), "value"));
    time_t when = (time_t)(started(file) / 1000000000);
    struct tm day;
    if (revision)
        snprintf(text, 32, "%.24s", revision);
    else if (when <= 0 || !gmtime_r(&when, &day) || strftime(text, 32, "%Y-%m-%d", &day) == 0)
        snprintf(text, 32, "-");
    return text;
}

const char *history_mark_name(enum history_mark mark)
{
    static const char *const names[] = {"", "changed", "other work", "other machine"};
    return names[mark];
}

/* ---- one metric of one cell ---- */

struct values {
    double *list;
    size_t n;
};

static bool add_values(struct values *v, const struct result_file *file, const char *cell,
                       const struct compare_metric *metric)
{
    double batch;
    const json_t *samples = compare_samples(file, cell, &batch), *sample;
    double *grown = realloc(v->list, (v->n + json_array_size(samples) + 1) * sizeof *grown);
    size_t i;
    if (!grown)
        return false;
    v->list = grown;
    json_array_foreach(samples, i, sample)
    {
        double value = compare_metric_value(metric, sample, batch);
        if (isfinite(value))
            v->list[v->n++] = value;
    }
    return true;
}

static const char *work_of(const struct result_file *file, const char *cell)
{
    const json_t *samples = json_object_get(result_cell(file, cell), "samples");
    const char *hash =
        json_string_value(json_object_get(json_array_get(samples, 0), "tokens_hash"));
    return hash ? hash : "";
}

static double median(const struct values *v)
{
    double *copy = malloc((v->n + 1) * sizeof *copy), m = NAN;
    if (copy && v->n > 0) {
        memcpy(copy, v->list, v->n * sizeof *copy);
        m = stats_median(copy, v->n);
    }
    free(copy);
    return m;
}

/* The new point against all values since the last change. False: out of memory. */
static bool compare(const struct gate_rule *rule, const struct values *before,
                    const struct values *now, struct history_point *point)
{
    double *const sides[2] = {before->list, now->list};
    struct compare_row row = {.n = {before->n, now->n}, .median = {median(before), median(now)}};
    row.ratio = point->ratio = stats_ratio(row.median[1], row.median[0]);
    if (!compare_values(rule, sides, &row))
        return false;
    if (row.relation == GATE_RELATION_DIFFERENT)
        point->mark = HISTORY_CHANGED;
    return true;
}

static bool add_point(const struct gate_rule *rule, struct history_series *s,
                      const struct compare_metric *metric, const struct result_file *file,
                      struct values *before)
{
    struct history_point *point = &s->points[s->n_points];
    const struct history_point *last = s->n_points > 0 ? point - 1 : NULL;
    struct values now = {NULL, 0};
    bool good = add_values(&now, file, s->cell, metric);
    if (!good || now.n == 0) {
        free(now.list);
        return good;
    }
    *point = (struct history_point){.file = file, .ratio = NAN};
    const char *machine = result_cell_machine(file, result_cell(file, s->cell));
    if (last && strcmp(machine, result_cell_machine(last->file, result_cell(last->file, s->cell))))
        point->mark = HISTORY_OTHER_MACHINE;
    else if (last && strcmp(work_of(file, s->cell), work_of(last->file, s->cell)) != 0)
        point->mark = HISTORY_OTHER_WORK;
    else if (last)
        good = compare(rule, before, &now, point);
    if (point->mark != HISTORY_SAME)
        before->n = 0;
    good = good && add_values(before, file, s->cell, metric);
    point->value = stats_estimate(now.list, now.n); /* reorders */
    s->n_points++;
    free(now.list);
    return good;
}

static bool make_series(const struct gate_rule *rule, const struct result_set *set,
                        const char *scenario, const char *cell, struct compare_metric metric,
                        struct history_series *s)
{
    struct values before = {NULL, 0};
    *s = (struct history_series){.cell = cell,
                                 .unit = metric.unit,
                                 .metric = strdup(metric.name),
                                 .higher_is_better = metric.higher_is_better,
                                 .points = calloc(set->count, sizeof *s->points)};
    bool good = s->points && s->metric;
    for (size_t i = 0; good && i < set->count; i++)
        if (strcmp(result_scenario_hash(&set->files[i]), scenario) == 0)
            good = add_point(rule, s, &metric, &set->files[i], &before);
    free(before.list);
    return good;
}

/* ---- all of them ---- */

static struct compare_metric metric_named(const char *name, bool imported)
{
    size_t count;
    const struct compare_metric *known = compare_metrics(&count);
    for (size_t i = 0; i < count && !imported; i++)
        if (strcmp(known[i].name, name) == 0)
            return known[i];
    return compare_metric_of_key(name);
}

static enum lb_status add_metric(const struct gate_rule *rule, const struct result_set *set,
                                 const char *name, struct history *h, struct lb_error *err)
{
    const struct result_file *newest = &set->files[set->count - 1];
    struct compare_metric metric = metric_named(name, gbench_file_imported(newest->ours));
    const json_t *cell;
    bool any = false;
    size_t i;
    json_array_foreach(json_object_get(newest->ours, "cells"), i, cell)
    {
        struct history_series *s = array_add(&h->series, &h->n_series, sizeof *s);
        if (!s || !make_series(rule, set, result_scenario_hash(newest),
                               json_string_value(json_object_get(cell, "name")), metric, s))
            return no_memory(err);
        any |= s->n_points > 0;
        if (s->n_points == 0) { /* the metric does not apply */
            free(s->points);
            free(s->metric);
            h->n_series--;
        }
    }
    return any ? LB_OK
               : lb_fail(err, LB_ERR_INPUT,
                         "--metrics: '%.60s': expected one that a result has: %s", name,
                         gbench_file_imported(newest->ours)
                             ? "real_time, cpu_time or a counter"
                             : "pass, ttft, prefill, wait, bytes_read, tokens_per_second");
}

enum lb_status history_make(const struct gate_rule *rule, struct result_set *set,
                            const char *metrics, struct history *h, struct lb_error *err)
{
    *h = (struct history){NULL, 0, 0};
    qsort(set->files, set->count, sizeof *set->files, by_start);
    const struct result_file *newest = &set->files[set->count - 1];
    bool imported = gbench_file_imported(newest->ours);
    for (size_t i = 0; i < set->count; i++)
        h->n_left_out +=
            strcmp(result_scenario_hash(&set->files[i]), result_scenario_hash(newest)) != 0;
    char *copy = strdup(metrics ? metrics : imported ? "real_time" : "pass"), *rest = copy, *name;
    enum lb_status status = copy ? LB_OK : no_memory(err);
    while (status == LB_OK && (name = strsep(&rest, ",")) != NULL)
        status = add_metric(rule, set, name, h, err);
    free(copy);
    return status;
}

void history_free(struct history *h)
{
    for (size_t i = 0; i < h->n_series; i++) {
        free(h->series[i].points);
        free(h->series[i].metric);
    }
    free(h->series);
    *h = (struct history){NULL, 0, 0};
}
