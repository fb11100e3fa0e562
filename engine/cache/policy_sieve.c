/*
 * sieve: units in the order in which they were loaded, and a hand that moves from the oldest to
 * the newest: it spares what was used since it came by last, and evicts the first that was not
 * (Zhang et al., SIEVE is simpler than LRU, NSDI 2024). No parameters.
 */
#include "base/memory.h"
#include "cache/policy.h"
#include "cache/unit_lists.h"

struct sieve {
    struct unit_lists *order; /* oldest first */
    int64_t hand;             /* -1: begins with the oldest */
    bool visited[];           /* [n_units] */
};

static void closed(void *state)
{
    struct sieve *sieve = state;
    unit_lists_close(sieve->order);
    lb_free(sieve);
}

static void *opened(const struct cache *cache)
{
    uint32_t n = cache_n_units(cache);
    struct sieve *sieve = lb_calloc(1, sizeof *sieve + n * sizeof *sieve->visited);
    if (!sieve)
        return NULL;
    sieve->hand = -1;
    sieve->order = unit_lists_open(n, 1);
    if (sieve->order)
        return sieve;
    closed(sieve);
    return NULL;
}

static void loaded(void *state, uint32_t unit)
{
    struct sieve *sieve = state;
    unit_list_append(sieve->order, 0, unit);
    sieve->visited[unit] = false;
}

static void used(void *state, uint32_t unit, bool first)
{
    struct sieve *sieve = state;
    sieve->visited[unit] |= !first;
}

static void evicted(void *state, uint32_t unit)
{
    struct sieve *sieve = state;
    if (sieve->hand == unit)
        sieve->hand = unit_list_next(sieve->order, unit);
    unit_list_remove(sieve->order, unit);
}

static int64_t victim(void *state, const struct cache_choice *choice)
{
    struct sieve *sieve = state;
    uint64_t steps = 2 * (uint64_t)unit_list_count(sieve->order, 0);
    for (; steps > 0; steps--) { /* twice around is enough to find one if there is any */
        if (sieve->hand < 0)
            sieve->hand = unit_list_first(sieve->order, 0);
        uint32_t unit = (uint32_t)sieve->hand;
        if (cache_may_evict(choice, unit)) {
            if (!sieve->visited[unit])
                return unit;
            sieve->visited[unit] = false;
        }
        sieve->hand = unit_list_next(sieve->order, unit);
    }
    return -1;
}

const struct cache_policy policy_sieve = {
    .name = "sieve",
    .about = "a hand passes over units in order of load, sparing once what was used",
    .opened = opened,
    .closed = closed,
    .loaded = loaded,
    .used = used,
    .evicted = evicted,
    .victim = victim,
};
