/*
 * access_log: reads layers.jsonl as a stream.
 *
 * Every line adds to the log figures of its cell (view_cell.log); the events of chosen cells are
 * kept, in the order of the file. Lines that are damaged are counted and noted in the view, not
 * fatal: a killed run may leave half a line at the end.
 */
#ifndef ACCESS_LOG_H
#define ACCESS_LOG_H

#include "result/view.h"

/* A unit's part in the access of a layer of several units; times as in access_event. */
struct access_unit {
    uint32_t unit;
    uint32_t part; /* of its layer: 0, what every pass needs, or 1 + expert */
    enum lb_outcome outcome;
    int64_t need_ns, wait_ns, compute_ns, queue_ns, read_ns, ready_ns;
    uint64_t bytes;
};

struct access_event {
    uint32_t cell; /* index into view.cells */
    uint32_t rep, pass, layer;
    bool prefill;
    enum lb_outcome outcome;
    int64_t wait_ns, queue_ns, read_ns, compute_ns;
    int64_t need_ns;  /* the computation asked */
    int64_t ready_ns; /* the load was complete: before need_ns if in time; hits: need_ns */
    uint64_t bytes;
    uint32_t evicted;
    int64_t held_bytes; /* memory of the cache's units and of those in flight; -1: unknown */
    size_t first_unit, n_units; /* in access_log.units; n_units 0: the layer as a whole is known */
};

struct access_log {
    struct access_event *events; /* of the chosen cells, rep by rep, pass by pass */
    size_t n_events;
    struct access_unit *units; /* of these events */
    size_t n_all_units;
    size_t n_lines, n_damaged;
};

/* keep(ctx, cell): whether the events of view->cells[cell] are kept; asked once per line.
 * Cells that only the log knows are added to the view. Fails when the file cannot be read. */
enum lb_status access_log_read(struct view *view, bool (*keep)(void *ctx, size_t cell), void *ctx,
                               struct access_log *log, struct lb_error *err);
void access_log_close(struct access_log *log);

/* What an event is made of: its units, or itself as one unit in *whole. Returns how many. */
size_t access_parts(const struct access_log *log, const struct access_event *event,
                    struct access_unit *whole, const struct access_unit **parts);

#endif
