/* policy: the replacement policies, one file each; the list that names them is in cache.c. */
#ifndef CACHE_POLICY_H
#define CACHE_POLICY_H

#include "cache/cache.h"

extern const struct cache_policy policy_lru, policy_fifo, policy_random, policy_mru,
    policy_pin_first, policy_pin_spread, policy_belady;

#endif
