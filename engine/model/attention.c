/*
 * attention: grouped-query attention, and what both kinds of attention do over the cache.
 *
 *   x -> norm -> q, k, v -> bias, norm, rotation -> cache -> attention -> output -> h
 *
 * Items are heads x tokens; each item's arithmetic is its own, so the result does not depend on how
 * they are shared out.
 */
#include "model/session.h"

#include <float.h>

#define SHARE_ELEMENTS   16384 /* less work than this is done faster than handed out */
#define EXPECT_BYTES     16384 /* of keys, and of values, that are asked for ahead */
#define ATTENTION_TOKENS 32    /* queries of one head that one item covers */

/* ---- before: keys and values into the cache ---- */

static void add(float *x, const float *bias, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        x[i] += bias[i];
}

static bool has(const struct model_session *s, enum model_role role)
{
    return binding_id(s->model, s->layer, role) >= 0;
}

/* Norms over the whole vectors of a token, before they are split into heads (OLMoE). */
static void norm_items(struct model_session *s, uint32_t first, uint32_t last, void *scratch)
{
    const float eps = s->model->config.rms_eps;
    (void)scratch;
    for (uint32_t t = first; t < last; t++) {
        float *q = s->q + (size_t)t * s->q_dim, *k = s->k + (size_t)t * s->kv_dim;
        s->ops->rms_norm(q, s->q_norm, s->q_dim, eps, q);
        s->ops->rms_norm(k, s->k_norm, s->kv_dim, eps, k);
    }
}

static bool norms_are_whole(const struct model_session *s)
{
    const struct model_tensor *t = binding_tensor(s->model, s->layer, ROLE_ATTN_Q_NORM);
    return t && t->n_in != s->model->config.head_dim;
}

/* Bias, norm per head and rotation of n_heads heads of token t, x; NULL: none. */
static void turn_heads(const struct model_session *s, uint32_t t, float *x, uint32_t n_heads,
                       const float *bias, const float *norm)
{
    const struct model_config *c = &s->model->config;
    if (bias)
        add(x, bias, n_heads * c->head_dim);
    for (uint32_t head = 0; head < n_heads; head++, x += c->head_dim) {
        if (norm)
            s->ops->rms_norm(x, norm, c->head_dim, c->rms_eps, x);
        stage_rotate(s, t, x);
    }
}

/* Items: for each token all key and value heads, each with the query heads that share it. */
static void rope_items(struct model_session *s, uint32_t first, uint32_t last, void *scratch)
{
    const struct model_config *c = &s->model->config;
    const uint32_t n_queries = c->n_heads / c->n_kv_heads;
    const bool per_head = !norms_are_whole(s);
    (void)scratch;
    for (uint32_t item = first; item < last; item++) {
        uint32_t t = item / c->n_kv_heads, head = item % c->n_kv_heads;
        size_t at = (size_t)head * c->head_dim, q_at = at * n_queries;
        float *q = s->q + (size_t)t * s->q_dim + q_at, *k = s->k + (size_t)t * s->kv_dim + at,
              *v = s->v + (size_t)t * s->kv_dim + at;
        turn_heads(s, t, q, n_queries, has(s, ROLE_ATTN_Q_BIAS) ? s->q_bias + q_at : NULL,
                   per_head && has(s, ROLE_ATTN_Q_NORM) ? s->q_norm : NULL);
        turn_heads(s, t, k, 1, has(s, ROLE_ATTN_K_BIAS) ? s->k_bias + at : NULL,
                   per_head && has(s, ROLE_ATTN_K_NORM) ? s->k_norm : NULL);
        if (has(s, ROLE_ATTN_V_BIAS))
            add(v, s->v_bias + at, c->head_dim);
        stage_check(s, q, (size_t)n_queries * c->head_dim, FLT_MAX);
        uint8_t *keys = session_keys(s, s->layer, s->segments[s->segment_of[t]].sequence);
        stage_store(s, head, t, k, keys);
        stage_store(s, head, t, v, keys + s->kv_half);
    }
}

