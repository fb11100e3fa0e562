/* trace_events: what a run logged, on a time line. See trace_events.h for the tracks. */
#include "report/trace_events.h"

#include "common/file_io.h"
#include "result/access_log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { COMPUTE = 1, REQUESTS = 2 }; /* threads */

/* Viewers calculate in microseconds, and cut or round: an end and a start at the same nanosecond
 * may come out in either order, and slices that follow each other or lie in each other would
 * overlap. So a slice ends some nanoseconds early, by its depth; waits and computing have their
 * exact length in args.ns. */
enum { PASS_EARLY = 0, LAYER_EARLY = 3, USE_EARLY = 6 };
enum { REQUEST_NS = 1000 }; /* length of a request, unless the next one comes sooner */

/* One change of a counter: loads in flight and bandwidth change by, the cache is at, `value`. */
enum counter { IN_FLIGHT, BANDWIDTH, CACHE, N_COUNTERS };
struct change {
    int64_t at_ns;
    enum counter counter;
    double value;
};

/* A load, for its turn in the order of requests. */
struct load {
    const struct access_event *event;
    const struct access_unit *unit;
    int64_t requested_ns, layer_end_ns;
};

struct writer {
    FILE *out;
    struct result_view *view;
    const struct access_log *log;
    int64_t origin_ns;
    size_t n; /* events so far */
    struct load *loads;
    size_t n_loads;
    struct change *changes;
    size_t n_changes;
};

/* ---- one event ---- */

static void begin_event(struct writer *w, const char *phase, int thread, int64_t at_ns)
{
    int64_t t = at_ns - w->origin_ns;
    fprintf(w->out, "%s\n{\"ph\":\"%s\",\"pid\":1,\"tid\":%d,\"ts\":%" PRId64 ".%03d",
            w->n ? "," : "", phase, thread, t / 1000, (int)(t % 1000));
    w->n++;
}

static void slice(struct writer *w, int thread, int64_t start_ns, int64_t length_ns, int early)
{
    length_ns = length_ns > early ? length_ns - early : 0;
    begin_event(w, "X", thread, start_ns);
    fprintf(w->out, ",\"dur\":%" PRId64 ".%03d", length_ns / 1000, (int)(length_ns % 1000));
}

static void async_pair(struct writer *w, const char *what, const char *name,
                       const struct access_unit *u, size_t id, int64_t start_ns)
{
    const char *const phases[] = {"b", "e"};
    for (int i = 0; i < 2; i++) {
        begin_event(w, phases[i], REQUESTS, i ? u->ready_ns : start_ns);
        fprintf(w->out, ",\"cat\":\"load\",\"id\":\"%zu\",\"name\":\"%s %s\"", id, what, name);
        if (i == 0)
            fprintf(w->out, ",\"args\":{\"bytes\":%" PRIu64 "}", u->bytes);
        fputc('}', w->out);
    }
}

static void flow(struct writer *w, const char *phase, int thread, size_t id, int64_t at_ns)
{
    begin_event(w, phase, thread, at_ns);
    fprintf(w->out, ",\"cat\":\"prefetch\",\"name\":\"prefetch to use\",\"id\":\"%zu\"%s}", id,
            *phase == 'f' ? ",\"bp\":\"e\"" : "");
}

static void name_thread(struct writer *w, int thread, const char *name)
{
    begin_event(w, "M", thread, w->origin_ns);
    fprintf(w->out, ",\"name\":\"thread_name\",\"args\":{\"name\":\"%s\"}}", name);
    begin_event(w, "M", thread, w->origin_ns);
    fprintf(w->out, ",\"name\":\"thread_sort_index\",\"args\":{\"sort_index\":%d}}", thread);
}

static void add_change(struct writer *w, int64_t at_ns, enum counter counter, double value)
{
    w->changes[w->n_changes++] = (struct change){at_ns, counter, value};
}

/* ---- accesses ---- */

static int64_t requested_ns(const struct access_unit *u)
{
    return u->ready_ns - u->read_ns - u->queue_ns;
}

