/* route_plots: figures of a trace of experts: miss ratios, popularity, reuse, unions. */
#ifndef ROUTE_PLOTS_H
#define ROUTE_PLOTS_H

#include "figure/draw.h"
#include "predict/miss_ratios.h"

/* `path`: routes, as route_trace_read() takes them; the first cell's. Draws into options->out_dir
 * (NULL: `plots` in the working folder); all policies and twenty sizes. */
enum lb_status route_plots(const char *path, const struct plot_options *options,
                           struct plotted *plotted, struct lb_error *err);

#endif
