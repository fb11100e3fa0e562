/*
 * furthest: finds the unit whose next use is furthest away, for belady and the pin policies.
 *
 * In a cycle the units that are known to be needed are found by walking back from the position;
 * the others, whose next use is an estimate, leave before them, the least popular first. In a
 * sequence the next uses are exact, but far between. Both orders are kept in a heap: a unit's
 * place in it changes only when it is used, so a choice costs O(log n).
 */
#ifndef CACHE_FURTHEST_H
#define CACHE_FURTHEST_H

#include "cache/cache.h"

struct furthest;

/* NULL: out of memory. */
struct furthest *furthest_open(uint32_t n_units);
void furthest_close(struct furthest *furthest);

/* Adds the unit, or has it looked at again because it was used. */
void furthest_touch(struct furthest *furthest, uint32_t unit);
/* Without effect when it was not added. */
void furthest_remove(struct furthest *furthest, uint32_t unit);
/* Of those added that may leave the one needed last; -1: none. */
int64_t furthest_find(struct furthest *furthest, const struct cache_choice *choice);

#endif
