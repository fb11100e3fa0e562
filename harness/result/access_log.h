/*
 * access_log: reads layers.jsonl as a stream.
 *
 * Every line adds to the log figures of its cell (view_cell.log); the events of chosen cells are
 * kept, in the order of the file. Lines that are damaged are counted and noted in the view, not
 * fatal: a killed run may leave half a line at the end.
 */
#ifndef ACCESS_LOG_H
#define ACCESS_LOG_H

#include "result/access_line.h"
#include "result/result_view.h"

struct access_log {
    struct access_event *events; /* of the chosen cells, rep by rep, pass by pass */
    size_t n_events;
    struct access_unit *units; /* of these events */
    size_t n_all_units;
    size_t n_lines, n_damaged;
    size_t first_damaged; /* number of that line; 0: none */
};

/* keep(ctx, cell): whether the events of view->cells[cell] are kept; asked once per line.
 * Cells that only the log knows are added to the view. Fails when the file cannot be read. */
enum lb_status access_log_read(struct result_view *view, bool (*keep)(void *ctx, size_t cell),
                               void *ctx, struct access_log *log, struct lb_error *err);
void access_log_close(struct access_log *log);

/* What an event is made of: its units, or itself as one. Returns how many. */
size_t access_parts(const struct access_log *log, const struct access_event *event,
                    const struct access_unit **parts);
/* When the computation was done with the last of them. */
int64_t access_end_ns(const struct access_log *log, const struct access_event *event);

#endif
