/*
 * test_reference: the forward pass against a plain one in double precision, written here
 * from the formulas: whole sequence at once, no cache, tensors looked up by name. Each
 * feature that an architecture may have is turned on in turn, on random float32
 * models, so that float rounding is all that may differ.
 */
#include "made_model.h"
#include "whole_model.h"

#include <math.h>

#define TOKENS 24

struct plain {
    const struct whole_model *whole;
    const struct model_config *c;
    const struct made_model *made;
    uint32_t layer;
};

/* All elements of a tensor, NULL when there is none; free. */
static float *elements(const struct plain *p, const char *name)
{
    char full[64];
    snprintf(full, sizeof full, "blk.%u.%s", p->layer, name);
    const struct gguf_tensor *t = gguf_find_tensor(p->whole->file, full);
    if (!t)
        t = gguf_find_tensor(p->whole->file, name);
    if (!t)
        return NULL;
    size_t n = (size_t)(t->ne[0] * t->ne[1]);
    float *x = malloc(n * sizeof *x);
    quant_info(t->type)->dequantize(p->whole->bytes + t->file_offset, x, n);
    return x;
}

/* y[n_out] = W[n_out][n_in] x + bias */
static void affine(const struct plain *p, const char *name, const double *x, uint32_t n_in,
                   double *y, uint32_t n_out)
{
    char weight[64], bias[64];
    snprintf(weight, sizeof weight, "%s.weight", name);
    snprintf(bias, sizeof bias, "%s.bias", name);
    float *w = elements(p, weight), *b = elements(p, bias);
    for (uint32_t r = 0; r < n_out; r++) {
        y[r] = b ? b[r] : 0;
        for (uint32_t i = 0; i < n_in; i++)
            y[r] += w[(size_t)r * n_in + i] * x[i];
    }
    free(w);
    free(b);
}

/* y = x / rms(x) * weight, if there is such a norm */
static void normalise(const struct plain *p, const char *name, const double *x, uint32_t n,
                      double *y)
{
    float *w = elements(p, name);
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    double scale = 1 / sqrt(sum / n + p->c->rms_eps);
    for (uint32_t i = 0; w && i < n; i++)
        y[i] = x[i] * scale * w[i];
    free(w);
}

/* What scaling leaves of a pair's speed. YaRN: pairs between the one that turns 32 times in the
 * context and the one that turns once are mixed, in whole pairs. */
static double slowed(const struct plain *p, uint32_t i, uint32_t dims)
{
    double factor = p->made->rope_factor > 0 ? p->made->rope_factor : 1;
    if (!p->made->yarn_context)
        return 1 / factor;
    double per_pair = 2 * log(10000) / dims, turns = p->made->yarn_context / (2 * acos(-1));
    double from = fmax(floor(log(turns / 32) / per_pair), 0), to = ceil(log(turns) / per_pair);
    double share = i <= from ? 0 : i >= to ? 1 : (i - from) / (to - from);
    return share / factor + 1 - share;
}

static void rotate_heads(const struct plain *p, double *x, uint32_t n_heads, uint32_t position)
{
    uint32_t dims = p->made->rope_dims ? p->made->rope_dims : p->c->head_dim;
    bool halves = strcmp(p->made->architecture, "llama") != 0;
    float *factors = elements(p, "rope_freqs.weight");
    for (uint32_t head = 0; head < n_heads; head++)
        for (uint32_t i = 0; i < dims / 2; i++) {
            double *a = x + head * p->c->head_dim + (halves ? i : 2 * i);
            double *b = halves ? a + dims / 2 : a + 1;
            double angle = position / pow(10000, 2.0 * i / dims);
            angle /= factors ? factors[i] : 1;
            angle *= slowed(p, i, dims);
            double size = p->made->yarn_context ? 1 + log(p->made->rope_factor) / 10 : 1;
            double turned = *a * cos(angle) - *b * sin(angle);
            *b = size * (*a * sin(angle) + *b * cos(angle));
            *a = size * turned;
        }
    free(factors);
}

