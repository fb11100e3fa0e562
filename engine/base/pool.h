/*
 * pool: a fixed set of compute threads that run one function at a time, whoever is there.
 *
 * The caller is thread 0. Workers spin for a few tens of microseconds after a
 * job and then park on a futex, so that back-to-back operations of a forward
 * pass start in about a microsecond, and threads that wait for storage leave
 * their cores to it.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include "base/status.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct lb_pool;

typedef void (*lb_pool_fn)(void *ctx, int thread, int n_threads);

/* n_threads >= 1, caller included. On error *pool is NULL. */
enum lb_status lb_pool_open(int n_threads, struct lb_pool **pool, struct lb_error *err);
void lb_pool_close(struct lb_pool *pool);
int lb_pool_threads(const struct lb_pool *pool);

/* Runs fn(ctx, thread, n) on the caller (thread 0) and on every other thread that gets there
 * before the caller's returns; returns when all who came are done. So fn must share its work out
 * (lb_share_next) and return when nothing is left: then a thread whose processor is busy
 * elsewhere holds nobody up. One caller at a time; not to be called from inside fn. */
void lb_pool_run(struct lb_pool *pool, lb_pool_fn fn, void *ctx);

/*
 * Work sharing inside a job: items 0..n-1, each thread takes its own contiguous
 * part in chunks (sequential memory access), then steals chunks from the others.
 */
#define LB_SHARE_MAX 256

struct lb_share_part {
    _Alignas(64) _Atomic uint32_t next;
    uint32_t end;
};

struct lb_share {
    uint32_t chunk;
    int n_parts;
    struct lb_share_part part[LB_SHARE_MAX];
};

/* Before the job, by the caller. Threads take `chunk` items at a time, towards the end of a part
 * half of what is left, down to about a quarter of chunk, so that all end together. Everything
 * begins at multiples of the largest power of two that divides chunk. */
void lb_share_reset(struct lb_share *share, uint32_t n_items, uint32_t chunk, int n_threads);
/* In the job: the next [*begin, *end) for this thread; false when nothing is left. */
bool lb_share_next(struct lb_share *share, int thread, uint32_t *begin, uint32_t *end);

#endif
