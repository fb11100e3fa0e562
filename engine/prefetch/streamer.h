/*
 * streamer: hands out units to the computation and brings them from storage.
 *
 * It owns the frames, the cache and a driver: `off` (demand loads only), `sync`
 * (blocking read-ahead on the computing thread), `async` (a background thread fed by
 * bounded channels), `resident` (all units loaded at open). The computing
 * thread calls need, acquire and release; everything else may come from the same thread
 * between accesses.
 *
 * Units of part 0 (layout.h) are needed in every pass, and acquired in their order: layer by
 * layer, again and again. Units of other parts, experts, are acquired only after need() has
 * revealed them, in any order:
 *
 *   acquire and release the units of part 0 of the layer, up to the router at least
 *   streamer_need(units of all experts that were chosen): their loads begin, all at once
 *   until all are used: streamer_acquire_any(those not acquired yet): one that is there, or the
 *       first that comes; compute with it; streamer_release
 *
 * Several units may be acquired at a time, each stays in its place until it is released. What
 * was revealed for a layer is not evicted before it was used, unless the budget does not hold
 * it and what is acquired beside it: then it is loaded again. The outcome of what is revealed is
 * decided at that moment: hit and prefetched are what was there, late what was coming, miss the
 * rest, whose loads then run while what is there computes.
 */
#ifndef PREFETCH_STREAMER_H
#define PREFETCH_STREAMER_H

#include "base/status.h"
#include "cache/layout.h"
#include "plan/prediction.h"
#include "storage/storage.h"

#include <stdbool.h>
#include <stdint.h>

enum streamer_outcome { STREAMER_HIT, STREAMER_PREFETCHED, STREAMER_LATE, STREAMER_MISS };

struct streamer_options {
    const char *prefetch;    /* "off", "sync", "async", "resident" */
    const char *replacement; /* a cache policy */
    double half_life;        /* its parameter; see cache.h */
    bool by_layer;           /* each layer has a cache of its own, with its share of the budget */
    const char *scheduler;   /* a planner scheduler */
    const char *predict;     /* a predictor of experts; NULL: off */
    uint32_t predict_depth;  /* layers ahead; at least 1 */
    bool protect;
    uint32_t prefetch_distance; /* layers ahead */
    uint32_t cache_layers;      /* 0: by cache_bytes */
    uint64_t cache_bytes;
    bool keep_always;   /* units of part 0 are loaded at open and stay, within the same budget */
    uint32_t max_loads; /* prefetches (units) in flight at most; 0: as the queue allows. A demand
                         * load is never held back by it */
    uint32_t queue_depth, chunk_bytes;
    uint64_t seed; /* for random replacement */
    /* with `resident` and keep_always: so many bytes of all layers are loaded or on their way */
    void (*loaded)(void *ctx, uint64_t done, uint64_t total);
    void *loaded_ctx;
};

/* What one access of a unit was like. Times in ns on lb_now_ns(). */
struct streamer_access {
    uint32_t unit, layer, part;
    uint64_t position; /* accesses so far */
    enum streamer_outcome outcome;
    int64_t reveal_ns; /* it became known that the unit is needed: as need_ns for part 0 */
    int64_t need_ns;   /* the computation asked */
    int64_t ready_ns;  /* its load was complete: before need_ns if in time; hits: need_ns */
    int64_t wait_ns;   /* the computation stood still: ready - need, plus blocking read-ahead */
    int64_t queue_ns;  /* the load that brought it: request to first read handed over; 0 for hits */
    int64_t read_ns;   /* first read handed over to last completion; 0 for hits */
    uint64_t bytes;    /* read by that load */
    uint32_t evicted;  /* units evicted for that load */
    uint64_t held_bytes; /* memory of units in the cache and in flight, as it was handed out */
};

struct streamer_counters {
    uint64_t accesses, hits, prefetched, late, misses;
    uint64_t evictions, wasted, protected_evictions;
    uint64_t prefetches_started, prefetches_completed, prefetches_cancelled, prefetches_used,
        prefetches_failed;
    int64_t prefetch_ns; /* sum over completed prefetches: request to completion */
    int64_t load_ns;     /* the storage was busy with loads that completed */
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

/* Reveals units, all different, of one layer and of parts other than 0: this pass needs them.
 * Begins or hastens their loads (async) and does not block. All of a layer at once; a second call
 * may add to them while some are still to be acquired. */
void streamer_need(struct streamer *streamer, const uint32_t *units, uint32_t n);

/* Where the predictor asks the model: units of a later layer, so many layers ahead of the one
 * revealed last, that the pass will likely need. The scheduler may fetch them, but never in place
 * of what is certain or likelier. Does not block. Void when the layer's need is revealed, or when
 * more is predicted of it. Without effect with another predictor. */
void streamer_predict(struct streamer *streamer, uint32_t layer, uint32_t depth,
                      const uint32_t *units, uint32_t n);
/* The books of the predictor; NULL: nothing is predicted. To be read between accesses, by the
 * computing thread. */
const struct prediction *streamer_prediction(const struct streamer *streamer);

/* One of units[0..n-1], each revealed and not acquired yet, or n == 1 and the next of part 0: the
 * first of them that is there, or else blocks until one is. units[*which] is pinned; frames[i] is
 * the address of its i-th frame, valid until release. *access describes it. With a mapped storage
 * *frames is NULL: use storage_map(). LB_ERR_STATE: a unit that is not needed now, or everything
 * in the cache is in use. A failed demand load is an error; the streamer can then only be rewound
 * or closed. */
enum lb_status streamer_acquire_any(struct streamer *streamer, const uint32_t *units, uint32_t n,
                                    uint32_t *which, const uint8_t *const **frames,
                                    struct streamer_access *access, struct lb_error *err);
/* Whether acquire_any() of these would not block now: one of them is there. */
bool streamer_has_any(struct streamer *streamer, const uint32_t *units, uint32_t n);
/* The same as acquire_any() for one unit. */
enum lb_status streamer_acquire(struct streamer *streamer, uint32_t unit,
                                const uint8_t *const **frames, struct streamer_access *access,
                                struct lb_error *err);
void streamer_release(struct streamer *streamer, uint32_t unit);
/* After a pass that broke off: gives back what is acquired; the next access is unit 0 again. */
void streamer_rewind(struct streamer *streamer);

/* What decides about loads now. Drivers that do not look ahead have no scheduler ("none"), no
 * distance and nothing to protect; where nothing is ever evicted there is no replacement ("none").
 * Texts are static. */
struct streamer_effective {
    const char *prefetch, *replacement, *scheduler, *predict;
    uint32_t prefetch_distance, predict_depth; /* layers */
    bool protect;
};
struct streamer_effective streamer_effective(struct streamer *streamer);

struct streamer_counters streamer_counters(struct streamer *streamer);
uint64_t streamer_memory_bytes(const struct streamer *streamer); /* frames it may use */

#endif
