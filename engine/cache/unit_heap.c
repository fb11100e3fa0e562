/* unit_heap: see unit_heap.h. */
#include "cache/unit_heap.h"

#include "base/memory.h"

enum { NOWHERE = UINT32_MAX };

struct place {
    double key;
    uint64_t since; /* order of puts */
    uint32_t at;    /* in heap[], or NOWHERE */
};

struct unit_heap {
    struct place *places; /* [n_units] */
    uint64_t puts;
    uint32_t n, heap[]; /* [n_units] units */
};

struct unit_heap *unit_heap_open(uint32_t n_units)
{
    struct unit_heap *h = lb_calloc(1, sizeof *h + n_units * sizeof *h->heap);
    if (!h)
        return NULL;
    h->places = lb_calloc(n_units, sizeof *h->places);
    if (!h->places) {
        unit_heap_close(h);
        return NULL;
    }
    for (uint32_t i = 0; i < n_units; i++)
        h->places[i].at = NOWHERE;
    return h;
}

void unit_heap_close(struct unit_heap *heap)
{
    if (!heap)
        return;
    lb_free(heap->places);
    lb_free(heap);
}

static bool comes_before(const struct unit_heap *h, uint32_t a, uint32_t b)
{
    const struct place *x = &h->places[a], *y = &h->places[b];
    return x->key != y->key ? x->key < y->key : x->since < y->since;
}

static void set(struct unit_heap *h, uint32_t at, uint32_t unit)
{
    h->heap[at] = unit;
    h->places[unit].at = at;
}

/* Lets the unit find its place from `at` on, which is free. */
static void sift(struct unit_heap *h, uint32_t at, uint32_t unit)
{
    for (; at > 0 && comes_before(h, unit, h->heap[(at - 1) / 2]); at = (at - 1) / 2)
        set(h, at, h->heap[(at - 1) / 2]);
    for (uint32_t child; (child = 2 * at + 1) < h->n; at = child) {
        if (child + 1 < h->n && comes_before(h, h->heap[child + 1], h->heap[child]))
            child++;
        if (!comes_before(h, h->heap[child], unit))
            break;
        set(h, at, h->heap[child]);
    }
    set(h, at, unit);
}

void unit_heap_put(struct unit_heap *heap, uint32_t unit, double key)
{
    struct place *place = &heap->places[unit];
    place->key = key;
    place->since = ++heap->puts;
    sift(heap, place->at == NOWHERE ? heap->n++ : place->at, unit);
}

void unit_heap_remove(struct unit_heap *heap, uint32_t unit)
{
    uint32_t at = heap->places[unit].at;
    if (at == NOWHERE)
        return;
    heap->places[unit].at = NOWHERE;
    uint32_t last = heap->heap[--heap->n];
    if (last != unit)
        sift(heap, at, last);
}

void unit_heap_change_keys(struct unit_heap *heap, double factor, double shift)
{
    for (uint32_t i = 0; i < heap->n; i++) {
        struct place *place = &heap->places[heap->heap[i]];
        place->key = place->key * factor + shift;
    }
}

int64_t unit_heap_first(const struct unit_heap *heap)
{
    return heap->n > 0 ? (int64_t)heap->heap[0] : -1;
}

/* The best below `at` that may leave and comes before `best` (-1: any). */
static int64_t search(const struct unit_heap *h, const struct cache_choice *choice, uint32_t at,
                      int64_t best)
{
    if (at >= h->n || (best >= 0 && !comes_before(h, h->heap[at], (uint32_t)best)))
        return best;
    if (cache_may_evict(choice, h->heap[at]))
        return h->heap[at];
    best = search(h, choice, 2 * at + 1, best);
    return search(h, choice, 2 * at + 2, best);
}

int64_t unit_heap_victim(const struct unit_heap *heap, const struct cache_choice *choice)
{
    return search(heap, choice, 0, -1);
}
