/*
 * Attention, rms_norm, swiglu and reading of every instruction set against sums in double, and
 * attention against itself: the same bits for any split of the tokens, in a prompt or one by one.
 * Positions that no token may see hold NaN.
 */
#include "base/random.h"
#include "guarded.h"
#include "kernels/kernels.h"
#include "quant/quant.h"
#include "tests/check.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define SEED    7
#define EPSILON 0x1p-24

static struct lb_random rng = {SEED};

static float random_value(void)
{
    return (float)(lb_random_unit(&rng) * 4 - 2);
}

/* ---- attention ---- */

struct attention_case {
    uint32_t head_dim, n_heads, n_kv_heads, pos0, n_tokens, window;
    enum kernels_kv kv;
};

struct attention_data {
    struct kernels_attention a;
    struct guarded q, k, v, out;
    float *k_values, *v_values; /* [n_kv_heads][capacity][head_dim], what k and v hold */
};

static void fill_cache(const struct kernels_attention *a, void *cache, float *values,
                       uint32_t valid)
{
    static const uint32_t types[N_KERNELS_KV] = {QUANT_F32, QUANT_F16, QUANT_Q8_0};
    const struct quant_info *type = quant_info(types[a->kv]);
    const size_t row_bytes = kernels_kv_row_bytes(a->kv, a->head_dim);
    const uint32_t stored = (uint32_t)(row_bytes / type->block_bytes) * type->block_elements;
    float row[256] = {0};
    for (size_t at = 0; at < (size_t)a->n_kv_heads * a->capacity; at++) {
        char *to = (char *)cache + at * row_bytes;
        for (uint32_t i = 0; i < a->head_dim; i++)
            row[i] = random_value();
        type->quantize(row, to, stored);
        if (at % a->capacity >= valid)
            memset(to, 0xff, row_bytes); /* a NaN in every type */
        type->dequantize(to, row, stored);
        memcpy(values + at * a->head_dim, row, a->head_dim * sizeof *row);
    }
}

static struct attention_data attention_open(const struct attention_case *c)
{
    struct attention_data d = {
        .a = {.kv = c->kv,
              .capacity = c->pos0 + c->n_tokens + lb_random_below(&rng, 2) * 9,
              .head_dim = c->head_dim,
              .n_heads = c->n_heads,
              .n_kv_heads = c->n_kv_heads,
              .pos0 = c->pos0,
              .n_tokens = c->n_tokens,
              .window = c->window,
              .scale = 1 / sqrtf((float)c->head_dim)}};
    struct kernels_attention *a = &d.a;
    size_t cells = (size_t)c->n_kv_heads * a->capacity * c->head_dim;
    size_t width = (size_t)c->n_heads * c->head_dim;
    size_t cache_bytes =
        (size_t)c->n_kv_heads * a->capacity * kernels_kv_row_bytes(c->kv, c->head_dim);
    a->q_stride = width + 3;
    a->out_stride = width + 1;
    d.q = guarded_alloc((c->n_tokens * a->q_stride - 3) * sizeof(float), 1);
    d.out = guarded_alloc((c->n_tokens * a->out_stride - 1) * sizeof(float), 1);
    d.k = guarded_alloc(cache_bytes, 1);
    d.v = guarded_alloc(cache_bytes, 1);
    d.k_values = malloc(cells * sizeof(float));
    d.v_values = malloc(cells * sizeof(float));
    float *q = d.q.data;
    for (size_t i = 0; i < c->n_tokens * a->q_stride - 3; i++)
        q[i] = random_value() * 3;
    a->q = q;
    a->k = d.k.data;
    a->v = d.v.data;
    a->out = d.out.data;
    fill_cache(a, d.k.data, d.k_values, c->pos0 + c->n_tokens);
    fill_cache(a, d.v.data, d.v_values, c->pos0 + c->n_tokens);
    return d;
}

static void attention_close(struct attention_data *d)
{
    guarded_free(&d->q);
    guarded_free(&d->k);
    guarded_free(&d->v);
    guarded_free(&d->out);
    free(d->k_values);
    free(d->v_values);
}

/* out[head_dim] and the error allowed: that of the scores, through exp, times the largest value,
 * and that of the sums. */
