/* gate_order: see gate_order.h. */
#include "gate/gate_order.h"

void gate_order_block(struct lb_random *random, bool head[GATE_BLOCK])
{
    bool first = lb_random_next(random) >> 63;
    head[0] = head[3] = first;
    head[1] = head[2] = !first;
}

void gate_order_round(struct lb_random *random, uint32_t *cells, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t other = lb_random_below(random, i);
        uint32_t kept = cells[i - 1];
        cells[i - 1] = cells[other];
        cells[other] = kept;
    }
}
