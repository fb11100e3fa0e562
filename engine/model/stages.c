/*
 * stages: the work between two products: norms, rotary positions, attention, SwiGLU,
 * and preparing activations for the next product. Tokens (in attention: heads x
 * tokens) are shared out over the threads where there are enough of them; each item's
 * arithmetic is its own, so the result does not depend on how they are shared.
 */
#include "model/session.h"

#include "quant/quant.h"

#include <math.h>
#include <string.h>

#define SHARE_ELEMENTS   16384 /* less work than this is done faster than handed out */
#define EXPECT_BYTES     16384 /* of keys, and of values, that are asked for ahead */
#define ATTENTION_TOKENS 32    /* queries of one head that one item covers */

/* Tokens of `width` elements that make up a chunk worth handing out. */
static uint32_t token_chunk(uint32_t width)
{
    return width < SHARE_ELEMENTS ? SHARE_ELEMENTS / width : 1;
}

static void prepare_tokens(struct model_session *s, const float *x, uint32_t width, uint32_t first,
                           uint32_t last)
{
    for (int f = 0; f < SESSION_FORMATS; f++)
        if (s->formats & (1u << f))
            s->ops->prepare((enum kernels_format)f, x, width, width, s->n_tokens, first, last,
                            s->input[f]);
}

/* ---- norm ---- */

static void norm_tokens(struct model_session *s, uint32_t first, uint32_t last, void *scratch)
{
    const struct model_config *c = &s->model->config;
    (void)scratch;
    for (uint32_t t = first; t < last; t++) {
        float *x = s->x + (size_t)t * c->n_embd, *h = s->h + (size_t)t * c->n_embd;
        if (s->residual)
            for (uint32_t i = 0; i < c->n_embd; i++)
                x[i] += h[i];
        s->ops->rms_norm(x, s->norm, c->n_embd, c->rms_eps, h);
    }
    prepare_tokens(s, s->h, c->n_embd, first, last);
}

void stage_norm(struct model_session *s, enum model_op op)
{
    session_share(s, s->n_tokens, token_chunk(s->model->config.n_embd), norm_tokens);
    s->residual = true;
    profile_lap(s, op);
}

/* ---- rotary positions ---- */

/* Pair i of position p turns by p * scale * base^(-2i / dims) / factor[i] (Su et al. 2021; the
 * factors are Llama 3.1's, YaRN's scale depends on the pair: Peng et al. 2023). The angle is
 * computed in double, so that cosine and sine are right to half a unit in the last place of a float
 * at any position. */
enum lb_status stage_angles(struct model_session *s)
{
    const struct model_config *c = &s->model->config;
    uint32_t pairs = c->rope_dims / 2;
    bool factors = s->model->id[ROLE_ROPE_FREQS] >= 0;
    enum lb_status status = product_vector(s, ROLE_ROPE_FREQS, s->frequencies);
    if (status != LB_OK)
        return status;
    for (uint32_t i = 0; i < pairs; i++) {
        double share = (i - c->rope_kept) / fmax(1e-3, c->rope_slowed - c->rope_kept);
        share = fmin(1, fmax(0, share));
        double scale = 1 - share + share * c->rope_scale;
        double frequency = pow(c->rope_base, -2.0 * i / c->rope_dims) * scale;
        if (factors)
            frequency /= s->frequencies[i];
        for (uint32_t t = 0; t < s->n_tokens; t++) {
            double angle = s->position[t] * frequency;
            s->cosine[(size_t)t * pairs + i] = (float)(cos(angle) * c->rope_magnitude);
            s->sine[(size_t)t * pairs + i] = (float)(sin(angle) * c->rope_magnitude);
        }
    }
    profile_lap(s, OP_ROPE_ANGLES);
    return LB_OK;
}

/* Turns the first 2 * pairs elements of a head: neighbours (llama) or halves (neox). */
static void rotate(float *restrict head, const float *restrict cosine, const float *restrict sine,
                   uint32_t pairs, bool neox)
{
    if (neox) {
        for (uint32_t i = 0; i < pairs; i++) {
            float a = head[i], b = head[pairs + i];
            head[i] = a * cosine[i] - b * sine[i];
            head[pairs + i] = a * sine[i] + b * cosine[i];
        }
        return;
    }
    for (uint32_t i = 0; i < pairs; i++) {
        float a = head[2 * i], b = head[2 * i + 1];
        head[2 * i] = a * cosine[i] - b * sine[i];
        head[2 * i + 1] = a * sine[i] + b * cosine[i];
    }
}

