/*
 * micro_memory: the read bandwidth of the machine's memory, over the block that holds the weights
 * and with the threads that compute, in streams and in order: what decoding is measured beside.
 */
#include "micro/micro.h"

struct memory_rate micro_memory_rate(struct micro *m, int64_t ns)
{
    return memory_rate_measure(m->pool, m->weights, m->weights_bytes, ns);
}

struct memory_rate micro_mean_rate(struct memory_rate a, struct memory_rate b)
{
    return (struct memory_rate){(a.in_order + b.in_order) / 2, (a.in_streams + b.in_streams) / 2};
}

static enum lb_status measure(struct micro *m, struct micro_case *c, struct micro_result *sample,
                              struct lb_error *err)
{
    const double rate =
        memory_rate_of(m->pool, m->weights, m->weights_bytes, c->in_order, m->sample_ns);
    (void)err;
    sample->bytes = (double)m->weights_bytes;
    sample->ns = sample->bytes * 1e9 / rate;
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
        c->in_order = i == 1;
    }
    return LB_OK;
}
