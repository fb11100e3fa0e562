/* draw: draws the figures of a result. */
#ifndef DRAW_H
#define DRAW_H

#include "base/status.h"
#include "figure/figure.h"

#include <stdbool.h>
#include <stddef.h>

struct plot_options {
    const char *out_dir;         /* NULL: the folder `plots` beside result.json */
    const char *only;            /* name of one figure; NULL: all */
    const char *option, *metric; /* figure by-option: over which, of what; NULL: what suits */
    bool svg_only;               /* no PNG and PDF: for a page that shows the SVG */
};

/* What became of one figure. */
struct plot_outcome {
    const struct figure *figure;
    const char *left_out; /* why it was not drawn; NULL: it was */
    bool failed;          /* it has data, but could not be drawn or written */
    const char *reading;  /* one sentence with its figures */
    const char *caption;  /* lines joined by '\n' */
};

struct plotted {
    struct result_view view; /* with the notes on what is damaged or missing */
    struct plot_outcome *outcomes;
    size_t n_outcomes, n_drawn, n_failed;
    const char *dir;
};

/* `path`: a run directory, a result.json, or the output of `compare --json`. Writes NAME.dat,
 * NAME.gp, NAME.svg, NAME.png, NAME.pdf into the folder; `gnuplot NAME.gp` there draws again.
 * Fails where nothing can be read, the folder cannot be written, or gnuplot is missing; data and
 * scripts are written even then. Close in either case. */
enum lb_status plot_result(const char *path, const struct plot_options *options,
                           struct plotted *plotted, struct lb_error *err);

/* A table that others made, for the script plots/NAME.gp. */
struct plot_table {
    const char *name, *data; /* the table as text */
    const char *note;        /* for the caption */
    const char *settings;    /* gnuplot assignments, or "" */
};
/* The same of such tables, into options->out_dir (NULL: `plots`). */
enum lb_status plot_tables(const struct plot_table *tables, size_t n,
                           const struct plot_options *options, struct plotted *plotted,
                           struct lb_error *err);
void plot_close(struct plotted *plotted);

#endif
