/*
 * bell: a count that one thread raises and another waits for.
 *
 * A waiter spins for a few microseconds, then sleeps on a futex; ringing makes a system
 * call only when somebody sleeps. What is to be seen after a ring is written before it, under
 * a lock of the callers'.
 */
#ifndef PREFETCH_BELL_H
#define PREFETCH_BELL_H

#include <stdbool.h>
#include <stdint.h>

struct bell {              /* zeroed: not rung yet */
    _Atomic uint32_t rung; /* modulo 2^32 */
    _Atomic bool sleeping; /* a waiter sleeps on `rung` */
};

/* One thread at a time. */
void bell_ring(struct bell *bell);
uint32_t bell_count(const struct bell *bell);
/* Waits until bell_count() is not `count` any more. One thread at a time. */
void bell_wait(struct bell *bell, uint32_t count);

#endif
