/*
 * planner: what to load next, and in whose place. Pure: no threads, clock or I/O.
 *
 * Three drivers call it: sync, async, and the simulator's virtual clock. One file a
 * scheduler; the list is in planner.c. The rules (Cao, Felten, Karlin, Li 1995): fetch
 * the missing unit needed soonest; evict the one needed furthest away (belady; the other
 * policies for comparison); do no harm: never evict a unit needed before the one fetched;
 * act at the first opportunity: the drivers ask at every access and whenever the
 * storage has room.
 */
#ifndef PLAN_PLANNER_H
#define PLAN_PLANNER_H

#include "base/status.h"
#include "cache/cache.h"

#include <stdbool.h>
#include <stdint.h>

struct planner_state {
    struct cache *cache; /* pins, loads in flight */
    struct future *future;
    uint64_t position; /* index of the access that is being computed or waited for */
    uint32_t window;   /* accesses to look ahead (in units; callers turn layers into units) */
    bool protect;
    double compute_ns; /* estimate: one access; 0: not known yet */
    double load_ns;    /* estimate: one unit, with the storage busy; 0: not known yet */
    const struct planner_scheduler *scheduler;
};

/* A scheduler says which missing unit to fetch now, if any. */
struct planner_scheduler {
    const char *name, *about;
    /* required: the position of the access to fetch for, or FUTURE_NEVER */
    uint64_t (*next)(const struct planner_state *state);
    /* Whether it wants its loads requested at once, or one by one as the storage has room. */
    bool eager;
    bool by_distance; /* looks exactly prefetch_distance ahead; the others choose for themselves */
};
const struct planner_scheduler *const *planner_schedulers(size_t *count);
/* NULL for an unknown name. */
const struct planner_scheduler *planner_scheduler(const char *name);

/* Takes a measurement into the estimates (moving averages). */
void planner_measured_compute(struct planner_state *state, double ns);
void planner_measured_load(struct planner_state *state, double ns);

/* The first position in [position, position + ahead] whose unit is absent, or FUTURE_NEVER. */
uint64_t planner_missing(const struct planner_state *state, uint64_t ahead);

/* Whether something revealed (the experts that a router has chosen) is missing. */
bool planner_demands(const struct planner_state *state);

/* Loads in flight: of what is needed for certain, and prefetches. */
struct planner_loads {
    uint32_t demands, prefetches;
    uint32_t max_demands, max_prefetches;
};
/* Whether the next load, of what is revealed or else a prefetch, must wait for one to end. */
bool planner_has_enough(const struct planner_state *state, const struct planner_loads *loads);

struct planner_step {
    uint32_t unit;       /* to load */
    uint64_t for_access; /* the position it is for */
    bool predicted;      /* nobody knows that it is needed */
};

/* The next load: of what is revealed and missing, as long as there is any, else the scheduler's
 * next prefetch. A prediction for which nothing less likely would leave is forgotten: it does not
 * hold up what is certain. Evicts what has to leave (cache_evict) and returns true with a step
 * whose unit fits and is absent; the caller begins the load. False: nothing to do now. */
bool planner_next(struct planner_state *state, struct planner_step *step);

/* Makes room for a demand load of `unit`, which is needed now: false when nothing may be evicted
 * now (all else is pinned or in flight; the caller waits for a load to end). Demand loads evict
 * protected units when nothing else is left, and then, at_any_price, also what is revealed and
 * not used yet: when there is nothing to wait for. */
bool planner_make_room(struct planner_state *state, uint32_t unit, bool at_any_price);

#endif
