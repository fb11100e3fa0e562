/*
 * driver: what the front of the streamer (streamer.c) and its drivers share.
 *
 * A driver says how units are brought: `off`, `sync` and `resident` load on the
 * computing thread, `async` on a thread of its own. Only the async driver needs the
 * lock; the front takes it always, and functions named _locked need it held.
 */
#ifndef PREFETCH_DRIVER_H
#define PREFETCH_DRIVER_H

#include "cache/cache.h"
#include "plan/planner.h"
#include "prefetch/frames.h"
#include "prefetch/loader.h"
#include "prefetch/streamer.h"

#include <pthread.h>

/* The load that brought a unit last. */
struct unit_load {
    int64_t request_ns, first_ns, done_ns;
    uint64_t bytes;
    uint32_t evicted;
    bool prefetch; /* else a demand load, or preloaded */
};

struct async; /* driver_async.c */

struct streamer {
    /* fixed after open */
    const struct layout *layout;
    struct storage *storage;
    bool mapped;
    bool keep_always; /* units of part 0 are pinned from open to close */
    uint32_t n_units;
    uint32_t max_prefetches;                   /* in flight */
    uint32_t max_demands;                      /* loads of what is revealed; one more for the
                                                * unit that is waited for */
    const struct planner_scheduler *scheduler; /* as asked for; sync uses fixed */
    /* computing thread, while no driver runs also the loader */
    const struct driver_ops *driver;
    struct frames *frames;    /* NULL when mapped */
    struct async *async;      /* while the async driver runs */
    uint32_t distance;        /* layers */
    int64_t working_since_ns; /* when a unit was handed out or given back last */
    struct loader *loader;    /* owned by the I/O thread while the async driver runs */

    pthread_mutex_t mu;
    /* guarded by mu */
    struct cache *cache;
    struct future *future;
    struct planner_state plan;     /* plan.position is the next access, or the one in use */
    struct prediction *prediction; /* or NULL: nothing is predicted */
    struct unit_load *loads;       /* [n_units] */
    uint8_t *outcomes;             /* [n_units] enum streamer_outcome of what is revealed */
    int64_t revealed_ns;
    uint32_t n_pinned;
    uint32_t n_loading, n_prefetching;
    uint32_t evicted_now; /* since the last load began */
    bool paused;          /* a prefetch failed: no more until a demand load succeeded */
    bool broken;          /* a demand load failed */
    struct loader_result failure;
    int64_t served_ns; /* the storage has been busy up to here */
    struct streamer_counters counters;
};

/* Ends what the driver does by itself: nothing is in flight after it, and nothing more is loaded
 * ahead. */
void streamer_stop(struct streamer *s);

struct driver_ops {
    const char *name; /* as in options */
    /* required: returns when one of the units, all absent or in flight, is resident, or cannot
     * be. The lock may be dropped meanwhile. */
    enum lb_status (*bring_locked)(struct streamer *s, const uint32_t *units, uint32_t n,
                                   struct lb_error *err);
    /* optional: units were revealed, or (with n = 0) predicted */
    void (*revealed_locked)(struct streamer *s, const uint32_t *units, uint32_t n);
    /* optional: a unit was handed out, a unit was released */
    void (*acquired_locked)(struct streamer *s);
    void (*released_locked)(struct streamer *s);
    /* optional: cancels queued prefetches that are not needed soon any more */
    void (*trim_locked)(struct streamer *s);
    /* optional: begins and ends running; after stop nothing is in flight and the loader is the
     * caller's */
    enum lb_status (*start)(struct streamer *s, struct lb_error *err);
    void (*stop)(struct streamer *s);
    bool looks_ahead; /* else the prefetch distance is 0 */
    bool at_once;     /* uses the fixed scheduler, whatever was asked for */
};

extern const struct driver_ops driver_off, driver_sync, driver_resident;
#if LB_ASYNC_PREFETCH
extern const struct driver_ops driver_async;
#endif

/* Begins the load of an absent unit that fits. */
struct loader_request streamer_begin_locked(struct streamer *s, const struct planner_step *step,
                                            bool prefetch);
/* Takes the end of a load in: resident or absent again, counters, estimates. */
void streamer_end_locked(struct streamer *s, const struct loader_result *result);
/* The next load, begun, of what is revealed, or else a prefetch: false when there is none now, or
 * enough are in flight. */
bool streamer_plan_locked(struct streamer *s, struct loader_request *request);
/* The error of a demand load that failed: layer, unit, offset, cause. */
enum lb_status streamer_load_error(const struct streamer *s, struct lb_error *err);

/* Runs the loader until it is idle. Only while no driver owns it. */
void streamer_run_loader(struct streamer *s);

#endif
