/* figure_cells: the figures of whole cells: pass times, outcomes, memory. See figure.h. */
#include "figure/figure.h"

#include "result/floor.h"

#include <math.h>
#include <string.h>

/* What the line of the floor is; a pass below it shows that it is not (floor_is_wrong). */
static const char *floor_legend(const struct view_cell *const *cells, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (cells[i]->floor.ns > cells[i]->pass.median)
            return "floor: wrong, since passes are below it";
    return "floor: least possible pass";
}

static size_t distinct(const struct view_cell *const *cells, size_t n, unsigned axis)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        bool seen = false;
        for (size_t j = 0; j < i && !seen; j++)
            seen = axis == BY_CACHE         ? cells[i]->cache == cells[j]->cache
                   : axis == BY_DISTANCE    ? cells[i]->distance == cells[j]->distance
                   : axis == BY_REPLACEMENT ? !strcmp(cells[i]->replacement, cells[j]->replacement)
                                            : !strcmp(cells[i]->prefetch, cells[j]->prefetch);
        count += !seen;
    }
    return count;
}

/* Keeps the cells that have a cache size (and a distance, where asked) and stream. */
static size_t keep_streaming(const struct view_cell **cells, size_t n, unsigned axes)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (strcmp(cells[i]->prefetch, "resident") != 0 && !isnan(cells[i]->cache) &&
            (!(axes & BY_DISTANCE) ||
             (!isnan(cells[i]->distance) && strcmp(cells[i]->prefetch, "off") != 0)))
            cells[kept++] = cells[i];
    return kept;
}

/* Of those that were asked for, where there are any. */
static const struct view_cell *fastest(const struct view_cell *const *cells, size_t n)
{
    const struct view_cell *best = NULL;
    for (size_t i = 0; i < n; i++)
        if (!best || best->reference > cells[i]->reference ||
            (best->reference == cells[i]->reference &&
             view_speed(cells[i], cells[i]->pass.median) > view_speed(best, best->pass.median)))
            best = cells[i];
    return best;
}

/* Time to load one layer at the storage's bandwidth; NAN: not known. */
static double load_ns(const struct result_view *view)
{
    for (size_t i = 0; i < view->n_cells; i++)
        if (view->cells[i].floor.all_load_ns > 0 && view->n_layers > 0)
            return view->cells[i].floor.all_load_ns / (double)view->n_layers;
    return NAN;
}

/* pass time against cache size */
const char *figure_pass_time_by_cache(struct figure_input *in, FILE *data)
{
    size_t n;
    const struct view_cell **cells = figure_best(in, BY_PREFETCH | BY_REPLACEMENT | BY_CACHE, &n);
    n = keep_streaming(cells, n, BY_CACHE);
    if (distinct(cells, n, BY_CACHE) < 2)
        return "fewer than two cache sizes were measured";
    size_t lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += i == 0 || strcmp(cells[i]->prefetch, cells[i - 1]->prefetch) ||
                 strcmp(cells[i]->replacement, cells[i - 1]->replacement);
    /* a panel for each replacement where there are several modes, else a line for each */
    bool one_mode = distinct(cells, n, BY_PREFETCH) == 1 && lines <= 8;
    bool panels = lines > 4 && !one_mode, policies = distinct(cells, n, BY_REPLACEMENT) > 1;
    double layers = (double)in->view->n_layers, load = load_ns(in->view);
    /* what a policy must read is known of layers in a cycle, not of experts */
    bool known = layers > 1 && strcmp(in->view->cache_unit, "layers") == 0 && !in->view->experts;
    fprintf(data, "# panel series cache_%s pass_ms low_ms high_ms floor_ms belady_ms lru_ms\n",
            in->view->cache_unit);
    for (size_t i = 0; i < n; i++) {
        const struct view_cell *c = cells[i];
        double misses = known ? floor_cyclic_misses(layers, c->cache) : NAN;
        const char *series = panels || !policies ? c->prefetch
                             : one_mode          ? c->replacement
                                        : view_text(in->view, "%s %s", c->prefetch, c->replacement);
        fprintf(data, "\"%s\" \"%s\" %g %.6g %.6g %.6g %.6g %.6g %.6g\n",
                panels ? c->replacement : "", series, c->cache, figure_ms(c->pass.median),
                figure_ms(c->pass.low), figure_ms(c->pass.high), figure_ms(c->floor.ns),
                figure_ms(load * misses), misses > 0 ? figure_ms(load * layers) : NAN);
    }
    if (one_mode && policies)
        in->note =
            view_text(in->view, "%s%s%s", cells[0]->prefetch, *in->note ? " " : "", in->note);
    figure_runs(in, cells, n);
    in->legend = view_text(in->view, "%s%s", floor_legend(cells, n),
                           known ? "; reads: time to load what LRU, Belady must" : "");
    in->settings = view_text(in->view, "unit = '%s'\n", in->view->cache_unit);
    const struct view_cell *best = fastest(cells, n);
    in->reading = view_text(
        in->view, "The fastest is %s with a decode pass of %.3g ms; its floor is %.3g ms.",
        best->label, figure_ms(best->pass.median), figure_ms(best->floor.ns));
    return NULL;
}

