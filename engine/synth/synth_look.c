/* synth_look: see synth_look.h. */
#include "synth/synth_look.h"

#include "synth/synth_routing.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define NORM_DEVIATION 0.1
#define BIAS_DEVIATION 0.1
#define SMALL_BIAS     0.02 /* averages do not make it smaller, as they do deviates */
#define HELD_BACK      0.05 /* norms of elements that are not meant to be seen */
#define COMMON_SHARE   0.25 /* square of the common elements, over that of all embeddings' others */
#define QK_DEVIATION   0.3  /* of what queries and keys do not agree in, against 1 */
#define AGREED_RAW     2.0  /* size of what they agree in, before a norm that follows */
#define LOW_COMMON     4.0  /* the same of the low rank's first elements */
#define OTHER_OUTPUT   0.1  /* what attention adds to fast elements, over a usual weight */

static bool is_mixture(const struct synth_shape *s)
{
    return s->experts.count > 0;
}

/* ---- the hidden state ---- */

static double common_size(const struct synth_shape *s)
{
    return sqrt(COMMON_SHARE * s->n_embd / SYNTH_COMMON);
}

/* Variance of fast elements after so many feed-forward parts. An activation of normal gates and
 * inputs has a mean square of about 0.36; the weights of k experts are about even. */
static double fast_square(const struct synth_shape *s, double parts)
{
    const struct synth_experts *e = &s->experts;
    double scale = e->scale > 0 ? e->scale : 1;
    double routed = e->normalised ? 1.5 * scale * scale / e->used : 0.1;
    return 1 + parts / s->n_layers * 0.36 * (routed + (e->n_shared > 0 ? 1 : 0));
}

/* Mean square of the hidden state where `attended` attentions and `parts` feed-forward parts have
 * been added. */
static double mean_square(const struct synth_shape *s, double attended, double parts)
{
    double n = s->n_embd, fast = n - SYNTH_SLOW_END, slow = SYNTH_SLOW_END - SYNTH_COMMON;
    return COMMON_SHARE + (slow * attended / s->n_layers + fast * fast_square(s, parts)) / n;
}

/* ---- what queries and keys agree in ---- */

static bool turns_neighbours(const struct synth_shape *s)
{
    return strcmp(s->architecture, "llama") == 0 || strcmp(s->architecture, "deepseek2") == 0;
}

static uint32_t rope_dims(const struct synth_shape *s)
{
    return s->latent.kv_rank > 0 ? s->latent.n_rope : s->rope_dims > 0 ? s->rope_dims : s->head_dim;
}

/* Element i of the turned part of a query or key. */
static bool agrees(const struct synth_shape *s, uint32_t i)
{
    const uint32_t dims = rope_dims(s);
    if (turns_neighbours(s) ? i % 2 != 0 : i >= dims / 2)
        return 0;
    uint32_t pair = turns_neighbours(s) ? i / 2 : i;
    return pair < dims / 2 && synth_pair_agrees(s->rope_base, dims, pair);
}

/* The size of the elements in which they agree, so that a pair adds its score. */
static double agreed_size(const struct synth_shape *s)
{
    const struct synth_latent *l = &s->latent;
    double factor = 1 / sqrt(l->kv_rank > 0 ? l->n_nope + l->n_rope : s->head_dim);
    if (s->yarn.factor > 0 && l->kv_rank == 0)
        factor *= pow(1 + 0.1 * log(s->yarn.factor), 2);
    else if (s->yarn.factor > 0)
        factor *= pow(1 + s->yarn.log_multiplier * log(s->yarn.factor), 2);
    return sqrt(synth_pair_score(s->rope_base, rope_dims(s)) / factor);
}

static bool has_qk_norm(const struct synth_shape *s)
{
    return s->head_norms || strcmp(s->architecture, "qwen3moe") == 0 ||
           strcmp(s->architecture, "olmoe") == 0;
}

