/*
 * loader: turns loads of units into reads of the storage queue, many at a time.
 *
 * A load is its unit's extents, cut into reads of chunk_bytes. Whenever the queue
 * takes a read, the load that is needed most gets it: demand loads first, then in
 * order of need; so a demand load overtakes prefetches chunk by chunk. One thread
 * owns a loader, and with it the storage's queue.
 */
#ifndef PREFETCH_LOADER_H
#define PREFETCH_LOADER_H

#include "base/status.h"
#include "cache/layout.h"
#include "storage/storage.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

struct loader_request {
    uint32_t unit;
    bool demand;
    uint64_t for_access;    /* order of need */
    uint8_t *const *frames; /* the unit's frames; NULL when the storage is mapped */
    int64_t request_ns;
};

/* In place of an errno: the file ended before the read did. */
#define LOADER_SHORT ENODATA

/* How a load ended. */
struct loader_result {
    uint32_t unit;
    int error;             /* 0; the errno of the first read that failed; LOADER_SHORT; ECANCELED */
    uint64_t error_offset; /* of that read */
    uint32_t error_bytes;
    uint32_t reads, read_errors; /* completed, failed */
    uint64_t bytes;              /* of completed reads */
    int64_t request_ns;
    int64_t first_ns; /* first read handed over; 0: none was */
    int64_t done_ns;  /* last completion */
};

struct loader_options {
    uint32_t max_loads;   /* at a time */
    uint32_t queue_depth; /* reads in flight */
    uint32_t chunk_bytes; /* at least STORAGE_ALIGN */
};

struct loader;

/* Takes neither layout nor storage over. */
enum lb_status loader_open(const struct layout *layout, struct storage *storage,
                           const struct loader_options *options, struct loader **loader,
                           struct lb_error *err);
/* Only when idle. */
void loader_close(struct loader *loader);

/* There must be room: at most max_loads between add and take. */
void loader_add(struct loader *loader, const struct loader_request *request);
/* Makes a load in flight a demand load; without effect when there is none of the unit. */
void loader_urge(struct loader *loader, uint32_t unit);
/* Ends the unit's load with ECANCELED if none of its reads was handed over yet. */
void loader_cancel(struct loader *loader, uint32_t unit);
/* Ends all loads with ECANCELED as soon as their reads in flight have completed. */
void loader_abort(struct loader *loader);

/* Hands over reads as long as there are any and the queue takes them. */
void loader_submit(struct loader *loader);
/* Takes completions in; sleeps up to timeout_ns (< 0: no limit) until one matters to a load, or a
 * wake. */
void loader_reap(struct loader *loader, int64_t timeout_ns);
/* Whether loader_take() would find one. */
bool loader_has_ended(const struct loader *loader);
/* The next load that ended; false: none. */
bool loader_take(struct loader *loader, struct loader_result *result);

bool loader_idle(const struct loader *loader);
/* Every read is handed over and few are left in flight: time to add the next load, so that the
 * storage never idles and yet no more units than needed are in flight. */
bool loader_has_room(const struct loader *loader);

#endif
