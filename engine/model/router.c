/* router: see router.h. */
#include "model/router.h"

#include <math.h>
#include <string.h>

static void softmax(float *x, uint32_t n)
{
    float max = -INFINITY, sum = 0;
    for (uint32_t i = 0; i < n; i++)
        max = fmaxf(max, x[i]);
    for (uint32_t i = 0; i < n; i++) {
        x[i] = expf(x[i] - max);
        sum += x[i];
    }
    for (uint32_t i = 0; i < n; i++)
        x[i] /= sum;
}

static void score(enum model_gating gating, float *x, uint32_t n)
{
    if (gating == MODEL_SOFTMAX)
        softmax(x, n);
    for (uint32_t i = 0; gating == MODEL_SIGMOID && i < n; i++)
        x[i] = 1 / (1 + expf(-x[i]));
}

/* The sum of the two best of n >= 2. */
static float worth(const float *x, uint32_t n)
{
    float first = -INFINITY, second = -INFINITY;
    for (uint32_t i = 0; i < n; i++)
        if (x[i] > first) {
            second = first;
            first = x[i];
        } else if (x[i] > second) {
            second = x[i];
        }
    return first + second;
}

/* Experts outside the best groups leave the choice. */
static void keep_best_groups(const struct model_experts *e, float *x, float *worths)
{
    const uint32_t n = e->count / e->groups;
    for (uint32_t g = 0; g < e->groups; g++)
        worths[g] = worth(x + g * n, n);
    for (uint32_t g = 0; g < e->groups; g++) {
        uint32_t better = 0;
        for (uint32_t other = 0; other < e->groups; other++)
            better += worths[other] > worths[g] || (worths[other] == worths[g] && other < g);
        for (uint32_t i = 0; better >= e->groups_used && i < n; i++)
            x[g * n + i] = -INFINITY;
    }
}

/* The `used` best of x[count], which is spoilt. */
static void choose(const struct model_experts *e, float *x, uint32_t *experts)
{
    for (uint32_t k = 0; k < e->used; k++) {
        uint32_t best = 0;
        for (uint32_t i = 1; i < e->count; i++)
            if (x[i] > x[best])
                best = i;
        experts[k] = best;
        x[best] = -INFINITY;
    }
}

static void normalise(const struct model_experts *e, float *weights)
{
    float sum = 0;
    for (uint32_t k = 0; k < e->used; k++)
        sum += weights[k];
    sum = fmaxf(sum, ROUTER_LEAST_SUM);
    for (uint32_t k = 0; k < e->used; k++)
        weights[k] /= sum;
}

bool router_choose(const struct model_experts *e, float *logits, const float *bias, float *room,
                   uint32_t *experts, float *weights)
{
    bool numbers = true;
    for (uint32_t i = 0; i < e->count; i++)
        numbers &= isfinite(logits[i]) != 0;
    score(e->gating, logits, e->count);
    for (uint32_t i = 0; i < e->count; i++) {
        room[i] = logits[i] + (bias ? bias[i] : 0);
        numbers &= isfinite(room[i]) != 0;
    }
    if (!numbers)
        return false;
    if (e->groups > 1)
        keep_best_groups(e, room, room + e->count);
    choose(e, room, experts);
    for (uint32_t k = 0; k < e->used; k++)
        weights[k] = logits[experts[k]];
    if (e->gating == MODEL_SOFTMAX_OF_CHOSEN)
        softmax(weights, e->used);
    if (e->normalised)
        normalise(e, weights);
    for (uint32_t k = 0; k < e->used; k++)
        weights[k] *= e->scale;
    return true;
}
