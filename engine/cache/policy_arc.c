/*
 * arc: two lists by recency, of units used once and of units used again, each continued by its
 * ghosts; hits among the ghosts move the share of the cache that each list gets (Megiddo, Modha,
 * ARC: a self-tuning, low overhead replacement cache, FAST 2003). No parameters.
 */
#include "base/memory.h"
#include "cache/policy.h"
#include "cache/unit_lists.h"

enum { ONCE, AGAIN, ONCE_GHOST, AGAIN_GHOST, N_LISTS }; /* T1, T2, B1, B2 */

struct arc {
    struct unit_lists *lists; /* least recent first */
    uint32_t slots;
    double once_slots; /* p: what the list of units used once aims at */
    uint32_t incoming; /* the unit for which it was adapted already, or CACHE_NO_UNIT */
};

static void closed(void *state)
{
    struct arc *arc = state;
    unit_lists_close(arc->lists);
    lb_free(arc);
}

static void *opened(const struct cache *cache)
{
    struct arc *arc = lb_calloc(1, sizeof *arc);
    if (!arc)
        return NULL;
    arc->incoming = CACHE_NO_UNIT;
    arc->lists = unit_lists_open(cache_n_units(cache), N_LISTS);
    if (arc->lists)
        return arc;
    closed(arc);
    return NULL;
}

static void resized(void *state, const struct cache *cache)
{
    struct arc *arc = state;
    arc->slots = cache_slots(cache);
}

/* Gives a list the more slots, the more often a unit comes back that it could not keep. */
static void adapt(struct arc *arc, uint32_t unit)
{
    if (arc->incoming == unit)
        return;
    arc->incoming = unit;
    double once = unit_list_count(arc->lists, ONCE_GHOST);
    double again = unit_list_count(arc->lists, AGAIN_GHOST);
    if (unit_list_of(arc->lists, unit) == ONCE_GHOST) {
        arc->once_slots += again > once ? again / once : 1;
        arc->once_slots = arc->once_slots < arc->slots ? arc->once_slots : arc->slots;
    } else if (unit_list_of(arc->lists, unit) == AGAIN_GHOST) {
        arc->once_slots -= once > again ? once / again : 1;
        arc->once_slots = arc->once_slots > 0 ? arc->once_slots : 0;
    }
}

static void drop_ghost(struct arc *arc, uint32_t list)
{
    int64_t ghost = unit_list_first(arc->lists, list);
    if (ghost >= 0)
        unit_list_remove(arc->lists, (uint32_t)ghost);
}

static uint32_t count(const struct arc *arc, uint32_t a, uint32_t b)
{
    return unit_list_count(arc->lists, a) + unit_list_count(arc->lists, b);
}

static void loaded(void *state, uint32_t unit)
{
    struct arc *arc = state;
    uint32_t was = unit_list_of(arc->lists, unit);
    adapt(arc, unit); /* if there was room without a victim */
    arc->incoming = CACHE_NO_UNIT;
    unit_list_append(arc->lists, was == UNIT_LIST_NONE ? ONCE : AGAIN, unit);
    while (unit_list_count(arc->lists, ONCE_GHOST) > 0 && count(arc, ONCE, ONCE_GHOST) > arc->slots)
        drop_ghost(arc, ONCE_GHOST);
    while (unit_list_count(arc->lists, AGAIN_GHOST) > 0 &&
           count(arc, ONCE, ONCE_GHOST) + count(arc, AGAIN, AGAIN_GHOST) > 2 * arc->slots)
        drop_ghost(arc, AGAIN_GHOST);
}

static void used(void *state, uint32_t unit, bool first)
{
    struct arc *arc = state;
    uint32_t list = unit_list_of(arc->lists, unit);
    unit_list_append(arc->lists, first ? list : AGAIN, unit);
}

static void evicted(void *state, uint32_t unit)
{
    struct arc *arc = state;
    bool once = unit_list_of(arc->lists, unit) == ONCE;
    unit_list_append(arc->lists, once ? ONCE_GHOST : AGAIN_GHOST, unit);
}

static int64_t victim(void *state, const struct cache_choice *choice)
{
    struct arc *arc = state;
    uint32_t once = unit_list_count(arc->lists, ONCE), comes_from = UNIT_LIST_NONE;
    if (choice->incoming != CACHE_NO_UNIT) {
        adapt(arc, choice->incoming);
        comes_from = unit_list_of(arc->lists, choice->incoming);
    }
    bool from_once = once > arc->once_slots || once == arc->slots ||
                     (comes_from == AGAIN_GHOST && once >= arc->once_slots);
    uint32_t list = once > 0 && from_once ? ONCE : AGAIN;
    int64_t found = unit_list_victim(arc->lists, list, choice);
    return found >= 0 ? found : unit_list_victim(arc->lists, list == ONCE ? AGAIN : ONCE, choice);
}

const struct cache_policy policy_arc = {
    .name = "arc",
    .about = "used once and used again, their shares adapted by hits among ghosts",
    .opened = opened,
    .closed = closed,
    .resized = resized,
    .loaded = loaded,
    .used = used,
    .evicted = evicted,
    .victim = victim,
};
