/* access_log: layers.jsonl, line by line. See access_log.h. */
#include "result/access_log.h"

#include "common/array.h"
#include "common/file_io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads of the run that is being read, for the time in which at least one was under way. */
struct interval {
    int64_t start, end;
};

struct reader {
    struct result_view *view;
    struct access_log *log;
    struct access_line line;
    struct interval *reads;
    size_t n_reads;
    int64_t from, to;         /* the decode passes of this run */
    struct access_event last; /* the line before, to see where a pass or a run begins */
    bool any;
};

static int by_start(const void *a, const void *b)
{
    const struct interval *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

/* A run of a cell has ended: the union of its reads, as far as it lies in the decode passes, is
 * the time that the storage was busy. */
static void end_run(struct reader *r)
{
    if (!r->any)
        return;
    if (r->n_reads > 0)
        qsort(r->reads, r->n_reads, sizeof *r->reads, by_start);
    int64_t until = r->from;
    struct view_log *log = &r->view->cells[r->last.cell].log;
    for (size_t i = 0; i < r->n_reads; i++) {
        int64_t start = r->reads[i].start, end = r->reads[i].end;
        start = start > until ? start : until;
        end = end < r->to ? end : r->to;
        if (end > start) {
            log->busy_ns += (double)(end - start);
            until = end;
        }
    }
    r->n_reads = 0;
    r->from = INT64_MAX;
    r->to = INT64_MIN;
}

static void count_value(struct result_view *view, struct histogram **histogram, int64_t ns)
{
    if (!*histogram)
        *histogram = view_alloc(view, 1, sizeof **histogram);
    histogram_add(*histogram, ns);
}

static bool add_read(struct reader *r, int64_t ready_ns, int64_t read_ns)
{
    if (read_ns <= 0)
        return true;
    struct interval *place = array_add(&r->reads, &r->n_reads, sizeof *place);
    if (place)
        *place = (struct interval){ready_ns - read_ns, ready_ns};
    return place;
}

/* Units count where they make up their layer: a log of units that was full has a part of them. */
static void place_units(struct reader *r, const struct access_event *e)
{
    uint64_t wait = 0, compute = 0; /* a damaged line may hold anything: sums that wrap are fine */
    for (size_t i = 0; i < r->line.n_units; i++) {
        r->line.units[i].need_ns += e->whole.need_ns;
        r->line.units[i].ready_ns += e->whole.need_ns;
        wait += (uint64_t)r->line.units[i].wait_ns;
        compute += (uint64_t)r->line.units[i].compute_ns;
    }
    if (wait != (uint64_t)e->whole.wait_ns || compute != (uint64_t)e->whole.compute_ns)
        r->line.n_units = 0;
}

static bool keep_event(struct reader *r, const struct access_event *e)
{
    struct access_log *log = r->log;
    struct access_event *kept = array_add(&log->events, &log->n_events, sizeof *kept);
    if (!kept)
        return false;
    *kept = *e;
    kept->first_unit = log->n_all_units;
    kept->n_units = r->line.n_units;
    for (size_t i = 0; i < r->line.n_units; i++) {
        struct access_unit *unit = array_add(&log->units, &log->n_all_units, sizeof *unit);
        if (!unit)
            return false;
        *unit = r->line.units[i];
    }
    return true;
}

static bool add_event(struct reader *r, const struct access_event *e, bool kept)
{
    bool same_run = r->any && e->cell == r->last.cell && e->rep == r->last.rep;
    struct view_log *log = &r->view->cells[e->cell].log;
    if (!same_run)
        end_run(r);
    if (!e->prefill) {
        int64_t end = e->whole.need_ns + e->whole.wait_ns + e->whole.compute_ns;
        log->passes += !same_run || e->pass != r->last.pass;
        count_value(r->view, &log->wait, e->whole.wait_ns);
        if (e->whole.read_ns > 0)
            count_value(r->view, &log->read, e->whole.read_ns);
        r->from = e->whole.need_ns < r->from ? e->whole.need_ns : r->from;
        r->to = end > r->to ? end : r->to;
    }
    r->last = *e;
    r->any = true;
    log->accesses++;
    if (e->layer >= r->view->n_layers)
        r->view->n_layers = e->layer + 1;
    place_units(r, e);
    bool ok = r->line.n_units > 0 || add_read(r, e->whole.ready_ns, e->whole.read_ns);
    for (size_t i = 0; i < r->line.n_units && ok; i++)
        ok = add_read(r, r->line.units[i].ready_ns, r->line.units[i].read_ns);
    return ok && (!kept || keep_event(r, e));
}

/* ---- a line ---- */

static const struct view_cell *cell_of(struct reader *r)
{
    const struct access_line *line = &r->line;
    if (r->any) {
        const char *last = r->view->cells[r->last.cell].name;
        if (strlen(last) == line->cell_length && memcmp(last, line->cell, line->cell_length) == 0)
            return &r->view->cells[r->last.cell];
    }
    const char *name = view_text(r->view, "%.*s", (int)line->cell_length, line->cell);
    return view_cell(r->view, name, r->view->document == NULL);
}

/* Returns false when memory ran out. */
static bool read_line(struct reader *r, const char *text, bool (*keep)(void *ctx, size_t cell),
                      void *ctx)
{
    const struct view_cell *cell = access_line_read(&r->line, text) ? cell_of(r) : NULL;
    if (!cell) {
        r->log->n_damaged++;
        if (r->log->first_damaged == 0)
            r->log->first_damaged = r->log->n_lines;
        return true;
    }
    struct access_event e = r->line.event;
    e.cell = (uint32_t)(cell - r->view->cells);
    return add_event(r, &e, keep(ctx, e.cell));
}

/* ---- the file ---- */

/* Lines that a cell's samples had; -1: some do not say. */
static json_int_t lines_of(const json_t *cell)
{
    const json_t *samples = json_object_get(cell, "samples"), *sample;
    json_int_t sum = 0;
    for (size_t i = 0; i < json_array_size(samples); i++) {
        sample = json_array_get(samples, i);
        const json_t *accesses = json_object_get(sample, "accesses");
        const json_t *dropped = json_object_get(sample, "log_dropped");
        if (!json_is_integer(accesses) || !json_is_integer(dropped))
            return -1;
        sum += json_integer_value(accesses) - json_integer_value(dropped);
    }
    return sum;
}

static void note_missing_lines(struct result_view *view)
{
    const json_t *cells = json_object_get(view->document, "cells");
    for (size_t i = 0; i < json_array_size(cells); i++) {
        const json_t *json = json_array_get(cells, i);
        const char *name = json_string_value(json_object_get(json, "name"));
        const struct view_cell *cell = name ? view_cell(view, name, false) : NULL;
        json_int_t expected = lines_of(json);
        if (cell && expected >= 0 && (json_int_t)cell->log.accesses != expected)
            view_note(view,
                      "layers.jsonl: %s: %zu lines, its samples had %lld: what is drawn of single "
                      "accesses is not all",
                      name, (size_t)cell->log.accesses, (long long)expected);
    }
}

enum lb_status access_log_read(struct result_view *view, bool (*keep)(void *ctx, size_t cell),
                               void *ctx, struct access_log *log, struct lb_error *err)
{
    *log = (struct access_log){.events = NULL};
    struct reader r = {.view = view, .log = log, .from = INT64_MAX, .to = INT64_MIN};
    char *text = NULL;
    size_t capacity = 0;
    enum lb_status status = LB_OK;
    const char *path = view_text(view, "%s/layers.jsonl", view->dir);
    FILE *file = file_open(path, err);
    if (!file)
        return LB_ERR_INPUT;
    while (status == LB_OK && getline(&text, &capacity, file) > 0) {
        log->n_lines++;
        if (!read_line(&r, text, keep, ctx))
            status =
                lb_fail(err, LB_ERR_NOMEM, "%s: out of memory at line %zu", path, log->n_lines);
    }
    if (ferror(file))
        status = lb_fail(err, LB_ERR_IO, "%s: %s", path, strerror(errno));
    end_run(&r);
    if (log->n_damaged)
        view_note(
            view,
            "layers.jsonl: %zu of %zu lines are damaged or of an unknown cell, line %zu first; "
            "left out",
            log->n_damaged, log->n_lines, log->first_damaged);
    if (status == LB_OK)
        note_missing_lines(view);
    free(text);
    free(r.reads);
    access_line_free(&r.line);
    fclose(file);
    if (status != LB_OK)
        access_log_close(log);
    return status;
}

void access_log_close(struct access_log *log)
{
    free(log->events);
    free(log->units);
    *log = (struct access_log){.events = NULL};
}

size_t access_parts(const struct access_log *log, const struct access_event *event,
                    const struct access_unit **parts)
{
    *parts = event->n_units ? &log->units[event->first_unit] : &event->whole;
    return event->n_units ? event->n_units : 1;
}

int64_t access_end_ns(const struct access_log *log, const struct access_event *event)
{
    const struct access_unit *parts;
    size_t n = access_parts(log, event, &parts);
    return parts[n - 1].need_ns + parts[n - 1].wait_ns + parts[n - 1].compute_ns;
}
