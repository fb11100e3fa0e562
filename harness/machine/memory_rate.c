/* memory_rate: see memory_rate.h. */
#include "machine/memory_rate.h"

#include "base/clock.h"
#include "kernels/kernels.h"

#include <stdatomic.h>

#define AT_ONCE 64         /* stretches in one job */
#define PIECE   (1u << 11) /* that kernels_ops.read reads in order */

struct reading {
    const struct kernels_ops *ops; /* the best set */
    const uint8_t *begin;
    size_t piece; /* of a stretch, for one call of ops->read */
    struct lb_share share;
    _Atomic uint64_t sum; /* so that nothing is optimised away */
};

static void read_thread(void *ctx, int thread, int n_threads)
{
    struct reading *r = ctx;
    uint32_t begin, end;
    uint64_t sum = 0;
    (void)n_threads;
    while (lb_share_next(&r->share, thread, &begin, &end))
        for (size_t at = begin * MEMORY_STRETCH; at < end * MEMORY_STRETCH; at += r->piece)
            sum += r->ops->read(r->begin + at, r->piece);
    atomic_fetch_add(&r->sum, sum);
}

double memory_rate_of(struct lb_pool *pool, const uint8_t *memory, size_t bytes, bool in_order,
                      int64_t ns)
{
    const size_t total = bytes / MEMORY_STRETCH;
    size_t at = 0;
    uint64_t read = 0;
    struct reading r = {.piece = in_order ? PIECE : MEMORY_STRETCH, .sum = 0};
    kernels_select(NULL, &r.ops, NULL); /* the best cannot fail */
    const int64_t start = lb_now_ns();
    int64_t took;
    do {
        size_t n = total - at < AT_ONCE ? total - at : AT_ONCE;
        r.begin = memory + at * MEMORY_STRETCH;
        lb_share_reset(&r.share, (uint32_t)n, 1, lb_pool_threads(pool));
        lb_pool_run(pool, read_thread, &r);
        read += n * MEMORY_STRETCH;
        at = (at + n) % total;
        took = lb_now_ns() - start;
    } while (took < ns);
    return (double)read * 1e9 / (double)took;
}

struct memory_rate memory_rate_measure(struct lb_pool *pool, const uint8_t *memory, size_t bytes,
                                       int64_t ns)
{
    return (struct memory_rate){.in_order = memory_rate_of(pool, memory, bytes, true, ns),
                                .in_streams = memory_rate_of(pool, memory, bytes, false, ns)};
}
