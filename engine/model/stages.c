/*
 * stages: the work between two products that all kinds of layers have: norms, rotary positions,
 * SwiGLU, and preparing activations for the next product. Tokens are shared out over the threads
 * where there are enough of them; each item's arithmetic is its own, so the result does not depend
 * on how they are shared.
 */
#include "model/session.h"

#include "quant/quant.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define HALF_LARGEST   65504.0f
#define SHARE_ELEMENTS 16384 /* less work than this is done faster than handed out */

uint32_t stage_chunk(uint32_t width)
{
    return width < SHARE_ELEMENTS ? SHARE_ELEMENTS / width : 1;
}

/* Magnitudes compare as their bits do, NaN above infinity above all numbers. */
void stage_check(struct model_session *s, const float *x, size_t n, float largest)
{
    uint32_t limit, most = 0;
    memcpy(&limit, &largest, sizeof limit);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bits &= 0x7fffffffu;
        most = bits > most ? bits : most;
    }
    if (most > limit)
        atomic_store_explicit(&s->no_numbers, true, memory_order_relaxed);
}

void stage_prepare_tokens(struct model_session *s, const struct session_input *input,
                          const float *x, size_t stride, uint32_t width, uint32_t first,
                          uint32_t last)
{
    for (uint32_t t = first; t < last; t++)
        stage_check(s, x + t * stride, width, FLT_MAX);
    for (int f = 0; f < SESSION_FORMATS; f++)
        if (s->formats & (1u << f))
            s->ops->prepare((enum kernels_format)f, x, stride, width, input->n_tokens, first, last,
                            input->of[f]);
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
        stage_check(s, x, c->n_embd, STAGE_SQUARED);
        s->ops->rms_norm(x, s->norm, c->n_embd, c->rms_eps, h);
    }
    stage_prepare_tokens(s, &s->input, s->h, c->n_embd, c->n_embd, first, last);
}

static void settle_tokens(struct model_session *s, uint32_t first, uint32_t last, void *scratch)
{
    const size_t n = s->model->config.n_embd;
    (void)scratch;
    for (size_t i = first * n; i < last * n; i++)
        s->x[i] += s->h[i];
}

void stage_settle(struct model_session *s)
{
    if (s->residual)
        session_share(s, s->n_tokens, stage_chunk(s->model->config.n_embd), settle_tokens);
    s->residual = false;
}