/* At most `most` of the sorted distinct cache sizes, evenly chosen, first and last among them. */
static size_t spread_caches(const struct view_cell *const *cells, size_t n, double *caches,
                            size_t most)
{
    size_t count = distinct(cells, n, BY_CACHE), kept = 0;
    double last = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        double next = INFINITY;
        for (size_t j = 0; j < n; j++)
            if (cells[j]->cache > last && cells[j]->cache < next)
                next = cells[j]->cache;
        last = next;
        size_t wanted = count <= most ? i : (kept * (count - 1) + (most - 1) / 2) / (most - 1);
        if (i == wanted && kept < most)
            caches[kept++] = next;
    }
    return kept;
}

/* Of cells sorted by mode, cache and distance, those whose mode and cache have several distances.
 */
static size_t keep_several_distances(const struct view_cell **cells, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && strcmp(cells[end]->prefetch, cells[i]->prefetch) == 0 &&
                          cells[end]->cache == cells[i]->cache;)
            end++;
        for (size_t k = i; k < end && end - i > 1; k++)
            cells[kept++] = cells[k];
    }
    return kept;
}

/* pass time against prefetch distance */
const char *figure_pass_time_by_distance(struct figure_input *in, FILE *data)
{
    enum { MOST = 5 };
    double caches[MOST];
    size_t n, shown = 0;
    const struct view_cell **cells = figure_best(in, BY_PREFETCH | BY_CACHE | BY_DISTANCE, &n);
    n = keep_streaming(cells, n, BY_DISTANCE);
    n = keep_several_distances(cells, n);
    if (n == 0)
        return "no cell was measured with two prefetch distances or more";
    size_t n_all = distinct(cells, n, BY_CACHE), n_caches = spread_caches(cells, n, caches, MOST);
    bool policies = n_all == 1; /* then a line for each replacement, not for each cache size */
    if (policies) {
        double cache = cells[0]->cache;
        cells = figure_best(in, BY_PREFETCH | BY_REPLACEMENT | BY_CACHE | BY_DISTANCE, &n);
        n = keep_streaming(cells, n, BY_DISTANCE);
        in->note = view_text(in->view, "%s%scache of %g %s", in->note, *in->note ? "; " : "", cache,
                             in->view->cache_unit);
    }
    if (n_caches < n_all)
        in->note = view_text(in->view, "%s%s%zu of %zu cache sizes", in->note,
                             *in->note ? "; " : "", n_caches, n_all);
    fprintf(data, "# panel series distance pass_ms low_ms high_ms floor_ms\n");
    for (size_t i = 0; i < n; i++) {
        const struct view_cell *c = cells[i];
        for (size_t k = 0; k < n_caches; k++) {
            if (c->cache != caches[k])
                continue;
            const char *series = policies
                                     ? c->replacement
                                     : view_text(in->view, "%g %s", c->cache, in->view->cache_unit);
            fprintf(data, "\"%s\" \"%s\" %g %.6g %.6g %.6g %.6g\n", c->prefetch, series,
                    c->distance, figure_ms(c->pass.median), figure_ms(c->pass.low),
                    figure_ms(c->pass.high), figure_ms(c->floor.ns));
            cells[shown++] = c;
        }
    }
    figure_runs(in, cells, shown);
    in->legend = floor_legend(cells, shown);
    const struct view_cell *best = fastest(cells, shown);
    in->reading = view_text(in->view, "The fastest is %s with %.3g ms.", best->label,
                            figure_ms(best->pass.median));
    return NULL;
}

