/*
 * lfu: the unit that was used least since it was loaded leaves, of equals the one used least
 * recently. lfru: the same with classes of frequency, each twice the one before, so that of units
 * used about as often the one used least recently leaves.
 *
 * Parameter: with a half-life an old use counts less than a new one (uses of all units are the
 * clock), so that what was popular once does not stay for ever.
 */
#include "base/memory.h"
#include "cache/policy.h"
#include "cache/unit_heap.h"

#include <math.h>

#define LARGEST 1e150
#define LEAST   1e-150

struct lfu {
    struct unit_heap *heap; /* by weighted uses, or their class */
    uint32_t n_units;
    double weight, growth; /* of a use now; from use to use */
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

/* So that weights stay finite. The order stays the same, but for uses so old that they vanish. */
static void scale_down(struct lfu *lfu)
{
    for (uint32_t i = 0; i < lfu->n_units; i++)
        lfu->uses[i] = lfu->uses[i] / LARGEST + LEAST;
    lfu->weight /= LARGEST;
    for (uint32_t i = 0; i < lfu->n_units; i++)
        if (unit_heap_has(lfu->heap, i))
            rank(lfu, i);
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
    lfu->uses[unit] += first ? 0 : lfu->weight;
    rank(lfu, unit);
    lfu->weight *= lfu->growth;
    if (lfu->weight > LARGEST)
        scale_down(lfu);
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