/* Bias, norm per head (qwen3) and rotation of n_heads heads of token t, x; NULL: none. */
static void turn_heads(const struct model_session *s, uint32_t t, float *x, uint32_t n_heads,
                       const float *bias, const float *norm)
{
    const struct model_config *c = &s->model->config;
    uint32_t pairs = c->rope_dims / 2;
    if (bias)
        for (uint32_t i = 0; i < n_heads * c->head_dim; i++)
            x[i] += bias[i];
    for (uint32_t head = 0; head < n_heads; head++, x += c->head_dim) {
        if (norm)
            s->ops->rms_norm(x, norm, c->head_dim, c->rms_eps, x);
        rotate(x, s->cosine + (size_t)t * pairs, s->sine + (size_t)t * pairs, pairs, c->rope_neox);
    }
}

/* cache[head][position][i] = x[i] */
static void store_head(const struct model_session *s, uint32_t head, uint32_t position,
                       const float *x, void *cache)
{
    size_t n = s->model->config.head_dim;
    size_t at = ((size_t)head * s->options.context + position) * n;
    if (s->options.kv == KERNELS_KV_F16) {
        uint16_t *row = (uint16_t *)cache + at;
        for (size_t i = 0; i < n; i++)
            row[i] = quant_float_to_half(x[i]);
    } else {
        memcpy((float *)cache + at, x, n * sizeof *x);
    }
}

/* Items: for each token all key and value heads, each with the query heads that share it. */
static void rope_items(struct model_session *s, uint32_t first, uint32_t last, void *scratch)
{
    const struct model_config *c = &s->model->config;
    const int *id = s->model->id;
    const uint32_t n_queries = c->n_heads / c->n_kv_heads;
    (void)scratch;
    for (uint32_t item = first; item < last; item++) {
        uint32_t t = item / c->n_kv_heads, head = item % c->n_kv_heads;
        size_t at = (size_t)head * c->head_dim, q_at = at * n_queries;
        float *q = s->q + (size_t)t * s->q_dim + q_at, *k = s->k + (size_t)t * s->kv_dim + at,
              *v = s->v + (size_t)t * s->kv_dim + at;
        turn_heads(s, t, q, n_queries, id[ROLE_ATTN_Q_BIAS] >= 0 ? s->q_bias + q_at : NULL,
                   id[ROLE_ATTN_Q_NORM] >= 0 ? s->q_norm : NULL);
        turn_heads(s, t, k, 1, id[ROLE_ATTN_K_BIAS] >= 0 ? s->k_bias + at : NULL,
                   id[ROLE_ATTN_K_NORM] >= 0 ? s->k_norm : NULL);
        if (id[ROLE_ATTN_V_BIAS] >= 0)
            for (uint32_t i = 0; i < c->head_dim; i++)
                v[i] += s->v_bias[at + i];
        uint8_t *keys = session_keys(s, s->layer, s->segments[s->segment_of[t]].sequence);
        store_head(s, head, s->position[t], k, keys);
        store_head(s, head, s->position[t], v, keys + s->kv_half);
    }
}

void stage_rope(struct model_session *s)
{
    /* rows of the cache are far apart and new to it: an element costs several times as much */
    uint32_t n_kv_heads = s->model->config.n_kv_heads;
    uint32_t chunk = token_chunk(4 * (s->q_dim + 2 * s->kv_dim) / n_kv_heads);
    session_share(s, s->n_tokens * n_kv_heads, chunk, rope_items);
    profile_lap(s, OP_ROPE);
}

/* ---- attention ---- */

static uint32_t blocks_of(const struct session_segment *segment)
{
    return (segment->n_tokens + ATTENTION_TOKENS - 1) / ATTENTION_TOKENS;
}

static void attend(struct model_session *s, const struct session_segment *segment, uint32_t head,
                   uint32_t block, void *scratch)
{
    const struct model_config *c = &s->model->config;
    const uint8_t *keys = session_keys(s, s->layer, segment->sequence);
    struct kernels_attention a = {.q = s->q + (size_t)segment->first * s->q_dim,
                                  .q_stride = s->q_dim,
                                  .k = keys,
                                  .v = keys + s->kv_half,
                                  .kv = s->options.kv,
                                  .capacity = s->options.context,
                                  .head_dim = c->head_dim,
                                  .n_heads = c->n_heads,
                                  .n_kv_heads = c->n_kv_heads,
                                  .pos0 = segment->pos0,
                                  .n_tokens = segment->n_tokens,
                                  .window = c->sliding_window,
                                  .scale = (float)(1.0 / sqrt(c->head_dim)),
                                  .out = s->attended + (size_t)segment->first * s->q_dim,
                                  .out_stride = s->q_dim};
    uint32_t first = block * ATTENTION_TOKENS, left = segment->n_tokens - first;
    s->ops->attention(&a, head, first, first + (left < ATTENTION_TOKENS ? left : ATTENTION_TOKENS),
                      scratch);
}