enum lb_status synth_looks_of(const struct synth_shape *s, struct synth_looks *looks,
                              struct lb_error *err)
{
    const uint32_t n = s->head_dim;
    *looks = (struct synth_looks){.shape = s, .qk_norm = 1};
    if (!is_mixture(s))
        return LB_OK;
    if (s->n_embd <= SYNTH_SLOW_END || rope_dims(s) > sizeof looks->agrees ||
        (s->latent.q_rank > 0 && s->latent.q_rank <= SYNTH_SLOW_END))
        return lb_fail(err, LB_ERR_INPUT,
                       "%s: expected an embedding and a rank of queries of more than %d elements",
                       s->name, SYNTH_SLOW_END);
    double kernel[SYNTH_KERNEL_MAX], squares = QK_DEVIATION * QK_DEVIATION * n;
    synth_kernel(s, kernel, &looks->share);
    looks->agreed = agreed_size(s);
    for (uint32_t i = 0; i < rope_dims(s); i++) {
        looks->agrees[i] = (unsigned char)agrees(s, i);
        squares += looks->agrees[i] ? AGREED_RAW * AGREED_RAW : 0;
    }
    if (has_qk_norm(s))
        looks->qk_norm = looks->agreed * sqrt(squares / n) / AGREED_RAW;
    return LB_OK;
}

/* Whether a row of a projection is an element in which they agree. */
static bool row_agrees(const struct synth_looks *k, const struct synth_tensor *t, uint64_t row)
{
    const struct synth_latent *l = &k->shape->latent;
    if (t->role == SYNTH_ATTN_KV_A)
        return row >= l->kv_rank && k->agrees[row - l->kv_rank];
    if (l->kv_rank == 0)
        return row % k->shape->head_dim < sizeof k->agrees && k->agrees[row % k->shape->head_dim];
    row %= l->n_nope + l->n_rope;
    return row >= l->n_nope && k->agrees[row - l->n_nope];
}

/* ---- rows ---- */

static struct synth_look plain(double deviation)
{
    return (struct synth_look){.deviation = deviation};
}

static struct synth_look split(double deviation, double common, double slow)
{
    return (struct synth_look){.deviation = deviation, .split = 1, .common = common, .slow = slow};
}

/* Reads `size` from the common elements of a normed hidden state. */
static double read_common(const struct synth_shape *s, uint32_t layer, double size)
{
    return size * sqrt(mean_square(s, layer, layer)) / (SYNTH_COMMON * common_size(s));
}

static struct synth_look projection(const struct synth_looks *k, const struct synth_tensor *t,
                                    uint64_t row, double deviation)
{
    bool normed = t->role != SYNTH_ATTN_KV_A && has_qk_norm(k->shape);
    double size = normed ? AGREED_RAW : k->agreed, value = 0;
    if (row_agrees(k, t, row))
        value = read_common(k->shape, (uint32_t)t->layer, size);
    return split(deviation, value, deviation);
}

/* To the low rank of queries: its first elements are common ones. */
static struct synth_look low_projection(const struct synth_looks *k, const struct synth_tensor *t,
                                        uint64_t row, double deviation)
{
    double value = 0;
    if (row < SYNTH_COMMON)
        value = read_common(k->shape, (uint32_t)t->layer, LOW_COMMON);
    return split(deviation, value, deviation);
}

static struct synth_look from_low(const struct synth_looks *k, const struct synth_tensor *t,
                                  uint64_t row, double deviation)
{
    double n = k->shape->latent.q_rank;
    double square = (n + SYNTH_COMMON * LOW_COMMON * LOW_COMMON) / n;
    double value = k->agreed * sqrt(square) / (SYNTH_COMMON * LOW_COMMON);
    return split(deviation, row_agrees(k, t, row) ? value : 0, deviation);
}

/* An average over the kernel has a small variance; slow elements get one of 1 / layers from it. */
static struct synth_look output(const struct synth_looks *k, uint64_t row, double deviation)
{
    const struct synth_shape *s = k->shape;
    double fast = (s->n_embd - SYNTH_SLOW_END) / (double)s->n_embd;
    double value = s->latent.kv_rank > 0 ? 1 : fast / (COMMON_SHARE + fast); /* mean square */
    if (row < SYNTH_COMMON || row >= SYNTH_SLOW_END)
        return plain(OTHER_OUTPUT * deviation);
    return plain(deviation / sqrt(s->n_layers * k->share * value));
}

