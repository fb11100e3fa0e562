/* furthest: see furthest.h. */
#include "cache/furthest.h"

#include "base/memory.h"

#include <assert.h>

enum { NOWHERE = -1, TOUCHED = -2 }; /* else a place in the heap; TOUCHED - i: touched[i] */

struct furthest {
    uint32_t n_units;
    int64_t *place;   /* [n_units] */
    uint64_t *member; /* bit i: unit i was added */
    /* those whose distance is known, the furthest at the root */
    uint32_t *heap, n_heap;
    double *distance; /* [n_units] greater: further away */
    uint64_t *since;  /* [n_units] order of touches: of equals the one touched first leaves */
    uint64_t touches;
    /* those that were used, or could not leave, since the last choice */
    uint32_t *touched, n_touched;
};

struct furthest *furthest_open(uint32_t n_units)
{
    struct furthest *f = lb_calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->n_units = n_units;
    f->place = lb_calloc(n_units, sizeof *f->place);
    f->member = lb_calloc(n_units / 64 + 1, sizeof *f->member);
    f->heap = lb_calloc(n_units, sizeof *f->heap);
    f->distance = lb_calloc(n_units, sizeof *f->distance);
    f->since = lb_calloc(n_units, sizeof *f->since);
    f->touched = lb_calloc(n_units, sizeof *f->touched);
    if (!f->place || !f->member || !f->heap || !f->distance || !f->since || !f->touched) {
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
    lb_free(furthest->place);
    lb_free(furthest->member);
    lb_free(furthest->heap);
    lb_free(furthest->distance);
    lb_free(furthest->since);
    lb_free(furthest->touched);
    lb_free(furthest);
}

/* ---- heap ---- */

static bool leaves_before(const struct furthest *f, uint32_t a, uint32_t b)
{
    return f->distance[a] != f->distance[b] ? f->distance[a] > f->distance[b]
                                            : f->since[a] < f->since[b];
}

static void put(struct furthest *f, uint32_t at, uint32_t unit)
{
    f->heap[at] = unit;
    f->place[unit] = at;
}

/* Lets the unit find its place from `at` on, which is free. */
static void sift(struct furthest *f, uint32_t at, uint32_t unit)
{
    for (; at > 0 && leaves_before(f, unit, f->heap[(at - 1) / 2]); at = (at - 1) / 2)
        put(f, at, f->heap[(at - 1) / 2]);
    for (uint32_t child; (child = 2 * at + 1) < f->n_heap; at = child) {
        if (child + 1 < f->n_heap && leaves_before(f, f->heap[child + 1], f->heap[child]))
            child++;
        if (!leaves_before(f, f->heap[child], unit))
            break;
        put(f, at, f->heap[child]);
    }
    put(f, at, unit);
}

static void take_out(struct furthest *f, uint32_t unit)
{
    if (f->place[unit] >= 0) {
        uint32_t at = (uint32_t)f->place[unit], last = f->heap[--f->n_heap];
        if (last != unit)
            sift(f, at, last);
    } else if (f->place[unit] <= TOUCHED) {
        uint32_t i = (uint32_t)(TOUCHED - f->place[unit]), last = f->touched[--f->n_touched];
        f->touched[i] = last;
        f->place[last] = TOUCHED - (int64_t)i;
    }
    f->place[unit] = NOWHERE;
}

/* ---- */

static void look_again(struct furthest *f, uint32_t unit)
{
    take_out(f, unit);
    f->place[unit] = TOUCHED - (int64_t)f->n_touched;
    f->touched[f->n_touched++] = unit;
}

void furthest_touch(struct furthest *furthest, uint32_t unit)
{
    furthest->member[unit / 64] |= UINT64_C(1) << unit % 64;
    furthest->since[unit] = ++furthest->touches;
    look_again(furthest, unit);
}

void furthest_remove(struct furthest *furthest, uint32_t unit)
{
    furthest->member[unit / 64] &= ~(UINT64_C(1) << unit % 64);
    take_out(furthest, unit);
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
            take_out(f, unit);
        } else if (u->pins > 0 || u->state != CACHE_RESIDENT ||
                   (cycle && kind != FUTURE_ESTIMATED)) {
            i++;
        } else {
            take_out(f, unit);
            f->distance[unit] = cycle ? -future_popularity(choice->future, unit) : (double)next;
            sift(f, f->n_heap++, unit);
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
    while (furthest->n_heap > 0 && !cache_may_evict(choice, furthest->heap[0])) {
        uint32_t unit = furthest->heap[0];
        if (!future_is_cycle(choice->future)) /* the rest is needed sooner still */
            return -1;
        look_again(furthest, unit);
    }
    if (furthest->n_heap > 0)
        return furthest->heap[0];
    return future_is_cycle(choice->future) ? find_known(furthest, choice) : -1;
}
