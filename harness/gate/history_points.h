/*
 * history_points: results of one scenario in the order of their time, metric by metric, with the
 * changes.
 *
 * A point is the median of a result's samples with its interval. It is a change where it is
 * different (compare_rows.h) from all points since the last change together; with work or a machine
 * other than the point before, a new stretch begins that is compared with nothing. Results lie
 * apart in time: a drift of the machine counts as a change. It describes and gates nothing.
 */
#ifndef HISTORY_POINTS_H
#define HISTORY_POINTS_H

#include "gate/compare_rows.h"

enum history_mark {
    HISTORY_SAME, /* as before, or not to be told */
    HISTORY_CHANGED,
    HISTORY_OTHER_WORK,
    HISTORY_OTHER_MACHINE,
};

struct history_point {
    const struct result_file *file;
    struct stats_estimate value;
    enum history_mark mark;
    double ratio; /* to what was before; NAN for the first of a stretch */
};

struct history_series {
    const char *cell, *unit;
    char *metric;
    bool higher_is_better;
    struct history_point *points; /* of the results that have it */
    size_t n_points;
};

struct history {
    struct history_series *series;
    size_t n_series;
    size_t n_left_out; /* results of another scenario than the newest */
};

/* Sorts the results by their time. metrics: names with commas between; NULL: pass, of Google
 * Benchmark real_time. LB_ERR_INPUT: a metric that no result has, or results without any. Free it
 * in any case; texts live as long as the set. */
enum lb_status history_make(const struct gate_rule *rule, struct result_set *set,
                            const char *metrics, struct history *history, struct lb_error *err);
void history_free(struct history *history);

const char *history_mark_name(enum history_mark mark); /* "", "changed", ... */
/* "a1b2c3d4e5f6", or the day where no revision was recorded. */
const char *history_label(const struct result_file *file, char text[32]);

#endif