/* heat map cache size x distance */
const char *figure_cache_by_distance(struct figure_input *in, FILE *data)
{
    size_t n, kept = 0;
    const struct view_cell **cells = figure_best(in, BY_PREFETCH | BY_CACHE | BY_DISTANCE, &n);
    n = keep_streaming(cells, n, BY_DISTANCE);
    const char *mode = n ? cells[n - 1]->prefetch : "";
    for (size_t i = 0; i < n; i++)
        if (strcmp(cells[i]->prefetch, mode) == 0)
            cells[kept++] = cells[i];
    size_t n_caches = distinct(cells, kept, BY_CACHE);
    size_t n_distances = distinct(cells, kept, BY_DISTANCE);
    if (n_caches < 2 || n_distances < 2 || 3 * kept < 2 * n_caches * n_distances)
        return "needs two cache sizes and two distances or more, most of their combinations "
               "measured";
    fprintf(data, "# cache_%s distance pass_ms wait_ms\n", in->view->cache_unit);
    for (size_t i = 0; i < kept; i++)
        fprintf(data, "%g %g %.6g %.6g\n", cells[i]->cache, cells[i]->distance,
                figure_ms(cells[i]->pass.median), figure_ms(cells[i]->median.wait_ns));
    figure_medians(in, cells, kept);
    in->settings = view_text(in->view, "unit = '%s'; mode = '%s'\n", in->view->cache_unit, mode);
    const struct view_cell *best = fastest(cells, kept);
    in->reading =
        view_text(in->view,
                  "The best of the grid is a cache of %g %s and a distance of %g: "
                  "%.3g ms.",
                  best->cache, in->view->cache_unit, best->distance, figure_ms(best->pass.median));
    return NULL;
}

/* The cells of a figure with one row for each: all, or the best ones where they are too many. */
static const struct view_cell **row_cells(struct figure_input *in, size_t *n)
{
    enum { MOST_ROWS = 32 };
    static const unsigned axes[] = {
        BY_PREFETCH | BY_REPLACEMENT | BY_CACHE | ANY_SETTING, BY_PREFETCH | BY_CACHE | ANY_SETTING,
        BY_PREFETCH | BY_REPLACEMENT | ANY_SETTING, BY_PREFETCH | ANY_SETTING};
    struct result_view *view = in->view;
    const struct view_cell **cells = view_alloc(view, view->n_cells + 1, sizeof *cells);
    *n = 0;
    for (size_t i = 0; i < view->n_cells; i++)
        if (view_measured(&view->cells[i]))
            cells[(*n)++] = &view->cells[i];
    size_t all = *n;
    in->note = "";
    for (size_t i = 0; *n > MOST_ROWS && i < sizeof axes / sizeof *axes; i++)
        cells = figure_best(in, axes[i], n);
    if (*n < all)
        in->note = view_text(view, "%zu of %zu cells: %s", *n, all, in->note);
    return cells;
}

/* A name beside its bar, cut where it would not fit. */
static const char *row_name(struct result_view *view, const struct view_cell *cell)
{
    enum { MOST = 38 };
    return strlen(cell->label) <= MOST ? cell->label
                                       : view_text(view, "%.*s...", MOST - 3, cell->label);
}

/* stacked outcomes per cell */
const char *figure_outcomes(struct figure_input *in, FILE *data)
{
    size_t n;
    const struct view_cell **cells = row_cells(in, &n);
    size_t ours = 0; /* of another program nothing is known of its layers */
    for (size_t i = 0; i < n; i++)
        if (!cells[i]->program)
            cells[ours++] = cells[i];
    n = ours;
    if (n == 0)
        return "no cell was measured";
    const struct view_cell *best = fastest(cells, n);
    fprintf(data, "# cell hit prefetched late miss (accesses in a pass, medians)\n");
    for (size_t i = 0; i < n; i++) {
        const double *o = cells[i]->median.outcomes;
        fprintf(data, "\"%s\" %.6g %.6g %.6g %.6g\n", row_name(in->view, cells[i]), o[LB_HIT],
                o[LB_PREFETCHED], o[LB_LATE], o[LB_MISS]);
    }
    const double *o = best->median.outcomes;
    in->reading = view_text(in->view,
                            "In the fastest cell, %s, a pass has %.3g hits, %.3g "
                            "prefetched, %.3g late and %.3g missed layers.",
                            best->label, o[LB_HIT], o[LB_PREFETCHED], o[LB_LATE], o[LB_MISS]);
    figure_medians(in, cells, n);
    return NULL;
}

/* Where weights are computed with straight from a mapping, pages that are not there are brought in
 * the middle of it: what such a cell computes longer than the resident one is waiting for them. */
static double faulted_ns(struct result_view *view, const struct view_cell *cell)
{
    double beyond = cell->median.compute_ns + cell->median.other_ns - cell->floor.compute_ns;
    struct lb_choice storage;
    lb_choice_find("storage", view_option(view, cell, "storage"), &storage);
    if (!storage.mapped || !(cell->median.major_faults > 0) || !(beyond > 0))
        return 0;
    return fmin(beyond, cell->median.compute_ns);
}