/* out[q_dim] for the token at `position`; keys, values: [TOKENS][kv_dim] */
static void attend(const struct plain *p, const double *q, const double *keys, const double *values,
                   uint32_t position, double *out)
{
    uint32_t d = p->c->head_dim, kv_dim = p->c->n_kv_heads * d;
    uint32_t begin =
        p->made->window && position >= p->made->window ? position + 1 - p->made->window : 0;
    for (uint32_t head = 0; head < p->c->n_heads; head++) {
        uint32_t shared = head / (p->c->n_heads / p->c->n_kv_heads);
        double score[TOKENS], sum = 0;
        for (uint32_t j = begin; j <= position; j++) {
            score[j] = 0;
            for (uint32_t i = 0; i < d; i++)
                score[j] += q[head * d + i] * keys[j * kv_dim + shared * d + i];
            score[j] = exp(score[j] / sqrt(d));
            sum += score[j];
        }
        for (uint32_t i = 0; i < d; i++) {
            out[head * d + i] = 0;
            for (uint32_t j = begin; j <= position; j++)
                out[head * d + i] += score[j] / sum * values[j * kv_dim + shared * d + i];
        }
    }
}

static void norm_heads(const struct plain *p, const char *name, double *x, uint32_t n_heads)
{
    for (uint32_t head = 0; head < n_heads; head++)
        normalise(p, name, x + head * p->c->head_dim, p->c->head_dim, x + head * p->c->head_dim);
}

static void add(double *x, const double *y, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        x[i] += y[i];
}

/* One layer over the whole sequence x[TOKENS][n_embd]. */
static void layer(const struct plain *p, double *x)
{
    const struct model_config *c = p->c;
    uint32_t n = c->n_embd, q_dim = c->n_heads * c->head_dim, kv_dim = c->n_kv_heads * c->head_dim;
    double h[512], q[512], attended[512], gate[512], up[512], keys[TOKENS * 256],
        values[TOKENS * 256];
    for (uint32_t t = 0; t < TOKENS; t++, x += n) {
        normalise(p, "attn_norm.weight", x, n, h);
        affine(p, "attn_q", h, n, q, q_dim);
        affine(p, "attn_k", h, n, keys + t * kv_dim, kv_dim);
        affine(p, "attn_v", h, n, values + t * kv_dim, kv_dim);
        norm_heads(p, "attn_q_norm.weight", q, c->n_heads);
        norm_heads(p, "attn_k_norm.weight", keys + t * kv_dim, c->n_kv_heads);
        rotate_heads(p, q, c->n_heads, t);
        rotate_heads(p, keys + t * kv_dim, c->n_kv_heads, t);
        attend(p, q, keys, values, t, attended);
        affine(p, "attn_output", attended, q_dim, h, n);
        add(x, h, n);
        normalise(p, "ffn_norm.weight", x, n, h);
        affine(p, "ffn_gate", h, n, gate, c->n_ff);
        affine(p, "ffn_up", h, n, up, c->n_ff);
        for (uint32_t i = 0; i < c->n_ff; i++)
            gate[i] *= up[i] / (1 + exp(-gate[i]));
        affine(p, "ffn_down", gate, c->n_ff, h, n);
        add(x, h, n);
    }
}

static void plain_logits(struct plain *p, const int32_t *ids, double *logits)
{
    uint32_t n = p->c->n_embd;
    double *x = calloc((size_t)TOKENS * n, sizeof *x), h[512];
    float *embedding = elements(p, "token_embd.weight");
    for (uint32_t t = 0; t < TOKENS; t++)
        for (uint32_t i = 0; i < n; i++)
            x[t * n + i] = embedding[(uint32_t)ids[t] * n + i];
    for (p->layer = 0; p->layer < p->c->n_layers; p->layer++)
        layer(p, x);
    for (uint32_t t = 0; t < TOKENS; t++) {
        normalise(p, "output_norm.weight", x + t * n, n, h);
        affine(p, p->made->tied ? "token_embd" : "output", h, n, logits + t * p->c->n_vocab,
               p->c->n_vocab);
    }
    free(embedding);
    free(x);
}

