/*
 * compare_rows: two sets of results, cell by cell and metric by metric. Pure: no files, no output.
 *
 * Where each side names one cell, these two are compared. Times and bytes are those of a decode
 * pass, but for ttft and prefill.
 *
 * A row is the ratio of medians, head / base, with its 99% bootstrap interval, and a verdict:
 *   different  the interval excludes 1, the ratio is off by more than 2%, and a two-sided
 *              Mann-Whitney test agrees at 1% (which takes 5 samples an arm)
 *   same       the whole interval lies within 2% of 1 (which takes 8 samples an arm: with fewer
 *              there is no 99% interval of a median)
 *   unknown    neither
 * Metrics that do not vary within either arm (counts) are the same or different exactly. Samples of
 * several results in a set are pooled. The verdict describes; it is not that of the gate, whose
 * arms are interleaved.
 */
#ifndef COMPARE_ROWS_H
#define COMPARE_ROWS_H

#include "gate/gate_rule.h"
#include "result/result_set.h"

struct compare_row {
    const char *cell, *metric, *unit; /* live as long as the sets */
    bool higher_is_better;
    size_t n[2];                    /* samples of base, head */
    double median[2];               /* NAN: none */
    double ratio;                   /* head / base; INFINITY where base is 0 and head is not */
    struct stats_interval interval; /* NAN with a single sample */
    double p; /* two-sided; NAN where the metric does not vary, or with a single sample */
    enum gate_relation relation;
};

/* What is not comparable, or not there. */
enum compare_problem_kind {
    COMPARE_OTHER_MACHINE,
    COMPARE_OTHER_WORK,   /* scenario or token hash */
    COMPARE_MISSING_CELL, /* only one side has it */
    COMPARE_NO_SAMPLES,   /* failed, invalid, or not measured */
};

struct compare_problem {
    enum compare_problem_kind kind;
    char text[256];
};

struct comparison {
    struct compare_row *rows;
    size_t n_rows;
    struct compare_problem *problems;
    size_t n_problems;
    char *title; /* of a pair of cells that were named */
};

struct compare_metric {
    const char *name, *unit;
    bool higher_is_better;
    /* NAN: does not apply; NULL: the number under `key` */
    double (*of)(const json_t *sample, double batch);
    const char *key;
    const char *place; /* of a command: where it prints it (find_number.h); NULL: not printed */
};
const struct compare_metric *compare_metrics(size_t *count);
/* Of a result of Google Benchmark, whose metrics are the keys of its samples. */
struct compare_metric compare_metric_of_key(const char *key);
double compare_metric_value(const struct compare_metric *metric, const json_t *sample,
                            double batch);

/* The samples of a cell, NULL where none count; *batch: sequences of each. */
const json_t *compare_samples(const struct result_file *file, const char *cell, double *batch);

/* Rows of all cells that both have, in the order of base. The cells of skipped or failed
 * measurements become problems. false: out of memory. Free it in any case. */
bool compare_sets(const struct gate_rule *rule, const struct result_set *base,
                  const struct result_set *head, struct comparison *comparison);
/* Of two sides' values, with row->n, median and ratio given: interval, p and relation. False: out
 * of memory. */
bool compare_values(const struct gate_rule *rule, double *const values[2], struct compare_row *row);
void compare_free(struct comparison *comparison);

const char *compare_relation_name(enum gate_relation relation); /* "same", ... */

#endif
