/*
 * figure: what can be drawn of a result, one entry for each question.
 *
 * A figure writes its data (a table with a head line; names are quoted) and says in words what it
 * left out; the script of the same name in plots/ draws it. A figure whose data is not in the
 * result says why instead.
 */
#ifndef FIGURE_H
#define FIGURE_H

#include "result/access_log.h"
#include "result/result_view.h"

#include <jansson.h>
#include <stdio.h>

#define FIGURE_CHOSEN 4
#define FIGURE_EVENTS 250000 /* accesses of a chosen cell that are drawn: the first of its log */

struct figure_input {
    const char *name; /* of the figure */
    struct result_view *view;
    const struct access_log *log; /* events of the chosen cells; NULL: no layers.jsonl */
    size_t chosen[FIGURE_CHOSEN]; /* cells whose accesses are shown, best last */
    size_t n_chosen;
    size_t n_events[FIGURE_CHOSEN]; /* in its log; those beyond FIGURE_EVENTS are not in `log` */
    const char *option, *metric;    /* asked for (draw.h); NULL: what suits the result */
    const json_t *comparison;       /* list of `compare --json`, or NULL */
    const struct plot_table *table; /* made by others (draw.h), or NULL */
    /* set by the figure */
    const char *note;     /* for the caption: what is shown of what; "" when everything */
    const char *legend;   /* for the caption: what a line stands for that its name does not tell */
    const char *reading;  /* one sentence with the figures that matter, for the alt text */
    const char *runs;     /* n and kind of interval, for the caption */
    const char *settings; /* gnuplot assignments for the script, or "" */
};

struct figure {
    const char *name; /* of the script and of the files */
    /* Writes the table; NULL, or one line why there is nothing to draw. */
    const char *(*write)(struct figure_input *in, FILE *data);
};

/*
 * All figures, in the order of a report: the name of a script in plots/, and who writes its table.
 * A figure whose columns are metrics and options of cells, as its script's line `# Columns:` names
 * them, needs no more than that script and a line here with figure_of_cells (figure_metrics.c).
 */
#define FIGURES(X)                                                                                 \
    X("pass-time-by-cache", figure_pass_time_by_cache)                                             \
    X("pass-time-by-distance", figure_pass_time_by_distance)                                       \
    X("cache-by-distance", figure_cache_by_distance)                                               \
    X("by-option", figure_by_option)                                                               \
    X("time-by-cell", figure_time_by_cell)                                                         \
    X("outcomes", figure_outcomes)                                                                 \
    X("timeline", figure_timeline)                                                                 \
    X("wait-by-layer", figure_wait_by_layer)                                                       \
    X("wait-by-layer-and-pass", figure_wait_by_layer_and_pass)                                     \
    X("latency", figure_latency)                                                                   \
    X("roofline", figure_roofline)                                                                 \
    X("time-by-bytes", figure_of_cells)                                                            \
    X("memory-by-speed", figure_memory_by_speed)                                                   \
    X("token-time-by-draft-length", figure_token_time_by_draft_length)                             \
    X("acceptance-by-place", figure_acceptance_by_place)                                           \
    X("break-even", figure_break_even)                                                             \
    X("prediction", figure_prediction)                                                             \
    X("misses-by-cache", figure_misses_by_cache)                                                   \
    X("hits-by-time", figure_hits_by_time)                                                         \
    X("prediction-by-depth", figure_prediction_by_depth)                                           \
    X("experts-by-batch", figure_experts_by_batch)                                                 \
    X("comparison", figure_comparison)                                                             \
    X("drift", figure_drift)

#define FIGURE_DECLARED(name, write) const char *write(struct figure_input *in, FILE *data);
FIGURES(FIGURE_DECLARED)
#undef FIGURE_DECLARED

extern const struct figure figures[];
extern const size_t n_figures;

/* Chooses the cells whose accesses are drawn (at most FIGURE_CHOSEN). */
void figure_choose(struct figure_input *in);

/* ---- for the files of figures ---- */

/* What can be said of these cells (indices) among all measured ones, for the caption. */
const char *figure_chosen_note(const struct figure_input *in, const size_t *cells, size_t n);

/* Whether the cell was measured because it was asked for. */
bool figure_asked(const struct view_cell *cell);

/* Which options tell one point of a figure from another. */
enum figure_axis {
    BY_PREFETCH = 1,
    BY_REPLACEMENT = 2,
    BY_CACHE = 4,
    BY_DISTANCE = 8,
    BY_OPTION = 32,   /* in->option */
    ANY_SETTING = 16, /* the best, also where other points have less to choose from */
};

/* The best measured cell for each combination of the axes, sorted by them, among the cells that run
 * the same work (the work with most cells). in->note says what was chosen among, for the caption.
 */
const struct view_cell **figure_best(struct figure_input *in, unsigned axes, size_t *count);

/* "n = 5 runs, 95% intervals" or "n = 3 runs, bars: smallest and largest", into in->runs. */
void figure_runs(struct figure_input *in, const struct view_cell *const *cells, size_t count);
/* The same of a figure without intervals: "n = 5 runs, medians". */
void figure_medians(struct figure_input *in, const struct view_cell *const *cells, size_t count);

static inline double figure_ms(double ns)
{
    return ns / 1e6;
}

/* Order of numbers, NAN last. */
int figure_compare_numbers(double a, double b);

/* Order of an option's values: of numbers, then of names. */
int figure_compare_option(const struct view_cell *a, const struct view_cell *b, const char *key);

/* A table with the columns that the script's head names: metrics, low_ and high_ ends of their
 * intervals, "cell", or options; a row for each cell. */
const char *figure_of_cells(struct figure_input *in, FILE *data);
/* Names of metrics in turn; false behind the last. */
bool figure_metric_at(size_t i, const char **name);

/* Position in the usual order (off, sync, async, resident), for sorting. */
int figure_prefetch_rank(const char *prefetch);

#endif
