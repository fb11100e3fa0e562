/*
 * unit_heap: units by a key, the least at the root, of equals the one put first; for policies that
 * rank units. Every operation takes O(log n).
 */
#ifndef CACHE_UNIT_HEAP_H
#define CACHE_UNIT_HEAP_H

#include "cache/cache.h"

struct unit_heap;

/* Empty. NULL: out of memory. */
struct unit_heap *unit_heap_open(uint32_t n_units);
void unit_heap_close(struct unit_heap *heap);

/* Adds the unit, or gives it another key; of equal keys it is the last one. */
void unit_heap_put(struct unit_heap *heap, uint32_t unit, double key);
/* Without effect when it is not there. */
void unit_heap_remove(struct unit_heap *heap, uint32_t unit);
/* Makes every key key * factor + shift, factor > 0: the order stays. O(n) */
void unit_heap_change_keys(struct unit_heap *heap, double factor, double shift);
/* The root; -1: empty. */
int64_t unit_heap_first(const struct unit_heap *heap);
/* The first in order that may leave; -1: none. O(log n) for each that comes before and may not. */
int64_t unit_heap_victim(const struct unit_heap *heap, const struct cache_choice *choice);

#endif
