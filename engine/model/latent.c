/*
 * latent: multi-head latent attention (DeepSeek-AI 2024, DeepSeek-V2, section 2.1).
 *
 *   x -> norm -> q_a -> norm -> q_b -> query [head][nope, rope]      (or q alone)
 *             -> kv_a -> [latent, rope]: norm of the latent, rotation -> cache
 *   query: nope -> k_b -> [head][latent], rotation of rope           (keys are never made)
 *     -> attention over the cache -> [head][latent] -> v_b -> [head][value] -> output -> h
 *
 * All heads share one row of the cache, and values are made of its beginning: the kernels see one
 * head of keys, and the same memory as values. What they sum up of the rope key is left alone.
 */
#include "model/session.h"

#include <string.h>

static uint32_t key_length(const struct model_latent *l)
{
    return l->n_nope + l->n_rope;
}

/* ---- norms of the low ranks ---- */

static void norm_low(struct model_session *s, uint32_t first, uint32_t last, void *scratch)
{
    const struct model_config *c = &s->model->config;
    const uint32_t n = c->latent.q_rank;
    (void)scratch;
    for (uint32_t t = first; t < last; t++) {
        float *x = s->latent->q_low + (size_t)t * n;
        s->ops->rms_norm(x, s->q_norm, n, c->rms_eps, x);
    }
    stage_prepare_tokens(s, &s->input, s->latent->q_low, n, n, first, last);
}

/* ---- rotation, and the cache ---- */

/* Items: tokens. */
static void turn_items(struct model_session *s, uint32_t first, uint32_t last, void *scratch)
{
    const struct model_config *c = &s->model->config;
    const struct model_latent *l = &c->latent;
    (void)scratch;
    for (uint32_t t = first; t < last; t++) {
        float *row = s->latent->row + (size_t)t * c->head_dim;
        s->ops->rms_norm(row, s->k_norm, l->kv_rank, c->rms_eps, row);
        stage_rotate(s, t, row + l->kv_rank);
        stage_store(s, 0, t, row,
                    session_keys(s, s->layer, s->segments[s->segment_of[t]].sequence));
        for (uint32_t head = 0; head < c->n_heads; head++) {
            size_t at = (size_t)t * c->n_heads + head;
            float *to = s->q + at * c->head_dim + l->kv_rank;
            memcpy(to, s->latent->query + at * key_length(l) + l->n_nope, l->n_rope * sizeof *to);
            stage_rotate(s, t, to);
        }
    }
}

/* ---- inputs of the heads ---- */

/* Items: for each head all tokens. */
static void prepare_heads(struct model_session *s, uint32_t first, uint32_t last, void *scratch)
{
    const uint32_t width = s->latent->head_width, stride = s->prepare_width;
    (void)scratch;
    for (uint32_t item = first; item < last;) {
        uint32_t head = item / s->n_tokens, t = item % s->n_tokens;
        uint32_t n = s->n_tokens - t < last - item ? s->n_tokens - t : last - item;
        struct session_input input = {.n_tokens = s->n_tokens};
        for (int f = 0; f < SESSION_FORMATS; f++)
            if (s->latent->head_input[f])
                input.of[f] =
                    (uint8_t *)s->latent->head_input[f] +
                    head * kernels_input_bytes((enum kernels_format)f, s->n_tokens, width);
        stage_prepare_tokens(s, &input, s->to_prepare + (size_t)head * stride,
                             (size_t)s->model->config.n_heads * stride, width, t, t + n);
        item += n;
    }
}

/* Each head's input from x[token][head][stride], i < width, for the product of `role`. */
static void stage_heads(struct model_session *s, enum model_role role, const float *x,
                        uint32_t stride, uint32_t width)
{
    const struct product_request next = {.role = role};
    s->formats = product_formats(s, &next, 1);
    s->to_prepare = x;
    s->prepare_width = stride;
    s->latent->head_width = width;
    session_share(s, s->model->config.n_heads * s->n_tokens, stage_chunk(width), prepare_heads);
    profile_lap(s, OP_PREPARE);
}

/* ---- all of it ---- */

/* query [token][head][nope, rope], and the rows of the cache before norm and rotation */
static enum lb_status project(struct model_session *s)
{
    const struct model_config *c = &s->model->config;
    const struct model_latent *l = &c->latent;
    const bool low = l->q_rank > 0;
    const uint32_t query_dim = c->n_heads * key_length(l);
    const struct product_request whole = {
        .role = ROLE_ATTN_Q, .op = OP_ATTN_Q, .out = s->latent->query, .stride = query_dim};
    const struct product_request first = {
        .role = ROLE_ATTN_Q_A, .op = OP_ATTN_Q_A, .out = s->latent->q_low, .stride = l->q_rank};
    const struct product_request second = {
        .role = ROLE_ATTN_Q_B, .op = OP_ATTN_Q_B, .out = s->latent->query, .stride = query_dim};
    const struct product_request both[] = {
        low ? first : whole,
        {.role = ROLE_ATTN_KV_A, .op = OP_ATTN_KV_A, .out = s->latent->row, .stride = c->head_dim}};
    enum lb_status status = forward_norm(s, ROLE_ATTN_NORM, OP_RMS_NORM, both, 2);
    if (status == LB_OK)
        status = products(s, both, 2);
    if (status == LB_OK)
        status = product_vector(s, ROLE_ATTN_Q_A_NORM, s->q_norm);
    if (status == LB_OK)
        status = product_vector(s, ROLE_ATTN_KV_A_NORM, s->k_norm);
    if (status != LB_OK || !low)
        return status;
    profile_lap(s, OP_ACQUIRE);
    s->formats = product_formats(s, &second, 1);
    session_share(s, s->n_tokens, stage_chunk(l->q_rank), norm_low);
    profile_lap(s, OP_PREPARE);
    return products(s, &second, 1);
}

enum lb_status latent_attention(struct model_session *s, const bool *want)
{
    const struct model_config *c = &s->model->config;
    const struct model_latent *l = &c->latent;
    float *values = s->latent->query; /* dead by then */
    const struct product_request output = {
        .role = ROLE_ATTN_OUTPUT, .op = OP_ATTN_OUTPUT, .out = s->h, .stride = c->n_embd};
    enum lb_status status = project(s);
    if (status != LB_OK)
        return status;
    session_share(s, s->n_tokens, stage_chunk(s->q_dim), turn_items);
    profile_lap(s, OP_ROPE);
    stage_heads(s, ROLE_ATTN_K_B, s->latent->query, key_length(l), l->n_nope);
    status = product_heads(s, ROLE_ATTN_K_B, OP_ATTN_K_B, s->q, s->q_dim, c->head_dim);
    if (status != LB_OK)
        return status;
    attend_all(s);
    if (s->layer == c->n_layers - 1)
        forward_keep_wanted(s, want);
    stage_heads(s, ROLE_ATTN_V_B, s->attended, c->head_dim, l->kv_rank);
    status = product_heads(s, ROLE_ATTN_V_B, OP_ATTN_V_B, values, s->out_dim, l->n_value);
    if (status != LB_OK)
        return status;
    s->formats = product_formats(s, &output, 1);
    stage_prepare(s, values, s->out_dim);
    return products(s, &output, 1);
}
