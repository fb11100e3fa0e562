/* figure_drafts: the figures of several tokens a pass: time a token, acceptance. See figure.h. */
#include "figure/figure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool drafts(struct result_view *view, const struct view_cell *c)
{
    const char *how = view_option(view, c, "speculate");
    return *how && strcmp(how, "off") != 0;
}

static double draft_tokens(struct result_view *view, const struct view_cell *c)
{
    return drafts(view, c) ? atof(view_option(view, c, "draft_tokens")) : 0;
}

/* "ngram 2-4", "replay 0.7": replayed drafts are told the text, and say so wherever they show */
static const char *drafter(struct result_view *view, const struct view_cell *c)
{
    const char *how = view_option(view, c, "speculate");
    bool adapts = strcmp(view_option(view, c, "draft_budget"), "adaptive") == 0;
    const char *more = "";
    if (strcmp(how, "replay") == 0)
        more = view_text(view, " %s", view_option(view, c, "acceptance"));
    if (strcmp(how, "ngram") == 0)
        more = view_text(view, " %s-%s", view_option(view, c, "ngram_min"),
                         view_option(view, c, "ngram_max"));
    return view_text(view, "%s%s%s", how, more, adapts ? ", adaptive" : "");
}

/* What else a cell differs in: its work, its cache. */
static const char *circumstances(struct result_view *view, const struct view_cell *c)
{
    const char *cache = strcmp(c->prefetch, "resident") == 0 ? "resident"
                        : isnan(c->cache)                    ? c->prefetch
                                          : view_text(view, "%g %s", c->cache, view->cache_unit);
    return *c->work ? view_text(view, "%s, %s", c->work, cache) : cache;
}

/* The fastest cell in the same circumstances that guesses nothing; NULL: there is none. */
static const struct view_cell *without(struct result_view *view, const char *where)
{
    const struct view_cell *best = NULL;
    for (size_t i = 0; i < view->n_cells; i++) {
        const struct view_cell *c = &view->cells[i];
        if (!figure_asked(c) || drafts(view, c) || strcmp(circumstances(view, c), where) != 0)
            continue;
        if (!best || c->pass.median < best->pass.median)
            best = c;
    }
    return best;
}

static double token_ms(const struct view_cell *c, double pass_ns)
{
    return 1e3 / view_speed(c, pass_ns);
}

static void write_point(FILE *data, const char *panel, const char *series, double length,
                        const struct view_cell *c)
{
    fprintf(data, "\"%s\" \"%s\" %g %.6g %.6g %.6g %.6g\n", panel, series, length,
            token_ms(c, c->pass.median), token_ms(c, c->pass.low), token_ms(c, c->pass.high),
            figure_ms(c->floor.ns) / c->median.tokens_a_pass);
}

enum { MOST_PANELS = 6 };

/* Cells that guess, by circumstances, drafter and length of drafts. */
static struct result_view *sorted_view;
static int by_series(const void *a, const void *b)
{
    const struct view_cell *x = *(const struct view_cell *const *)a,
                           *y = *(const struct view_cell *const *)b;
    int order = figure_compare_numbers(x->cache, y->cache);
    if (order == 0)
        order = strcmp(circumstances(sorted_view, x), circumstances(sorted_view, y));
    if (order == 0)
        order = strcmp(drafter(sorted_view, x), drafter(sorted_view, y));
    return order
               ? order
               : figure_compare_numbers(draft_tokens(sorted_view, x), draft_tokens(sorted_view, y));
}

/* The measured cells that guess, sorted; *n of them. */
static const struct view_cell **guessing(struct result_view *view, size_t *n)
{
    const struct view_cell **cells = view_alloc(view, view->n_cells + 1, sizeof *cells);
    *n = 0;
    for (size_t i = 0; i < view->n_cells; i++)
        if (figure_asked(&view->cells[i]) && drafts(view, &view->cells[i]))
            cells[(*n)++] = &view->cells[i];
    sorted_view = view;
    qsort(cells, *n, sizeof *cells, by_series);
    return cells;
}

/* time a token against the length of drafts */
const char *figure_token_time_by_draft_length(struct figure_input *in, FILE *data)
{
    struct result_view *view = in->view;
    size_t n, panels = 0, shown = 0;
    const struct view_cell **cells = guessing(view, &n), *best = NULL;
    const char *panel = "", *series = "";
    if (n == 0)
        return "no cell guesses tokens";
    fprintf(data, "# panel series draft_tokens token_ms low_ms high_ms floor_ms\n");
    for (size_t i = 0; i < n; i++) {
        const struct view_cell *c = cells[i], *off;
        const char *here = circumstances(view, c), *name = drafter(view, c);
        bool another = strcmp(here, panel) != 0;
        if (another && panels++ == MOST_PANELS) {
            panels--;
            in->note = view_text(view, "the first %d of several circumstances", MOST_PANELS);
            break;
        }
        if ((another || strcmp(name, series) != 0) && (off = without(view, here)))
            write_point(data, here, name, 0, off);
        panel = here;
        series = name;
        write_point(data, here, name, draft_tokens(view, c), c);
        if (!best || token_ms(c, c->pass.median) < token_ms(best, best->pass.median))
            best = c;
        cells[shown++] = c;
    }
    figure_runs(in, cells, shown);
    in->legend = "floor: that of a pass over the tokens it gives; 0 drafted: without guessing";
    in->reading =
        view_text(view, "The fastest is %s with %.3g ms a token, %.2f tokens a pass.", best->label,
                  token_ms(best, best->pass.median), best->median.tokens_a_pass);
    return NULL;
}