/* Largest difference that float arithmetic explains: some thousand roundings of 2^-24 in sums
 * whose terms are about as large as the logits. */
#define BOUND 2e-5
/* Keys and values carry 11 bits: 5e-4 of each, times a score's size in the exponent. */
#define HALF_BOUND 1e-2
/* A key or value as a byte is off by up to 1/254 of the largest of its 32, 16 times a half. */
#define Q8_0_BOUND 5e-2

static void compare(const char *what, const struct made_model *made, enum kernels_kv kv,
                    double bound)
{
    struct whole_model whole;
    struct whole_session session;
    struct lb_random random = {made->seed + 100};
    int32_t ids[TOKENS];
    const char *path = made_path("made.gguf");
    made_write(made, path);
    if (whole_open(&whole, path)) {
        uint32_t n_vocab = made->n_vocab;
        struct plain plain = {&whole, model_config(whole.model), made, 0};
        double *expected = calloc(TOKENS * n_vocab, sizeof *expected), worst = 0, size = 0;
        float *got = calloc(TOKENS * n_vocab, sizeof *got);
        for (int t = 0; t < TOKENS; t++)
            ids[t] = (int32_t)lb_random_below(&random, n_vocab);
        plain_logits(&plain, ids, expected);
        struct model_session_options options = {
            .n_sequences = 1, .context = TOKENS, .max_tokens = TOKENS, .kv = kv};
        if (whole_session_open(&session, &whole, "generic", 2, options))
            whole_run(&session, &whole, 0, ids, TOKENS, TOKENS, got);
        for (uint32_t i = 0; i < TOKENS * n_vocab; i++) {
            worst = fmax(worst, fabs(got[i] - expected[i]));
            size = fmax(size, fabs(expected[i]));
        }
        CHECK(size > 1 && size < 100, "%s: logits up to %g", what, size);
        CHECK(worst < bound * size, "%s: off by %g of %g (seed %d)", what, worst, size,
              (int)made->seed);
        whole_session_close(&session);
        whole_close(&whole);
        free(expected);
        free(got);
    }
    unlink(path);
}

static void features(const char *architecture)
{
    struct made_model usual = made_usual(), m;
    usual.architecture = architecture;
    usual.biases = strcmp(architecture, "qwen2") == 0;
    compare(architecture, &usual, KERNELS_KV_F32, BOUND);
    compare("KV cache in half precision", &usual, KERNELS_KV_F16, HALF_BOUND);
    compare("KV cache of bytes", &usual, KERNELS_KV_Q8_0, Q8_0_BOUND);
    m = usual;
    m.tied = true;
    m.n_layers = 5;
    compare("tied embedding, five layers", &m, KERNELS_KV_F32, BOUND);
    m = usual;
    m.key_length = 24;
    compare("head size of its own", &m, KERNELS_KV_F32, BOUND);
    m.rope_dims = 16;
    compare("rotation of a part of the head", &m, KERNELS_KV_F32, BOUND);
    m = usual;
    m.n_kv_heads = 4;
    m.window = 5;
    compare("sliding window", &m, KERNELS_KV_F32, BOUND);
    m = usual;
    m.n_kv_heads = 1;
    m.rope_factor = 4;
    compare("linear rope scaling", &m, KERNELS_KV_F32, BOUND);
    m.yarn_context = 500;
    m.key_length = 32;
    compare("YaRN", &m, KERNELS_KV_F32, BOUND);
}

int main(void)
{
    features("llama");
    features("qwen2");
    features("qwen3");
    struct made_model m = made_usual();
    m.factors = true;
    compare("rope factors", &m, KERNELS_KV_F32, BOUND);
    m = made_usual();
    m.biases = true;
    compare("llama with biases", &m, KERNELS_KV_F32, BOUND);
    made_clean();
    return check_done();
}
