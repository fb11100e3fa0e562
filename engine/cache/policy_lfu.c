/*
 * lfu: the unit that was used least since it was loaded leaves, of equals the one used least
 * recently. With a half-life an old use counts less than a new one (uses of all units are the
 * clock), so that what was popular once does not stay for ever.
 */
#include "base/memory.h"
#include "cache/policy.h"
#include "cache/unit_heap.h"

#include <math.h>

#define LARGEST 1e150 /* then weights are scaled down, so that they stay finite */

struct lfu {
    struct unit_heap *heap; /* by weighted uses */
    uint32_t n_units;
    double weight, growth; /* of a use now; from use to use */
};

static void closed(void *state)
{
    struct lfu *lfu = state;
    unit_heap_close(lfu->heap);
    lb_free(lfu);
}

static void *opened(const struct cache *cache)
{
    struct lfu *lfu = lb_calloc(1, sizeof *lfu);
    if (!lfu)
        return NULL;
    lfu->n_units = cache_n_units(cache);
    lfu->weight = 1;
    lfu->growth = cache_half_life(cache) > 0 ? exp2(1 / cache_half_life(cache)) : 1;
    lfu->heap = unit_heap_open(lfu->n_units);
    if (lfu->heap)
        return lfu;
    closed(lfu);
    return NULL;
}

static void loaded(void *state, uint32_t unit)
{
    struct lfu *lfu = state;
    unit_heap_put(lfu->heap, unit, lfu->weight);
}

static void used(void *state, uint32_t unit, bool first)
{
    struct lfu *lfu = state;
    unit_heap_put(lfu->heap, unit, unit_heap_key(lfu->heap, unit) + (first ? 0 : lfu->weight));
    lfu->weight *= lfu->growth;
    if (lfu->weight < LARGEST)
        return;
    /* the order stays the same, of those whose uses vanish the least recent is first */
    unit_heap_scale(lfu->heap, 1 / LARGEST);
    lfu->weight /= LARGEST;
}

static void evicted(void *state, uint32_t unit)
{
    struct lfu *lfu = state;
    unit_heap_remove(lfu->heap, unit);
}

static int64_t victim(void *state, const struct cache_choice *choice)
{
    const struct lfu *lfu = state;
    return unit_heap_victim(lfu->heap, choice);
}

const struct cache_policy policy_lfu = {
    .name = "lfu",
    .about = "least frequently used, old uses counting less with a half-life",
    .opened = opened,
    .closed = closed,
    .loaded = loaded,
    .used = used,
    .evicted = evicted,
    .victim = victim,
};