/* how often each place of a draft is right */
const char *figure_acceptance_by_place(struct figure_input *in, FILE *data)
{
    struct result_view *view = in->view;
    size_t n, shown = 0;
    const struct view_cell **cells = guessing(view, &n);
    fprintf(data, "# panel series place acceptance\n");
    for (size_t i = 0; i < n; i++) {
        const struct view_cell *c = cells[i];
        bool longest = true; /* of the same drafter and work: the cache does not matter */
        for (size_t k = 0; k < n && longest; k++)
            longest = k == i || strcmp(drafter(view, cells[k]), drafter(view, c)) != 0 ||
                      strcmp(cells[k]->work, c->work) != 0 ||
                      draft_tokens(view, cells[k]) < draft_tokens(view, c) ||
                      (draft_tokens(view, cells[k]) == draft_tokens(view, c) && k > i);
        for (int place = 0; longest && place < LB_DRAFT_MOST && !isnan(c->median.acceptance[place]);
             place++, shown++)
            fprintf(data, "\"%s\" \"%s\" %d %.4g\n", c->work, drafter(view, c), place + 1,
                    c->median.acceptance[place]);
    }
    if (shown == 0)
        return "no cell guesses tokens";
    in->runs = "all drafts of all runs";
    in->legend = "how often a token is right once those before it are";
    in->reading = "";
    return NULL;
}

/* The share of right guesses with which k of them give so many tokens a pass: of
 * 1 + a + a^2 + ... + a^k = tokens. */
static double acceptance_for(double tokens, double k)
{
    double low = 0, high = 1;
    for (int i = 0; i < 50; i++) {
        double a = (low + high) / 2, sum = 1, power = 1;
        for (int j = 0; j < k; j++)
            sum += power *= a;
        *(sum < tokens ? &low : &high) = a;
    }
    return low;
}

static double median_of(double *values, size_t n)
{
    return n > 0 ? stats_median(values, n) : 0;
}

/* what share of guesses must be right to pay off, and which did */
const char *figure_break_even(struct figure_input *in, FILE *data)
{
    enum { STEPS = 60, MOST_LENGTHS = 5 };
    struct result_view *view = in->view;
    size_t n, shown = 0, n_lengths = 0, pay = 0, overlapped = 0;
    const struct view_cell **cells = guessing(view, &n);
    double *compute = view_alloc(view, 2 * n + 1, sizeof *compute), *bytes = compute + n;
    double lengths[MOST_LENGTHS], low = INFINITY, high = 0;
    fprintf(data, "# kind length compute_by_load acceptance pays\n");
    for (size_t i = 0; i < n; i++) {
        const struct view_cell *c = cells[i], *off = without(view, circumstances(view, c));
        double k = draft_tokens(view, c), load = off ? off->floor.load_ns : NAN;
        if (!(load > 0) || !(off->median.compute_ns > 0) || k < 1)
            continue;
        double x = off->median.compute_ns / load, tokens = c->median.tokens_a_pass / c->batch;
        bool pays = token_ms(c, c->pass.median) < token_ms(off, off->pass.median);
        compute[shown] = (c->median.compute_ns / off->median.compute_ns - 1) / k;
        bytes[shown] =
            isnan(c->median.experts.demand_bytes)
                ? 0
                : (c->median.experts.demand_bytes / off->median.experts.demand_bytes - 1) / k;
        fprintf(data, "cell %g %.6g %.6g %d\n", k, x, acceptance_for(tokens, k), pays);
        size_t known = 0;
        while (known < n_lengths && lengths[known] != k)
            known++;
        if (known == n_lengths && n_lengths < MOST_LENGTHS)
            lengths[n_lengths++] = k;
        overlapped += strcmp(c->prefetch, "async") == 0;
        low = fmin(low, x);
        high = fmax(high, x);
        pay += pays;
        shown++;
    }
    if (shown == 0)
        return "no cell guesses tokens beside one that loads as much and does not";
    double dearer = fmax(median_of(compute, shown), 0), more = fmax(median_of(bytes, shown), 0);
    bool overlap = 2 * overlapped > shown;
    low = fmin(low / 2, 0.05);
    high = fmax(high * 2, 4);
    for (size_t l = 0; l < n_lengths; l++)
        for (int i = 0; i <= STEPS; i++) {
            double x = low * pow(high / low, (double)i / STEPS), k = lengths[l];
            double load = 1 + k * more, computing = x * (1 + k * dearer);
            double ratio =
                overlap ? fmax(load, computing) / fmax(1, x) : (load + computing) / (1 + x);
            fprintf(data, "line %g %.6g %.6g 0\n", k, x,
                    ratio < k + 1 ? acceptance_for(ratio, k) : NAN);
        }
    in->runs = view_text(view, "%zu cells", shown);
    in->note =
        view_text(view, "lines: %s; a guess adds %.2g of computing, %.2g of reading",
                  overlap ? "loads beside computing" : "loads, then computing", dearer, more);
    in->reading = view_text(view, "Guessing pays off in %zu of %zu cells.", pay, shown);
    return NULL;
}
