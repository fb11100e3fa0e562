/*
 * virtual: a run of the streamer under a virtual clock.
 *
 * The same cache, planner and estimates as the real drivers, without threads, memory or
 * I/O, so that counts are exact and times are predicted before anything runs. What is
 * modelled: units of any size and compute time; a device that transfers reads in order
 * of submission at `bandwidth`, each known `latency` later; the queue, its chunks, and
 * demand loads that overtake; the rule by which the I/O thread plans (driver_async.c); sync
 * and off; experts that are revealed layer by layer, and used as they come. What is not: the cost
 * of the code itself, and of threads waking up.
 */
#ifndef PLAN_VIRTUAL_H
#define PLAN_VIRTUAL_H

#include "base/status.h"
#include "cache/cache.h"
#include "plan/prediction.h"

#include <stdbool.h>
#include <stdint.h>

struct virtual_unit {
    uint64_t bytes;    /* read by a load */
    uint32_t frames;   /* of the cache budget; at least 1 */
    double compute_ns; /* of an access */
    uint32_t layer;
    uint32_t part; /* 0: needed in every pass; else an expert's, needed where a route says so */
};

/* One access as it ends, times in virtual ns. */
struct virtual_access {
    uint64_t pass; /* from the first, warm-up included */
    uint32_t unit;
    int outcome;          /* 0 hit, 1 prefetched, 2 late, 3 miss */
    double need, ready;   /* asked for; loaded (hit: asked for) */
    double wait, compute; /* waited; computed */
    double queue, read;   /* of its load (hit: 0): waited for the device; was read */
    uint64_t bytes;       /* of its load (hit: 0) */
    uint32_t evicted;     /* units since the access before */
    uint64_t held_units;  /* in the cache and in flight */
};

struct virtual_options {
    const struct virtual_unit *units; /* [n_units] */
    uint32_t n_units;
    const uint32_t *order;            /* access sequence, repeated; NULL: 0..n_units-1 */
    uint64_t length;                  /* of order */
    const struct plan_routes *routes; /* where units have parts other than 0; order is NULL */
    const char *prefetch;             /* "off", "sync", "async", "resident" */
    const char *replacement, *scheduler;
    const char *predict;             /* of experts: a predictor; NULL: off */
    uint32_t predict_depth;          /* layers ahead */
    struct prediction_score *scores; /* [predict_depth][n_layers] written, with a predictor; or NULL
                                      */
    double half_life;                /* a policy's parameter; see cache.h */
    bool by_layer;    /* each layer has a cache of its own, with its share of the budget */
    bool keep_always; /* units of part 0 are there from the start and stay, within the budget */
    bool protect;
    uint32_t window;     /* accesses */
    uint32_t max_units;  /* budget; 0: no such limit */
    uint64_t max_frames; /* budget; 0: no such limit */
    uint32_t max_loads;  /* prefetches in flight; 0: as the queue allows */
    uint64_t seed;
    double bandwidth; /* bytes/s; 0: unlimited */
    double latency_ns;
    uint32_t queue_depth, chunk_bytes;
    double other_ns;          /* compute after each pass (output head, sampling) */
    uint32_t warmup, passes;  /* not counted, counted; a pass is the sequence once */
    double warmup_compute;    /* factor on the compute of the first pass (a prompt); 0: 1 */
    const double *compute_of; /* [length] compute of each access instead of the units'; or NULL */
    void (*observe)(void *ctx, const struct virtual_access *access); /* each access; or NULL */
    void *ctx;
};

struct virtual_layers {
    uint64_t accesses, hits, prefetched, late, misses;
};

/* Sums over the counted passes. */
struct virtual_result {
    uint64_t accesses, hits, prefetched, late, misses; /* of units */
    /* of layers: units of one layer in a row are one access, its outcome the worst of theirs */
    struct virtual_layers layers;
    uint64_t loads, bytes, evictions, wasted, protected_evictions;
    double time_ns, wait_ns, compute_ns; /* compute with other_ns */
    double in_flight;                    /* loads in flight, mean over time */
    struct prediction_counters prediction;
};

/* LB_ERR_INPUT for unknown names and a budget that is too small. */
enum lb_status virtual_run(const struct virtual_options *options, struct virtual_result *result,
                           struct lb_error *err);

#endif