static void use_args(struct writer *w, const char *outcome, int64_t ns)
{
    fprintf(w->out, ",\"args\":{\"outcome\":\"%s\",\"ns\":%" PRId64 "}}", outcome, ns);
}

/* Waiting for a unit and computing with it. */
static void write_use(struct writer *w, const struct access_unit *u)
{
    const char *outcome = lb_outcome_name(u->outcome);
    if (u->wait_ns > 0) {
        slice(w, COMPUTE, u->need_ns, u->wait_ns, USE_EARLY);
        fprintf(w->out, ",\"cname\":\"terrible\",\"name\":\"wait\"");
        use_args(w, outcome, u->wait_ns);
    }
    slice(w, COMPUTE, u->need_ns + u->wait_ns, u->compute_ns, USE_EARLY);
    fprintf(w->out, ",\"name\":\"compute\"");
    use_args(w, outcome, u->compute_ns);
}

/* A load: its request, its reads, the arrow to its use inside the layer's slice, and what it does
 * to the counters. The next request is at next_ns. */
static void write_load(struct writer *w, const struct load *load, size_t id, int64_t next_ns)
{
    char name[64];
    const struct access_unit *u = load->unit;
    int64_t requested = load->requested_ns, read_start = u->ready_ns - u->read_ns;
    int64_t last_ns = load->layer_end_ns - LAYER_EARLY - 1;
    int64_t gap = next_ns < requested + REQUEST_NS ? next_ns - requested : REQUEST_NS;
    double bandwidth = (double)u->bytes * 1e9 / (double)u->read_ns;
    snprintf(name, sizeof name, load->event->n_units ? "layer %u unit %u" : "layer %u",
             load->event->layer, u->unit);
    slice(w, REQUESTS, requested, gap, USE_EARLY);
    fprintf(w->out, ",\"name\":\"request %s\",\"args\":{\"queue_ns\":%" PRId64 "}}", name,
            u->queue_ns);
    async_pair(w, "load", name, u, id, requested);
    async_pair(w, "read", name, u, id, read_start);
    if (u->outcome != LB_MISS) {
        /* of a layer known as a whole, a unit may be asked for after the layer's first was needed
         */
        int64_t used_ns = u->need_ns > requested ? u->need_ns : requested;
        flow(w, "s", REQUESTS, id, requested);
        flow(w, "f", COMPUTE, id, used_ns < last_ns ? used_ns : last_ns);
    }
    add_change(w, requested, IN_FLIGHT, 1);
    add_change(w, read_start, BANDWIDTH, bandwidth);
    add_change(w, u->ready_ns, IN_FLIGHT, -1);
    add_change(w, u->ready_ns, BANDWIDTH, -bandwidth);
}

static int by_request(const void *a, const void *b)
{
    const struct load *x = a, *y = b;
    return (x->requested_ns > y->requested_ns) - (x->requested_ns < y->requested_ns);
}

static void write_loads(struct writer *w)
{
    if (w->n_loads > 0)
        qsort(w->loads, w->n_loads, sizeof *w->loads, by_request);
    for (size_t i = 0; i < w->n_loads; i++)
        write_load(w, &w->loads[i], i + 1,
                   i + 1 < w->n_loads ? w->loads[i + 1].requested_ns : INT64_MAX);
}

static void write_access(struct writer *w, const struct access_event *e)
{
    const struct access_unit *parts;
    size_t n = access_parts(w->log, e, &parts);
    int64_t end = access_end_ns(w->log, e);
    slice(w, COMPUTE, e->whole.need_ns, end - e->whole.need_ns, LAYER_EARLY);
    fprintf(w->out,
            ",\"name\":\"layer %u\",\"args\":{\"outcome\":\"%s\",\"pass\":%u,\"bytes\":%" PRIu64
            ",\"evicted\":%u}}",
            e->layer, lb_outcome_name(e->whole.outcome), e->pass, e->whole.bytes, e->evicted);
    for (size_t i = 0; i < n; i++)
        write_use(w, &parts[i]);
    for (size_t i = 0; i < n; i++)
        if (parts[i].read_ns > 0)
            w->loads[w->n_loads++] = (struct load){e, &parts[i], requested_ns(&parts[i]), end};
    if (e->held_bytes >= 0)
        add_change(w, parts[n - 1].need_ns + parts[n - 1].wait_ns, CACHE, (double)e->held_bytes);
}