/* Asks for the beginning of a head's keys and values: their rows lie in pages of their own, which
 * the processor does not foresee, and the weights have pushed them out of its caches since the last
 * pass. The rest of a long head is a stream that it does foresee. */
static void expect_head(const struct model_session *s, const struct session_segment *segment,
                        uint32_t kv_head)
{
    size_t row_bytes = s->model->config.head_dim * s->kv_element;
    size_t held = (segment->pos0 + segment->n_tokens) * row_bytes;
    const uint8_t *keys =
        session_keys(s, s->layer, segment->sequence) + kv_head * s->options.context * row_bytes;
    for (size_t at = 0; at < held && at < EXPECT_BYTES; at += 64) {
        __builtin_prefetch(keys + at, 0, 2);
        __builtin_prefetch(keys + s->kv_half + at, 0, 2);
    }
}

/* Items: for each segment all heads, for each head all blocks of tokens. */
static void attend_items(struct model_session *s, uint32_t first, uint32_t last, void *scratch)
{
    uint32_t n_heads = s->model->config.n_heads, base = 0;
    const uint32_t group = n_heads / s->model->config.n_kv_heads;
    for (uint32_t i = 0; i < s->n_segments && base < last; i++) {
        const struct session_segment *segment = &s->segments[i];
        uint32_t blocks = blocks_of(segment), n = n_heads * blocks;
        for (uint32_t item = first > base ? first - base : 0; item < n && base + item < last;
             item++) {
            if (segment->n_tokens == 1 && item + 1 < n && (item + 1) % group == 0)
                expect_head(s, segment, (item + 1) / group);
            attend(s, segment, item / blocks, item % blocks, scratch);
        }
        base += n;
    }
}

/* Positions that the tokens of a segment see, summed. */
static double visible(const struct model_session *s, const struct session_segment *segment)
{
    uint32_t window = s->model->config.sliding_window;
    double sum = 0;
    for (uint32_t t = 0; t < segment->n_tokens; t++) {
        uint32_t seen = segment->pos0 + t + 1;
        sum += window > 0 && seen > window ? window : seen;
    }
    return sum;
}

void stage_attention(struct model_session *s)
{
    const struct model_config *c = &s->model->config;
    uint32_t items = 0;
    double pairs = 0;
    for (uint32_t i = 0; i < s->n_segments; i++) {
        items += c->n_heads * blocks_of(&s->segments[i]);
        pairs += visible(s, &s->segments[i]);
    }
    double elements = pairs * s->q_dim;
    uint32_t chunk = elements < SHARE_ELEMENTS ? items : items / (8 * (uint32_t)s->n_threads);
    session_share(s, items, chunk > 0 ? chunk : 1, attend_items);
    profile_lap(s, OP_ATTENTION);
    profile_work(s, OP_ATTENTION, 0, 4.0 * elements);
}

/* ---- the rest ---- */

static void prepare_items(struct model_session *s, uint32_t first, uint32_t last, void *scratch)
{
    (void)scratch;
    prepare_tokens(s, s->to_prepare, s->prepare_width, first, last);
}

void stage_prepare(struct model_session *s, const float *x, uint32_t width)
{
    s->to_prepare = x;
    s->prepare_width = width;
    session_share(s, s->n_tokens, token_chunk(width), prepare_items);
    profile_lap(s, OP_PREPARE);
}

static void swiglu_tokens(struct model_session *s, uint32_t first, uint32_t last, void *scratch)
{
    uint32_t n_ff = s->model->config.n_ff;
    (void)scratch;
    for (uint32_t t = first; t < last; t++) {
        float *gate = s->gate + (size_t)t * n_ff;
        s->ops->swiglu(gate, s->up + (size_t)t * n_ff, n_ff, gate);
    }
    prepare_tokens(s, s->gate, n_ff, first, last);
}

void stage_swiglu(struct model_session *s)
{
    session_share(s, s->n_tokens, token_chunk(s->model->config.n_ff), swiglu_tokens);
    profile_lap(s, OP_SWIGLU);
}
