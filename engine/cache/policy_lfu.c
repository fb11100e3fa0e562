/*
 * lfu: the unit that was used least since it was loaded leaves, of equals the one used least
 * recently. lfru: the same with classes of frequency, each twice the one before, so that of units
 * used about as often the one used least recently leaves.
 *
 * Parameter: with a half-life, in passes, an old use counts less than a new one, so that what was
 * popular once does not stay for ever.
 */
#include "base/memory.h"
#include "cache/policy.h"
#include "cache/unit_heap.h"

#include <math.h>

enum { SCALE = 64 }; /* powers of two by which weights are scaled down at times */

struct lfu {
    struct unit_heap *heap; /* by weighted uses, or their class */
    uint32_t n_units;
    const struct cache *cache;
    uint64_t pass;
    double weight, growth; /* of a use in this pass; from pass to pass */
    bool classes;
    double uses[]; /* [n_units] weighted */
};

static void closed(void *state)
{
    struct lfu *lfu = state;
    unit_heap_close(lfu->heap);
    lb_free(lfu);
}

static void *opened(const struct cache *cache)
{
    uint32_t n = cache_n_units(cache);
    struct lfu *lfu = lb_calloc(1, sizeof *lfu + n * sizeof *lfu->uses);
    if (!lfu)
        return NULL;
    lfu->n_units = n;
    lfu->cache = cache;
    lfu->weight = 1;
    lfu->growth = cache_half_life(cache) > 0 ? exp2(1 / cache_half_life(cache)) : 1;
    lfu->heap = unit_heap_open(n);
    if (lfu->heap)
        return lfu;
    closed(lfu);
    return NULL;
}

static void *opened_with_classes(const struct cache *cache)
{
    struct lfu *lfu = opened(cache);
    if (lfu)
        lfu->classes = true;
    return lfu;
}

static void rank(struct lfu *lfu, uint32_t unit)
{
    double uses = lfu->uses[unit];
    unit_heap_put(lfu->heap, unit, lfu->classes ? floor(log2(uses)) : uses);
}

/* So that weights stay finite; exactly, and in the same order. */
static void scale_down(struct lfu *lfu)
{
    for (uint32_t i = 0; i < lfu->n_units; i++)
        lfu->uses[i] = ldexp(lfu->uses[i], -SCALE);
    lfu->weight = ldexp(lfu->weight, -SCALE);
    if (lfu->classes)
        unit_heap_change_keys(lfu->heap, 1, -SCALE);
    else
        unit_heap_change_keys(lfu->heap, ldexp(1, -SCALE), 0);
}

static void loaded(void *state, uint32_t unit)
{
    struct lfu *lfu = state;
    lfu->uses[unit] = lfu->weight;
    rank(lfu, unit);
}

static void used(void *state, uint32_t unit, bool first)
{
    struct lfu *lfu = state;
    for (; lfu->pass < cache_passes(lfu->cache); lfu->pass++) {
        lfu->weight *= lfu->growth;
        if (lfu->weight > ldexp(1, SCALE))
            scale_down(lfu);
    }
    /* the use that it was loaded for may be the first of a new pass */
    lfu->uses[unit] = first ? lfu->weight : lfu->uses[unit] + lfu->weight;
    rank(lfu, unit);
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

const struct cache_policy policy_lfru = {
    .name = "lfru",
    .about = "least recently used of those used least, in classes of frequency",
    .opened = opened_with_classes,
    .closed = closed,
    .loaded = loaded,
    .used = used,
    .evicted = evicted,
    .victim = victim,
};