static int by_time(const void *a, const void *b)
{
    const struct change *x = a, *y = b;
    if (x->at_ns != y->at_ns)
        return x->at_ns < y->at_ns ? -1 : 1;
    if (x->counter != y->counter)
        return (int)x->counter - (int)y->counter;
    return (x->value < y->value) - (x->value > y->value); /* begin before end: never below 0 */
}

static void write_counters(struct writer *w)
{
    static const char *const names[] = {"loads in flight", "read MB/s", "cache MB"};
    static const double units[] = {1, 1e6, 1e6};
    double now[N_COUNTERS] = {0};
    qsort(w->changes, w->n_changes, sizeof *w->changes, by_time);
    for (size_t i = 0; i < w->n_changes; i++) {
        const struct change *c = &w->changes[i], *next = c + 1;
        now[c->counter] = c->counter == CACHE ? c->value : now[c->counter] + c->value;
        if (i + 1 < w->n_changes && next->at_ns == c->at_ns && next->counter == c->counter)
            continue;
        double value = now[c->counter] > 0.5 ? now[c->counter] : 0; /* what rounding leaves */
        begin_event(w, "C", REQUESTS, c->at_ns);
        fprintf(w->out, ",\"name\":\"%s\",\"args\":{\"value\":%.10g}}", names[c->counter],
                value / units[c->counter]);
    }
}

static void write_passes(struct writer *w, const struct access_event *events, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t last = i;
        while (last + 1 < n && events[last + 1].pass == events[i].pass)
            last++;
        slice(w, COMPUTE, events[i].whole.need_ns,
              access_end_ns(w->log, &events[last]) - events[i].whole.need_ns, PASS_EARLY);
        fprintf(w->out, ",\"name\":\"%s pass %u\"}", events[i].prefill ? "prefill" : "decode",
                events[i].pass);
        for (; i < last; i++)
            write_access(w, &events[i]);
        write_access(w, &events[last]);
    }
}

static void write_text(FILE *out, const char *text)
{
    json_t *string = json_string(text);
    char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    fputs(quoted ? quoted : "\"\"", out);
    free(quoted);
    json_decref(string);
}

static void write_events(struct writer *w, const struct view_cell *cell,
                         const struct access_event *events, size_t n)
{
    fputs("{\"displayTimeUnit\":\"ms\",\"otherData\":{\"scenario\":", w->out);
    write_text(w->out, w->view->scenario);
    fputs(",\"cell\":", w->out);
    write_text(w->out, cell->name);
    fprintf(w->out, ",\"rep\":%u},\"traceEvents\":[", events[0].rep);
    begin_event(w, "M", COMPUTE, w->origin_ns);
    fputs(",\"name\":\"process_name\",\"args\":{\"name\":", w->out);
    write_text(w->out, cell->label);
    fputs("}}", w->out);
    name_thread(w, COMPUTE, "compute");
    name_thread(w, REQUESTS, "requests");
    write_passes(w, events, n);
    write_loads(w);
    write_counters(w);
    fputs("\n]}\n", w->out);
}

/* ---- which cell ---- */

static bool is_cell(void *ctx, size_t cell)
{
    return cell == *(size_t *)ctx;
}

static bool any_cell(void *ctx, size_t cell)
{
    (void)ctx;
    (void)cell;
    return true;
}

