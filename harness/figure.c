/* figure: the list of figures, and the choice of what each shows. See figure.h. */
#include "figure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct figure figures[] = {
    {"pass-time-by-cache", figure_pass_time_by_cache},
    {"pass-time-by-distance", figure_pass_time_by_distance},
    {"cache-by-distance", figure_cache_by_distance},
    {"time-by-cell", figure_time_by_cell},
    {"outcomes", figure_outcomes},
    {"timeline", figure_timeline},
    {"wait-by-layer", figure_wait_by_layer},
    {"wait-by-layer-and-pass", figure_wait_by_layer_and_pass},
    {"latency", figure_latency},
    {"roofline", figure_roofline},
    {"memory-by-speed", figure_memory_by_speed},
    {"prediction", figure_prediction},
    {"comparison", figure_comparison},
    {"drift", figure_drift},
};
const size_t n_figures = sizeof figures / sizeof *figures;

static int rank(const char *const *names, const char *name)
{
    int i = 0;
    while (names[i] && strcmp(names[i], name) != 0)
        i++;
    return i;
}

int figure_prefetch_rank(const char *prefetch)
{
    static const char *const names[] = {"off", "sync", "async", "resident", NULL};
    return rank(names, prefetch);
}

static int replacement_rank(const char *replacement)
{
    static const char *const names[] = {"lru",       "fifo",       "random", "mru",
                                        "pin-first", "pin-spread", "belady", NULL};
    return rank(names, replacement);
}

static bool measured(const struct view_cell *cell)
{
    return !cell->problem && cell->pass.n > 0;
}

/* The work that most of the measured cells run; *several: there is more than one. */
static const char *main_work(const struct view *view, bool *several)
{
    const char *best = "";
    size_t most = 0;
    *several = false;
    for (size_t i = 0; i < view->n_cells; i++) {
        size_t same = 0;
        if (!measured(&view->cells[i]))
            continue;
        for (size_t j = 0; j < view->n_cells; j++)
            same +=
                measured(&view->cells[j]) && strcmp(view->cells[i].work, view->cells[j].work) == 0;
        if (most && strcmp(best, view->cells[i].work) != 0)
            *several = true;
        if (same > most) {
            best = view->cells[i].work;
            most = same;
        }
    }
    return best;
}

static int compare_numbers(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b);
    return (a > b) - (a < b);
}

static int compare_by(const struct view_cell *a, const struct view_cell *b, unsigned axes)
{
    int order = 0;
    if (axes & BY_PREFETCH)
        order = figure_prefetch_rank(a->prefetch) - figure_prefetch_rank(b->prefetch);
    if (!order && (axes & BY_PREFETCH))
        order = strcmp(a->prefetch, b->prefetch);
    if (!order && (axes & BY_REPLACEMENT))
        order = replacement_rank(a->replacement) - replacement_rank(b->replacement);
    if (!order && (axes & BY_REPLACEMENT))
        order = strcmp(a->replacement, b->replacement);
    if (!order && (axes & BY_CACHE))
        order = compare_numbers(a->cache, b->cache);
    if (!order && (axes & BY_DISTANCE))
        order = compare_numbers(a->distance, b->distance);
    return order;
}

/* Options other than the axes that vary within a group of cells: "scheduler, storage". */
static const char *reduced_options(struct view *view, const struct view_cell *const *cells,
                                   size_t n, unsigned axes)
{
    static const struct {
        const char *key;
        unsigned axis;
    } axis_keys[] = {{"prefetch", BY_PREFETCH},
                     {"replacement", BY_REPLACEMENT},
                     {"cache_layers", BY_CACHE},
                     {"cache_bytes", BY_CACHE},
                     {"prefetch_distance", BY_DISTANCE}};
    const char *text = "", *key;
    json_t *value;
    json_object_foreach((json_t *)(n ? cells[0]->options : NULL), key, value)
    {
        bool is_axis = false, varies = false;
        for (size_t i = 0; i < sizeof axis_keys / sizeof *axis_keys; i++)
            is_axis = is_axis || ((axes & axis_keys[i].axis) && strcmp(key, axis_keys[i].key) == 0);
        for (size_t i = 1; i < n && !is_axis && !varies; i++)
            varies = !json_equal(value, json_object_get(cells[i]->options, key));
        if (varies)
            text = view_text(view, "%s%s%s", text, *text ? ", " : "", key);
    }
    return text;
}