struct synth_look synth_look_of(const struct synth_looks *k, const struct synth_tensor *t,
                                uint64_t row)
{
    const struct synth_shape *s = k->shape;
    double usual = 1 / sqrt((double)t->ne[0]);
    if (t->role == SYNTH_EMBEDDING && !s->tied_embedding)
        return is_mixture(s) ? split(1, common_size(s), 0) : plain(1);
    if (!is_mixture(s))
        return plain(usual);
    switch (t->role) {
    case SYNTH_ATTN_Q:
    case SYNTH_ATTN_K:
        return projection(k, t, row, QK_DEVIATION * usual);
    case SYNTH_ATTN_KV_A:
        return projection(k, t, row, usual);
    case SYNTH_ATTN_Q_A:
        return low_projection(k, t, row, usual);
    case SYNTH_ATTN_Q_B:
        return from_low(k, t, row, QK_DEVIATION * usual);
    case SYNTH_ATTN_V:
        return split(usual, 0, usual);
    case SYNTH_ATTN_OUTPUT:
        return output(k, row, usual);
    case SYNTH_FFN_DOWN:
        return plain(usual / sqrt(s->n_layers));
    default:
        return plain(usual);
    }
}

int synth_looks_alike(const struct synth_looks *k, const struct synth_tensor *t)
{
    switch (t->role) {
    case SYNTH_ATTN_Q:
    case SYNTH_ATTN_K:
    case SYNTH_ATTN_KV_A:
    case SYNTH_ATTN_Q_A:
    case SYNTH_ATTN_Q_B:
    case SYNTH_ATTN_OUTPUT:
        return !is_mixture(k->shape);
    default:
        return 1;
    }
}

/* ---- vectors ---- */

double synth_vector_element(const struct synth_looks *k, const struct synth_tensor *t, uint64_t i,
                            double deviate)
{
    const struct synth_shape *s = k->shape;
    const int special = is_mixture(s) && i < SYNTH_SLOW_END;
    switch (t->role) {
    case SYNTH_NORM: /* the head is not to see what is common, but what is slow */
        if (special && i < SYNTH_COMMON && t->layer < 0)
            return HELD_BACK;
        return 1 + NORM_DEVIATION * deviate;
    case SYNTH_ATTN_NORM:
        if (special)
            return i < SYNTH_COMMON ? 1 : HELD_BACK;
        return 1 + NORM_DEVIATION * deviate;
    case SYNTH_FFN_NORM:
        return special ? HELD_BACK : 1 + NORM_DEVIATION * deviate;
    case SYNTH_QK_NORM:
        return k->qk_norm * (1 + NORM_DEVIATION * deviate);
    case SYNTH_CHOICE_BIAS:
        return 0;
    default:
        return (is_mixture(s) ? SMALL_BIAS : BIAS_DEVIATION) * deviate;
    }
}

/* ---- routers ---- */

struct synth_router_look synth_router_look_of(const struct synth_shape *s,
                                              const struct synth_routing *r, uint32_t layer)
{
    double n_slow = SYNTH_SLOW_END - SYNTH_COMMON, n_fast = s->n_embd - SYNTH_SLOW_END;
    double size = sqrt(mean_square(s, layer + 1, layer));
    double slow = sqrt((layer + 1.0) / s->n_layers), fast = sqrt(fast_square(s, layer));
    return (struct synth_router_look){
        .common = size / (SYNTH_COMMON * HELD_BACK * common_size(s)),
        .slow =
            SYNTH_ROUTING_NOISE * sqrt(r->persistence) * size / (sqrt(n_slow) * HELD_BACK * slow),
        .fast = SYNTH_ROUTING_NOISE * sqrt(1 - r->persistence) * size / (sqrt(n_fast) * fast)};
}
