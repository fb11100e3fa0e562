/*
 * figure_metrics: what of a cell can stand on an axis, by name, and the figures that need no more:
 * those whose script names their columns, and any metric over any option. See figure.h.
 */
#include "figure/figure.h"

#include "figure/plot_scripts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- metrics ---- */

/* Of a cell: name, axis, value. `pass_ns`: the median, or an end of its interval; metrics that do
 * not follow from it have none. In read_MiB what page faults read is not counted, nor what another
 * program reads in a pass. */
#define METRICS(X)                                                                                 \
    X(pass_ms, "decode pass (ms)", figure_ms(pass_ns))                                             \
    X(token_ms, "token (ms)", 1e3 / view_speed(c, pass_ns))                                        \
    X(tokens_per_second, "tokens / s", view_speed(c, pass_ns))                                     \
    X(tokens_a_pass, "tokens a pass", c->median.tokens_a_pass)                                     \
    X(floor_ms, "floor (ms)", figure_ms(c->floor.ns))                                              \
    X(share_of_floor, "share of floor", c->floor.ns / pass_ns)                                     \
    X(predicted_ms, "predicted (ms)", figure_ms(c->predicted_pass_ns))                             \
    X(wait_ms, "wait a pass (ms)", figure_ms(c->median.wait_ns))                                   \
    X(compute_ms, "compute a pass (ms)", figure_ms(c->median.compute_ns))                          \
    X(other_ms, "other a pass (ms)", figure_ms(c->median.other_ns))                                \
    X(prefill_ms, "prompt (ms)", figure_ms(c->median.prefill_ns))                                  \
    X(ttft_ms, "first token (ms)", figure_ms(c->median.ttft_ns))                                   \
    X(read_MiB, "read a pass (MiB)",                                                               \
      c->median.bytes_read > 0 || !(c->median.major_faults > 0 || c->program)                      \
          ? c->median.bytes_read / 0x1p20                                                          \
          : NAN)                                                                                   \
    X(read_ms, "reading, storage alone (ms)", c->median.bytes_read / c->floor.bandwidth * 1e3)     \
    X(memory_MiB, "peak memory (MiB)",                                                             \
      c->median.peak_rss_bytes > 0 ? c->median.peak_rss_bytes / 0x1p20 : NAN)                      \
    X(hits, "hits a pass", c->median.outcomes[LB_HIT])                                             \
    X(prefetched, "prefetched a pass", c->median.outcomes[LB_PREFETCHED])                          \
    X(late, "late a pass", c->median.outcomes[LB_LATE])                                            \
    X(misses, "misses a pass", c->median.outcomes[LB_MISS])                                        \
    X(wasted, "wasted units a pass", c->median.wasted)                                             \
    X(demand_MiB, "needed a pass (MiB)", c->median.experts.demand_bytes / 0x1p20)                  \
    X(expert_misses, "experts that miss", 1 - c->median.experts.hit_rate)                          \
    X(expert_misses_bytes, "bytes of experts that miss", 1 - c->median.experts.hit_rate_bytes)

#define METRIC_FUNCTION(name, axis, value)                                                         \
    static double name(const struct view_cell *c, double pass_ns)                                  \
    {                                                                                              \
        (void)c, (void)pass_ns;                                                                    \
        return value;                                                                              \
    }
METRICS(METRIC_FUNCTION)

struct figure_metric {
    const char *name, *axis;
    double (*of)(const struct view_cell *cell, double pass_ns);
};

#define METRIC_ENTRY(name, axis, value) {#name, axis, name},
static const struct figure_metric metrics[] = {METRICS(METRIC_ENTRY)};
enum { N_METRICS = sizeof metrics / sizeof *metrics };

static const struct figure_metric *find_metric(const char *name)
{
    for (size_t i = 0; i < N_METRICS; i++)
        if (strcmp(metrics[i].name, name) == 0)
            return &metrics[i];
    return NULL;
}

bool figure_metric_at(size_t i, const char **name)
{
    *name = i < N_METRICS ? metrics[i].name : NULL;
    return *name != NULL;
}

/* ---- figures whose script names their columns ---- */

/* One field of a row: the cell's label, a metric or an end of its interval, or an option. */
static const char *field(struct result_view *view, const struct view_cell *c, const char *column)
{
    double pass_ns = c->pass.median;
    const struct figure_metric *metric;
    if (strcmp(column, "cell") == 0)
        return view_text(view, "\"%s\"", c->label);
    if (strcmp(column, "prefetch") == 0) /* of another program, which */
        return view_text(view, "\"%s\"", c->prefetch);
    if (strncmp(column, "low_", 4) == 0 && (metric = find_metric(column + 4)))
        pass_ns = c->pass.low;
    else if (strncmp(column, "high_", 5) == 0 && (metric = find_metric(column + 5)))
        pass_ns = c->pass.high;
    else
        metric = find_metric(column);
    if (!metric)
        return view_text(view, "\"%s\"", view_option_label(view, c, column));
    double value = metric->of(c, pass_ns);
    return isfinite(value) ? view_text(view, "%.6g", value) : "NaN";
}

