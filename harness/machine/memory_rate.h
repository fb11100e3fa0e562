/*
 * memory_rate: how fast threads together read memory, in order and in streams (kernels_ops.read):
 * what decoding is measured beside. Which of the two is faster is a state of the memory that
 * changes within seconds, and so do the two orders of products of one token.
 */
#ifndef MEMORY_RATE_H
#define MEMORY_RATE_H

#include "base/pool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory_rate {
    double in_order, in_streams; /* bytes/s */
};

#define MEMORY_STRETCH ((size_t)1 << 18) /* what a thread takes at a time: least of a block */

/* Of a block of memory larger than the caches, over about `ns` each. */
struct memory_rate memory_rate_measure(struct lb_pool *pool, const uint8_t *memory, size_t bytes,
                                       int64_t ns);
/* One of the two alone. */
double memory_rate_of(struct lb_pool *pool, const uint8_t *memory, size_t bytes, bool in_order,
                      int64_t ns);

static inline double memory_rate_better(struct memory_rate r)
{
    return r.in_order > r.in_streams ? r.in_order : r.in_streams;
}

#endif
