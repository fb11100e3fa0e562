/*
 * test_order: the choice among orders of asking for weights, against products whose times are made
 * up: it finds the faster one, costs little, follows a change, and is not led astray by noise.
 */
#include "base/random.h"
#include "model/order.h"
#include "tests/check.h"

#include <math.h>

#define ROWS 2048

/* Times of the two orders, ns a row, with so much noise (uniform, either way) */
struct machine {
    double rows, streams, noise;
    double held_up; /* share of the products that take ten times as long, for reasons of others */
};

/* The time that n products took; by[] counts those of each order */
static double run(struct order_chooser *c, const struct machine *m, int n, struct lb_random *random,
                  int by[N_KERNELS_ORDERS])
{
    double total = 0;
    by[0] = by[1] = 0;
    for (int i = 0; i < n; i++) {
        struct order_shape *shape = order_shape_of(c, 12, 2048, 1, ROWS);
        enum kernels_order order = order_next(shape);
        double at = order == KERNELS_ROWS ? m->rows : m->streams;
        double ns = ROWS * at * (1 + m->noise * (2 * lb_random_unit(random) - 1));
        if (lb_random_unit(random) < m->held_up)
            ns *= 10;
        order_took(c, shape, order, ns, ROWS);
        by[order]++;
        total += ns;
    }
    return total;
}

static void finds_the_faster(void)
{
    const double ratios[] = {0.5, 0.75, 0.9, 1.11, 1.33, 2};
    for (size_t i = 0; i < sizeof ratios / sizeof *ratios; i++) {
        struct lb_random random = {i + 1};
        struct order_chooser c = {0};
        struct machine m = {.rows = 40, .streams = 40 * ratios[i], .noise = 0.1};
        int by[N_KERNELS_ORDERS];
        run(&c, &m, 10 * ORDER_ROUNDS, &random, by); /* the turns, and a little more */
        const int n = 4000;
        double took = run(&c, &m, n, &random, by);
        double best = n * ROWS * fmin(m.rows, m.streams);
        CHECK(took < 1.02 * best, "streams / rows %.2f: %.3f of the time of the better one",
              ratios[i], took / best);
        CHECK(ratios[i] < 1 ? by[KERNELS_STREAMS] > 0.9 * n : by[KERNELS_ROWS] > 0.9 * n,
              "streams / rows %.2f: %d in rows, %d in streams", ratios[i], by[0], by[1]);
        CHECK(by[0] > 0 && by[1] > 0, "the other order is never tried again");
    }
}

static void follows_a_change(void)
{
    struct lb_random random = {7};
    struct order_chooser c = {0};
    struct machine before = {40, 76, 0.1, 0}, after = {52, 40, 0.1, 0};
    int by[N_KERNELS_ORDERS];
    run(&c, &before, 500, &random, by);
    CHECK(c.changes == 0, "%d changes while nothing changes", (int)c.changes);
    run(&c, &after, 1200, &random, by);
    CHECK(c.changes == 1, "%d changes after one change", (int)c.changes);
    run(&c, &after, 1000, &random, by);
    CHECK(by[KERNELS_STREAMS] > 900, "%d of 1000 in the order that is faster now",
          by[KERNELS_STREAMS]);
}

static void noise_changes_nothing(void)
{
    struct lb_random random = {8};
    struct order_chooser c = {0};
    struct machine m = {.rows = 40, .streams = 42, .noise = 0.2};
    int by[N_KERNELS_ORDERS];
    double took = run(&c, &m, 20000, &random, by);
    CHECK(took < 1.03 * 20000 * ROWS * 40, "%.3f of the best, orders 5%% apart and noise of 20%%",
          took / (20000.0 * ROWS * 40));
}

/* Of products that others hold up, whichever order they took, nothing is learnt. */
static void others_change_nothing(void)
{
    struct lb_random random = {9};
    struct order_chooser c = {0};
    struct machine m = {.rows = 40, .streams = 60, .noise = 0.05};
    int by[N_KERNELS_ORDERS];
    run(&c, &m, 100, &random, by);
    m.held_up = 0.05;
    run(&c, &m, 40000, &random, by);
    CHECK(c.changes == 0, "%d changes", (int)c.changes);
    CHECK(by[KERNELS_ROWS] > 0.97 * 40000, "%d of 40000 in the faster order", by[KERNELS_ROWS]);
}

static void shapes_are_apart(void)
{
    struct order_chooser c = {0};
    struct order_shape *a = order_shape_of(&c, 12, 2048, 1, 2048);
    CHECK(order_shape_of(&c, 12, 2048, 1, 2048) == a, "the same shape");
    CHECK(order_shape_of(&c, 14, 2048, 1, 2048) != a, "another type");
    CHECK(order_shape_of(&c, 12, 5632, 1, 2048) != a, "another width");
    CHECK(order_shape_of(&c, 12, 2048, 2, 2048) != a, "two tokens");
    CHECK(order_shape_of(&c, 12, 2048, 1, 32000) != a, "many more rows");
    for (uint32_t i = c.n_shapes; i < ORDER_SHAPES; i++)
        CHECK(order_shape_of(&c, 12, 3000 + i, 1, 2048) != NULL, "shape %u", i);
    CHECK(order_shape_of(&c, 12, 2999, 1, 2048) == NULL, "more shapes than there is room for");
    CHECK(order_shape_of(&c, 12, 2048, 1, 2048) == a, "known ones are still found");
}

int main(void)
{
    finds_the_faster();
    follows_a_change();
    noise_changes_nothing();
    others_change_nothing();
    shapes_are_apart();
    return check_done();
}
