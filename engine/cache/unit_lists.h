/*
 * unit_lists: doubly linked lists of units, for policies that keep an order. A unit is on one
 * list at most; whether it is in the cache does not matter (ghosts). Every operation takes
 * constant time.
 */
#ifndef CACHE_UNIT_LISTS_H
#define CACHE_UNIT_LISTS_H

#include "cache/cache.h"

#include <stdint.h>

struct unit_lists;

/* All empty. NULL: out of memory. */
struct unit_lists *unit_lists_open(uint32_t n_units, uint32_t n_lists);
void unit_lists_close(struct unit_lists *lists);

#define UNIT_LIST_NONE UINT32_MAX
/* The list that the unit is on, or UNIT_LIST_NONE. */
uint32_t unit_list_of(const struct unit_lists *lists, uint32_t unit);
uint32_t unit_list_count(const struct unit_lists *lists, uint32_t list);

/* Puts the unit at the end or the beginning of a list, from whichever it was on. */
void unit_list_append(struct unit_lists *lists, uint32_t list, uint32_t unit);
void unit_list_prepend(struct unit_lists *lists, uint32_t list, uint32_t unit);
/* Without effect when it is on none. */
void unit_list_remove(struct unit_lists *lists, uint32_t unit);

/* From the ends of a list, and from a unit to its neighbours on its list; -1: there is none. */
int64_t unit_list_first(const struct unit_lists *lists, uint32_t list);
int64_t unit_list_last(const struct unit_lists *lists, uint32_t list);
int64_t unit_list_next(const struct unit_lists *lists, uint32_t unit);
int64_t unit_list_before(const struct unit_lists *lists, uint32_t unit);

/* The first from the beginning of a list that may leave; -1: none. */
int64_t unit_list_victim(const struct unit_lists *lists, uint32_t list,
                         const struct cache_choice *choice);

#endif
