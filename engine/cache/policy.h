/*
 * policy: the replacement policies, one file each.
 *
 * A new one is a file policy_NAME.c that defines `policy_NAME`, and its name in this list:
 * messages, `list`, schema and tests are made from it.
 */
#ifndef CACHE_POLICY_H
#define CACHE_POLICY_H

#include "cache/cache.h"

#define CACHE_POLICIES(X)                                                                          \
    X(lru)                                                                                         \
    X(fifo)                                                                                        \
    X(random)                                                                                      \
    X(mru)                                                                                         \
    X(pin_first)                                                                                   \
    X(pin_spread)                                                                                  \
    X(belady)                                                                                      \
    X(lfu)                                                                                         \
    X(lfru)                                                                                        \
    X(sieve)                                                                                       \
    X(s3_fifo)                                                                                     \
    X(arc)                                                                                         \
    X(lirs)                                                                                        \
    X(w_tinylfu)                                                                                   \
    X(least_stale)                                                                                 \
    X(static)

#define CACHE_POLICY_DECLARE(name) extern const struct cache_policy policy_##name;
CACHE_POLICIES(CACHE_POLICY_DECLARE)

/* Hooks for policies that keep units in one list, list 0 of struct unit_lists (policy_lists.c). */
void *policy_list_opened(const struct cache *cache);
void policy_list_closed(void *lists);
void policy_list_append(void *lists, uint32_t unit);
void policy_list_remove(void *lists, uint32_t unit);
/* The first from the beginning of the list that may leave. */
int64_t policy_list_victim(void *lists, const struct cache_choice *choice);

#endif
