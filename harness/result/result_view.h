/*
 * result_view: a result as figures, report and trace see it.
 *
 * Reads a run directory or a result.json tolerantly: whatever is damaged or missing becomes a
 * note (one line for people) and the rest is there. The cells' options are decoded, their samples
 * summarised; layers.jsonl is read by access_log.h. Times in the samples are nanoseconds.
 * Everything is owned by the view and lives until view_close().
 */
#ifndef RESULT_VIEW_H
#define RESULT_VIEW_H

#include "base/status.h"
#include "engine.h"
#include "result/summary.h"
#include "stats/histogram.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What layers.jsonl says of a cell's passes. */
struct view_log {
    uint64_t passes;   /* decode passes of all repetitions */
    uint64_t accesses; /* all phases */
    double busy_ns;    /* time within those passes in which at least one read was under way */
    struct histogram *wait, *read; /* ns, of the accesses in those passes and of their reads; NULL:
                                      none were logged */
};

struct view_cell {
    const char *name;
    const char *label; /* short: the options that vary in this result */
    const char *prefetch, *replacement;
    const char *task;            /* options that say what there is to do (OPTION_TASK), as text */
    const char *work;            /* options that change the work or the machine, as text */
    const char *program;         /* of another program, for people; NULL: layerbench itself */
    const char *problem;         /* why it has no figures, or NULL */
    double cache;                /* in view.cache_unit; NAN when not given */
    double cache_bytes;          /* as it took effect; NAN when not recorded */
    double distance;             /* layers; NAN when not given */
    double batch;                /* sequences */
    bool reference;              /* resident, added by the run to measure compute alone */
    const json_t *options;       /* object */
    double predicted_pass_ns;    /* of the simulator; NAN when the result has none */
    struct cell_samples samples; /* the sound ones */
    struct summary median;       /* of them */
    struct stats_estimate pass;  /* ns, of them */
    struct floor floor;          /* as recorded; NAN where it was not */
    struct view_log log;
};

struct result_view {
    char *dir;              /* where result.json lies */
    json_t *root;           /* result.json, or NULL */
    const json_t *document; /* its key "layerbench", or NULL */
    const char *scenario, *about;
    const char *machine, *revision; /* "" when not recorded */
    const char *routing;            /* "synthetic routing (...)", or "" */
    const char *cache_unit;         /* "layers" or "MiB" */
    struct view_cell *cells;        /* with samples or a problem; in the order of the result */
    size_t n_cells;
    size_t n_layers; /* 0: not known */
    bool experts;    /* some cell has a mixture of experts */
    char **notes;
    size_t n_notes;
    struct view_block *blocks; /* memory */
};

/* Texts that nothing is known of. */
#define VIEW_EMPTY                                                                                 \
    (struct result_view)                                                                           \
    {                                                                                              \
        .scenario = "", .about = "", .machine = "", .revision = "", .routing = ""                  \
    }

/* `path`: a run directory, or a result.json. Fails only where there is nothing to draw from:
 * neither a readable result.json nor a layers.jsonl beside it. */
enum lb_status view_open(const char *path, struct result_view *view, struct lb_error *err);
void view_close(struct result_view *view);

/* Records one line for people about something that is damaged, missing or left out. */
void view_note(struct result_view *view, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Zeroed memory of the view's life time; ends the program when there is none. */
void *view_alloc(struct result_view *view, size_t count, size_t size);
char *view_text(struct result_view *view, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Room for one more in an array of `count` that grows by doubling. */
void *view_grow(struct result_view *view, void *array, size_t count, size_t size);

/* The cell of that name, added (without samples) where `add` says so; NULL when unknown. */
struct view_cell *view_cell(struct result_view *view, const char *name, bool add);

/* The cell of that name or label; else the only one that has all words of the text (with spaces or
 * commas between them) in either. */
enum lb_status view_find_cell(const struct result_view *view, const char *text, size_t *cell,
                              struct lb_error *err);

/* An option as text ("" when absent), numbers as written. */
const char *view_option(struct result_view *view, const struct view_cell *cell, const char *key);
/* The same for people: sizes with their unit, as in a scenario ("1MiB"); of a file its name,
 * without folder and ending. */
const char *view_option_label(struct result_view *view, const struct view_cell *cell,
                              const char *key);
/* A field of the environment or another object as text, "" when absent: a plain value, or the
 * "value" of {"value", "source"}. `path` is keys joined by '.'. */
const char *view_field(struct result_view *view, const json_t *object, const char *path);

/* "threads 2, batch 4": options that vary and change the work or the machine, but `except`. */
const char *view_work(struct result_view *view, const struct view_cell *cell, const char *except);

/* Fills the cells from layerbench.cells; called by view_open. */
void view_read_cells(struct result_view *view, const json_t *cells);

/* Whether the cell has figures: it was measured, and nothing is wrong with it. */
static inline bool view_measured(const struct view_cell *cell)
{
    return !cell->problem && cell->pass.n > 0;
}

/* Tokens a second when a pass takes so long. */
double view_speed(const struct view_cell *cell, double pass_ns);

/* Time in a pass in which the storage was busy: as logged; where there is no log, what the bytes
 * take at the storage's bandwidth. NAN: neither is known. */
double view_busy_ns(const struct view_cell *cell);

#endif