/* The events of one run of the cell: *first and the number. A run ends where its number changes. */
static size_t find_run(const struct access_log *log, size_t cell, long rep, size_t *first)
{
    size_t n = 0;
    for (size_t i = 0; i < log->n_events; i++) {
        const struct access_event *e = &log->events[i];
        if (e->cell != cell)
            continue;
        if (rep < 0)
            rep = (long)e->rep;
        if ((long)e->rep != rep)
            continue;
        if (n == 0)
            *first = i;
        n++;
    }
    return n;
}

static enum lb_status write_run(struct result_view *view, size_t cell, const struct access_log *log,
                                size_t first, size_t n, FILE *out, struct lb_error *err)
{
    const struct access_event *events = &log->events[first];
    struct writer w = {.out = out, .view = view, .log = log, .origin_ns = events[0].whole.need_ns};
    size_t n_parts = 0;
    for (size_t i = 0; i < n; i++) {
        const struct access_unit *parts;
        size_t count = access_parts(log, &events[i], &parts);
        n_parts += count;
        for (size_t k = 0; k < count; k++)
            if (parts[k].read_ns > 0 && requested_ns(&parts[k]) < w.origin_ns)
                w.origin_ns = requested_ns(&parts[k]);
    }
    w.changes = view_alloc(view, 4 * n_parts + n, sizeof *w.changes);
    w.loads = view_alloc(view, n_parts, sizeof *w.loads);
    write_events(&w, &view->cells[cell], events, n);
    if (fflush(out) != 0 || ferror(out))
        return lb_fail(err, LB_ERR_IO, "cannot write the trace");
    return LB_OK;
}

enum lb_status trace_write(const char *path, const struct trace_options *options, FILE *out,
                           struct lb_error *err)
{
    struct result_view view;
    struct access_log log = {.events = NULL};
    size_t cell = 0, first = 0, n;
    enum lb_status status = view_open(path, &view, err);
    if (status != LB_OK)
        return status;
    if (view.document) /* else only the log knows the cells */
        status = view_find_cell(&view, options->cell, &cell, err);
    if (status == LB_OK)
        status = access_log_read(&view, view.document ? is_cell : any_cell, &cell, &log, err);
    if (status == LB_OK && !view.document)
        status = view_find_cell(&view, options->cell, &cell, err);
    if (status == LB_OK) {
        n = find_run(&log, cell, options->rep, &first);
        status = n ? write_run(&view, cell, &log, first, n, out, err)
                   : lb_fail(err, LB_ERR_INPUT, "layers.jsonl holds no access of cell '%s'%s",
                             view.cells[cell].name, options->rep < 0 ? "" : " in that repetition");
    }
    access_log_close(&log);
    view_close(&view);
    return status;
}

/* ---- folded stacks ---- */

enum lb_status trace_write_folded(const char *path, const struct trace_options *options, FILE *out,
                                  struct lb_error *err)
{
    struct result_view view;
    size_t cell, i;
    enum lb_status status = view_open(path, &view, err);
    if (status != LB_OK)
        return status;
    status = view_find_cell(&view, options->cell, &cell, err);
    if (status == LB_OK) {
        const json_t *cells = json_object_get(view.document, "cells"), *json, *profile = NULL, *op;
        json_array_foreach(cells, i, json)
        {
            const char *name = json_string_value(json_object_get(json, "name"));
            if (name && strcmp(name, view.cells[cell].name) == 0)
                profile = json_object_get(json, "profile");
        }
        if (json_array_size(profile) == 0)
            status = lb_fail(err, LB_ERR_INPUT,
                             "cell '%s' has no profile of operations (run with --profile ops)",
                             view.cells[cell].name);
        json_array_foreach(profile, i, op)
        {
            const char *name = json_string_value(json_object_get(op, "op"));
            json_int_t layer = json_integer_value(json_object_get(op, "layer"));
            json_int_t ns = json_integer_value(json_object_get(op, "ns"));
            if (name && layer >= 0)
                fprintf(out, "pass;layer %lld;%s %lld\n", (long long)layer, name, (long long)ns);
            else if (name)
                fprintf(out, "pass;%s %lld\n", name, (long long)ns);
        }
    }
    view_close(&view);
    return status;
}
