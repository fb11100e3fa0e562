/* figure_runs: the figures of whole runs: simulator, comparison, drift. See figure.h. */
#include "figure/figure.h"

#include "stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* simulator against measurement */
const char *figure_prediction(struct figure_input *in, FILE *data)
{
    struct result_view *view = in->view;
    const struct view_cell **shown = view_alloc(view, view->n_cells + 1, sizeof *shown);
    size_t n = 0;
    double worst = 0;
    fprintf(data, "# series predicted_ms measured_ms low_ms high_ms\n");
    for (size_t i = 0; i < view->n_cells; i++) {
        const struct view_cell *c = &view->cells[i];
        if (!view_measured(c) || isnan(c->predicted_pass_ns))
            continue;
        fprintf(data, "\"%s\" %.6g %.6g %.6g %.6g\n", c->prefetch, figure_ms(c->predicted_pass_ns),
                figure_ms(c->pass.median), figure_ms(c->pass.low), figure_ms(c->pass.high));
        worst = fmax(worst, fabs(c->predicted_pass_ns / c->pass.median - 1));
        shown[n++] = c;
    }
    if (n == 0)
        return "the result holds no prediction";
    figure_runs(in, shown, n);
    in->note = "";
    in->reading =
        view_text(view, "The prediction of %zu cells is off by at most %.0f%%.", n, 100 * worst);
    return NULL;
}

/* "async belady C=8 d=2" of "prefetch=async/replacement=belady/cache_layers=8/...". */
static const char *short_name(struct result_view *view, const char *cell)
{
    static const char *const keys[] = {
        "prefetch=", "replacement=", "cache_layers=", "prefetch_distance="};
    static const char *const letters[] = {"", "", "C=", "d="};
    const char *text = "";
    while (*cell) {
        size_t length = strcspn(cell, "/"), skip = 0;
        const char *letter = "";
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
            if (strncmp(cell, keys[i], strlen(keys[i])) == 0) {
                skip = strlen(keys[i]);
                letter = letters[i];
            }
        }
        text = view_text(view, "%s%s%s%.*s", text, *text ? " " : "", letter, (int)(length - skip),
                         cell + skip);
        cell += length + (cell[length] == '/');
    }
    return text;
}

/* A row of the comparison that can be drawn. */
struct ratio {
    const json_t *row;
    double middle, low, high;
};

static bool read_ratio(const json_t *row, struct ratio *r)
{
    const json_t *ratio = json_object_get(row, "ratio"), *low = json_object_get(row, "low");
    const json_t *high = json_object_get(row, "high");
    *r = (struct ratio){row, json_number_value(ratio), json_number_value(low),
                        json_number_value(high)};
    return json_is_number(ratio) && json_is_number(low) && json_is_number(high) && r->middle > 0;
}

static bool is_metric(struct result_view *view, const struct ratio *r, const char *metric)
{
    return strcmp(view_field(view, r->row, "metric"), metric) == 0;
}

static int by_change(const void *a, const void *b)
{
    double x = fabs(log(((const struct ratio *)a)->middle));
    double y = fabs(log(((const struct ratio *)b)->middle));
    return (x < y) - (x > y);
}

/* ratios of a comparison with their intervals: all, or where they are too many those of the
 * first metric, the largest changes first */
