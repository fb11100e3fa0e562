/*
 * belady: the unit whose next use is furthest away leaves (Belady, IBM Systems Journal 1966). Where
 * the order of accesses is known that is the offline optimum: a cyclic scan of N units with C slots
 * needs N*(N-C)/(N-1) loads a pass. What is not known to be needed (experts) leaves first, the
 * least popular one: its next use is an estimate, and in expectation furthest away.
 */
#include "cache/furthest.h"
#include "cache/policy.h"

static void *opened(const struct cache *cache)
{
    return furthest_open(cache_n_units(cache));
}

static void closed(void *state)
{
    furthest_close(state);
}

static void loaded(void *state, uint32_t unit)
{
    furthest_touch(state, unit);
}

static void used(void *state, uint32_t unit, bool first)
{
    (void)first;
    furthest_touch(state, unit);
}

static void evicted(void *state, uint32_t unit)
{
    furthest_remove(state, unit);
}

static int64_t victim(void *state, const struct cache_choice *choice)
{
    return furthest_find(state, choice);
}

const struct cache_policy policy_belady = {
    .name = "belady",
    .tuned = true,
    .about = "furthest next use; the offline optimum",
    .asks_future = true,
    .opened = opened,
    .closed = closed,
    .loaded = loaded,
    .used = used,
    .evicted = evicted,
    .victim = victim,
};
