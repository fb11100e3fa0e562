/*
 * cache: which units are in memory, and which leaves when another must come.
 *
 * Pure bookkeeping: no threads (the caller locks), no clock, no I/O, so the real
 * drivers and the simulator use the same object. Contract: one unpin per pin; a
 * pinned unit and a unit in flight are never evicted. Units in flight and in use
 * count against the budget.
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include "base/status.h"
#include "cache/future.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cache_state { CACHE_ABSENT, CACHE_LOADING, CACHE_RESIDENT };

struct cache_unit { /* read by policies and planner, written by cache.c only */
    uint32_t frames;
    uint32_t pins;
    enum cache_state state;
    bool fresh;          /* brought by prefetch and not used yet */
    uint64_t loaded_seq; /* order of loads */
    uint64_t used_seq;   /* order of uses */
};

struct cache_counters {
    uint64_t evictions;
    uint64_t wasted;              /* evicted or dropped fresh */
    uint64_t protected_evictions; /* victims that protection ruled out */
};

struct cache;

#define CACHE_NO_UNIT UINT32_MAX

/* What a replacement policy sees when it has to choose. */
struct cache_choice {
    const struct cache *cache;
    const struct future *future;
    uint64_t position;     /* of the access that is being computed or waited for */
    uint64_t for_access;   /* do no harm: units needed at or before this position stay */
    uint32_t window;       /* units needed up to position+window are protected; 0: none */
    double doubt;          /* that what is loaded is needed at all: units likelier than 1 - doubt
                            * to be needed in their next turn stay; 0: it is known to be */
    uint64_t random_state; /* for `random`: changes with every choice, from the seed */
    uint32_t incoming;     /* set by cache: the unit that room is made for, or CACHE_NO_UNIT */
};

/*
 * A replacement policy: one file, and its name in the list of policy.h. What it must remember it
 * keeps in a state of its own. A unit's life as it sees it: loaded, used any number of times,
 * evicted.
 */
struct cache_policy {
    const char *name, *about;
    bool tuned;       /* may be the best where layers stream in turn: tune tries it */
    bool asks_future; /* victims are chosen by what is needed next */
    /* optional, both or none: makes and frees the state that the others are handed (NULL without
     * them). opened returns NULL when out of memory; the budget is not known yet */
    void *(*opened)(const struct cache *cache);
    void (*closed)(void *state);
    /* optional: the budget is set, after open and whenever it changes */
    void (*resized)(void *state, const struct cache *cache);
    /* optional: the unit takes its place, its load begins */
    void (*loaded)(void *state, uint32_t unit);
    /* optional: the computation uses it. first: since it was loaded, so that on demand loaded and
     * the first use are one access */
    void (*used)(void *state, uint32_t unit, bool first);
    /* optional: the unit left, by the policy's choice or another's, or its load was cancelled */
    void (*evicted)(void *state, uint32_t unit);
    /* required: the unit to evict among those that cache_may_evict() allows; -1: none. May be asked
     * again before anything is evicted */
    int64_t (*victim)(void *state, const struct cache_choice *choice);
};
const struct cache_policy *const *cache_policies(size_t *count);

/* Whether the unit may leave: resident, not pinned, not protected, no harm done. */
bool cache_may_evict(const struct cache_choice *choice, uint32_t unit);
struct cache_options {
    const char *replacement;           /* name of a policy */
    const struct cache_policy *policy; /* this one instead of a name, for tests; or NULL */
    uint32_t max_units;                /* units at a time; 0: no such limit */
    uint64_t max_frames;               /* frames at a time; 0: no such limit */
    uint64_t seed;
    /* optional: [n_units] groups 0..n_groups-1, each a cache of its own with its share of the
     * budget (cache_scope: layer); NULL: one for all */
    const uint32_t *group_of;
    uint32_t n_groups;
    double half_life; /* lfu, lfru: passes after which a use counts half; 0: never */
    const double
        *heat; /* static: [n_units] how often each is used, to outlive the cache; or NULL */
    /* optional: told of every unit that leaves, before cache_evict() returns */
    void (*evicted)(void *ctx, uint32_t unit);
    void *ctx;
};

/* frames_of[n_units]: frames each unit takes (all 1 when NULL). LB_ERR_INPUT: unknown policy, or a
 * budget in which the largest unit does not fit. LB_ERR_UNSUPPORTED: a policy without a hook it
 * must have. */
enum lb_status cache_open(const struct cache_options *options, uint32_t n_units,
                          const uint32_t *frames_of, struct cache **cache, struct lb_error *err);
void cache_close(struct cache *cache);

uint32_t cache_n_units(const struct cache *cache);
const struct cache_unit *cache_unit(const struct cache *cache, uint32_t unit);
uint32_t cache_units_held(const struct cache *cache); /* resident and in flight */
uint64_t cache_frames_held(const struct cache *cache);
uint32_t cache_max_units(const struct cache *cache);
uint64_t cache_max_frames(const struct cache *cache);
/* Units that the budget holds, of average size; at least 1. In groups: of the group whose policy
 * asks, as it is told that the budget is set. */
uint32_t cache_slots(const struct cache *cache);
double cache_half_life(const struct cache *cache);
/* Passes that the computation has begun after the first: as often as it used a unit that lies more
 * than half of the units before the furthest one of the pass. */
uint64_t cache_passes(const struct cache *cache);
const double *cache_heat(const struct cache *cache);
bool cache_asks_future(const struct cache *cache); /* its policy does */
struct cache_counters cache_counters(const struct cache *cache);
bool cache_fits(const struct cache *cache, uint32_t unit); /* without evicting */
/* Bit i: unit i is resident or in flight. */
const uint64_t *cache_held(const struct cache *cache);

/* Its policy's. */
const char *cache_policy_name(const struct cache *cache);
/* The victim the policy names, or -1. */
int64_t cache_victim(struct cache *cache, struct cache_choice *choice);
/* Evicts victims until the unit fits. False: no choice of victims makes room, nothing evicted. */
bool cache_make_room(struct cache *cache, struct cache_choice *choice, uint32_t unit);

/* State changes. Each asserts that it is legal. */
void cache_evict(struct cache *cache, uint32_t unit);                     /* resident -> absent */
void cache_begin_load(struct cache *cache, uint32_t unit, bool prefetch); /* absent -> loading */
void cache_end_load(struct cache *cache, uint32_t unit);                  /* loading -> resident */
void cache_cancel_load(struct cache *cache, uint32_t unit);               /* loading -> absent */
void cache_pin(struct cache *cache, uint32_t unit);                       /* counts as a use */
void cache_unpin(struct cache *cache, uint32_t unit);

/* Every invariant, for tests to call after every step; false with a text. */
bool cache_sane(const struct cache *cache, struct lb_error *err);

#endif
