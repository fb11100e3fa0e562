/* access_line: see access_line.h. */
#include "result/access_line.h"

#include <stdlib.h>
#include <string.h>

enum { N_OUTCOMES = LB_MISS + 1 };

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
struct fields {
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
static void set_number(struct fields *f, int place, int64_t value)
{
    if (value >= 0 && value <= UNIT_MOST) {
        f->numbers[place] = value;
        f->seen |= 1u << place;
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

static bool add_unit(struct access_line *line, const int64_t n[UNIT_NUMBERS])
{
    if (line->n_units == line->capacity) {
        size_t capacity = line->capacity ? 2 * line->capacity : 64;
        struct access_unit *grown = realloc(line->units, capacity * sizeof *grown);
        if (!grown)
            return false;
        line->units = grown;
        line->capacity = capacity;
    }
    bool good = n[0] >= 0 && n[0] <= UINT32_MAX && n[1] >= 0 && n[1] < N_OUTCOMES;
    for (int i = 2; i < UNIT_NUMBERS; i++)
        good = good && n[i] >= (i == 7 ? -UNIT_MOST : 0) && n[i] <= UNIT_MOST;
    if (!good)
        return false;
    line->units[line->n_units++] = (struct access_unit){.unit = (uint32_t)n[0],
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
static const char *scan_units(const char *p, struct access_line *line)
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
        if (!add_unit(line, n))
            return NULL;
    }
    return *p == ']' ? p + 1 : NULL;
}

/* Reads what layerbench writes: one object of plain texts, whole numbers and units. False for any
 * other JSON, which is left to scan_json(). p ends with '\0'. */
static bool scan_plain(const char *p, struct fields *f, struct access_line *line)
{
    int next = 0;
    *f = (struct fields){.seen = 0};
    line->n_units = 0;
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
                f->texts[key->text].at = text;
                f->texts[key->text].length = (size_t)(p - text);
            }
            p++;
        } else if (*p == '[' && strncmp(name, "units\"", 6) == 0) {
            p = scan_units(p, line);
            if (!p)
                return false;
        } else {
            int64_t value;
            p = scan_number(p, &value);
            if (!p)
                return false;
            if (key && key->number >= 0)
                set_number(f, key->number, value);
        }
        p = blanks(p);
    }
    return *p == '}' && *blanks(p + 1) == '\0';
}

/* Any JSON; the texts lie in `json`. Units are not taken from it: the layer as a whole is known. */
static void scan_json(const json_t *json, struct fields *f, struct access_line *line)
{
    *f = (struct fields){.seen = 0};
    line->n_units = 0;
    for (int k = 0; k < N_KEYS; k++) {
        const json_t *v = json_object_get(json, keys[k].name);
        const char *text = json_string_value(v);
        if (keys[k].text >= 0) {
            f->texts[keys[k].text].at = text;
            f->texts[keys[k].text].length = text ? strlen(text) : 0;
        } else {
            set_number(f, keys[k].number, json_is_integer(v) ? json_integer_value(v) : -1);
        }
    }
}

static bool text_is(const struct fields *f, int key, const char *text)
{
    return strlen(text) == f->texts[key].length &&
           memcmp(text, f->texts[key].at, f->texts[key].length) == 0;
}

/* False for a line that is not an access; e->cell is left to the caller. */
static bool event_of(const struct fields *f, struct access_event *e)
{
    const int64_t *n = f->numbers;
    const unsigned required = (1u << N_REQUIRED) - 1;
    if ((f->seen & required) != required || !f->texts[CELL].at || !f->texts[PHASE].at ||
        !f->texts[OUTCOME].at || n[REP] > INT32_MAX || n[PASS] > INT32_MAX || n[LAYER] > UINT16_MAX)
        return false;
    *e = (struct access_event){
        .rep = (uint32_t)n[REP],
        .pass = (uint32_t)n[PASS],
        .layer = (uint32_t)n[LAYER],
        .prefill = text_is(f, PHASE, "prefill"),
        .whole = {.wait_ns = n[WAIT],
                  .queue_ns = n[QUEUE],
                  .read_ns = n[READ],
                  .compute_ns = n[COMPUTE],
                  .need_ns = n[NEED],
                  .ready_ns = f->seen & (1u << READY) ? n[READY] : n[NEED],
                  .bytes = (uint64_t)n[BYTES]},
        .evicted = (uint32_t)n[EVICTED],
        .held_bytes = f->seen & (1u << HELD) ? n[HELD] : -1,
    };
    for (int i = 0; i < N_OUTCOMES; i++) {
        if (text_is(f, OUTCOME, lb_outcome_name((enum lb_outcome)i))) {
            e->whole.outcome = (enum lb_outcome)i;
            return true;
        }
    }
    return false;
}

bool access_line_read(struct access_line *line, const char *text)
{
    struct fields f;
    json_decref(line->json);
    line->json = NULL;
    if (!scan_plain(text, &f, line)) {
        line->json = json_loads(text, 0, NULL);
        scan_json(line->json, &f, line);
    }
    if (!event_of(&f, &line->event))
        return false;
    line->cell = f.texts[CELL].at;
    line->cell_length = f.texts[CELL].length;
    return true;
}

char *access_line_cell(const struct access_line *line)
{
    return strndup(line->cell, line->cell_length);
}

void access_line_free(struct access_line *line)
{
    json_decref(line->json);
    free(line->units);
    *line = (struct access_line){.json = NULL};
}
