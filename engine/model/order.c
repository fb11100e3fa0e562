/* order: see order.h. */
#include "model/order.h"

#include <string.h>

#define LEAST_WAIT  32 /* products between two trials */
#define MOST_WAIT   512
#define WAIT_TO_WIN 2 /* after a win, before it is confirmed */

static uint32_t log2_of(uint32_t n)
{
    uint32_t log2 = 0;
    while (n >>= 1)
        log2++;
    return log2;
}

struct order_shape *order_shape_of(struct order_chooser *c, uint32_t types, uint32_t n_in,
                                   uint32_t n_tokens, uint32_t rows)
{
    const uint64_t key =
        (uint64_t)types << 40 ^ (uint64_t)n_in << 12 ^ (uint64_t)n_tokens << 6 ^ log2_of(rows);
    for (uint32_t i = 0; i < c->n_shapes; i++)
        if (c->shapes[i].key == key)
            return &c->shapes[i];
    if (c->n_shapes == ORDER_SHAPES)
        return NULL;
    struct order_shape *shape = &c->shapes[c->n_shapes++];
    memset(shape, 0, sizeof *shape);
    shape->key = key;
    return shape;
}

enum kernels_order order_next(const struct order_shape *shape)
{
    if (shape->seen < N_KERNELS_ORDERS * ORDER_ROUNDS)
        return (enum kernels_order)(shape->seen % N_KERNELS_ORDERS);
    return shape->until_trial == 0 ? shape->on_trial : shape->best;
}

static enum kernels_order next_trial(const struct order_shape *shape)
{
    enum kernels_order next = (enum kernels_order)((shape->on_trial + 1) % N_KERNELS_ORDERS);
    return next == shape->best ? (enum kernels_order)((next + 1) % N_KERNELS_ORDERS) : next;
}

/* So many products of the best that a trial of this order costs ORDER_COST of them */
static uint32_t wait_for(const struct order_shape *shape, enum kernels_order order)
{
    double wait = (shape->ratio[order] - 1) / ORDER_COST;
    return wait < LEAST_WAIT ? LEAST_WAIT : wait > MOST_WAIT ? MOST_WAIT : (uint32_t)wait;
}

static double median(const double values[ORDER_ROUNDS])
{
    double v[ORDER_ROUNDS];
    for (int n = 0; n < ORDER_ROUNDS; n++) { /* insertion sort */
        int i = n;
        for (; i > 0 && v[i - 1] > values[n]; i--)
            v[i] = v[i - 1];
        v[i] = values[n];
    }
    return v[ORDER_ROUNDS / 2];
}

/* Step 1 is over. */
static void choose_first(struct order_shape *shape)
{
    double medians[N_KERNELS_ORDERS];
    for (uint32_t k = 0; k < N_KERNELS_ORDERS; k++) {
        medians[k] = median(shape->first[k]);
        if (medians[k] < medians[shape->best])
            shape->best = (enum kernels_order)k;
    }
    memcpy(shape->latest, shape->first[shape->best], sizeof shape->latest);
    for (uint32_t k = 0; k < N_KERNELS_ORDERS; k++)
        shape->ratio[k] = medians[k] / medians[shape->best];
    shape->on_trial = next_trial(shape);
    shape->until_trial = wait_for(shape, shape->on_trial);
}

static void take_over(struct order_chooser *c, struct order_shape *shape, enum kernels_order order)
{
    const double ratio = shape->ratio[order];
    for (uint32_t k = 0; k < N_KERNELS_ORDERS; k++)
        shape->ratio[k] /= ratio;
    shape->best = order;
    for (int i = 0; i < ORDER_ROUNDS; i++)
        shape->latest[i] *= ratio;
    shape->wins = 0;
    c->changes++;
}

/* Steps 2 and 3 */
static void judge_trial(struct order_chooser *c, struct order_shape *shape, double cost)
{
    const enum kernels_order order = shape->on_trial;
    const double ratio = cost / median(shape->latest);
    if (ratio <= ORDER_WIN) {
        shape->wins++;
        shape->ratio[order] += (ratio - shape->ratio[order]) / shape->wins; /* mean of the wins */
        shape->until_trial = WAIT_TO_WIN;
        if (shape->wins < ORDER_CONFIRM)
            return;
        take_over(c, shape, order);
    } else {
        shape->wins = 0;
        shape->ratio[order] = (shape->ratio[order] + ratio) / 2;
    }
    shape->on_trial = next_trial(shape);
    shape->until_trial = wait_for(shape, shape->on_trial);
}

void order_took(struct order_chooser *c, struct order_shape *shape, enum kernels_order order,
                double ns, uint32_t rows)
{
    const double cost = ns / rows > 0 ? ns / rows : 1e-3; /* a clock may stand still */
    c->products[order]++;
    if (shape->seen < N_KERNELS_ORDERS * ORDER_ROUNDS) {
        shape->first[order][shape->seen / N_KERNELS_ORDERS] = cost;
        if (++shape->seen == N_KERNELS_ORDERS * ORDER_ROUNDS)
            choose_first(shape);
    } else if (order == shape->best) {
        shape->latest[shape->n_latest++ % ORDER_ROUNDS] = cost;
        shape->until_trial -= shape->until_trial > 0;
    } else {
        judge_trial(c, shape, cost);
    }
}
