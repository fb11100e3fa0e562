/*
 * micro_memory: the read bandwidth of the machine's memory, over the block that holds the weights
 * and with the threads that compute: the roof of decoding.
 */
#include "base/clock.h"
#include "kernels/kernels.h"
#include "micro.h"

#include <stdatomic.h>

#define STRETCH ((size_t)1 << 18) /* bytes that a thread takes at a time */
#define AT_ONCE 256               /* stretches in one job */

struct reading {
    const struct kernels_ops *ops; /* the best set */
    const uint8_t *begin;
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
        sum += r->ops->read(r->begin + begin * STRETCH, (end - begin) * STRETCH);
    atomic_fetch_add(&r->sum, sum);
}

double micro_memory_rate(struct micro *m, int64_t ns)
{
    size_t total = m->weights_bytes / STRETCH, at = 0;
    uint64_t bytes = 0;
    size_t n_sets;
    const struct kernels_ops *const *sets = kernels_list(&n_sets);
    struct reading r = {.sum = 0};
    for (size_t i = 0; i < n_sets; i++)
        if (sets[i]->available())
            r.ops = sets[i];
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

static enum lb_status measure(struct micro *m, struct micro_case *c, struct micro_sample *sample,
                              struct lb_error *err)
{
    (void)c;
    (void)err;
    sample->bytes = (double)m->weights_bytes;
    sample->ns = sample->bytes * 1e9 / micro_memory_rate(m, m->sample_ns);
    sample->iterations = 1;
    return LB_OK;
}

enum lb_status micro_list_memory(struct micro_list *list, struct lb_error *err)
{
    struct micro_case *c = micro_add(list, "memory/read");
    if (!c)
        return lb_fail(err, LB_ERR_NOMEM, "out of memory for benchmarks");
    c->measure = measure;
    return LB_OK;
}