void stage_norm(struct model_session *s, enum model_op op)
{
    session_share(s, s->n_tokens, stage_chunk(s->model->config.n_embd), norm_tokens);
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
    bool factors = binding_id(s->model, 0, ROLE_ROPE_FREQS) >= 0;
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

void stage_rotate(const struct model_session *s, uint32_t t, float *x)
{
    const struct model_config *c = &s->model->config;
    uint32_t pairs = c->rope_dims / 2;
    rotate(x, s->cosine + (size_t)t * pairs, s->sine + (size_t)t * pairs, pairs, c->rope_neox);
}

/* A last block of less than 32 is filled up with zeros. */
static void store_q8_0(uint8_t *row, const float *x, size_t n)
{
    const struct quant_info *q8_0 = quant_info(QUANT_Q8_0);
    const size_t whole = n / 32 * 32;
    float rest[32] = {0};
    q8_0->quantize(x, row, whole);
    if (whole == n)
        return;
    memcpy(rest, x + whole, (n - whole) * sizeof *rest);
    q8_0->quantize(rest, row + whole / 32 * q8_0->block_bytes, 32);
}

void stage_store(struct model_session *s, uint32_t head, uint32_t t, const float *x, void *cache)
{
    const size_t n = s->model->config.head_dim;
    const size_t at = (size_t)head * s->options.context + s->position[t];
    void *row = (uint8_t *)cache + at * s->kv_row;
    /* a key that is infinite, perhaps only as a half, may leave no trace: its score is -infinity */
    switch (s->options.kv) {
    case KERNELS_KV_F16:
        stage_check(s, x, n, HALF_LARGEST);
        for (size_t i = 0; i < n; i++)
            ((uint16_t *)row)[i] = quant_float_to_half(x[i]);
        break;
    case KERNELS_KV_Q8_0:
        stage_check(s, x, n, 127 * HALF_LARGEST);
        store_q8_0(row, x, n);
        break;
    default:
        stage_check(s, x, n, FLT_MAX);
        memcpy(row, x, n * sizeof *x);
    }
}

/* ---- the rest ---- */

static void prepare_items(struct model_session *s, uint32_t first, uint32_t last, void *scratch)
{
    (void)scratch;
    stage_prepare_tokens(s, &s->input, s->to_prepare, s->prepare_width, s->prepare_width, first,
                         last);
}

void stage_prepare(struct model_session *s, const float *x, uint32_t width)
{
    s->to_prepare = x;
    s->prepare_width = width;
    session_share(s, s->n_tokens, stage_chunk(width), prepare_items);
    profile_lap(s, OP_PREPARE);
}

static void add(float *x, const float *y, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        x[i] += y[i];
}

/* OpenAI 2025, gpt-oss: y = g * sigmoid(1.702 g) * (u + 1) with g = min(gate, 7) and
 * u = clamp(up, -7, 7) */
static void swiglu_clamped(const float *gate, const float *up, uint32_t n, float *y)
{
    const float alpha = 1.702f, limit = 7;
    for (uint32_t i = 0; i < n; i++) {
        float g = gate[i] > limit ? limit : gate[i];
        float u = up[i] > limit ? limit : up[i];
        u = u < -limit ? -limit : u;
        y[i] = g / (1 + expf(-alpha * g)) * (u + 1);
    }
}

/* Rows first..last-1 of one of the parts under way. */
static void swiglu_part(struct model_session *s, const struct session_ffn *f, uint32_t first,
                        uint32_t last)
{
    const uint32_t n = s->ffn_width;
    float *gate = s->gate + (size_t)f->first * n, *up = s->up + (size_t)f->first * n;
    for (uint32_t t = first; t < last; t++) {
        float *g = gate + (size_t)t * n, *u = up + (size_t)t * n;
        if (f->gate_bias)
            add(g, f->gate_bias, n);
        if (f->up_bias)
            add(u, f->up_bias, n);
        if (s->model->config.swiglu == MODEL_SWIGLU_CLAMPED) {
            stage_check(s, g, n, FLT_MAX); /* an infinity is a number once it is clamped */
            stage_check(s, u, n, FLT_MAX);
            swiglu_clamped(g, u, n, g);
        } else
            s->ops->swiglu(g, u, n, g);
    }
    stage_prepare_tokens(s, &f->act, gate, n, n, first, last);
}

/* Items: the rows of all parts, one part's after the other's. */
static void swiglu_items(struct model_session *s, uint32_t first, uint32_t last, void *scratch)
{
    uint32_t base = 0;
    (void)scratch;
    for (uint32_t i = 0; i < s->n_ffn && base < last; i++) {
        uint32_t n = s->ffn[i].act.n_tokens, end = last - base < n ? last - base : n;
        uint32_t begin = first > base ? first - base : 0;
        if (begin < end)
            swiglu_part(s, &s->ffn[i], begin, end);
        base += n;
    }
}

void stage_swiglu(struct model_session *s)
{
    uint32_t rows = 0;
    for (uint32_t i = 0; i < s->n_ffn; i++)
        rows += s->ffn[i].act.n_tokens;
    /* the clamped one is not vectorised: an element costs several times as much */
    uint32_t cost = s->model->config.swiglu == MODEL_SWIGLU_CLAMPED ? 8 : 1;
    session_share(s, rows, stage_chunk(cost * s->ffn_width), swiglu_items);
    profile_lap(s, OP_SWIGLU);
}
