/* access_log: layers.jsonl, line by line. See access_log.h. */
#include "access_log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads of the run that is being read, for the time in which at least one was under way. */
struct interval {
    int64_t start, end;
};

struct reader {
    struct view *view;
    struct access_log *log;
    size_t capacity; /* of log->events */
    struct interval *reads;
    size_t n_reads, reads_capacity;
    int64_t from, to;         /* the passes of this run that count */
    struct access_event last; /* the line before, to see where a pass or a run begins */
    bool any;
};

static bool grow(void **array, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity)
        return true;
    size_t larger = *capacity ? 2 * *capacity : 256;
    void *block = realloc(*array, larger * size);
    if (!block)
        return false;
    *array = block;
    *capacity = larger;
    return true;
}

static int by_start(const void *a, const void *b)
{
    const struct interval *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

/* A run of a cell has ended: the union of its reads, as far as it lies in the passes that count,
 * is the time that the storage was busy. */
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

static bool add_event(struct reader *r, const struct access_event *e, bool kept)
{
    bool same_run = r->any && e->cell == r->last.cell && e->rep == r->last.rep;
    bool counts = e->prefill != (strcmp(r->view->pass_kind, "decode pass") == 0);
    struct view_log *log = &r->view->cells[e->cell].log;
    if (!same_run)
        end_run(r);
    if (counts) {
        int64_t end = e->need_ns + e->wait_ns + e->compute_ns;
        log->passes += !same_run || e->pass != r->last.pass;
        r->from = e->need_ns < r->from ? e->need_ns : r->from;
        r->to = end > r->to ? end : r->to;
    }
    r->last = *e;
    r->any = true;
    log->accesses++;
    if (e->layer >= r->view->n_layers)
        r->view->n_layers = e->layer + 1;
    if (e->read_ns > 0) {
        if (!grow((void **)&r->reads, &r->reads_capacity, r->n_reads, sizeof *r->reads))
            return false;
        r->reads[r->n_reads++] = (struct interval){e->ready_ns - e->read_ns, e->ready_ns};
    }
    if (!kept)
        return true;
    if (!grow((void **)&r->log->events, &r->capacity, r->log->n_events, sizeof *r->log->events))
        return false;
    r->log->events[r->log->n_events++] = *e;
    return true;
}

/* Numbers from 0 to 10^18 (31 years of nanoseconds), so that sums of a few cannot overflow. */
static bool number(const json_t *object, const char *key, int64_t *value)
{
    const json_t *n = json_object_get(object, key);
    double real = json_number_value(n);
    bool good = json_is_number(n) && real >= 0 && real <= 1e18;
    *value = !good ? 0 : json_is_integer(n) ? (int64_t)json_integer_value(n) : (int64_t)real;
    return good;
}

/* False for a line that is not an access; *e->cell is left to the caller. */
static bool parse_event(const json_t *line, struct access_event *e)
{
    const char *phase = json_string_value(json_object_get(line, "phase"));
    const char *outcome = json_string_value(json_object_get(line, "outcome"));
    int64_t rep, pass, layer, bytes, evicted;
    if (!phase || !outcome || !number(line, "rep", &rep) || !number(line, "pass", &pass) ||
        !number(line, "layer", &layer) || layer > UINT16_MAX || rep > INT32_MAX ||
        pass > INT32_MAX || !number(line, "wait_ns", &e->wait_ns) ||
        !number(line, "compute_ns", &e->compute_ns) || !number(line, "need_ns", &e->need_ns))
        return false;
    number(line, "queue_ns", &e->queue_ns);
    number(line, "read_ns", &e->read_ns);
    number(line, "bytes", &bytes);
    number(line, "evicted", &evicted);
    if (!number(line, "ready_ns", &e->ready_ns))
        e->ready_ns = e->need_ns;
    e->rep = (uint32_t)rep;
    e->pass = (uint32_t)pass;
    e->layer = (uint32_t)layer;
    e->bytes = (uint64_t)bytes;
    e->evicted = (uint32_t)evicted;
    e->prefill = strcmp(phase, "prefill") == 0;
    for (int i = 0; i < VIEW_OUTCOMES; i++) {
        if (strcmp(outcome, lb_outcome_name((enum lb_outcome)i)) == 0) {
            e->outcome = (enum lb_outcome)i;
            return true;
        }
    }
    return false;
}

/* Returns false when memory ran out. */
static bool read_line(struct reader *r, const char *text, size_t length,
                      bool (*keep)(void *ctx, size_t cell), void *ctx)
{
    json_t *line = json_loadb(text, length, 0, NULL);
    const char *name = json_string_value(json_object_get(line, "cell"));
    struct access_event e;
    bool ok = true;
    if (name && parse_event(line, &e)) {
        const struct view_cell *cell = r->any ? &r->view->cells[r->last.cell] : NULL;
        if (!cell || strcmp(cell->name, name) != 0)
            cell = view_cell(r->view, name, r->view->document == NULL);
        if (cell) {
            e.cell = (uint32_t)(cell - r->view->cells);
            ok = add_event(r, &e, keep(ctx, e.cell));
        } else {
            r->log->n_damaged++;
        }
    } else {
        r->log->n_damaged++;
    }
    json_decref(line);
    return ok;
}

enum lb_status access_log_read(struct view *view, bool (*keep)(void *ctx, size_t cell), void *ctx,
                               struct access_log *log, struct lb_error *err)
{
    *log = (struct access_log){.events = NULL};
    struct reader r = {.view = view, .log = log, .from = INT64_MAX, .to = INT64_MIN};
    char *text = NULL;
    size_t capacity = 0;
    ssize_t length;
    enum lb_status status = LB_OK;
    const char *path = view_text(view, "%s/layers.jsonl", view->dir);
    FILE *file = fopen(path, "r");
    if (!file)
        return lb_fail(err, LB_ERR_INPUT, "%s: %s", path, strerror(errno));
    while (status == LB_OK && (length = getline(&text, &capacity, file)) > 0) {
        log->n_lines++;
        if (!read_line(&r, text, (size_t)length, keep, ctx))
            status =
                lb_fail(err, LB_ERR_NOMEM, "%s: out of memory at line %zu", path, log->n_lines);
    }
    if (ferror(file))
        status = lb_fail(err, LB_ERR_IO, "%s: %s", path, strerror(errno));
    end_run(&r);
    if (log->n_damaged)
        view_note(view,
                  "layers.jsonl: %zu of %zu lines are damaged or of an unknown cell; left out",
                  log->n_damaged, log->n_lines);
    free(text);
    free(r.reads);
    fclose(file);
    if (status != LB_OK)
        access_log_close(log);
    return status;
}

void access_log_close(struct access_log *log)
{
    free(log->events);
    *log = (struct access_log){.events = NULL};
}
