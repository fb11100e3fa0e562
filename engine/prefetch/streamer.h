/*
 * streamer: hands out units to the computation and brings them from storage.
 *
 * It owns the frames, the cache and a driver: `off` (demand loads only), `sync`
 * (blocking read-ahead on the computing thread), `async` (a background thread fed by
 * bounded channels), `resident` (all units loaded at open). The computing
 * thread calls acquire and release in access order; everything else may come from
 * the same thread between accesses.
 */
#ifndef PREFETCH_STREAMER_H
#define PREFETCH_STREAMER_H

#include "base/status.h"
#include "cache/layout.h"
#include "storage/storage.h"

#include <stdbool.h>
#include <stdint.h>

enum streamer_outcome { STREAMER_HIT, STREAMER_PREFETCHED, STREAMER_LATE, STREAMER_MISS };

struct streamer_options {
    const char *prefetch;    /* "off", "sync", "async", "resident" */
    const char *replacement; /* a cache policy */
    const char *scheduler;   /* a planner scheduler */
    bool protect;
    uint32_t prefetch_distance; /* layers ahead */
    uint32_t cache_layers;      /* 0: by cache_bytes */
    uint64_t cache_bytes;
    uint32_t max_loads; /* prefetches (units) in flight at most; 0: as the queue allows. A demand
                         * load is never held back by it */
    uint32_t queue_depth, chunk_bytes;
    uint64_t seed; /* for random replacement */
};

/* What one access of a unit was like. Times in ns on lb_now_ns(). */
struct streamer_access {
    uint32_t unit, layer;
    uint64_t position; /* accesses so far */
    enum streamer_outcome outcome;
    int64_t need_ns;  /* the computation asked */
    int64_t ready_ns; /* its load was complete: before need_ns if in time; hits: need_ns */
    int64_t wait_ns;  /* the computation stood still: ready - need, plus blocking read-ahead */
    int64_t queue_ns; /* the load that brought it: request to first read handed over; 0 for hits */
    int64_t read_ns;  /* first read handed over to last completion; 0 for hits */
    uint64_t bytes;   /* read by that load */
    uint32_t evicted; /* units evicted for that load */
    uint64_t held_bytes; /* memory of units in the cache and in flight, as it was handed out */
};

struct streamer_counters {
    uint64_t accesses, hits, prefetched, late, misses;
    uint64_t evictions, wasted, protected_evictions;
    uint64_t prefetches_started, prefetches_completed, prefetches_cancelled, prefetches_used,
        prefetches_failed;
    int64_t prefetch_ns; /* sum over completed prefetches: request to completion */
    uint64_t reads, bytes_read, read_errors;
    uint32_t units_cached, layers_capacity;
    uint64_t frames_cached, frames_capacity, frame_bytes;
};

struct streamer;

/* Takes neither layout nor storage over: both must outlive the streamer. */
enum lb_status streamer_open(const struct layout *layout, struct storage *storage,
                             const struct streamer_options *options, struct streamer **streamer,
                             struct lb_error *err);
void streamer_close(struct streamer *streamer);

/* The next unit of the sequence (0..n_units-1, again and again): blocks until it is there, pins
 * it; frames[i] is the address of its i-th frame, valid until release. *access describes
 * it. With a mapped storage *frames is NULL: use storage_map(). A failed demand load is an error;
 * the streamer can then only be rewound or closed. */
enum lb_status streamer_acquire(struct streamer *streamer, uint32_t unit,
                                const uint8_t *const **frames, struct streamer_access *access,
                                struct lb_error *err);
void streamer_release(struct streamer *streamer, uint32_t unit);
/* After a pass that broke off: the next access is unit 0 again. */
void streamer_rewind(struct streamer *streamer);

/* At run time, between accesses. When the I/O thread cannot be started again (LB_ERR_NOMEM), the
 * streamer goes on without prefetch. */
enum lb_status streamer_resize(struct streamer *streamer, uint32_t cache_layers,
                               uint64_t cache_bytes, struct lb_error *err);
enum lb_status streamer_preload(struct streamer *streamer, uint32_t n_layers, struct lb_error *err);
void streamer_clear(struct streamer *streamer);
void streamer_set_distance(struct streamer *streamer, uint32_t layers);
/* "off", "sync" or "async" */
enum lb_status streamer_set_prefetch(struct streamer *streamer, const char *prefetch,
                                     struct lb_error *err);
struct streamer_counters streamer_counters(struct streamer *streamer);
uint64_t streamer_memory_bytes(const struct streamer *streamer); /* frames it may use */

#endif