static double attention_reference(const struct attention_data *d, uint32_t head, uint32_t t,
                                  double *out)
{
    const struct kernels_attention *a = &d->a;
    uint32_t end = a->pos0 + t + 1, begin = a->window && end > a->window ? end - a->window : 0;
    size_t base = (size_t)(head / (a->n_heads / a->n_kv_heads)) * a->capacity * a->head_dim;
    const float *q = a->q + t * a->q_stride + (size_t)head * a->head_dim;
    double *score = malloc(end * sizeof *score);
    double max = -INFINITY, sum = 0, score_error = 0, largest = 0;
    for (uint32_t j = begin; j < end; j++) {
        double s = 0, terms = 0;
        for (uint32_t i = 0; i < a->head_dim; i++) {
            double product = (double)q[i] * d->k_values[base + (size_t)j * a->head_dim + i];
            s += product;
            terms += fabs(product);
        }
        score[j] = s * (double)a->scale;
        score_error = fmax(score_error, (a->head_dim + 4) * EPSILON * terms * (double)a->scale);
        max = fmax(max, score[j]);
    }
    for (uint32_t i = 0; i < a->head_dim; i++)
        out[i] = 0;
    for (uint32_t j = begin; j < end; j++) {
        double p = exp(score[j] - max);
        sum += p;
        for (uint32_t i = 0; i < a->head_dim; i++) {
            double v = d->v_values[base + (size_t)j * a->head_dim + i];
            out[i] += p * v;
            largest = fmax(largest, fabs(v));
        }
    }
    for (uint32_t i = 0; i < a->head_dim; i++)
        out[i] /= sum;
    free(score);
    return largest * (2 * expm1(4 * score_error) + (end - begin + 32) * 2 * EPSILON);
}

static void describe(const struct kernels_ops *ops, const struct attention_case *c, char text[200])
{
    snprintf(text, 200, "%s head_dim %u heads %u/%u pos0 %u tokens %u window %u kv %s, seed %d",
             ops->name, c->head_dim, c->n_heads, c->n_kv_heads, c->pos0, c->n_tokens, c->window,
             kernels_kv_name(c->kv), SEED);
}

static void check_against_double(const struct kernels_ops *ops, const struct attention_case *c,
                                 const struct attention_data *d)
{
    const struct kernels_attention *a = &d->a;
    double *expected = malloc(c->head_dim * sizeof *expected), worst = 0;
    for (uint32_t head = 0; head < c->n_heads; head++)
        for (uint32_t t = 0; t < c->n_tokens; t++) {
            double allowed = attention_reference(d, head, t, expected);
            for (uint32_t i = 0; i < c->head_dim; i++) {
                double got = a->out[t * a->out_stride + (size_t)head * c->head_dim + i];
                double error = fabs(got - expected[i]) / allowed;
                worst = error <= worst ? worst : error;
            }
        }
    char text[200];
    describe(ops, c, text);
    CHECK(worst <= 1, "attention %s: %.3g of the bound", text, worst);
    free(expected);
}

/* Token t once more as a pass of its own, and the tokens in two parts. */
static void check_same_bits(const struct kernels_ops *ops, const struct attention_case *c,
                            struct attention_data *d, void *scratch)
{
    struct kernels_attention *a = &d->a;
    size_t count = c->n_tokens * a->out_stride - 1;
    float *whole = malloc(count * sizeof *whole);
    memcpy(whole, a->out, count * sizeof *whole);
    uint32_t cut = lb_random_below(&rng, c->n_tokens + 1);
    for (uint32_t head = 0; head < c->n_heads; head++) {
        ops->attention(a, head, 1, cut, c->n_tokens, scratch);
        ops->attention(a, head, 1, 0, cut, scratch);
    }
    char text[200];
    describe(ops, c, text);
    CHECK(memcmp(whole, a->out, count * sizeof *whole) == 0, "split at %u: %s", cut, text);
    uint32_t differ = 0;
    for (uint32_t t = 0; t < c->n_tokens; t++) {
        struct kernels_attention one = *a;
        one.q += t * a->q_stride;
        one.out += t * a->out_stride;
        one.pos0 += t;
        one.n_tokens = 1;
        const uint32_t group = c->n_heads / c->n_kv_heads; /* all that share their keys at once */
        for (uint32_t head = 0; head < c->n_heads; head += group)
            ops->attention(&one, head, group, 0, 1, scratch);
        differ += memcmp(whole + t * a->out_stride, one.out,
                         (size_t)c->n_heads * c->head_dim * sizeof *whole) != 0;
    }
    CHECK(differ == 0, "%u tokens differ alone: %s", differ, text);
    free(whole);
}

static void check_attention(const struct kernels_ops *ops)
{
    static const uint32_t head_dims[] = {8, 20, 64, 80, 128, 200};
    static const uint32_t positions[] = {0, 1, 60, 63, 64, 130};
    static const uint32_t token_counts[] = {1, 2, 3, 4, 5, 9, 70};
    static const uint32_t windows[] = {0, 0, 1, 40, 64, 100};
    for (int round = 0; round < 60; round++) {
        uint32_t group = 1 + lb_random_below(&rng, 8);
        struct attention_case c = {.head_dim = head_dims[round % 6],
                                   .n_kv_heads = 2,
                                   .n_heads = 2 * group,
                                   .pos0 = positions[lb_random_below(&rng, 6)],
                                   .n_tokens = token_counts[lb_random_below(&rng, 7)],
                                   .window = windows[lb_random_below(&rng, 6)],
                                   .kv = (enum kernels_kv)(round / 6 % N_KERNELS_KV)};
        struct attention_data d = attention_open(&c);
        struct guarded scratch = guarded_alloc(kernels_scratch_bytes(1, c.head_dim), 1);
        for (uint32_t head = 0; head < c.n_heads; head++)
            ops->attention(&d.a, head, 1, 0, c.n_tokens, scratch.data);
        check_against_double(ops, &c, &d);
        check_same_bits(ops, &c, &d, scratch.data);
        guarded_free(&scratch);
        attention_close(&d);
    }
}

