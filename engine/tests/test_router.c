/*
 * test_router: the choice of experts and their weights, against a second way to compute them: in
 * double, by ranking all experts; and what must hold whatever the scores are.
 */
#include "base/random.h"
#include "model/router.h"
#include "tests/check.h"

#include <math.h>

#define MOST 64

static uint64_t seed;

static double score_of(const struct model_experts *e, const float *logits, uint32_t i)
{
    double sum = 0;
    if (e->gating == MODEL_SIGMOID)
        return 1 / (1 + exp(-(double)logits[i]));
    if (e->gating == MODEL_SOFTMAX_OF_CHOSEN)
        return logits[i];
    for (uint32_t j = 0; j < e->count; j++)
        sum += exp((double)logits[j] - logits[i]);
    return 1 / sum;
}

/* How many of n stand before i: are greater, or as great and come earlier. */
static uint32_t rank(const double *x, uint32_t n, uint32_t i)
{
    uint32_t before = 0;
    for (uint32_t j = 0; j < n; j++)
        before += x[j] > x[i] || (x[j] == x[i] && j < i);
    return before;
}

/* What an expert counts for the choice; minus infinity outside the best groups. */
static void choice_values(const struct model_experts *e, const float *logits, const float *bias,
                          double *value)
{
    uint32_t size = e->count / e->groups;
    double worth[MOST];
    for (uint32_t i = 0; i < e->count; i++)
        value[i] = score_of(e, logits, i) + (bias ? bias[i] : 0);
    for (uint32_t g = 0; g < e->groups; g++) {
        worth[g] = 0;
        for (uint32_t i = 0; i < size; i++)
            worth[g] += rank(value + g * size, size, i) < 2 ? value[g * size + i] : 0;
    }
    for (uint32_t i = 0; e->groups > 1 && i < e->count; i++)
        if (rank(worth, e->groups, i / size) >= e->groups_used)
            value[i] = -INFINITY;
}

static void check_weights(const struct model_experts *e, const float *logits,
                          const uint32_t *experts, const float *weights)
{
    double expected[MOST], sum = 0;
    for (uint32_t k = 0; k < e->used; k++) {
        expected[k] = score_of(e, logits, experts[k]);
        if (e->gating == MODEL_SOFTMAX_OF_CHOSEN)
            expected[k] = exp(expected[k] - logits[experts[0]]);
        sum += expected[k];
    }
    for (uint32_t k = 0; k < e->used; k++) {
        if (e->normalised || e->gating == MODEL_SOFTMAX_OF_CHOSEN)
            expected[k] /= fmax(sum, ROUTER_LEAST_SUM);
        CHECK(fabs(weights[k] - expected[k] * e->scale) <= 1e-5 * e->scale,
              "seed %llu: weight %u is %g, expected %g", (unsigned long long)seed, k,
              (double)weights[k], expected[k] * e->scale);
    }
}

static void random_choice(void)
{
    struct lb_random random = {seed};
    static const uint32_t group_counts[] = {1, 1, 2, 4};
    struct model_experts e = {.groups = group_counts[lb_random_below(&random, 4)],
                              .gating = (enum model_gating)lb_random_below(&random, 3),
                              .normalised = lb_random_below(&random, 2),
                              .scale = 0.5f + (float)lb_random_below(&random, 4)};
    float logits[MOST], scores[MOST], bias[MOST], room[2 * MOST], weights[MOST];
    double value[MOST];
    uint32_t experts[MOST];
    bool biased = lb_random_below(&random, 2) && e.gating != MODEL_SOFTMAX_OF_CHOSEN;
    e.count = e.groups * (2 + lb_random_below(&random, MOST / e.groups - 1));
    e.groups_used = 1 + lb_random_below(&random, e.groups);
    e.used = 1 + lb_random_below(&random, e.count / e.groups * e.groups_used);
    for (uint32_t i = 0; i < e.count; i++) {
        logits[i] = scores[i] = (float)(8 * lb_random_unit(&random) - 4);
        bias[i] = (float)lb_random_unit(&random);
    }
    CHECK(router_choose(&e, scores, biased ? bias : NULL, room, experts, weights));
    choice_values(&e, logits, biased ? bias : NULL, value);
    for (uint32_t k = 0; k < e.used; k++) /* two scores within rounding may change places */
        CHECK(rank(value, e.count, experts[k]) == k ||
                  fabs(value[experts[k]] - value[experts[k > 0 ? k - 1 : 0]]) < 1e-6,
              "seed %llu: expert %u comes at place %u", (unsigned long long)seed, experts[k], k);
    check_weights(&e, logits, experts, weights);
}

/* Equal scores: the lower number; sums too small to divide by. */
static void edges(void)
{
    struct model_experts e = {.count = 4,
                              .used = 2,
                              .groups = 1,
                              .gating = MODEL_SIGMOID,
                              .normalised = true,
                              .scale = 1};
    float same[] = {1, 1, 1, 1}, low[] = {-20, -30, -25, -40}, room[8], weights[2];
    uint32_t experts[2];
    CHECK(router_choose(&e, same, NULL, room, experts, weights));
    CHECK(experts[0] == 0 && experts[1] == 1 && weights[0] == 0.5f && weights[1] == 0.5f);
    CHECK(router_choose(&e, low, NULL, room, experts, weights));
    CHECK(experts[0] == 0 && experts[1] == 2);
    CHECK(fabs(weights[0] - exp(-20) / ROUTER_LEAST_SUM) < 1e-9, "%g", (double)weights[0]);
    for (int gating = MODEL_SOFTMAX; gating <= MODEL_SOFTMAX_OF_CHOSEN; gating++) {
        float bad[] = {1, 2, NAN, 0};
        e.gating = (enum model_gating)gating;
        CHECK(!router_choose(&e, bad, NULL, room, experts, weights), "gating %d", gating);
    }
    e.gating = MODEL_SIGMOID;
    float bias[] = {0, 0, 0, INFINITY};
    CHECK(!router_choose(&e, same, bias, room, experts, weights));
}

int main(void)
{
    for (seed = 1; seed <= 2000; seed++)
        random_choice();
    edges();
    return check_done();
}
