/*
 * replay: a recorded trace of accesses through a cache of so many slots, one access at a time, from
 * an empty cache, nothing prefetched: the setting in which cache studies compare policies. Pure,
 * and much faster than the virtual clock.
 */
#ifndef PLAN_REPLAY_H
#define PLAN_REPLAY_H

#include "base/status.h"

#include <stdint.h>

struct replay_options {
    const uint32_t *accesses; /* [length] units below n_units */
    uint64_t length;
    uint32_t n_units;
    const char *replacement;
    uint32_t slots;
    const uint32_t *frames_of; /* [n_units] size of each, or NULL: all alike. Then the budget is
                                * that of so many mean units, and at least the largest */
    double half_life;          /* lfu, lfru; see cache.h; passes as cache_passes() counts them */
    const double *heat;        /* static; see cache.h */
    uint64_t seed;             /* random */
};

struct replay_result {
    uint64_t hits, misses;
    uint64_t missed, all; /* frames of the misses, of all accesses; misses and accesses, where units
                           * are alike */
};

/* LB_ERR_INPUT: unknown policy, no slot, no access or one of a unit that there is not. */
enum lb_status replay_run(const struct replay_options *options, struct replay_result *result,
                          struct lb_error *err);

#endif
