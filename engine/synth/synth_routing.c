/* synth_routing: see synth_routing.h. */
#include "synth/synth_routing.h"

#include "base/memory.h"
#include "synth/synth_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const struct synth_routing synth_usual_routing = {.skew = 0.7, .persistence = 0.45};

enum lb_status synth_check_routing(const struct synth_routing *r, struct lb_error *err)
{
    if (!(r->skew >= 0 && r->skew <= 10))
        return lb_fail(err, LB_ERR_INPUT, "routing_skew %g: expected 0 to 10", r->skew);
    if (!(r->persistence >= 0 && r->persistence <= 1))
        return lb_fail(err, LB_ERR_INPUT, "routing_persistence %g: expected 0 to 1",
                       r->persistence);
    return LB_OK;
}

/* ---- the kernel ---- */

int synth_pair_agrees(double base, uint32_t dims, uint32_t pair)
{
    double turn = pow(base, -2.0 * pair / dims);
    return turn <= 1 / SYNTH_ROUTING_SPAN && turn >= 0.01 / SYNTH_ROUTING_SPAN;
}

double synth_pair_score(double base, uint32_t dims)
{
    return SYNTH_ROUTING_FALL * 2 * log(base) / dims;
}

static uint32_t rope_dims(const struct synth_shape *s)
{
    return s->latent.kv_rank > 0 ? s->latent.n_rope : s->rope_dims > 0 ? s->rope_dims : s->head_dim;
}

uint32_t synth_kernel(const struct synth_shape *s, double w[SYNTH_KERNEL_MAX], double *share)
{
    const double least = 1e-3, base = s->rope_base;
    const uint32_t dims = rope_dims(s);
    double sum = 0, squares = 0;
    uint32_t n = 0;
    for (; n < SYNTH_KERNEL_MAX; n++) {
        double score = 0;
        for (uint32_t pair = 0; pair < dims / 2; pair++)
            if (synth_pair_agrees(base, dims, pair))
                score +=
                    synth_pair_score(base, dims) * (cos(pow(base, -2.0 * pair / dims) * n) - 1);
        w[n] = exp(score);
        if (w[n] < least)
            break;
        sum += w[n];
        squares += w[n] * w[n];
    }
    *share = squares / (sum * sum);
    return n;
}

/* ---- popularity ---- */

void synth_popularity(const struct synth_shape *shape, double skew, uint64_t seed, uint32_t layer,
                      double *bias)
{
    const uint32_t n = shape->experts.count;
    char name[32];
    double mean = 0;
    snprintf(name, sizeof name, "popularity %u", layer);
    struct lb_random r = synth_generator(seed, name);
    for (uint32_t e = 0; e < n; e++) {
        bias[e] = -skew * log(e + 1.0);
        mean += bias[e] / n;
    }
    for (uint32_t e = 0; e < n; e++)
        bias[e] -= mean;
    for (uint32_t e = n - 1; e > 0; e--) {
        uint32_t other = lb_random_below(&r, e + 1);
        double b = bias[e];
        bias[e] = bias[other];
        bias[other] = b;
    }
}

/* ---- routes without a model ---- */

struct drawing {
    const struct synth_shape *shape;
    const struct synth_routing *routing;
    double kernel[SYNTH_KERNEL_MAX], norm; /* norm: of a sum of deviates by the kernel */
    uint32_t n_kernel, n_tokens;
    double *bias;      /* [count] */
    float *deviates;   /* [n_tokens + n_kernel - 1][count] of the slow ones */
    double *logits;    /* [count] */
    uint32_t *experts; /* [n_tokens][n_layers][used] */
};

/* The `used` largest logits; of the experts of the best groups where there are groups. */
static void choose(const struct drawing *d, uint32_t *out)
{
    const struct synth_experts *e = &d->shape->experts;
    const uint32_t groups = e->groups > 0 ? e->groups : 1, size = e->count / groups;
    double worth[64];
    for (uint32_t g = 0; g < groups && groups > 1; g++) {
        double first = -INFINITY, second = -INFINITY;
        for (uint32_t i = g * size; i < (g + 1) * size; i++) {
            double x = 1 / (1 + exp(-d->logits[i]));
            second = x > first ? first : x > second ? x : second;
            first = x > first ? x : first;
        }
        worth[g] = first + second;
    }
    for (uint32_t g = 0; g < groups && groups > 1; g++) {
        uint32_t better = 0;
        for (uint32_t other = 0; other < groups; other++)
            better += worth[other] > worth[g] || (worth[other] == worth[g] && other < g);
        for (uint32_t i = g * size; better >= e->groups_used && i < (g + 1) * size; i++)
            d->logits[i] = -INFINITY;
    }
    for (uint32_t k = 0; k < e->used; k++) {
        uint32_t best = 0;
        for (uint32_t i = 1; i < e->count; i++)
            if (d->logits[i] > d->logits[best])
                best = i;
        out[k] = best;
        d->logits[best] = -INFINITY;
    }
}

