/* figure: the list of figures, and the choice of what each shows. See figure.h. */
#include "figure/figure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FIGURE_ENTRY(name, write) {name, write},
const struct figure figures[] = {FIGURES(FIGURE_ENTRY)};
const size_t n_figures = sizeof figures / sizeof *figures;

/* `of`: what is drawn of them; NULL: intervals. */
static void note_runs(struct figure_input *in, const struct view_cell *const *cells, size_t count,
                      const char *of)
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
    if (!of)
        of = most == 1 ? "no interval" : stats_estimate_name(least, most);
    in->runs = view_text(in->view, "%s run%s, %s", n, most == 1 ? "" : "s", of);
}

void figure_runs(struct figure_input *in, const struct view_cell *const *cells, size_t count)
{
    note_runs(in, cells, count, NULL);
}

void figure_medians(struct figure_input *in, const struct view_cell *const *cells, size_t count)
{
    note_runs(in, cells, count, "medians");
}

/* ---- the cells whose accesses are drawn ---- */

/* The cache size that most prefetch modes were measured with, near the middle of the sizes. */
static double reference_cache(const struct view_cell *const *cells, size_t n)
{
    double best = NAN, best_score = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        double modes = 0, below = 0, above = 0;
        for (size_t j = 0; j < n; j++) {
            int order = figure_compare_numbers(cells[j]->cache, cells[i]->cache);
            modes += order == 0 && (j == 0 || strcmp(cells[j]->prefetch, cells[j - 1]->prefetch) ||
                                    figure_compare_numbers(cells[j]->cache, cells[j - 1]->cache));
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
    const struct view_cell **best = figure_best(in, BY_PREFETCH | BY_CACHE | ANY_SETTING, &n_best);
    double cache = reference_cache(best, n_best);
    in->n_chosen = 0;
    const struct view_cell **lru =
        figure_best(in, BY_PREFETCH | BY_REPLACEMENT | BY_CACHE | ANY_SETTING, &n_lru);
    for (int rank_now = 0; rank_now <= 4; rank_now++) {
        for (size_t i = 0; rank_now == 2 && i < n_lru; i++)
            if (strcmp(lru[i]->prefetch, "async") == 0 && strcmp(lru[i]->replacement, "lru") == 0 &&
                figure_compare_numbers(lru[i]->cache, cache) == 0)
                choose_cell(in, lru[i]);
        for (size_t i = 0; i < n_best; i++)
            if (figure_prefetch_rank(best[i]->prefetch) == rank_now &&
                (rank_now != 3 || in->n_chosen == 0) &&
                figure_compare_numbers(best[i]->cache, cache) == 0)
                choose_cell(in, best[i]);
    }
}

const char *figure_chosen_note(const struct figure_input *in, const size_t *cells, size_t n)
{
    const struct result_view *view = in->view;
    size_t measured = 0;
    bool all = true, of_mode = true, of_policy = true; /* the fastest of their kind? */
    for (size_t i = 0; i < view->n_cells; i++) {
        const struct view_cell *c = &view->cells[i];
        measured += view_measured(c);
        for (size_t k = 0; k < n && view_measured(c); k++) {
            const struct view_cell *shown = &view->cells[cells[k]];
            bool faster = c->pass.median < shown->pass.median &&
                          figure_compare_numbers(c->cache, shown->cache) == 0 &&
                          strcmp(c->work, shown->work) == 0;
            bool mode = strcmp(c->prefetch, shown->prefetch) == 0;
            all &= !faster;
            of_mode &= !(faster && mode);
            of_policy &= !(faster && mode && strcmp(c->replacement, shown->replacement) == 0);
        }
    }
    if (n >= measured)
        return "";
    return view_text(in->view, "%zu of %zu cells%s", n, measured,
                     n == 1 && all ? ": the fastest of its cache size"
                     : of_mode     ? ": of their cache size the fastest of their prefetch"
                     : of_policy   ? ": of their cache size the fastest of their prefetch, policy"
                                   : "");
}
