/* figure_select: which cells stand for the points of a figure. See figure.h. */
#include "figure/figure.h"

#include <math.h>
#include <string.h>

/* Where a name stands in the engine's list; unknown ones last. */
static int rank(const char *kind, const char *name)
{
    struct lb_choice choice;
    int i = 0;
    while (lb_choice_at(kind, (size_t)i, &choice) && strcmp(choice.name, name) != 0)
        i++;
    return i;
}

int figure_prefetch_rank(const char *prefetch)
{
    return rank("prefetch", prefetch);
}

static int replacement_rank(const char *replacement)
{
    return rank("replacement", replacement);
}

bool figure_asked(const struct view_cell *cell)
{
    return view_measured(cell) && !cell->reference;
}

/* The work that most of the measured cells run; *several: there is more than one. */
static const char *main_work(const struct result_view *view, const char *const *works,
                             bool *several)
{
    const char *best = "";
    size_t most = 0;
    *several = false;
    for (size_t i = 0; i < view->n_cells; i++) {
        size_t same = 0;
        if (!figure_asked(&view->cells[i]))
            continue;
        for (size_t j = 0; j < view->n_cells; j++)
            same += figure_asked(&view->cells[j]) && strcmp(works[i], works[j]) == 0;
        if (most && strcmp(best, works[i]) != 0)
            *several = true;
        if (same > most) {
            best = works[i];
            most = same;
        }
    }
    return best;
}

/* The work of each cell of the view; an option that is an axis does not tell one from another. */
static const char **works_of(const struct figure_input *in, unsigned axes)
{
    const char **works = view_alloc(in->view, in->view->n_cells + 1, sizeof *works);
    for (size_t i = 0; i < in->view->n_cells; i++)
        works[i] = axes & BY_OPTION ? view_work(in->view, &in->view->cells[i], in->option)
                                    : in->view->cells[i].work;
    return works;
}

int figure_compare_numbers(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b);
    return (a > b) - (a < b);
}

int figure_compare_option(const struct view_cell *a, const struct view_cell *b, const char *key)
{
    const json_t *x = json_object_get(a->options, key), *y = json_object_get(b->options, key);
    int order = figure_compare_numbers(json_is_number(x) ? json_number_value(x) : NAN,
                                       json_is_number(y) ? json_number_value(y) : NAN);
    return order || !json_is_string(x) || !json_is_string(y)
               ? order
               : strcmp(json_string_value(x), json_string_value(y));
}

static int compare_by(const struct figure_input *in, const struct view_cell *a,
                      const struct view_cell *b, unsigned axes)
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
        order = figure_compare_numbers(a->cache, b->cache);
    if (!order && (axes & BY_DISTANCE))
        order = figure_compare_numbers(a->distance, b->distance);
    if (!order && (axes & BY_OPTION))
        order = figure_compare_option(a, b, in->option);
    return order;
}

/* Options other than the axes that vary within a group of cells. */
struct reduced {
    const char *keys[16];
    size_t n;
};

static struct reduced reduced_options(const struct figure_input *in,
                                      const struct view_cell *const *cells, size_t n, unsigned axes)
{
    static const struct {
        const char *key;
        unsigned axis;
    } axis_keys[] = {{"prefetch", BY_PREFETCH},
                     {"replacement", BY_REPLACEMENT},
                     {"cache_layers", BY_CACHE},
                     {"cache_bytes", BY_CACHE},
                     {"prefetch_distance", BY_DISTANCE}};
    struct reduced reduced = {.n = 0};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(n ? cells[0]->options : NULL), key, value)
    {
        bool is_axis = (axes & BY_OPTION) && strcmp(key, in->option) == 0, varies = false;
        for (size_t i = 0; i < sizeof axis_keys / sizeof *axis_keys; i++)
            is_axis = is_axis || ((axes & axis_keys[i].axis) && strcmp(key, axis_keys[i].key) == 0);
        for (size_t i = 1; i < n && !is_axis && !varies; i++)
            varies = !json_equal(value, json_object_get(cells[i]->options, key));
        if (varies && reduced.n < sizeof reduced.keys / sizeof *reduced.keys)
            reduced.keys[reduced.n++] = key;
    }
    return reduced;
}

static bool same_setting(const struct view_cell *a, const struct view_cell *b,
                         const struct reduced *reduced)
{
    for (size_t i = 0; i < reduced->n; i++)
        if (!json_equal(json_object_get(a->options, reduced->keys[i]),
                        json_object_get(b->options, reduced->keys[i])))
            return false;
    return true;
}

