/* access_log: layers.jsonl, line by line. See access_log.h. */
#include "result/access_log.h"

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
    size_t capacity, units_capacity; /* of log->events, log->units */
    struct access_unit *units;       /* of the line; times from its need_ns on */
    size_t n_units, line_capacity;
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

static void count_value(struct view *view, struct histogram **histogram, int64_t ns)
{
    if (!*histogram)
        *histogram = view_alloc(view, 1, sizeof **histogram);
    histogram_add(*histogram, ns);
}

static bool add_read(struct reader *r, int64_t ready_ns, int64_t read_ns)
{
    if (read_ns <= 0)
        return true;
    if (!grow((void **)&r->reads, &r->reads_capacity, r->n_reads, sizeof *r->reads))
        return false;
    r->reads[r->n_reads++] = (struct interval){ready_ns - read_ns, ready_ns};
    return true;
}

/* Units count where they make up their layer: a log of units that was full has a part of them. */
static void place_units(struct reader *r, const struct access_event *e)
{
    uint64_t wait = 0, compute = 0; /* a damaged line may hold anything: sums that wrap are fine */
    for (size_t i = 0; i < r->n_units; i++) {
        r->units[i].need_ns += e->need_ns;
        r->units[i].ready_ns += e->need_ns;
        wait += (uint64_t)r->units[i].wait_ns;
        compute += (uint64_t)r->units[i].compute_ns;
    }
    if (wait != (uint64_t)e->wait_ns || compute != (uint64_t)e->compute_ns)
        r->n_units = 0;
}

static bool keep_event(struct reader *r, const struct access_event *e)
{
    struct access_log *log = r->log;
    if (!grow((void **)&log->events, &r->capacity, log->n_events, sizeof *log->events))
        return false;
    struct access_event *kept = &log->events[log->n_events++];
    *kept = *e;
    kept->first_unit = log->n_all_units;
    kept->n_units = r->n_units;
    for (size_t i = 0; i < r->n_units; i++) {
        if (!grow((void **)&log->units, &r->units_capacity, log->n_all_units, sizeof *log->units))
            return false;
        log->units[log->n_all_units++] = r->units[i];
    }
    return true;
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
        count_value(r->view, &log->wait, e->wait_ns);
        if (e->read_ns > 0)
            count_value(r->view, &log->read, e->read_ns);
        r->from = e->need_ns < r->from ? e->need_ns : r->from;
        r->to = end > r->to ? end : r->to;
    }
    r->last = *e;
    r->any = true;
    log->accesses++;
    if (e->layer >= r->view->n_layers)
        r->view->n_layers = e->layer + 1;
    place_units(r, e);
    bool ok = r->n_units > 0 || add_read(r, e->ready_ns, e->read_ns);
    for (size_t i = 0; i < r->n_units && ok; i++)
        ok = add_read(r, r->units[i].ready_ns, r->units[i].read_ns);
    return ok && (!kept || keep_event(r, e));
}

/* ---- one line ---- */

enum {
    REP,
    PASS,
    LAYER,
    WAIT,
    COMPUTE,
    NEED,
    N_REQUIRED,
    QUEUE = N_REQUIRED,
    READ,
    READY,
    BYTES,
    EVICTED,
    HELD,
    N_NUMBERS
};
enum { CELL, PHASE, OUTCOME, N_TEXTS };

struct key {
    const char *name;
    size_t length;
    int text, number; /* its place in a line's texts or numbers; -1: not there */
};
#define TEXT_KEY(name, place)                                                                      \
    {                                                                                              \
        name, sizeof(name) - 1, place, -1                                                          \
    }
#define NUMBER_KEY(name, place)                                                                    \
    {                                                                                              \
        name, sizeof(name) - 1, -1, place                                                          \
    }
/* In the order in which layerbench writes them: the next one is found at once. */
static const struct key keys[] = {
    TEXT_KEY("cell", CELL),         NUMBER_KEY("rep", REP),
    NUMBER_KEY("pass", PASS),       TEXT_KEY("phase", PHASE),
    NUMBER_KEY("layer", LAYER),     TEXT_KEY("outcome", OUTCOME),
    NUMBER_KEY("wait_ns", WAIT),    NUMBER_KEY("queue_ns", QUEUE),
    NUMBER_KEY("read_ns", READ),    NUMBER_KEY("compute_ns", COMPUTE),
    NUMBER_KEY("need_ns", NEED),    NUMBER_KEY("ready_ns", READY),
    NUMBER_KEY("bytes", BYTES),     NUMBER_KEY("evicted", EVICTED),
    NUMBER_KEY("held_bytes", HELD),
};
enum { N_KEYS = sizeof keys / sizeof *keys };

/* What a line holds; texts lie in the line. */
struct line {
    struct {
        const char *at;
        size_t length;
    } texts[N_TEXTS];
    int64_t numbers[N_NUMBERS];
    unsigned seen; /* bit k: numbers[k] is there */
};

#define UNIT_MOST INT64_C(1000000000000000000) /* as in set_number() */

