/* figure_experts: what mixtures of experts show beside the rest: hits, predictions, batches. */
#include "figure/figure.h"

#include <math.h>
#include <string.h>

/* The options that differ between cells and are no size of anything, as the name of a line. */
static const char *series_of(struct result_view *view, const struct view_cell *cell)
{
    const char *predict = view_option(view, cell, "predict");
    bool predicts = *predict && strcmp(predict, "off") != 0;
    return view_text(view, "%s%s%s %s", cell->prefetch, predicts ? " " : "",
                     predicts ? predict : "", cell->replacement);
}

static bool shown(const struct view_cell *cell)
{
    return view_measured(cell) && !isnan(cell->median.experts.demand_bytes);
}

/* hit rate against time: where they disagree is the point */
const char *figure_hits_by_time(struct figure_input *in, FILE *data)
{
    struct result_view *view = in->view;
    const struct view_cell **cells = view_alloc(view, view->n_cells + 1, sizeof *cells);
    const struct view_cell *fastest = NULL, *hits = NULL;
    size_t n = 0;
    for (size_t i = 0; i < view->n_cells; i++)
        if (shown(&view->cells[i]) && !view->cells[i].reference &&
            !isnan(view->cells[i].median.experts.hit_rate_bytes))
            cells[n++] = &view->cells[i];
    if (n < 2)
        return "needs two cells of a mixture of experts that streams";
    fprintf(data, "# series miss_ratio_of_bytes pass_ms low high\n");
    for (size_t i = 0; i < n; i++) {
        const struct view_cell *c = cells[i];
        fprintf(data, "\"%s\" %.6g %.6g %.6g %.6g\n", series_of(view, c),
                1 - c->median.experts.hit_rate_bytes, figure_ms(c->pass.median),
                figure_ms(c->pass.low), figure_ms(c->pass.high));
        if (!fastest || c->pass.median < fastest->pass.median)
            fastest = c;
        if (!hits || c->median.experts.hit_rate_bytes > hits->median.experts.hit_rate_bytes)
            hits = c;
    }
    figure_runs(in, cells, n);
    in->reading = view_text(
        view,
        "Most hits has %s (%.3g of the bytes), in %.4g ms a pass; fastest is "
        "%s (%.3g of the bytes), in %.4g ms.",
        hits->label, hits->median.experts.hit_rate_bytes, figure_ms(hits->pass.median),
        fastest->label, fastest->median.experts.hit_rate_bytes, figure_ms(fastest->pass.median));
    return NULL;
}

/* Size of the cache that one token's demand fills, in the unit of the view; NAN: not known. */
static double demand_of(const struct result_view *view, const struct view_cell *cell)
{
    double unit =
        strcmp(view->cache_unit, "layers") == 0 ? cell->cache_bytes / cell->cache : 0x1p20;
    return cell->median.experts.demand_bytes / cell->batch / unit;
}

/* measured misses of experts over the size of the cache */
const char *figure_misses_by_cache(struct figure_input *in, FILE *data)
{
    struct result_view *view = in->view;
    size_t n, kept = 0;
    const struct view_cell **cells = figure_best(in, BY_PREFETCH | BY_REPLACEMENT | BY_CACHE, &n);
    double least = INFINITY, most = -INFINITY, demand = NAN;
    const char *mode = n ? cells[n - 1]->prefetch : ""; /* the last one: prefetch changes little */
    for (size_t i = n; i-- > 0 && strcmp(mode, "resident") == 0;)
        mode = cells[i]->prefetch;
    for (size_t i = 0; i < n; i++)
        if (strcmp(cells[i]->prefetch, mode) == 0 && !isnan(cells[i]->median.experts.hit_rate) &&
            !isnan(cells[i]->cache))
            cells[kept++] = cells[i];
    for (size_t i = 0; i < kept; i++) {
        least = fmin(least, cells[i]->cache);
        most = fmax(most, cells[i]->cache);
        demand = isnan(demand) ? demand_of(view, cells[i]) : demand;
    }
    if (!(least < most))
        return "needs a mixture of experts with two cache sizes or more";
    fprintf(data, "# series cache misses misses_of_bytes\n");
    for (size_t i = 0; i < kept; i++) {
        const struct view_cell *c = cells[i];
        fprintf(data, "\"%s\" %g %.6g %.6g\n", c->replacement, c->cache,
                1 - c->median.experts.hit_rate, 1 - c->median.experts.hit_rate_bytes);
    }
    figure_medians(in, cells, kept);
    in->runs = view_text(view, "%s; %s", in->runs, mode);
    in->settings =
        view_text(view, "unit = '%s'; demand = %.6g\n", view->cache_unit, demand > 0 ? demand : 0);
    return NULL;
}