/* Where the time of a pass goes: compute, wait, other, and the floor. */
const char *figure_time_by_cell(struct figure_input *in, FILE *data)
{
    size_t n;
    const struct view_cell **cells = row_cells(in, &n), *best = fastest(cells, n);
    double best_faulted = 0;
    bool any_faulted = false;
    if (n == 0)
        return "no cell was measured";
    fprintf(data, "# cell compute_ms wait_ms other_ms floor_ms low_ms high_ms\n");
    for (size_t i = 0; i < n; i++) {
        const struct summary *m = &cells[i]->median;
        double faulted = faulted_ns(in->view, cells[i]);
        any_faulted |= faulted > 0;
        best_faulted = cells[i] == best ? faulted : best_faulted;
        fprintf(data, "\"%s\" %.6g %.6g %.6g %.6g %.6g %.6g\n", row_name(in->view, cells[i]),
                figure_ms(m->compute_ns - faulted), figure_ms(m->wait_ns + faulted),
                figure_ms(m->other_ns), figure_ms(cells[i]->floor.ns),
                figure_ms(cells[i]->pass.low), figure_ms(cells[i]->pass.high));
    }
    figure_runs(in, cells, n);
    in->legend = floor_legend(cells, n);
    if (any_faulted)
        in->note = view_text(in->view,
                             "%s%swaiting of mapped cells is their time beyond the resident "
                             "cell's",
                             in->note, *in->note ? "; " : "");
    in->reading =
        view_text(in->view, "In the fastest cell, %s, %.0f%% of a pass is waiting.", best->label,
                  100 * (best->median.wait_ns + best_faulted) / best->median.pass_ns);
    return NULL;
}

/* overlap roofline: c/t against the pass time in units of the time spent loading */
const char *figure_roofline(struct figure_input *in, FILE *data)
{
    struct result_view *view = in->view;
    const struct view_cell **shown = view_alloc(view, view->n_cells + 1, sizeof *shown),
                           *best = NULL;
    size_t n = 0;
    double nearest = INFINITY;
    in->note = "";
    fprintf(data, "# series compute_by_load pass_by_load cell\n");
    for (size_t i = 0; i < view->n_cells; i++) {
        const struct view_cell *c = &view->cells[i];
        double load = view_busy_ns(c);
        /* logarithmic axes have no place for a cell without computing (all was page faults) */
        if (!view_measured(c) || !(load > 0) || !(c->median.compute_ns > 0))
            continue;
        if (c->log.passes == 0)
            in->note = "storage busy: bytes read / bandwidth";
        double x = c->median.compute_ns / load, y = c->median.pass_ns / load;
        fprintf(data, "\"%s\" %.6g %.6g \"%s\"\n", c->prefetch, x, y, c->label);
        shown[n++] = c;
        if (y / fmax(1, x) < nearest) {
            nearest = y / fmax(1, x);
            best = c;
        }
    }
    if (n == 0)
        return "needs the accesses in layers.jsonl, or the storage's bandwidth";
    figure_medians(in, shown, n);
    in->reading = view_text(view,
                            "%s comes nearest to perfect overlap, at %.2f times the time that "
                            "its loads or its compute need.",
                            best->label, nearest);
    return NULL;
}

/* memory against tokens a second, with the cells that no other beats in both */
const char *figure_memory_by_speed(struct figure_input *in, FILE *data)
{
    struct result_view *view = in->view;
    const struct view_cell **shown = view_alloc(view, view->n_cells + 1, sizeof *shown);
    size_t n = 0, n_best = 0;
    for (size_t i = 0; i < view->n_cells; i++)
        if (view_measured(&view->cells[i]) && view->cells[i].median.peak_rss_bytes > 0)
            shown[n++] = &view->cells[i];
    if (n < 2)
        return "needs the peak memory of at least two cells";
    in->note = "";
    fprintf(data, "# series memory_MiB tokens_per_s low high best(1: none is faster with less)\n");
    for (size_t i = 0; i < n; i++) {
        const struct view_cell *c = shown[i];
        double speed = view_speed(c, c->pass.median);
        bool beaten = false;
        for (size_t j = 0; j < n && !beaten; j++)
            beaten = j != i && shown[j]->median.peak_rss_bytes <= c->median.peak_rss_bytes &&
                     view_speed(shown[j], shown[j]->pass.median) > speed;
        n_best += !beaten;
        fprintf(data, "\"%s\" %.6g %.6g %.6g %.6g %d\n", c->prefetch,
                c->median.peak_rss_bytes / 0x1p20, speed, view_speed(c, c->pass.high),
                view_speed(c, c->pass.low), !beaten);
    }
    figure_runs(in, shown, n);
    const struct view_cell *best = fastest(shown, n);
    in->reading = view_text(view,
                            "%zu of %zu cells are not beaten in both memory and speed; the "
                            "fastest, %s, makes %.4g tokens a second in %.4g MiB.",
                            n_best, n, best->label, view_speed(best, best->pass.median),
                            best->median.peak_rss_bytes / 0x1p20);
    return NULL;
}