const char *figure_of_cells(struct figure_input *in, FILE *data)
{
    enum { MOST = 16 };
    struct result_view *view = in->view;
    const struct view_cell **cells = view_alloc(view, view->n_cells + 1, sizeof *cells);
    const char *columns[MOST], *last = "";
    char text[512], *rest = NULL;
    size_t n = 0, n_cells = 0;
    bool known[MOST] = {false};
    /* the paragraph "Columns: a, b, c" */
    for (int i = 0; strncmp(plot_script_paragraph(in->name, i, text, sizeof text), "Columns:", 8);
         i++)
        if (!*text)
            return "its script names no columns";
    for (char *word = strtok_r(text + 8, ", ", &rest); word && n < MOST;
         word = strtok_r(NULL, ", ", &rest))
        columns[n++] = word;
    fprintf(data, "#");
    for (size_t k = 0; k < n; k++)
        fprintf(data, " %s", columns[k]);
    for (size_t i = 0; i < view->n_cells; i++) {
        if (!view_measured(&view->cells[i]))
            continue;
        cells[n_cells++] = &view->cells[i];
        for (size_t k = 0; k < n; k++) {
            const char *value = field(view, &view->cells[i], columns[k]);
            known[k] |= strcmp(value, "NaN") != 0;
            fprintf(data, "%s%s", k ? " " : "\n", value);
        }
    }
    fputc('\n', data);
    for (size_t k = 0; k < n; k++)
        last = known[k] ? last : columns[k];
    figure_runs(in, cells, n_cells);
    return n_cells == 0 ? "no cell was measured"
           : *last      ? view_text(view, "no cell has %s", last)
                        : NULL;
}

/* ---- any metric over any option ---- */

enum { MOST_PANELS = 4, MOST_PLACES = 12, MOST_LINES = 6 };