/* How many layers ahead experts are guessed; 0: they are not. */
static size_t depth_of(const struct view_cell *cell)
{
    struct summary_prediction unused;
    size_t depth = 0;
    while (summary_prediction(&cell->samples, depth + 1, &unused))
        depth++;
    return depth;
}

/* precision and recall by depth; of cells that guess alike the first that looks furthest ahead */
const char *figure_prediction_by_depth(struct figure_input *in, FILE *data)
{
    struct result_view *view = in->view;
    const char **names = view_alloc(view, view->n_cells + 1, sizeof *names), *best_name = "";
    size_t n = 0;
    double best = 0;
    fprintf(data, "# series layers_ahead precision recall\n");
    for (size_t i = 0; i < view->n_cells; i++) {
        const struct view_cell *c = &view->cells[i];
        struct summary_prediction p;
        const char *name = view_option(view, c, "predict");
        bool seen = false;
        for (size_t k = 0; k < n; k++)
            seen |= strcmp(names[k], name) == 0;
        for (size_t k = 0; k < view->n_cells && !seen; k++)
            seen = strcmp(view_option(view, &view->cells[k], "predict"), name) == 0 &&
                   depth_of(&view->cells[k]) > depth_of(c);
        if (seen || c->problem || depth_of(c) == 0)
            continue;
        names[n++] = name;
        for (size_t depth = 1; summary_prediction(&c->samples, depth, &p); depth++) {
            if (!isfinite(p.precision)) /* nothing was guessed so far ahead */
                break;
            fprintf(data, "\"%s\" %zu %.6g %.6g\n", name, depth, p.precision, p.recall);
            if (depth == 1 && p.precision > best) {
                best = p.precision;
                best_name = name;
            }
        }
    }
    if (n == 0)
        return "nothing was predicted";
    in->reading =
        view_text(view, "One layer ahead %s guesses best, %.3g of it right.", best_name, best);
    return NULL;
}

/* the union of experts, and the speed, by the number of sequences */
const char *figure_experts_by_batch(struct figure_input *in, FILE *data)
{
    struct result_view *view = in->view;
    const struct view_cell **cells = view_alloc(view, view->n_cells + 1, sizeof *cells);
    const struct view_cell *fastest = NULL;
    size_t n = 0;
    bool differ = false;
    for (size_t i = 0; i < view->n_cells; i++)
        if (shown(&view->cells[i])) {
            cells[n++] = &view->cells[i];
            differ |= cells[n - 1]->batch != cells[0]->batch;
        }
    if (!differ)
        return "needs cells of a mixture of experts with batches of different size";
    fprintf(data, "# series sequences needed_MiB tokens_per_s low high\n");
    for (size_t i = 0; i < n; i++) {
        const struct view_cell *c = cells[i];
        double tokens = c->batch * 1e9;
        fprintf(data, "\"%s\" %g %.6g %.6g %.6g %.6g\n",
                c->reference ? "resident"
                             : view_text(view, "%s, %.4g %s", series_of(view, c), c->cache,
                                         view->cache_unit),
                c->batch, c->median.experts.demand_bytes / 0x1p20, tokens / c->pass.median,
                tokens / c->pass.high, tokens / c->pass.low);
        if (!c->reference &&
            (!fastest || c->batch / c->pass.median > fastest->batch / fastest->pass.median))
            fastest = c;
    }
    figure_runs(in, cells, n);
    if (fastest)
        in->reading = view_text(view, "Of what streams, %s is the fastest: %.4g tokens a second.",
                                fastest->label, fastest->batch * 1e9 / fastest->pass.median);
    return NULL;
}
