/*
 * replay: a recorded trace of accesses through a cache of so many slots, one access at a time, from
 * an empty cache, nothing prefetched: the setting in which cache studies compare policies. Pure,
 * and much faster than the virtual clock. A trace comes block by block, so that its length costs no
 * memory.
 */
#ifndef PLAN_REPLAY_H
#define PLAN_REPLAY_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct replay_access {
    uint32_t unit;
    uint32_t ahead; /* how many accesses later it is needed again; 0: never */
};

/* Fills in `ahead` of a block, from the last block to the first: before is the number of accesses
 * before it; next[unit]: 1 + the first access of the unit behind the block, 0: none. */
void replay_look_ahead(struct replay_access *block, size_t n, uint64_t before, uint64_t *next);

struct replay_options {
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

struct replay;

/* frames_of and heat must outlive it. LB_ERR_INPUT: unknown policy, no slot. */
enum lb_status replay_open(const struct replay_options *options, struct replay **replay,
                           struct lb_error *err);
void replay_close(struct replay *replay);
/* The next accesses; units below n_units. */
void replay_feed(struct replay *replay, const struct replay_access *accesses, size_t n);
struct replay_result replay_result(const struct replay *replay);

/* A whole trace at once. LB_ERR_INPUT also: no access, or one of a unit that there is not. */
enum lb_status replay_run(const struct replay_options *options, const uint32_t *accesses,
                          uint64_t length, struct replay_result *result, struct lb_error *err);

#endif