static void draw_layer(struct drawing *d, uint64_t seed, uint32_t sequence, uint32_t layer)
{
    const struct synth_experts *e = &d->shape->experts;
    char name[32];
    snprintf(name, sizeof name, "routes %u %u", sequence, layer);
    struct lb_random r = synth_generator(seed, name);
    synth_popularity(d->shape, d->routing->skew, seed, layer, d->bias);
    size_t n = (size_t)(d->n_tokens + d->n_kernel - 1) * e->count;
    for (size_t i = 0; i < n; i++)
        d->deviates[i] = (float)synth_deviate(&r);
    double slow = SYNTH_ROUTING_NOISE * sqrt(d->routing->persistence) / d->norm;
    double fast = SYNTH_ROUTING_NOISE * sqrt(1 - d->routing->persistence);
    for (uint32_t t = 0; t < d->n_tokens; t++) {
        for (uint32_t i = 0; i < e->count; i++)
            d->logits[i] = d->bias[i] + fast * synth_deviate(&r);
        for (uint32_t k = 0; k < d->n_kernel; k++) {
            const float *x = d->deviates + (size_t)(t + d->n_kernel - 1 - k) * e->count;
            for (uint32_t i = 0; i < e->count; i++)
                d->logits[i] += slow * d->kernel[k] * (double)x[i];
        }
        choose(d, d->experts + ((size_t)t * d->shape->n_layers + layer) * e->used);
    }
}

static bool is_sparse(const struct synth_shape *s, uint32_t layer)
{
    return layer >= s->experts.dense_layers;
}

enum lb_status synth_routes(const struct synth_shape *shape, const struct synth_routing *routing,
                            uint64_t seed, uint32_t sequence, uint32_t n_tokens,
                            synth_route_take take, void *ctx, struct lb_error *err)
{
    const struct synth_experts *e = &shape->experts;
    struct drawing d = {
        .shape = shape, .routing = routing ? routing : &synth_usual_routing, .n_tokens = n_tokens};
    if (e->count == 0)
        return lb_fail(err, LB_ERR_INPUT, "%s: expected a mixture of experts", shape->name);
    enum lb_status status = synth_check_routing(d.routing, err);
    if (status != LB_OK)
        return status;
    double share, squares = 0;
    d.n_kernel = synth_kernel(shape, d.kernel, &share);
    for (uint32_t k = 0; k < d.n_kernel; k++)
        squares += d.kernel[k] * d.kernel[k];
    d.norm = sqrt(squares);
    d.bias = lb_calloc(e->count, sizeof *d.bias);
    d.logits = lb_calloc(e->count, sizeof *d.logits);
    d.deviates = lb_calloc((size_t)(n_tokens + d.n_kernel) * e->count, sizeof *d.deviates);
    d.experts = lb_calloc((size_t)n_tokens * shape->n_layers * e->used + 1, sizeof *d.experts);
    if (!d.bias || !d.logits || !d.deviates || !d.experts)
        status = lb_fail(err, LB_ERR_NOMEM, "synth: out of memory for routes");
    for (uint32_t layer = 0; status == LB_OK && layer < shape->n_layers; layer++)
        if (is_sparse(shape, layer))
            draw_layer(&d, seed, sequence, layer);
    for (uint32_t t = 0; status == LB_OK && t < n_tokens; t++)
        for (uint32_t layer = 0; layer < shape->n_layers; layer++)
            if (is_sparse(shape, layer))
                take(ctx, t, layer, d.experts + ((size_t)t * shape->n_layers + layer) * e->used,
                     e->used);
    lb_free(d.bias);
    lb_free(d.logits);
    lb_free(d.deviates);
    lb_free(d.experts);
    return status;
}