static void check_kv_bytes(void)
{
    CHECK(kernels_kv_row_bytes(KERNELS_KV_F16, 128) == 256, "halves");
    CHECK(kernels_kv_row_bytes(KERNELS_KV_Q8_0, 128) == 136, "bytes, with a scale for each 32");
    CHECK(kernels_kv_row_bytes(KERNELS_KV_Q8_0, 80) == 3 * 34, "a last block filled up");
}

/* ---- vectors ---- */

static void check_read(const struct kernels_ops *ops)
{
    enum { WORDS = 1000 };
    uint64_t memory[WORDS], sum = 0;
    for (size_t i = 0; i < WORDS; i++) {
        memory[i] = i * 0x9e3779b97f4a7c15;
        if (i < WORDS / 16 * 16)
            sum += memory[i];
    }
    CHECK(ops->read(memory, sizeof memory) == sum, "read %s: another sum", ops->name);
}

static void check_rms_norm(const struct kernels_ops *ops)
{
    static const uint32_t sizes[] = {1, 7, 16, 33, 64, 100, 4096};
    for (int s = 0; s < 7; s++) {
        uint32_t n = sizes[s];
        struct guarded gx = guarded_alloc(n * sizeof(float), 1), gw = gx, gy = gx;
        gw = guarded_alloc(n * sizeof(float), 1);
        gy = guarded_alloc(n * sizeof(float), 1);
        float *x = gx.data, *w = gw.data, *y = gy.data;
        double sum = 0, worst = 0;
        for (uint32_t i = 0; i < n; i++) {
            x[i] = random_value();
            w[i] = random_value();
            sum += (double)x[i] * x[i];
        }
        ops->rms_norm(x, w, n, 1e-5f, y);
        for (uint32_t i = 0; i < n; i++) {
            double expected = x[i] / sqrt(sum / n + (double)1e-5f) * w[i];
            worst =
                fmax(worst, fabs(y[i] - expected) / ((n + 8) * EPSILON * fabs(expected) + 1e-30));
        }
        CHECK(worst <= 1, "rms_norm %s n %u: %.3g of the bound, seed %d", ops->name, n, worst,
              SEED);
        ops->rms_norm(x, w, n, 1e-5f, x);
        CHECK(memcmp(x, y, n * sizeof *x) == 0, "rms_norm %s n %u in place", ops->name, n);
        guarded_free(&gx);
        guarded_free(&gw);
        guarded_free(&gy);
    }
}

/* The factor 1 / (1 + exp(-g)) may be off by 4 roundings, the results by 2 more. */
static void check_swiglu(const struct kernels_ops *ops)
{
    static const float odd[] = {0,  -0.0f, 80,   -80,   87.5f, -87.5f,
                                90, -90,   1000, -1000, 1e30f, -1e30f};
    static const uint32_t sizes[] = {1, 15, 16, 50, 5000};
    for (int s = 0; s < 5; s++) {
        uint32_t n = sizes[s];
        struct guarded gg = guarded_alloc(n * sizeof(float), 1);
        struct guarded gu = guarded_alloc(n * sizeof(float), 1);
        float *gate = gg.data, *up = gu.data, *before = malloc(n * sizeof *before);
        for (uint32_t i = 0; i < n; i++) {
            gate[i] = i % 4 == 3 ? odd[lb_random_below(&rng, 12)] : random_value() * 5;
            up[i] = random_value();
        }
        memcpy(before, gate, n * sizeof *before);
        ops->swiglu(gate, up, n, gate);
        double worst = 0, at = 0;
        for (uint32_t i = 0; i < n; i++) {
            double expected = before[i] / (1 + exp(-(double)before[i])) * up[i];
            double error = fabs(gate[i] - expected) / (6 * EPSILON * fabs(expected) + 1e-34);
            if (!(error <= worst)) {
                worst = error;
                at = before[i];
            }
        }
        CHECK(worst <= 1, "swiglu %s n %u at %g: %.3g of the bound, seed %d", ops->name, n, at,
              worst, SEED);
        gate[n - 1] = NAN;
        ops->swiglu(gate, up, n, gate);
        CHECK(isnan(gate[n - 1]), "swiglu %s: NaN must pass through", ops->name);
        free(before);
        guarded_free(&gg);
        guarded_free(&gu);
    }
}

int main(void)
{
    check_kv_bytes();
    size_t n_sets;
    const struct kernels_ops *const *sets = kernels_list(&n_sets);
    for (size_t i = 0; i < n_sets; i++) {
        if (!sets[i]->available())
            continue;
        check_attention(sets[i]);
        check_rms_norm(sets[i]);
        check_read(sets[i]);
        check_swiglu(sets[i]);
    }
    return check_done();
}