static void turn_and_store(struct model_session *s)
{
    /* rows of the cache are far apart and new to it: an element costs several times as much */
    uint32_t n_kv_heads = s->model->config.n_kv_heads;
    uint32_t chunk = stage_chunk(4 * (s->q_dim + 2 * s->kv_dim) / n_kv_heads);
    if (norms_are_whole(s))
        session_share(s, s->n_tokens, stage_chunk(s->q_dim + s->kv_dim), norm_items);
    session_share(s, s->n_tokens * n_kv_heads, chunk, rope_items);
    profile_lap(s, OP_ROPE);
}

/* ---- over the cache ---- */

/* 0: every position is seen */
static uint32_t window_of(const struct model_session *s)
{
    const struct model_config *c = &s->model->config;
    return c->window_alternates && s->layer % 2 == 1 ? 0 : c->sliding_window;
}

static uint32_t blocks_of(const struct session_segment *segment)
{
    return (segment->n_tokens + ATTENTION_TOKENS - 1) / ATTENTION_TOKENS;
}

/* Heads that an item covers: where there is one token, some that share their keys, which are then
 * read once for all of them. */
static uint32_t heads_of(const struct model_session *s, const struct session_segment *segment)
{
    const struct model_config *c = &s->model->config;
    const uint32_t group = c->n_heads / c->n_kv_heads;
    return segment->n_tokens > 1 ? 1 : group % 4 == 0 ? 4 : group % 2 == 0 ? 2 : 1;
}

static void attend(struct model_session *s, const struct session_segment *segment, uint32_t head,
                   uint32_t block, void *scratch)
{
    const struct model_config *c = &s->model->config;
    const uint8_t *keys = session_keys(s, s->layer, segment->sequence);
    struct kernels_attention a = {.q = s->q + (size_t)segment->first * s->q_dim,
                                  .q_stride = s->q_dim,
                                  .k = keys,
                                  .v = s->latent ? keys : keys + s->kv_half,
                                  .kv = s->options.kv,
                                  .capacity = s->options.context,
                                  .head_dim = c->head_dim,
                                  .n_heads = c->n_heads,
                                  .n_kv_heads = c->n_kv_heads,
                                  .pos0 = segment->pos0,
                                  .n_tokens = segment->n_tokens,
                                  .window = window_of(s),
                                  .scale = c->attention_scale,
                                  .sinks = has(s, ROLE_ATTN_SINKS) ? s->sinks : NULL,
                                  .out = s->attended + (size_t)segment->first * s->q_dim,
                                  .out_stride = s->q_dim};
    uint32_t first = block * ATTENTION_TOKENS, left = segment->n_tokens - first;
    s->ops->attention(&a, head, heads_of(s, segment), first,
                      first + (left < ATTENTION_TOKENS ? left : ATTENTION_TOKENS), scratch);
}

/* Asks for the beginning of a head's keys and values: their rows lie in pages of their own, which
 * the processor does not foresee, and the weights have pushed them out of its caches since the last
 * pass. The rest of a long head is a stream that it does foresee. */
static void expect_head(const struct model_session *s, const struct session_segment *segment,
                        uint32_t kv_head)
{
    const size_t row_bytes = s->kv_row;
    size_t held = (segment->pos0 + segment->n_tokens) * row_bytes;
    const uint8_t *keys =
        session_keys(s, s->layer, segment->sequence) + kv_head * s->options.context * row_bytes;
    for (size_t at = 0; at < held && at < EXPECT_BYTES; at += 64) {
        __builtin_prefetch(keys + at, 0, 2);
        if (!s->latent)
            __builtin_prefetch(keys + s->kv_half + at, 0, 2);
    }
}