/* Options that figures of their own show as soon as they vary. */
static bool has_figure(const struct result_view *view, const char *key)
{
    static const char *const keys[] = {"prefetch",     "replacement",       "cache_layers",
                                       "cache_bytes",  "prefetch_distance", "speculate",
                                       "draft_tokens", "draft_budget",      "draft_model",
                                       "ngram_min",    "ngram_max",         "acceptance"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return view->experts && (strcmp(key, "batch") == 0 || strcmp(key, "predict") == 0);
}

/* Options with several values among the measured cells that no other figure shows; *n of them. */
static const char **lone_options(struct result_view *view, size_t *n)
{
    size_t count;
    const struct option *table = options_table(&count);
    const char **keys = view_alloc(view, count + 1, sizeof *keys);
    *n = 0;
    for (size_t k = 0; k < count; k++) {
        const struct view_cell *first = NULL;
        bool varies = false;
        for (size_t i = 0; i < view->n_cells; i++) {
            const struct view_cell *c = &view->cells[i];
            if (!figure_asked(c) || !json_object_get(c->options, table[k].name))
                continue;
            first = first ? first : c;
            varies |= strcmp(view_option(view, c, table[k].name),
                             view_option(view, first, table[k].name)) != 0;
        }
        if (varies && !has_figure(view, table[k].name))
            keys[(*n)++] = table[k].name;
    }
    return keys;
}

/* Tokens of a pass differ: then passes do not compare. */
static const struct figure_metric *usual_metric(const struct view_cell *const *cells, size_t n)
{
    double least = INFINITY, most = 0;
    for (size_t i = 0; i < n; i++) {
        least = fmin(least, cells[i]->median.tokens_a_pass);
        most = fmax(most, cells[i]->median.tokens_a_pass);
    }
    return find_metric(most > least * 1.001 ? "tokens_per_second" : "pass_ms");
}

/* A name in a figure: the last part of a path, cut where it would not fit. */
static const char *short_text(struct result_view *view, const char *text, size_t most)
{
    const char *slash = strrchr(text, '/');
    text = slash && slash[1] ? slash + 1 : text;
    return strlen(text) <= most ? text : view_text(view, "%.*s...", (int)most - 3, text);
}

/* The best cells at each value of in->option, a line for each prefetch and replacement, or where
 * those are too many for each prefetch; *modes, *policies: which of them tell the lines apart. */
static const struct view_cell **lines_of(struct figure_input *in, size_t *n, bool *modes,
                                         bool *policies)
{
    size_t lines = 1;
    const struct view_cell **cells = figure_best(in, BY_PREFETCH | BY_REPLACEMENT | BY_OPTION, n);
    *modes = *policies = false;
    for (size_t i = 1; i < *n; i++) {
        *modes |= strcmp(cells[i]->prefetch, cells[0]->prefetch) != 0;
        *policies |= strcmp(cells[i]->replacement, cells[0]->replacement) != 0;
        lines += strcmp(cells[i]->prefetch, cells[i - 1]->prefetch) != 0 ||
                 strcmp(cells[i]->replacement, cells[i - 1]->replacement) != 0;
    }
    if (lines <= MOST_LINES)
        return cells;
    *policies = false;
    return figure_best(in, BY_PREFETCH | BY_OPTION, n);
}

static const char *line_name(struct result_view *view, const struct view_cell *c, bool modes,
                             bool policies)
{
    if (!modes && !policies)
        return "all";
    return view_text(view, "%s%s%s", modes ? c->prefetch : "", modes && policies ? " " : "",
                     policies ? c->replacement : "");
}

/* The option's values in order; at most MOST_PLACES of them. */
static size_t places_of(struct figure_input *in, const struct view_cell *const *cells, size_t n,
                        const char *values[MOST_PLACES])
{
    size_t places = 0;
    for (const struct view_cell *next = cells[0]; next && places < MOST_PLACES;) {
        next = NULL; /* the cell with the least value that has no place yet */
        for (size_t i = 0; i < n; i++) {
            const char *value = view_option(in->view, cells[i], in->option);
            bool had = !*value;
            for (size_t k = 0; k < places; k++)
                had |= strcmp(values[k], value) == 0;
            if (!had && (!next || figure_compare_option(cells[i], next, in->option) < 0))
                next = cells[i];
        }
        if (next)
            values[places++] = view_option(in->view, next, in->option);
    }
    return places;
}

/* The rows of the panel of in->option; the number of cells in it, 0 where fewer than two values are
 * left of the work that is shown. metric NULL: the usual one. */
static size_t write_panel(struct figure_input *in, FILE *data, const struct figure_metric *metric,
                          const struct view_cell **used, const char **fastest)
{
    struct result_view *view = in->view;
    const char *values[MOST_PLACES];
    bool modes, policies, numbers = true;
    size_t n, n_used = 0;
    const struct view_cell **cells = lines_of(in, &n, &modes, &policies), *best = NULL;
    size_t places = places_of(in, cells, n, values);
    if (places < 2)
        return 0;
    for (size_t i = 0; i < n; i++)
        numbers &= json_is_number(json_object_get(cells[i]->options, in->option));
    metric = metric ? metric : usual_metric(cells, n);
    for (size_t i = 0; i < n; i++) {
        const struct view_cell *c = cells[i];
        const char *text = short_text(view, view_option_label(view, c, in->option), 60 / places);
        double value = metric->of(c, c->pass.median);
        double ends[] = {metric->of(c, c->pass.low), metric->of(c, c->pass.high)};
        /* what follows from the time of a pass does so from that of its floor */
        bool of_time = metric->of(c, 1e6) != metric->of(c, 2e6) && metric->of != share_of_floor;
        size_t place = 0;
        while (place < places && strcmp(values[place], view_option(view, c, in->option)) != 0)
            place++;
        if (place == places || !isfinite(value))
            continue;
        fprintf(data, "\"%s\" \"%s\" \"%s\" %zu \"%s\" %.6g %.6g %.6g %.6g %d\n", in->option,
                metric->axis, line_name(view, c, modes, policies), place + 1, text, value,
                fmin(ends[0], ends[1]), fmax(ends[0], ends[1]),
                of_time && c->floor.ns > 0 ? metric->of(c, c->floor.ns) : NAN, numbers);
        used[n_used++] = c;
        if (!best || view_speed(c, c->pass.median) > view_speed(best, best->pass.median))
            best = c;
    }
    if (best)
        *fastest = view_text(view, "%s is fastest at %s", in->option,
                             view_option_label(view, best, in->option));
    return n_used;
}

const char *figure_by_option(struct figure_input *in, FILE *data)
{
    struct result_view *view = in->view;
    const struct figure_metric *metric = in->metric ? find_metric(in->metric) : NULL;
    const struct view_cell **used = view_alloc(view, view->n_cells * MOST_PANELS + 1, sizeof *used);
    const char *note = "", *best = "", **options, *asked = in->option;
    size_t n_options = 1, n = 0, panels = 0;
    options = asked ? &asked : lone_options(view, &n_options);
    fprintf(data, "# panel axis series place value median low high floor numbers\n");
    for (size_t i = 0; i < n_options && panels < MOST_PANELS; i++) {
        in->option = options[i];
        size_t added = write_panel(in, data, metric, used + n, &best);
        if (added == 0)
            continue;
        panels++;
        n += added;
        note = *in->note ? in->note : note;
        in->reading = view_text(view, "%s%s%s", in->reading, *in->reading ? ", " : "", best);
    }
    in->option = asked;
    if (n == 0)
        return asked ? view_text(view, "no two values of %s were measured with that metric", asked)
                     : "every option that varies has a figure of its own";
    figure_runs(in, used, n);
    if (panels > 1)
        note = "each at the best of the others";
    in->note = note;
    in->reading = view_text(view, "%s.", in->reading);
    return NULL;
}
