/* trace_events: one run of a cell as trace events for Perfetto and chrome://tracing. */
#ifndef TRACE_EVENTS_H
#define TRACE_EVENTS_H

#include "base/status.h"

#include <stdio.h>

struct trace_options {
    const char *cell; /* name or label, or words that only one has; NULL: the only cell */
    long rep;         /* repetition; -1: the first in the log */
};

/*
 * Writes JSON: {"traceEvents": [...], "displayTimeUnit": "ms", "otherData": {...}}, times in
 * microseconds from the first event, nanoseconds as fractions.
 *
 *   thread 1, compute    X pass > X layer > X wait, X compute: one of each for every unit
 *   thread 2, requests   X request, at the moment a load was asked for
 *   async, id a load     b/e load > b/e read: reads overlap freely
 *   flow, id a load      s on the request, f on the layer that uses what it brought
 *   counters             loads in flight, read bandwidth in MB/s, memory of the cache in MB
 *
 * A load is that of a unit, or of a layer where that is one unit. Loads that were never used are
 * not in the log. Where the log of units was full (harness/sample/measure.c), what remains shows
 * the loads of a layer as one bar.
 */
enum lb_status trace_write(const char *path, const struct trace_options *options, FILE *out,
                           struct lb_error *err);

/* The operations of the cell's profile as folded stacks ("pass;layer 3;ffn_down 1234", ns), for
 * flame graphs. Fails where the result has no profile. */
enum lb_status trace_write_folded(const char *path, const struct trace_options *options, FILE *out,
                                  struct lb_error *err);

#endif