/* Numbers from 0 to 10^18 (31 years of nanoseconds) count, so that sums of a few cannot overflow.
 */
static void set_number(struct line *line, int place, double value, int64_t exact)
{
    if (value >= 0 && value <= 1e18) {
        line->numbers[place] = exact;
        line->seen |= 1u << place;
    }
}

/* NULL: none of ours. *next: where to look first. */
static const struct key *find_key(const char *name, size_t length, int *next)
{
    for (int i = 0; i < N_KEYS; i++) {
        const struct key *key = &keys[(*next + i) % N_KEYS];
        if (key->length == length && memcmp(key->name, name, length) == 0) {
            *next = (int)(key - keys) + 1;
            return key;
        }
    }
    return NULL;
}

/* Loops, not strspn and its like, which make a table of their characters at every call. */
static const char *blanks(const char *p)
{
    while (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')
        p++;
    return p;
}

/* To the end of a text without escapes, or to what is none. */
static const char *text_end(const char *p)
{
    while (*p && *p != '"' && *p != '\\')
        p++;
    return p;
}

/* The digits of a whole number of at most 18; NULL for anything else. */
static const char *scan_number(const char *p, int64_t *value)
{
    const char *start = p;
    *value = 0;
    for (; *p >= '0' && *p <= '9' && p - start <= 18; p++)
        *value = 10 * *value + (*p - '0');
    bool plain = p > start && p - start <= 18 && *p != '.' && *p != 'e' && *p != 'E';
    return plain ? p : NULL;
}

/* A unit as its line lists it; earlier results end before the part. */
enum { UNIT_NUMBERS = 10, UNIT_LEAST = 9 };

static bool add_unit(struct reader *r, const int64_t n[UNIT_NUMBERS])
{
    if (!grow((void **)&r->units, &r->line_capacity, r->n_units, sizeof *r->units))
        return false;
    bool good = n[0] >= 0 && n[0] <= UINT32_MAX && n[1] >= 0 && n[1] < VIEW_OUTCOMES;
    for (int i = 2; i < UNIT_NUMBERS; i++)
        good = good && n[i] >= (i == 7 ? -UNIT_MOST : 0) && n[i] <= UNIT_MOST;
    if (!good)
        return false;
    r->units[r->n_units++] = (struct access_unit){.unit = (uint32_t)n[0],
                                                  .outcome = (enum lb_outcome)n[1],
                                                  .need_ns = n[2],
                                                  .wait_ns = n[3],
                                                  .compute_ns = n[4],
                                                  .queue_ns = n[5],
                                                  .read_ns = n[6],
                                                  .ready_ns = n[7],
                                                  .bytes = (uint64_t)n[8],
                                                  .part = (uint32_t)n[9]};
    return true;
}

/* "[[1,2,...],[...]]" without blanks; the end, or NULL where it is something else. */
static const char *scan_units(const char *p, struct reader *r)
{
    for (char before = '['; *p == before; before = ',') {
        int64_t n[UNIT_NUMBERS] = {0};
        int count = 0;
        if (*++p != '[')
            return NULL;
        for (bool more = true; more; more = *p == ',') {
            char *end;
            if (count == UNIT_NUMBERS || !strchr("-0123456789", *++p))
                return NULL;
            n[count++] = strtoll(p, &end, 10);
            p = end;
        }
        if (count < UNIT_LEAST || *p++ != ']')
            return NULL;
        if (!add_unit(r, n))
            return NULL;
    }
    return *p == ']' ? p + 1 : NULL;
}

/* Reads what layerbench writes: one object of plain texts, whole numbers and units. False for any
 * other JSON, which is left to scan_json(). p ends with '\0'. */
static bool scan_plain(const char *p, struct line *line, struct reader *r)
{
    int next = 0;
    *line = (struct line){.seen = 0};
    r->n_units = 0;
    p = blanks(p);
    for (char before = '{'; *p == before; before = ',') {
        p = blanks(p + 1);
        const char *name = p + 1;
        if (*p != '"' || *(p = text_end(name)) != '"')
            return false;
        const struct key *key = find_key(name, (size_t)(p - name), &next);
        p = blanks(p + 1);
        if (*p != ':')
            return false;
        p = blanks(p + 1);
        if (*p == '"') {
            const char *text = p + 1;
            p = text_end(text);
            if (*p != '"')
                return false;
            if (key && key->text >= 0) {
                line->texts[key->text].at = text;
                line->texts[key->text].length = (size_t)(p - text);
            }
            p++;
        } else if (*p == '[' && strncmp(name, "units\"", 6) == 0) {
            p = scan_units(p, r);
            if (!p)
                return false;
        } else {
            int64_t value;
            p = scan_number(p, &value);
            if (!p)
                return false;
            if (key && key->number >= 0)
                set_number(line, key->number, (double)value, value);
        }
        p = blanks(p);
    }
    return *p == '}' && *blanks(p + 1) == '\0';
}

/* Any JSON; the texts lie in `json`. Units are not taken from it: the layer as a whole is known. */
static void scan_json(const json_t *json, struct line *line, struct reader *r)
{
    *line = (struct line){.seen = 0};
    r->n_units = 0;
    for (int k = 0; k < N_KEYS; k++) {
        const json_t *v = json_object_get(json, keys[k].name);
        const char *text = json_string_value(v);
        double value = json_is_number(v) ? json_number_value(v) : -1;
        if (keys[k].text >= 0) {
            line->texts[keys[k].text].at = text;
            line->texts[keys[k].text].length = text ? strlen(text) : 0;
        } else {
            set_number(line, keys[k].number, value,
                       json_is_integer(v) || value > 1e18 ? json_integer_value(v) : (int64_t)value);
        }
    }
}

static bool text_is(const struct line *line, int key, const char *text)
{
    return strlen(text) == line->texts[key].length &&
           memcmp(text, line->texts[key].at, line->texts[key].length) == 0;
}

/* False for a line that is not an access; e->cell is left to the caller. */
static bool event_of(const struct line *line, struct access_event *e)
{
    const int64_t *n = line->numbers;
    const unsigned required = (1u << N_REQUIRED) - 1;
    if ((line->seen & required) != required || !line->texts[CELL].at || !line->texts[PHASE].at ||
        !line->texts[OUTCOME].at || n[REP] > INT32_MAX || n[PASS] > INT32_MAX ||
        n[LAYER] > UINT16_MAX)
        return false;
    *e = (struct access_event){
        .rep = (uint32_t)n[REP],
        .pass = (uint32_t)n[PASS],
        .layer = (uint32_t)n[LAYER],
        .prefill = text_is(line, PHASE, "prefill"),
        .wait_ns = n[WAIT],
        .queue_ns = n[QUEUE],
        .read_ns = n[READ],
        .compute_ns = n[COMPUTE],
        .need_ns = n[NEED],
        .ready_ns = line->seen & (1u << READY) ? n[READY] : n[NEED],
        .bytes = (uint64_t)n[BYTES],
        .evicted = (uint32_t)n[EVICTED],
        .held_bytes = line->seen & (1u << HELD) ? n[HELD] : -1,
    };
    for (int i = 0; i < VIEW_OUTCOMES; i++) {
        if (text_is(line, OUTCOME, lb_outcome_name((enum lb_outcome)i))) {
            e->outcome = (enum lb_outcome)i;
            return true;
        }
    }
    return false;
}

static const struct view_cell *cell_of(struct reader *r, const struct line *line)
{
    if (r->any && text_is(line, CELL, r->view->cells[r->last.cell].name))
        return &r->view->cells[r->last.cell];
    const char *name =
        view_text(r->view, "%.*s", (int)line->texts[CELL].length, line->texts[CELL].at);
    return view_cell(r->view, name, r->view->document == NULL);
}

/* Returns false when memory ran out. */
static bool read_line(struct reader *r, const char *text, bool (*keep)(void *ctx, size_t cell),
                      void *ctx)
{
    struct line line;
    struct access_event e;
    json_t *json = NULL;
    bool ok = true;
    if (!scan_plain(text, &line, r)) {
        json = json_loads(text, 0, NULL);
        scan_json(json, &line, r);
    }
    const struct view_cell *cell = event_of(&line, &e) ? cell_of(r, &line) : NULL;
    if (cell) {
        e.cell = (uint32_t)(cell - r->view->cells);
        ok = add_event(r, &e, keep(ctx, e.cell));
    } else {
        r->log->n_damaged++;
    }
    json_decref(json);
    return ok;
}

/* ---- the file ---- */

enum lb_status access_log_read(struct view *view, bool (*keep)(void *ctx, size_t cell), void *ctx,
                               struct access_log *log, struct lb_error *err)
{
    *log = (struct access_log){.events = NULL};
    struct reader r = {.view = view, .log = log, .from = INT64_MAX, .to = INT64_MIN};
    char *text = NULL;
    size_t capacity = 0;
    enum lb_status status = LB_OK;
    const char *path = view_text(view, "%s/layers.jsonl", view->dir);
    FILE *file = fopen(path, "r");
    if (!file)
        return lb_fail(err, LB_ERR_INPUT, "%s: %s", path, strerror(errno));
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
        view_note(view,
                  "layers.jsonl: %zu of %zu lines are damaged or of an unknown cell; left out",
                  log->n_damaged, log->n_lines);
    free(text);
    free(r.reads);
    free(r.units);
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
                    struct access_unit *whole, const struct access_unit **parts)
{
    *whole = (struct access_unit){.outcome = event->outcome,
                                  .need_ns = event->need_ns,
                                  .wait_ns = event->wait_ns,
                                  .compute_ns = event->compute_ns,
                                  .queue_ns = event->queue_ns,
                                  .read_ns = event->read_ns,
                                  .ready_ns = event->ready_ns,
                                  .bytes = event->bytes};
    *parts = event->n_units ? &log->units[event->first_unit] : whole;
    return event->n_units ? event->n_units : 1;
}
