/*
 * least-stale: what was used in this pass or the last is fresh; of the rest the first in the order
 * of layers leaves, which is the one that would be needed last if it were needed in this pass
 * (SpecMD, arXiv 2602.03921). When all is fresh, the units of the last pass leave before those of
 * this one, in the same order.
 *
 * No parameters.
 */
#include "base/memory.h"
#include "cache/policy.h"
#include "cache/unit_heap.h"
#include "cache/unit_lists.h"

enum { THIS, LAST, N_PASSES }; /* lists of units by the pass of their last use; older: neither */

struct least_stale {
    struct unit_lists *fresh;
    struct unit_heap *heap; /* stale units by index, then those of the last pass, then this one's */
    const struct cache *cache;
    uint32_t n_units;
    uint64_t pass;
};

static void closed(void *state)
{
    struct least_stale *l = state;
    unit_lists_close(l->fresh);
    unit_heap_close(l->heap);
    lb_free(l);
}

static void *opened(const struct cache *cache)
{
    struct least_stale *l = lb_calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->cache = cache;
    l->n_units = cache_n_units(cache);
    l->fresh = unit_lists_open(l->n_units, N_PASSES);
    l->heap = unit_heap_open(l->n_units);
    if (l->fresh && l->heap)
        return l;
    closed(l);
    return NULL;
}

/* Units of list `from` become as old as `to` says; those that are in the cache get their place. */
static void age(struct least_stale *l, uint32_t from, uint32_t to, double key)
{
    for (int64_t i; (i = unit_list_first(l->fresh, from)) >= 0;) {
        uint32_t unit = (uint32_t)i;
        if (to < N_PASSES)
            unit_list_append(l->fresh, to, unit);
        else
            unit_list_remove(l->fresh, unit);
        unit_heap_put(l->heap, unit, key + unit);
    }
}

static void loaded(void *state, uint32_t unit)
{
    struct least_stale *l = state;
    /* a prefetch is for this pass or the next: fresh */
    unit_list_append(l->fresh, THIS, unit);
    unit_heap_put(l->heap, unit, 2.0 * l->n_units + unit);
}

static void used(void *state, uint32_t unit, bool first)
{
    struct least_stale *l = state;
    (void)first;
    for (; l->pass < cache_passes(l->cache); l->pass++) {
        age(l, LAST, N_PASSES, 0);
        age(l, THIS, LAST, l->n_units);
    }
    loaded(l, unit);
}

static void evicted(void *state, uint32_t unit)
{
    struct least_stale *l = state;
    unit_list_remove(l->fresh, unit);
    unit_heap_remove(l->heap, unit);
}

static int64_t victim(void *state, const struct cache_choice *choice)
{
    const struct least_stale *l = state;
    return unit_heap_victim(l->heap, choice);
}

const struct cache_policy policy_least_stale = {
    .name = "least-stale",
    .about = "what was not used in this pass or the last leaves first, in the order of layers",
    .opened = opened,
    .closed = closed,
    .loaded = loaded,
    .used = used,
    .evicted = evicted,
    .victim = victim,
};