/* How many cells of the group share the cell's point, or its mode and setting. */
static size_t count_like(const struct figure_input *in, const struct view_cell *const *cells,
                         size_t n, const struct view_cell *cell, unsigned axes,
                         const struct reduced *setting)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += compare_by(in, cells[i], cell, axes) == 0 &&
                 (!setting || same_setting(cells[i], cell, setting));
    return count;
}

/*
 * The best of a point's cells is fair only where every point has as many to choose from. Where a
 * prefetch mode's points have not (a matrix in the shape of a cross), only the setting that most of
 * them share is kept. Returns the new n; *sliced: a cell with that setting, left alone where
 * nothing was dropped.
 */
static size_t keep_fair(const struct figure_input *in, const struct view_cell **cells, size_t n,
                        unsigned axes, const struct reduced *reduced,
                        const struct view_cell **sliced)
{
    size_t kept = 0, from = 0;
    for (; from < n; from = kept) {
        const struct view_cell *first = cells[from], *most = first;
        size_t end = from, candidates = count_like(in, cells, n, first, axes, NULL), shared = 0;
        bool fair = true;
        for (; end < n && strcmp(cells[end]->prefetch, first->prefetch) == 0; end++) {
            size_t like = count_like(in, cells, n, cells[end], BY_PREFETCH, reduced);
            fair = fair && count_like(in, cells, n, cells[end], axes, NULL) == candidates;
            if (like > shared) {
                shared = like;
                most = cells[end];
            }
        }
        for (size_t i = from; i < end; i++)
            if (fair || same_setting(cells[i], most, reduced))
                cells[kept++] = cells[i];
        memmove(&cells[kept], &cells[end], (n - end) * sizeof *cells);
        n -= end - kept;
        *sliced = fair ? *sliced : most;
    }
    return n;
}

static const char *note_on(struct result_view *view, const struct reduced *reduced,
                           const struct view_cell *sliced)
{
    const char *text = "";
    for (size_t i = 0; i < reduced->n; i++) {
        const char *value = sliced ? view_option_label(view, sliced, reduced->keys[i]) : "";
        text = view_text(view, "%s%s%s%s%s", text, *text ? ", " : "", reduced->keys[i],
                         *value ? " " : "", value);
    }
    if (!*text)
        return "";
    return sliced ? view_text(view, "at %s", text) : view_text(view, "best %s at each point", text);
}

/* Measured cells of the main work, in the order of prefetch modes. */
static const struct view_cell **group_of(const struct figure_input *in, const char *const *works,
                                         const char *work, size_t *count)
{
    struct result_view *view = in->view;
    const struct view_cell **group = view_alloc(view, view->n_cells + 1, sizeof *group);
    *count = 0;
    for (size_t i = 0; i < view->n_cells; i++) {
        const struct view_cell *cell = &view->cells[i];
        if (!figure_asked(cell) || strcmp(works[i], work) != 0)
            continue;
        size_t at = (*count)++;
        for (; at > 0 && compare_by(in, cell, group[at - 1], BY_PREFETCH) < 0; at--)
            group[at] = group[at - 1];
        group[at] = cell;
    }
    return group;
}

const struct view_cell **figure_best(struct figure_input *in, unsigned axes, size_t *count)
{
    struct result_view *view = in->view;
    bool several;
    const char **works = works_of(in, axes), *work = main_work(view, works, &several);
    size_t n_group, n = 0;
    const struct view_cell **group = group_of(in, works, work, &n_group), *sliced;
    const struct view_cell **best = view_alloc(view, view->n_cells + 1, sizeof *best);
    struct reduced reduced = reduced_options(in, group, n_group, axes);
    sliced = NULL;
    if (!(axes & ANY_SETTING))
        n_group = keep_fair(in, group, n_group, axes, &reduced, &sliced);
    for (size_t i = 0; i < n_group; i++) {
        size_t at = 0;
        while (at < n && compare_by(in, group[i], best[at], axes) > 0)
            at++;
        if (at < n && compare_by(in, group[i], best[at], axes) == 0) {
            if (group[i]->pass.median < best[at]->pass.median)
                best[at] = group[i];
            continue;
        }
        memmove(&best[at + 1], &best[at], (n - at) * sizeof *best);
        best[at] = group[i];
        n++;
    }
    in->note = note_on(view, &reduced, sliced);
    if (several && *work)
        in->note = view_text(view, "%s%sonly cells with %s", in->note, *in->note ? "; " : "", work);
    *count = n;
    return best;
}