/* Items: for each segment all heads (see heads_of), for each all blocks of tokens. */
static void attend_items(struct model_session *s, uint32_t first, uint32_t last, void *scratch)
{
    uint32_t n_heads = s->model->config.n_heads, base = 0;
    const uint32_t group = n_heads / s->model->config.n_kv_heads;
    for (uint32_t i = 0; i < s->n_segments && base < last; i++) {
        const struct session_segment *segment = &s->segments[i];
        const uint32_t heads = heads_of(s, segment);
        uint32_t blocks = blocks_of(segment), n = n_heads / heads * blocks;
        for (uint32_t item = first > base ? first - base : 0; item < n && base + item < last;
             item++) {
            if (segment->n_tokens == 1 && item + 1 < n && (item + 1) * heads % group == 0)
                expect_head(s, segment, (item + 1) * heads / group);
            attend(s, segment, item / blocks * heads, item % blocks, scratch);
        }
        base += n;
    }
}

/* Positions that the tokens of a segment see, summed. */
static double visible(const struct model_session *s, const struct session_segment *segment)
{
    uint32_t window = window_of(s);
    double sum = 0;
    for (uint32_t t = 0; t < segment->n_tokens; t++) {
        uint32_t seen = segment->pos0 + t + 1;
        sum += window > 0 && seen > window ? window : seen;
    }
    return sum;
}

void attend_all(struct model_session *s)
{
    const struct model_config *c = &s->model->config;
    uint32_t items = 0;
    double pairs = 0;
    for (uint32_t i = 0; i < s->n_segments; i++) {
        items += c->n_heads / heads_of(s, &s->segments[i]) * blocks_of(&s->segments[i]);
        pairs += visible(s, &s->segments[i]);
    }
    double elements = pairs * s->q_dim;
    uint32_t chunk = elements < SHARE_ELEMENTS ? items : items / (8 * (uint32_t)s->n_threads);
    session_share(s, items, chunk > 0 ? chunk : 1, attend_items);
    profile_lap(s, OP_ATTENTION);
    profile_work(s, OP_ATTENTION, 0, 4.0 * elements);
}

/* ---- all of it ---- */

static void add_output_bias(struct model_session *s)
{
    const uint32_t n_embd = s->model->config.n_embd;
    for (uint32_t t = 0; has(s, ROLE_ATTN_OUTPUT_BIAS) && t < s->n_tokens; t++)
        add(s->h + (size_t)t * n_embd, s->out_bias, n_embd);
}

enum lb_status grouped_attention(struct model_session *s, const bool *want)
{
    const struct model_config *c = &s->model->config;
    const struct product_request project[] = {
        {ROLE_ATTN_Q, OP_ATTN_Q, s->q, s->q_dim, ROLE_ATTN_Q_BIAS, s->q_bias, 0, NULL},
        {ROLE_ATTN_K, OP_ATTN_K, s->k, s->kv_dim, ROLE_ATTN_K_BIAS, s->k_bias, 0, NULL},
        {ROLE_ATTN_V, OP_ATTN_V, s->v, s->kv_dim, ROLE_ATTN_V_BIAS, s->v_bias, 0, NULL}};
    const struct product_request output = {ROLE_ATTN_OUTPUT,      OP_ATTN_OUTPUT, s->h, c->n_embd,
                                           ROLE_ATTN_OUTPUT_BIAS, s->out_bias,    0,    NULL};
    enum lb_status status = forward_norm(s, ROLE_ATTN_NORM, OP_RMS_NORM, project, 3);
    if (status == LB_OK)
        status = products(s, project, 3);
    if (status == LB_OK)
        status = product_vector(s, ROLE_ATTN_Q_NORM, s->q_norm);
    if (status == LB_OK)
        status = product_vector(s, ROLE_ATTN_K_NORM, s->k_norm);
    if (status == LB_OK)
        status = product_vector(s, ROLE_ATTN_SINKS, s->sinks);
    if (status != LB_OK)
        return status;
    if (has(s, ROLE_ATTN_SINKS))
        stage_check(s, s->sinks, c->n_heads, FLT_MAX);
    profile_lap(s, OP_ACQUIRE);
    turn_and_store(s);
    attend_all(s);
    if (s->layer == c->n_layers - 1)
        forward_keep_wanted(s, want);
    s->formats = product_formats(s, &output, 1);
    stage_prepare(s, s->attended, s->q_dim);
    status = products(s, &output, 1);
    if (status == LB_OK)
        add_output_bias(s);
    return status;
}
