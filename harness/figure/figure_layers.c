/* figure_layers: the figures of single accesses, from layers.jsonl. See figure.h. */
#include "figure/figure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NO_LOG "needs the accesses in layers.jsonl"

static const char *label_of(const struct figure_input *in, size_t chosen)
{
    return in->view->cells[in->chosen[chosen]].label;
}

static bool has_events(const struct figure_input *in)
{
    return in->log && in->log->n_events > 0 && in->n_chosen > 0;
}

/* Half the 95% interval of a mean: Student's t by its expansion in 1/(n-1) (Abramowitz, Stegun
 * 26.7.5), times the standard error. */
static double half_interval(double sum, double squares, double n)
{
    if (n < 2)
        return 0;
    double variance = (squares - sum * sum / n) / (n - 1), v = n - 1;
    return (1.96 + 2.372 / v + 2.823 / (v * v)) * sqrt(fmax(variance, 0) / n);
}

struct span {
    int64_t start, end;
    uint32_t layer;
};

static int by_start(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

/* The decode pass of the cell whose length is the median; *first..*last are its events. */
static bool median_pass(const struct figure_input *in, size_t cell, size_t *first, size_t *last)
{
    const struct access_event *events = in->log->events;
    size_t n = in->log->n_events, count = 0;
    struct span *passes = view_alloc(in->view, n + 1, sizeof *passes);
    for (size_t i = 0; i < n; i++) {
        const struct access_event *e = &events[i];
        if (e->cell != cell || e->prefill)
            continue;
        size_t end = i;
        while (end + 1 < n && events[end + 1].cell == cell && events[end + 1].rep == e->rep &&
               events[end + 1].pass == e->pass)
            end++;
        /* by length; the events' place goes along in `end` and `layer` */
        passes[count++] = (struct span){access_end_ns(in->log, &events[end]) - e->whole.need_ns,
                                        (int64_t)i, (uint32_t)(end - i)};
        i = end;
    }
    if (count == 0)
        return false;
    qsort(passes, count, sizeof *passes, by_start);
    *first = (size_t)passes[count / 2].end;
    *last = *first + passes[count / 2].layer;
    return true;
}

/* Waits of one cell by layer: sums over its passes. */
struct waits {
    double *sum, *squares, *count;
    size_t n_passes;
};

static struct waits waits_of(const struct figure_input *in, size_t cell)
{
    size_t layers = in->view->n_layers;
    double *sum = view_alloc(in->view, 3 * layers, sizeof *sum);
    struct waits w = {sum, sum + layers, sum + 2 * layers, 0};
    for (size_t i = 0; i < in->log->n_events; i++) {
        const struct access_event *e = &in->log->events[i];
        if (e->cell != cell || e->prefill)
            continue;
        double wait = figure_ms((double)e->whole.wait_ns);
        w.sum[e->layer] += wait;
        w.squares[e->layer] += wait * wait;
        w.count[e->layer]++;
    }
    for (size_t l = 0; l < layers; l++)
        w.n_passes = (size_t)w.count[l] > w.n_passes ? (size_t)w.count[l] : w.n_passes;
    return w;
}

/* Whether other layers are waited for in each pass (Belady's replacement wanders through them), so
 * that their means would say little: layers explain less than half of what waits differ by. */
static bool wanders(const struct waits *w, size_t layers)
{
    double n = 0, sum = 0, squares = 0, between = 0;
    for (size_t l = 0; l < layers; l++) {
        n += w->count[l];
        sum += w->sum[l];
        squares += w->squares[l];
        between += w->count[l] > 0 ? w->sum[l] * w->sum[l] / w->count[l] : 0;
    }
    if (w->n_passes < 3 || !(sum > 0))
        return false;
    double rest = sum * sum / n, total = squares - rest;
    /* of n numbers without any order, groups explain (layers - 1) / (n - 1) */
    double chance = ((double)layers - 1) / (n - 1);
    return total > 0.01 * rest && (between - rest) / total < chance + 0.5 * (1 - chance);
}

/* per-layer wait over layer number */
const char *figure_wait_by_layer(struct figure_input *in, FILE *data)
{
    if (!has_events(in))
        return NO_LOG;
    struct result_view *view = in->view;
    size_t layers = view->n_layers, most_passes = 0, n_one = 0, first, last;
    fprintf(data, "# series layer wait_ms low_ms high_ms\n");
    for (size_t c = 0; c < in->n_chosen; c++) {
        struct waits w = waits_of(in, in->chosen[c]);
        double worst = -1;
        size_t worst_layer = 0;
        bool one = wanders(&w, layers) && median_pass(in, in->chosen[c], &first, &last);
        n_one += one;
        for (size_t i = first; one && i <= last; i++) {
            const struct access_event *e = &in->log->events[i];
            double wait = figure_ms((double)e->whole.wait_ns);
            fprintf(data, "\"%s, one pass\" %u %.6g nan nan\n", label_of(in, c), e->layer, wait);
        }
        for (size_t l = 0; l < layers; l++) {
            if (w.count[l] == 0)
                continue;
            double mean = w.sum[l] / w.count[l];
            double half = half_interval(w.sum[l], w.squares[l], w.count[l]);
            if (!one)
                fprintf(data, "\"%s\" %zu %.6g %.6g %.6g\n", label_of(in, c), l, mean,
                        fmax(mean - half, 0), mean + half);
            most_passes = w.n_passes > most_passes ? w.n_passes : most_passes;
            if (mean > worst) {
                worst = mean;
                worst_layer = l;
            }
        }
        in->reading =
            one ? view_text(view, "%s waits for other layers in each pass.", label_of(in, c))
                : view_text(view, "%s waits longest for layer %zu, %.3g ms in the mean.",
                            label_of(in, c), worst_layer, worst);
    }
    in->note = figure_chosen_note(in, in->chosen, in->n_chosen);
    in->runs = n_one < in->n_chosen
                   ? view_text(view, "mean of %zu passes, 95%% intervals", most_passes)
                   : "";
    if (n_one > 0)
        in->legend = "one pass: where waits wander from layer to layer, means hide them";
    return NULL;
}

/* heat map layer x pass of wait */
const char *figure_wait_by_layer_and_pass(struct figure_input *in, FILE *data)
{
    enum { MOST_PASSES = 64 };
    if (!has_events(in))
        return NO_LOG;
    struct result_view *view = in->view;
    size_t layers = view->n_layers, passes = 0, reps = 0;
    for (size_t i = 0; i < in->log->n_events; i++) {
        const struct access_event *e = &in->log->events[i];
        passes = e->pass >= passes ? e->pass + 1 : passes;
        reps = e->rep >= reps ? e->rep + 1 : reps;
    }
    size_t shown = passes < MOST_PASSES ? passes : MOST_PASSES;
    if (shown < 2)
        return "only one pass was logged";
    fprintf(data, "# panel pass layer wait_ms\n");
    for (size_t c = 0; c < in->n_chosen; c++) {
        double *sum = view_alloc(view, 2 * shown * layers, sizeof *sum);
        double *count = sum + shown * layers;
        for (size_t i = 0; i < in->log->n_events; i++) {
            const struct access_event *e = &in->log->events[i];
            if (e->cell != in->chosen[c] || e->pass >= shown)
                continue;
            sum[e->pass * layers + e->layer] += figure_ms((double)e->whole.wait_ns);
            count[e->pass * layers + e->layer]++;
        }
        if (c > 0)
            fputs("\n\n", data);
        for (size_t i = 0; i < shown * layers; i++)
            if (count[i] > 0)
                fprintf(data, "\"%s\" %zu %zu %.6g\n", label_of(in, c), i / layers, i % layers,
                        sum[i] / count[i]);
    }
    in->note = figure_chosen_note(in, in->chosen, in->n_chosen);
    if (shown < passes)
        in->note = view_text(view, "%s%sthe first %zu of %zu passes", in->note,
                             *in->note ? "; " : "", shown, passes);
    in->runs =
        view_text(view, "mean of %zu run%s, pass 0 is the prompt", reps, reps == 1 ? "" : "s");
    in->reading =
        view_text(view, "%zu passes of %zu layers; bright is a long wait.", shown, layers);
    return NULL;
}

/* ---- time line of one pass ---- */

static void write_span(FILE *data, const char *panel, const char *kind, size_t lane,
                       const struct span *s, int64_t from, int64_t to)
{
    int64_t start = s->start < from ? from : s->start, end = s->end > to ? to : s->end;
    if (end > start)
        fprintf(data, "\"%s\" %s %zu %.6g %.6g %u\n", panel, kind, lane,
                figure_ms((double)(start - from)), figure_ms((double)(end - from)), s->layer);
}

/* Reads under way at the same time lie in lanes of their own. Returns the number of lanes. */
static size_t write_reads(struct figure_input *in, FILE *data, const char *panel,
                          const struct access_event *pass, int64_t from, int64_t to)
{
    enum { LANES = 6 };
    int64_t free_at[LANES];
    size_t n = 0, lanes = 0;
    size_t most = in->log->n_events + in->log->n_all_units;
    struct span *reads = view_alloc(in->view, most + 1, sizeof *reads);
    for (size_t i = 0; i < in->log->n_events; i++) {
        const struct access_event *e = &in->log->events[i];
        const struct access_unit *parts;
        if (e->cell != pass->cell || e->rep != pass->rep)
            continue;
        for (size_t k = access_parts(in->log, e, &parts); k-- > 0; parts++)
            if (parts->read_ns > 0 && parts->ready_ns > from &&
                parts->ready_ns - parts->read_ns < to)
                reads[n++] =
                    (struct span){parts->ready_ns - parts->read_ns, parts->ready_ns, e->layer};
    }
    qsort(reads, n, sizeof *reads, by_start);
    for (size_t i = 0; i < n; i++) {
        size_t lane = 0;
        while (lane < lanes && free_at[lane] > reads[i].start)
            lane++;
        if (lane == LANES)
            lane--;
        if (lane == lanes)
            lanes++;
        free_at[lane] = reads[i].end;
        write_span(data, panel, "read", lane + 1, &reads[i], from, to);
    }
    return lanes;
}

/* What the computing thread did in one access: waits, and computing from one wait to the next. */
static void write_thread(const struct figure_input *in, FILE *data, const char *panel,
                         const struct access_event *e, int64_t from, int64_t to)
{
    const struct access_unit *parts;
    size_t n = access_parts(in->log, e, &parts);
    struct span compute = {e->whole.need_ns, e->whole.need_ns, e->layer};
    for (size_t k = 0; k < n; k++) {
        const struct access_unit *u = &parts[k];
        int64_t begin = u->need_ns + u->wait_ns;
        if (u->wait_ns > 0) {
            write_span(data, panel, "compute", 0, &compute, from, to);
            write_span(data, panel, "wait", 0, &(struct span){u->need_ns, begin, e->layer}, from,
                       to);
            compute.start = begin;
        }
        compute.end = begin + u->compute_ns;
    }
    write_span(data, panel, "compute", 0, &compute, from, to);
}

const char *figure_timeline(struct figure_input *in, FILE *data)
{
    if (!has_events(in))
        return NO_LOG;
    struct result_view *view = in->view;
    const struct access_event *events = in->log->events;
    size_t cells[2], n = 0, first, last;
    for (size_t c = in->n_chosen; c-- > 0 && n < 2;) {
        const struct view_cell *cell = &view->cells[in->chosen[c]];
        if (n == 0 || strcmp(cell->prefetch, view->cells[cells[0]].prefetch) != 0 ||
            !*cell->prefetch)
            cells[n++] = in->chosen[c];
    }
    if (n == 1 && in->n_chosen > 1) /* one mode: beside it another replacement */
        cells[n++] = in->chosen[in->n_chosen - 2];
    in->reading = "";
    fprintf(data, "# panel kind lane(0 compute, 1.. reads) start_ms end_ms layer\n");
    for (size_t c = n; c-- > 0;) {
        if (!median_pass(in, cells[c], &first, &last))
            continue;
        const char *panel = view->cells[cells[c]].label;
        int64_t from = events[first].whole.need_ns, to = access_end_ns(in->log, &events[last]),
                waited = 0;
        for (size_t i = first; i <= last; i++) {
            const struct access_event *e = &events[i];
            waited += e->whole.wait_ns;
            write_thread(in, data, panel, e, from, to);
        }
        write_reads(in, data, panel, &events[first], from, to);
        in->reading =
            view_text(view, "%s%s%s waits %.3g of %.3g ms.", in->reading, *in->reading ? " " : "",
                      panel, figure_ms((double)waited), figure_ms((double)(to - from)));
    }
    in->note = figure_chosen_note(in, cells, n);
    in->runs = "one decode pass of median length";
    return *in->reading ? NULL : NO_LOG;
}

/* ---- distribution of waits ---- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Steps of the distribution, thinned where more would not be seen: at most a hundredth of the part
 * that is left between two points. */
static void write_steps(FILE *data, const char *series, const double *waits, size_t n)
{
    double last_more = 1;
    for (size_t i = 0; i < n; i++) {
        double more = (double)(n - 1 - i) / (double)n;
        bool tie = i + 1 < n && waits[i + 1] <= waits[i];
        if (tie || (i > 0 && i + 1 < n && last_more - more < 0.01 * last_more && more > 0))
            continue;
        fprintf(data, "\"%s\" %.6g %.6g %.6g\n", series, fmax(waits[i], 0.001), 1 - more, more);
        last_more = more;
    }
}

const char *figure_latency(struct figure_input *in, FILE *data)
{
    enum { LEAST_FOR_P99 = 662 };
    if (!has_events(in))
        return NO_LOG;
    struct result_view *view = in->view;
    double *waits = view_alloc(view, in->log->n_events, sizeof *waits);
    size_t least = SIZE_MAX;
    fprintf(data, "# series wait_ms(0.001: at most) at_most more\n");
    for (size_t c = 0; c < in->n_chosen; c++) {
        size_t n = 0;
        for (size_t i = 0; i < in->log->n_events; i++) {
            const struct access_event *e = &in->log->events[i];
            if (e->cell == in->chosen[c] && !e->prefill)
                waits[n++] = figure_ms((double)e->whole.wait_ns);
        }
        if (n == 0)
            continue;
        qsort(waits, n, sizeof *waits, ascending);
        write_steps(data, label_of(in, c), waits, n);
        least = n < least ? n : least;
        in->reading = view_text(view, "%s: half of the accesses wait at most %.3g ms",
                                label_of(in, c), waits[(n - 1) / 2]);
        in->reading = n < LEAST_FOR_P99 ? view_text(view, "%s.", in->reading)
                                        : view_text(view, "%s, 99%% at most %.3g ms.", in->reading,
                                                    waits[(size_t)ceil(0.99 * (double)n) - 1]);
    }
    if (least == SIZE_MAX)
        return NO_LOG;
    in->note = figure_chosen_note(in, in->chosen, in->n_chosen);
    in->runs = view_text(view, "at least %zu accesses each%s", least,
                         least < LEAST_FOR_P99 ? " (too few for a 99th percentile)" : "");
    return NULL;
}
