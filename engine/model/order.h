/*
 * order: which order of asking for weights (kernels.h, enum kernels_order) a product takes.
 *
 * Which one is faster depends on the type of the weights, the shape of the product and the state of
 * the memory, and that state changes within seconds. So the choice is made for each shape from what
 * its products took, and made again for as long as the model runs:
 *
 *   1. the first products of a shape take the orders in turn; the least median is the best;
 *   2. from then on the best serves, and now and then one product is a trial of another order, set
 *      against the median of the last products of the best, which were of the same shape moments
 *      ago (a mean would let one product that another process held up make a trial look good).
 *      The worse an order was, the rarer its trials, so that they cost about ORDER_COST of the
 *      time;
 *   3. a trial that wins is repeated at once; ORDER_CONFIRM wins in a row make it the best.
 *
 * Pure: no clock of its own. The bits of a product are the same in every order.
 */
#ifndef MODEL_ORDER_H
#define MODEL_ORDER_H

#include "kernels/kernels.h"

#define ORDER_COST    0.005 /* share of the time that trials may take, each order */
#define ORDER_CONFIRM 3     /* wins in a row that make another order the best */
#define ORDER_WIN     0.98  /* what counts as a win: this much of the best's time or less */
#define ORDER_ROUNDS  5     /* of the orders in turn, for a new shape */

/* Products that behave alike: same types, width and tokens, and a like number of rows */
struct order_shape {
    uint64_t key;
    uint32_t seen; /* products while the orders take turns */
    double first[N_KERNELS_ORDERS][ORDER_ROUNDS];
    enum kernels_order best;
    double latest[ORDER_ROUNDS];    /* costs of the best's last products, ns a row */
    uint32_t n_latest;              /* so many have been: they take turns */
    double ratio[N_KERNELS_ORDERS]; /* cost of each over that of the best, as last seen */
    uint32_t wins;                  /* in a row, of the order on trial */
    enum kernels_order on_trial;
    uint32_t until_trial; /* products of the best before the next */
};

#define ORDER_SHAPES 32 /* more than any model has; others take the first order */

struct order_chooser {
    struct order_shape shapes[ORDER_SHAPES];
    uint32_t n_shapes;
    uint64_t products[N_KERNELS_ORDERS]; /* so many by each order */
    uint64_t changes;                    /* of a shape's best, after the first choice */
};

/* The shape of a job, or NULL when there are too many. `types` tells apart what lies in it. */
struct order_shape *order_shape_of(struct order_chooser *c, uint32_t types, uint32_t n_in,
                                   uint32_t n_tokens, uint32_t rows);
/* The order for the next product of the shape. */
enum kernels_order order_next(const struct order_shape *shape);
/* That product took `ns` for `rows` rows. */
void order_took(struct order_chooser *c, struct order_shape *shape, enum kernels_order order,
                double ns, uint32_t rows);

#endif
