/* furthest: see furthest.h. */
#include "cache/furthest.h"

#include "base/bits.h"
#include "base/memory.h"
#include "cache/unit_heap.h"

enum { NOWHERE = UINT32_MAX };

struct furthest {
    uint32_t n_units;
    uint64_t *member;       /* bit i: unit i was added */
    struct unit_heap *heap; /* of those whose distance is known; the furthest has the least key */
    /* those that were used, or could not leave, since the last choice */
    uint32_t *touched, n_touched;
    uint32_t *place; /* [n_units] in touched[] */
};

struct furthest *furthest_open(uint32_t n_units)
{
    struct furthest *f = lb_calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->n_units = n_units;
    f->member = lb_calloc(n_units / 64 + 1, sizeof *f->member);
    f->heap = unit_heap_open(n_units);
    f->touched = lb_calloc(n_units, sizeof *f->touched);
    f->place = lb_calloc(n_units, sizeof *f->place);
    if (!f->member || !f->heap || !f->touched || !f->place) {
        furthest_close(f);
        return NULL;
    }
    for (uint32_t i = 0; i < n_units; i++)
        f->place[i] = NOWHERE;
    return f;
}

void furthest_close(struct furthest *furthest)
{
    if (!furthest)
        return;
    lb_free(furthest->member);
    unit_heap_close(furthest->heap);
    lb_free(furthest->touched);
    lb_free(furthest->place);
    lb_free(furthest);
}

static void forget(struct furthest *f, uint32_t unit)
{
    uint32_t at = f->place[unit];
    unit_heap_remove(f->heap, unit);
    if (at == NOWHERE)
        return;
    f->place[unit] = NOWHERE;
    uint32_t last = f->touched[--f->n_touched];
    if (last == unit)
        return;
    f->touched[at] = last;
    f->place[last] = at;
}

static void look_again(struct furthest *f, uint32_t unit)
{
    forget(f, unit);
    f->place[unit] = f->n_touched;
    f->touched[f->n_touched++] = unit;
}

void furthest_touch(struct furthest *furthest, uint32_t unit)
{
    lb_set_bit(furthest->member, unit, true);
    look_again(furthest, unit);
}

void furthest_remove(struct furthest *furthest, uint32_t unit)
{
    lb_set_bit(furthest->member, unit, false);
    forget(furthest, unit);
}

/* Moves what was touched into the heap, but for units in flight or in use: their next use is the
 * one at hand. In a cycle those that are known to be needed are found without it. */
static void place_touched(struct furthest *f, const struct cache_choice *choice)
{
    bool cycle = future_is_cycle(choice->future);
    for (uint32_t i = 0; i < f->n_touched;) {
        uint32_t unit = f->touched[i];
        const struct cache_unit *u = cache_unit(choice->cache, unit);
        enum future_kind kind;
        uint64_t next = future_next(choice->future, unit, choice->position, &kind);
        if (cycle && future_is_always(choice->future, unit)) {
            forget(f, unit);
        } else if (u->pins > 0 || u->state != CACHE_RESIDENT ||
                   (cycle && kind != FUTURE_ESTIMATED)) {
            i++;
        } else {
            forget(f, unit);
            unit_heap_put(f->heap, unit,
                          cycle ? future_popularity(choice->future, unit) : -(double)next);
        }
    }
}

/* The known units of a cycle, back from the position. */
static int64_t find_known(const struct furthest *f, const struct cache_choice *choice)
{
    uint32_t n = f->n_units, unit = (uint32_t)(choice->position % n);
    for (uint32_t gone = 0; gone < n;) {
        int64_t before = future_before(choice->future, unit, f->member);
        if (before < 0)
            return -1;
        gone += (uint32_t)before < unit ? unit - (uint32_t)before : unit + n - (uint32_t)before;
        unit = (uint32_t)before;
        if (gone <= n && cache_may_evict(choice, unit))
            return unit;
    }
    return -1;
}

int64_t furthest_find(struct furthest *furthest, const struct cache_choice *choice)
{
    place_touched(furthest, choice);
    int64_t first;
    while ((first = unit_heap_first(furthest->heap)) >= 0) {
        if (cache_may_evict(choice, (uint32_t)first))
            return first;
        if (!future_is_cycle(choice->future)) /* the rest is needed sooner still */
            return -1;
        look_again(furthest, (uint32_t)first);
    }
    return future_is_cycle(choice->future) ? find_known(furthest, choice) : -1;
}