const struct view_cell **figure_best(struct figure_input *in, unsigned axes, size_t *count)
{
    struct view *view = in->view;
    bool several;
    const char *work = main_work(view, &several);
    const struct view_cell **group = view_alloc(view, view->n_cells + 1, sizeof *group);
    const struct view_cell **best = view_alloc(view, view->n_cells + 1, sizeof *best);
    size_t n_group = 0, n = 0;
    for (size_t i = 0; i < view->n_cells; i++) {
        const struct view_cell *cell = &view->cells[i];
        if (!measured(cell) || strcmp(cell->work, work) != 0)
            continue;
        group[n_group++] = cell;
        size_t at = 0;
        while (at < n && compare_by(cell, best[at], axes) > 0)
            at++;
        if (at < n && compare_by(cell, best[at], axes) == 0) {
            if (cell->pass.middle < best[at]->pass.middle)
                best[at] = cell;
            continue;
        }
        memmove(&best[at + 1], &best[at], (n - at) * sizeof *best);
        best[at] = cell;
        n++;
    }
    const char *reduced = reduced_options(view, group, n_group, axes);
    in->note = *reduced ? view_text(view, "best %s at each point", reduced) : "";
    if (several && *work)
        in->note = view_text(view, "%s%sonly cells with %s", in->note, *in->note ? "; " : "", work);
    *count = n;
    return best;
}

void figure_runs(struct figure_input *in, const struct view_cell *const *cells, size_t count)
{
    size_t least = SIZE_MAX, most = 0;
    for (size_t i = 0; i < count; i++) {
        least = cells[i]->pass.n < least ? cells[i]->pass.n : least;
        most = cells[i]->pass.n > most ? cells[i]->pass.n : most;
    }
    if (count == 0)
        return;
    const char *n = least == most ? view_text(in->view, "n = %zu", most)
                                  : view_text(in->view, "n = %zu-%zu", least, most);
    in->runs = view_text(in->view, "%s run%s, %s", n, most == 1 ? "" : "s",
                         most == 1    ? "no interval"
                         : least >= 6 ? "95% intervals"
                                      : "bars: least to most");
}

/* ---- the cells whose accesses are drawn ---- */

/* The cache size that most prefetch modes were measured with, near the middle of the sizes. */
static double reference_cache(const struct view_cell *const *cells, size_t n)
{
    double best = NAN, best_score = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        double modes = 0, below = 0, above = 0;
        for (size_t j = 0; j < n; j++) {
            int order = compare_numbers(cells[j]->cache, cells[i]->cache);
            modes += order == 0 && (j == 0 || strcmp(cells[j]->prefetch, cells[j - 1]->prefetch) ||
                                    compare_numbers(cells[j]->cache, cells[j - 1]->cache));
            below += order < 0;
            above += order > 0;
        }
        double score = modes - fabs(below - above) / (double)(n + 1);
        if (score > best_score) {
            best_score = score;
            best = cells[i]->cache;
        }
    }
    return best;
}

static void choose_cell(struct figure_input *in, const struct view_cell *cell)
{
    size_t index = (size_t)(cell - in->view->cells);
    for (size_t i = 0; i < in->n_chosen; i++)
        if (in->chosen[i] == index)
            return;
    if (in->n_chosen < FIGURE_CHOSEN)
        in->chosen[in->n_chosen++] = index;
}

void figure_choose(struct figure_input *in)
{
    size_t n_best, n_lru;
    const struct view_cell **best = figure_best(in, BY_PREFETCH | BY_CACHE, &n_best);
    double cache = reference_cache(best, n_best);
    in->n_chosen = 0;
    const struct view_cell **lru = figure_best(in, BY_PREFETCH | BY_REPLACEMENT | BY_CACHE, &n_lru);
    for (int rank_now = 0; rank_now <= 4; rank_now++) {
        for (size_t i = 0; rank_now == 2 && i < n_lru; i++)
            if (strcmp(lru[i]->prefetch, "async") == 0 && strcmp(lru[i]->replacement, "lru") == 0 &&
                compare_numbers(lru[i]->cache, cache) == 0)
                choose_cell(in, lru[i]);
        for (size_t i = 0; i < n_best; i++)
            if (figure_prefetch_rank(best[i]->prefetch) == rank_now &&
                (rank_now != 3 || in->n_chosen == 0) && compare_numbers(best[i]->cache, cache) == 0)
                choose_cell(in, best[i]);
    }
    in->chosen_note = "";
    if (in->n_chosen < in->view->n_cells)
        in->chosen_note =
            isnan(cache)
                ? "the best cell of each prefetch mode"
                : view_text(in->view, "the best cells of each prefetch mode with a cache of %g %s",
                            cache, in->view->cache_unit);
}