const char *figure_comparison(struct figure_input *in, FILE *data)
{
    enum { MOST_ROWS = 32 };
    struct result_view *view = in->view;
    size_t i, n = 0, total = json_array_size(in->comparison), different = 0;
    struct ratio *ratios = view_alloc(view, total + 1, sizeof *ratios);
    const json_t *row;
    json_array_foreach(in->comparison, i, row)
    {
        n += read_ratio(row, &ratios[n]);
    }
    if (n == 0)
        return in->comparison ? "no row of the comparison has a ratio with low and high"
                              : "drawn for the output of compare --json";
    if (n > MOST_ROWS) {
        size_t kept = 0;
        const char *metric = view_field(view, ratios[0].row, "metric");
        for (i = 0; i < n; i++)
            if (is_metric(view, &ratios[i], metric))
                ratios[kept++] = ratios[i];
        qsort(ratios, kept, sizeof *ratios, by_change);
        n = kept < MOST_ROWS ? kept : MOST_ROWS;
        in->note = view_text(view, "%zu of %zu rows: the largest changes of %s", n, total, metric);
    }
    size_t less = 0, more = 0; /* of the metrics, what is better */
    fprintf(data, "# metric ratio low high verdict\n");
    for (i = 0; i < n; i++) {
        const char *verdict = view_field(view, ratios[i].row, "verdict");
        fprintf(data, "\"%s %s\" %.6g %.6g %.6g \"%s\"\n",
                short_name(view, view_field(view, ratios[i].row, "cell")),
                view_field(view, ratios[i].row, "metric"), ratios[i].middle, ratios[i].low,
                ratios[i].high, verdict);
        different += strcmp(verdict, "different") == 0;
        *(is_metric(view, &ratios[i], "tokens_per_second") ? &more : &less) += 1;
    }
    double level = json_number_value(json_object_get(view->root, "level"));
    in->runs = view_text(view, "%g%% intervals", level > 0 ? 100 * level : 99);
    in->settings = view_text(view, "below = '%s'; above = '%s'\n",
                             more && less ? "second is less"
                             : less       ? "second is better"
                                          : "second is worse",
                             more && less ? "second is more"
                             : less       ? "second is worse"
                                          : "second is better");
    in->reading = view_text(view, "%zu of %zu ratios differ from 1.", different, n);
    return NULL;
}

struct moment {
    int64_t start_ns;
    double ratio;
    const char *series;
};

static int by_time(const void *a, const void *b)
{
    const struct moment *x = a, *y = b;
    return (x->start_ns > y->start_ns) - (x->start_ns < y->start_ns);
}

/* each sample against the median of its cell, over the time of the run */
const char *figure_drift(struct figure_input *in, FILE *data)
{
    enum { LEAST_WINDOW = 9, MOST_WINDOW = 201 };
    double near[MOST_WINDOW];
    struct result_view *view = in->view;
    size_t n = 0, samples = 0;
    for (size_t i = 0; i < view->n_cells; i++)
        samples += view->cells[i].samples.count;
    struct moment *moments = view_alloc(view, samples + 1, sizeof *moments);
    for (size_t i = 0; i < view->n_cells; i++) {
        const struct view_cell *c = &view->cells[i];
        const struct sample *s = c->samples.list;
        for (size_t k = 0; k < c->samples.count && !c->problem && c->pass.n > 1; k++)
            moments[n++] =
                (struct moment){s[k].start_ns, sample_pass_ns(&s[k]) / c->pass.median, c->prefetch};
    }
    if (n < 3)
        return "needs at least three samples of cells that ran more than once";
    qsort(moments, n, sizeof *moments, by_time);
    double farthest = 0;
    size_t half = n / 40; /* of the window, a twentieth of the run */
    half = half < LEAST_WINDOW / 2  ? LEAST_WINDOW / 2
           : half > MOST_WINDOW / 2 ? MOST_WINDOW / 2
                                    : half;
    fprintf(data, "# series start_s ratio running_median\n");
    for (size_t i = 0; i < n; i++) {
        size_t k = 0, first = i < half ? 0 : i - half;
        for (size_t j = first; j < n && j <= i + half; j++)
            near[k++] = moments[j].ratio;
        double running = stats_median(near, k);
        fprintf(data, "\"%s\" %.6g %.6g %.6g\n", moments[i].series,
                (double)(moments[i].start_ns - moments[0].start_ns) / 1e9, moments[i].ratio,
                running);
        farthest = fmax(farthest, fabs(running - 1));
    }
    in->note = view_text(view, "line: running median of %zu", 2 * half + 1);
    in->runs = view_text(view, "%zu samples", n);
    in->reading =
        view_text(view, "The running median strays from 1 by at most %.1f%%.", 100 * farthest);
    return NULL;
}
