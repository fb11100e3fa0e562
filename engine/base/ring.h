/*
 * ring: a bounded queue of fixed-size records from one producer thread to one
 * consumer thread, without locks or allocation after open. Used for the access
 * log: the engine pushes, the harness drains between passes.
 */
#ifndef BASE_RING_H
#define BASE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lb_ring;

/* Room for at least `capacity` records of `record_bytes`; NULL when out of memory. */
struct lb_ring *lb_ring_open(size_t capacity, size_t record_bytes);
void lb_ring_close(struct lb_ring *ring);

/* Copies one record in; false when full (then the record is counted as dropped). */
bool lb_ring_push(struct lb_ring *ring, const void *record);
/* Copies up to max records out, oldest first; returns how many. */
size_t lb_ring_drain(struct lb_ring *ring, void *records, size_t max);
/* Records refused since open. */
uint64_t lb_ring_dropped(const struct lb_ring *ring);

#endif
