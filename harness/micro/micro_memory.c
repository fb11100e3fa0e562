/*
 * micro_memory: the read bandwidth of the machine's memory, over the block that holds the weights
 * and with the threads that compute: the roof of decoding, and for comparison what reading in order
 * reaches, as other programs measure it.
 */
#include "base/clock.h"
#include "kernels/kernels.h"
#include "micro/micro.h"

#include <stdatomic.h>

#define STRETCH (1u << 18) /* bytes that a thread takes at a time */
#define AT_ONCE 256        /* stretches in one job */
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
        for (size_t at = (size_t)begin * STRETCH; at < (size_t)end * STRETCH; at += r->piece)
            sum += r->ops->read(r->begin + at, r->piece);
    atomic_fetch_add(&r->sum, sum);
}

static double rate(struct micro *m, size_t piece, int64_t ns)
{
    size_t total = m->weights_bytes / STRETCH, at = 0;
    uint64_t bytes = 0;
    struct reading r = {.piece = piece, .sum = 0};
    kernels_select(NULL, &r.ops, NULL); /* the best cannot fail */
    int64_t start = lb_now_ns();
    do {
        size_t n = total - at < AT_ONCE ? total - at : AT_ONCE;
        r.begin = m->weights + at * STRETCH;
        lb_share_reset(&r.share, (uint32_t)n, 1, lb_pool_threads(m->pool));
        lb_pool_run(m->pool, read_thread, &r);
        bytes += n * STRETCH;
        at = (at + n) % total;
    } while (lb_now_ns() - start < ns);
    return (double)bytes * 1e9 / (double)(lb_now_ns() - start);
}

double micro_memory_rate(struct micro *m, int64_t ns)
{
    return rate(m, STRETCH, ns);
}

static enum lb_status measure(struct micro *m, struct micro_case *c, struct micro_result *sample,
                              struct lb_error *err)
{
    (void)err;
    sample->bytes = (double)m->weights_bytes;
    sample->ns = sample->bytes * 1e9 / rate(m, c->block_bytes, m->sample_ns);
    sample->iterations = 1;
    return LB_OK;
}

enum lb_status micro_list_memory(struct micro_list *list, struct lb_error *err)
{
    for (int i = 0; i < 2; i++) {
        struct micro_case *c = micro_add(list, i ? "memory/read/in-order" : "memory/read");
        if (!c)
            return lb_fail(err, LB_ERR_NOMEM, "out of memory for benchmarks");
        c->measure = measure;
        c->block_bytes = i ? PIECE : STRETCH;
    }
    return LB_OK;
}
