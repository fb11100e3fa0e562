/* slow: every read around another storage takes longer by a share of the time it took. */
#include "base/memory.h"
#include "storage/wrapper.h"

#include <math.h>

struct slow {
    double factor;
};

static void stamp(void *own, struct held *held)
{
    (void)own; /* due at once, until it is known how long the read took */
    (void)held;
}

static void finish(void *own, struct held *held)
{
    const struct slow *s = own;
    int64_t took = held->done.done_ns - held->submit_ns;
    held->due_ns = held->done.done_ns + (int64_t)ceil((double)(took > 0 ? took : 0) * s->factor);
}

static const struct wrapper_hooks hooks = {.any_order = true, .stamp = stamp, .finish = finish};

enum lb_status storage_slow(struct storage *inner, double factor, struct storage **storage,
                            struct lb_error *err)
{
    *storage = NULL;
    if (!(factor >= 0 && factor <= 1000)) {
        storage_close(inner);
        return lb_fail(err, LB_ERR_INPUT, "slow: expected a factor from 0 to 1000, got %g", factor);
    }
    struct slow *own = lb_calloc(1, sizeof *own);
    if (own)
        own->factor = factor;
    return wrapper_open(inner, 0, &hooks, own, storage, err);
}
