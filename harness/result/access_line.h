/*
 * access_line: one line of layers.jsonl, read. The only reader of that format; layer_lines.h writes
 * it.
 */
#ifndef ACCESS_LINE_H
#define ACCESS_LINE_H

#include "engine.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The access of a layer, or a unit's part in it where the layer has several. */
struct access_unit {
    uint32_t unit;
    uint32_t part; /* of its layer: 0, what every pass needs, or 1 + expert */
    enum lb_outcome outcome;
    int64_t wait_ns, queue_ns, read_ns, compute_ns;
    int64_t need_ns;  /* the computation asked */
    int64_t ready_ns; /* the load was complete: before need_ns if in time; hits: need_ns */
    uint64_t bytes;
};

struct access_event {
    uint32_t cell; /* index into view.cells */
    uint32_t rep, pass, layer;
    bool prefill;
    struct access_unit whole; /* the layer as one unit */
    uint32_t evicted;
    int64_t held_bytes; /* memory of the cache's units and of those in flight; -1: unknown */
    size_t first_unit, n_units; /* in access_log.units; n_units 0: the layer as a whole is known */
};

/* To be zeroed before its first use, and freed after its last. */
struct access_line {
    struct access_event event; /* cell is left to the reader */
    const char *cell;          /* not ended by a zero; in the text or in json, till the next line */
    size_t cell_length;
    struct access_unit *units; /* where the line lists them; their times count from the event's
                                  need_ns */
    size_t n_units, capacity;
    json_t *json; /* of a line as another program would write it */
};

/* Reads a line, which ends with a zero. False where it is not an access: damaged, or a key missing.
 * Any JSON of the same content will do; what layerbench writes is read without a parser's tree.
 * Units that do not fit into memory are left out, as where the run had no room for them. */
bool access_line_read(struct access_line *line, const char *text);
/* A copy of the cell's name, malloc. */
char *access_line_cell(const struct access_line *line);
void access_line_free(struct access_line *line);

#endif
