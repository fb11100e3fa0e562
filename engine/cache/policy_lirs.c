/*
 * lirs: units that were used twice within a short distance (low inter-reference recency) own
 * nearly all slots; the others pass through a short queue, from which victims are taken (Jiang,
 * Zhang, LIRS, SIGMETRICS 2002). The stack holds, by recency, all units of the first kind and the
 * others down to the last of these, in the cache or not.
 *
 * libCacheSim's LIRS (its code of 2025) has one rule more: when a unit of the queue is hit that has
 * left the stack, a low unit is demoted into the queue although none became low. Its miss ratios
 * differ from these in the fourth digit for that reason alone (test_replay_lists).
 *
 * Parameters: the queue has 1/100 of the slots, at least one; the stack remembers so many units
 * that it holds twice the slots at most.
 */
#include "base/memory.h"
#include "cache/policy.h"
#include "cache/unit_lists.h"

enum { QUEUE, GHOST }; /* lists of `others`: in the cache; not in it, but on the stack */

struct lirs {
    struct unit_lists *stack;  /* list 0, least recent first */
    struct unit_lists *others; /* units that are not low */
    uint32_t slots, low_slots, n_low;
    bool low[]; /* [n_units] low inter-reference recency, in the cache */
};

static void closed(void *state)
{
    struct lirs *l = state;
    unit_lists_close(l->stack);
    unit_lists_close(l->others);
    lb_free(l);
}

static void *opened(const struct cache *cache)
{
    uint32_t n = cache_n_units(cache);
    struct lirs *l = lb_calloc(1, sizeof *l + n * sizeof *l->low);
    if (!l)
        return NULL;
    l->stack = unit_lists_open(n, 1);
    l->others = unit_lists_open(n, 2);
    if (l->stack && l->others)
        return l;
    closed(l);
    return NULL;
}

static bool is_on_stack(const struct lirs *l, uint32_t unit)
{
    return unit_list_of(l->stack, unit) == 0;
}

static void forget(struct lirs *l, uint32_t unit)
{
    unit_list_remove(l->stack, unit);
    if (unit_list_of(l->others, unit) == GHOST)
        unit_list_remove(l->others, unit);
}

/* The stack ends with a low one. */
static void prune(struct lirs *l)
{
    int64_t last;
    while ((last = unit_list_first(l->stack, 0)) >= 0 && !l->low[last])
        forget(l, (uint32_t)last);
}

/* Makes the unit low; where there are too many, the least recent goes to the end of the queue. */
static void make_low(struct lirs *l, uint32_t unit)
{
    unit_list_append(l->stack, 0, unit);
    unit_list_remove(l->others, unit);
    l->low[unit] = true;
    l->n_low++;
    prune(l);
    while (l->n_low > l->low_slots) {
        uint32_t last = (uint32_t)unit_list_first(l->stack, 0);
        l->low[last] = false;
        l->n_low--;
        unit_list_append(l->others, QUEUE, last);
        prune(l);
    }
}

static void resized(void *state, const struct cache *cache)
{
    struct lirs *l = state;
    l->slots = cache_slots(cache);
    l->low_slots = l->slots - (l->slots / 100 > 1 ? l->slots / 100 : 1);
}

static void loaded(void *state, uint32_t unit)
{
    struct lirs *l = state;
    if (is_on_stack(l, unit) || l->n_low < l->low_slots) {
        make_low(l, unit);
    } else {
        unit_list_append(l->stack, 0, unit);
        unit_list_append(l->others, QUEUE, unit);
    }
    while (unit_list_count(l->stack, 0) > 2 * l->slots && unit_list_count(l->others, GHOST) > 0)
        forget(l, (uint32_t)unit_list_first(l->others, GHOST));
}

static void used(void *state, uint32_t unit, bool first)
{
    struct lirs *l = state;
    if (first)
        return;
    if (l->low[unit]) {
        unit_list_append(l->stack, 0, unit);
        prune(l);
    } else if (is_on_stack(l, unit)) {
        make_low(l, unit);
    } else {
        unit_list_append(l->stack, 0, unit);
        unit_list_append(l->others, QUEUE, unit);
    }
}

static void evicted(void *state, uint32_t unit)
{
    struct lirs *l = state;
    unit_list_remove(l->others, unit);
    if (l->low[unit]) {
        l->low[unit] = false;
        l->n_low--;
        unit_list_remove(l->stack, unit);
        prune(l);
    } else if (is_on_stack(l, unit)) {
        unit_list_append(l->others, GHOST, unit);
    }
}

static int64_t victim(void *state, const struct cache_choice *choice)
{
    const struct lirs *l = state;
    int64_t unit = unit_list_victim(l->others, QUEUE, choice);
    /* if none of the queue may leave, the least recent low one */
    return unit >= 0 ? unit : unit_list_victim(l->stack, 0, choice);
}

const struct cache_policy policy_lirs = {
    .name = "lirs",
    .about = "what comes again after few others stays, the rest passes through a short queue",
    .opened = opened,
    .closed = closed,
    .resized = resized,
    .loaded = loaded,
    .used = used,
    .evicted = evicted,
    .victim = victim,
};
