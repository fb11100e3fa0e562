/*
 * Products of every instruction set, in the manner of checkasm.
 *
 * Generic C against a sum in double over the dequantised weights and activations; every other
 * set against generic C, bit by bit for quantised weights (kernels.h promises it) and within
 * the rounding bound for float weights. Each set against itself: any range of rows and any
 * number of tokens give the same bits. Weights lie against forbidden pages, at any even address.
 */
#include "base/random.h"
#include "guarded.h"
#include "kernels/generic.h"
#include "kernels/kernels.h"
#include "kernels/kernels_layout.h"
#include "quant/blocks.h"
#include "tests/check.h"

#include <math.h>

#define SEED       20240611
#define MAX_ROWS   67
#define MAX_TOKENS 33
#define Y_STRIDE   (MAX_ROWS + 5)
#define EPSILON    0x1p-24 /* largest relative error of one float operation */

static const uint32_t token_counts[] = {1, 2, 3, 4, 5, 7, 16, MAX_TOKENS};
static const uint32_t row_counts[] = {1, 2, 5, 31, 32, 33, 64, MAX_ROWS};

enum fill { FILL_NORMAL, FILL_RANDOM_BYTES, FILL_00, FILL_FF, FILL_80, N_FILLS };
static const char *const fill_names[] = {"normal", "random bytes", "00", "ff", "80"};

static struct lb_random rng = {SEED};

static float random_normal(void)
{
    double u = lb_random_unit(&rng) + 0x1p-60, v = lb_random_unit(&rng);
    return (float)(sqrt(-2 * log(u)) * cos(2 * M_PI * v));
}

/* ---- weights ---- */

/* Where a block keeps its halfs: those get finite values after the bytes were filled. */
static int half_offsets(uint32_t type, size_t at[2])
{
    switch (type) {
    case QUANT_Q4_1:
    case QUANT_Q5_1:
    case QUANT_Q4_K:
    case QUANT_Q5_K:
        at[0] = 0;
        at[1] = 2;
        return 2;
    case QUANT_Q2_K:
        at[0] = offsetof(struct block_q2_k, d);
        at[1] = offsetof(struct block_q2_k, dmin);
        return 2;
    case QUANT_Q3_K:
        at[0] = offsetof(struct block_q3_k, d);
        return 1;
    case QUANT_Q6_K:
        at[0] = offsetof(struct block_q6_k, d);
        return 1;
    case QUANT_TQ1_0:
        at[0] = offsetof(struct block_tq1_0, d);
        return 1;
    case QUANT_TQ2_0:
        at[0] = offsetof(struct block_tq2_0, d);
        return 1;
    case QUANT_MXFP4: /* has none */
    case QUANT_IQ1_M: /* in pieces */
        return 0;
    default:
        at[0] = 0;
        return 1;
    }
}

static void fill_float(uint32_t type, void *w, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float x = random_normal();
        quant_info(type)->quantize(&x, (char *)w + i * quant_info(type)->block_bytes, 1);
    }
}

static void fill_weights(uint32_t type, enum fill fill, void *w, size_t n)
{
    const struct quant_info *info = quant_info(type);
    if (info->block_elements == 1) {
        fill_float(type, w, n);
        return;
    }
    size_t at[2];
    int n_halfs = half_offsets(type, at);
    for (size_t i = 0; i < n / info->block_elements; i++) {
        uint8_t *block = (uint8_t *)w + i * info->block_bytes;
        if (fill == FILL_NORMAL) {
            float x[256];
            for (uint32_t j = 0; j < info->block_elements; j++)
                x[j] = random_normal();
            info->quantize(x, block, info->block_elements);
            continue;
        }
        static const int bytes[N_FILLS] = {[FILL_00] = 0x00, [FILL_FF] = 0xff, [FILL_80] = 0x80};
        for (uint32_t j = 0; j < info->block_bytes; j++)
            block[j] =
                (uint8_t)(fill == FILL_RANDOM_BYTES ? lb_random_next(&rng) : (uint64_t)bytes[fill]);
        if (type == QUANT_MXFP4) /* scales about 1, subnormal, or as large as a half's */
            block[0] = (uint8_t)(fill == FILL_RANDOM_BYTES ? 118 + block[0] % 20
                                 : fill == FILL_FF         ? (int)(i % 4)
                                                           : 143);
        for (int j = 0; j < n_halfs || (j == 0 && type == QUANT_IQ1_M); j++) {
            float d = fill == FILL_RANDOM_BYTES ? random_normal() : i % 2 ? 65504.0f : -65504.0f;
            uint16_t half = quant_float_to_half(d);
            if (type == QUANT_IQ1_M)
                block_iq1_m_set_d((struct block_iq1_m *)(void *)block, half);
            else
                memcpy(block + at[j], &half, 2);
        }
    }
}

/* ---- activations: int8 never holds -128, as the scale makes the largest 127 ---- */

static void fill_activations(enum fill fill, float *x, uint32_t n_in, uint32_t n_tokens)
{
    for (uint32_t t = 0; t < n_tokens; t++)
        for (uint32_t i = 0; i < n_in; i++) {
            float *v = &x[(size_t)t * n_in + i];
            if (fill == FILL_FF || fill == FILL_80)
                *v = t % 3 == 0 ? 1 : t % 3 == 1 ? -1 : i % 2 ? 3.0f : -3.0f;
            else
                *v = i / 32 % 5 == t ? 0 : random_normal() * (t % 4 == 3 ? 1e-20f : 1);
        }
}

/* ---- the reference in double ---- */

struct shape {
    uint32_t type, n_in;
    enum fill fill;
    size_t row_bytes;
};

/* What prepare made of x, as values. */
static double activation(const struct shape *s, const void *input, uint32_t t, uint32_t i)
{
    enum kernels_format format = kernels_format_of(s->type);
    if (format == KERNELS_FLOAT)
        return ((const float *)input)[t * input_float_stride(s->n_in) + i];
    struct input_view v = input_view(format, input, MAX_TOKENS, s->n_in, NULL);
    size_t cell = (size_t)(i / GROUP) * MAX_TOKENS + t;
    float scale = format == KERNELS_INT8_32 ? v.scale[cell * 8 + i % GROUP / 32] : v.scale[cell];
    return (double)v.q[cell * GROUP + i % GROUP] * scale;
}

/* magnitude[i]: the sum of the magnitudes of the terms that make up weight i. */
static void weight_magnitudes(const struct shape *s, const char *row, const float *w,
                              float *magnitude)
{
    const struct quant_info *info = quant_info(s->type);
    struct expanded256 e256; /* of the block that i lies in */
    struct expanded32 e32;
    for (uint32_t i = 0; i < s->n_in; i++) {
        const char *block = row + (size_t)(i / info->block_elements) * info->block_bytes;
        if (info->block_elements == 1) {
            magnitude[i] = fabsf(w[i]);
        } else if (info->block_elements == 32) {
            if (i % 32 == 0)
                expand32_of(s->type)(block, &e32);
            magnitude[i] = fabsf(e32.d * e32.q[i % 32]) + fabsf(e32.m);
        } else {
            if (i % 256 == 0)
                expand256_of(s->type)(block, &e256);
            int j = i % 256 / 16;
            magnitude[i] =
                fabsf(e256.d * e256.scale[j] * e256.q[i % 256]) + fabsf(e256.dmin * e256.min[j]);
        }
    }
}

static double *reference, *bound; /* [MAX_TOKENS][MAX_ROWS] */

/* Each of the terms passes at most 8 roundings of its own (weight, activation, block) and one for
 * each addition after it. */
static void make_reference(const struct shape *s, const char *weights, const void *input)
{
    float *w = malloc(s->n_in * sizeof *w), *magnitude = malloc(s->n_in * sizeof *magnitude);
    double *x = malloc(sizeof *x * s->n_in * MAX_TOKENS);
    for (uint32_t t = 0; t < MAX_TOKENS; t++)
        for (uint32_t i = 0; i < s->n_in; i++)
            x[(size_t)t * s->n_in + i] = activation(s, input, t, i);
    uint32_t elements = quant_info(s->type)->block_elements;
    double roundings = (double)s->n_in / elements + 8;
    for (uint32_t row = 0; row < MAX_ROWS; row++) {
        quant_info(s->type)->dequantize(weights + row * s->row_bytes, w, s->n_in);
        weight_magnitudes(s, weights + row * s->row_bytes, w, magnitude);
        for (uint32_t t = 0; t < MAX_TOKENS; t++) {
            double sum = 0, terms = 0;
            for (uint32_t i = 0; i < s->n_in; i++) {
                sum += w[i] * x[(size_t)t * s->n_in + i];
                terms += magnitude[i] * fabs(x[(size_t)t * s->n_in + i]);
            }
            reference[t * MAX_ROWS + row] = sum;
            bound[t * MAX_ROWS + row] = roundings * EPSILON * terms + 1e-37;
        }
    }
    free(x);
    free(magnitude);
    free(w);
}

/* ---- running one set ---- */

/* In an order drawn at random, rows begin..end-1, tokens 0..n_tokens-1 into
 * y[MAX_TOKENS][Y_STRIDE], everything guarded. */
static void run(const struct kernels_ops *ops, const struct shape *s, const char *weights,
                const float *x, uint32_t n_tokens, uint32_t begin, uint32_t end, float *y)
{
    enum kernels_format format = kernels_format_of(s->type);
    int at_end = (int)lb_random_below(&rng, 4) != 0;
    struct guarded w = guarded_alloc((end - begin) * s->row_bytes, at_end);
    struct guarded input = guarded_alloc(kernels_input_bytes(format, n_tokens, s->n_in), 1);
    struct guarded scratch = guarded_alloc(kernels_scratch_bytes(n_tokens, 64), 1);
    struct guarded out = guarded_alloc((size_t)n_tokens * Y_STRIDE * sizeof(float), 1);
    memcpy(w.data, weights + begin * s->row_bytes, (end - begin) * s->row_bytes);
    uint32_t cut = lb_random_below(&rng, n_tokens + 1);
    ops->prepare(format, x, s->n_in, s->n_in, n_tokens, cut, n_tokens, input.data);
    ops->prepare(format, x, s->n_in, s->n_in, n_tokens, 0, cut, input.data);
    float *got = out.data;
    for (size_t i = 0; i < (size_t)n_tokens * Y_STRIDE; i++)
        got[i] = 12345;
    struct kernels_product p = {.type = s->type,
                                .n_in = s->n_in,
                                .n_tokens = n_tokens,
                                .order = lb_random_below(&rng, N_KERNELS_ORDERS),
                                .row_bytes = s->row_bytes,
                                .input = input.data,
                                .y = got,
                                .y_stride = Y_STRIDE};
    ops->product(&p, w.data, begin, end, scratch.data);
    uint32_t strays = 0;
    for (uint32_t t = 0; t < n_tokens; t++)
        for (uint32_t row = 0; row < Y_STRIDE; row++)
            strays += (row < begin || row >= end) && got[t * Y_STRIDE + row] != 12345;
    CHECK(strays == 0, "%s %s: wrote %u elements outside its rows", ops->name,
          quant_info(s->type)->name, strays);
    memcpy(y, got, (size_t)n_tokens * Y_STRIDE * sizeof(float));
    guarded_free(&out);
    guarded_free(&scratch);
    guarded_free(&input);
    guarded_free(&w);
}

static void describe(const char *what, const struct kernels_ops *ops, const struct shape *s,
                     uint32_t n_tokens, uint32_t begin, uint32_t end, char text[static 200])
{
    snprintf(text, 200, "%s: %s %s n_in %u, %u tokens, rows %u-%u, %s, seed %d", what, ops->name,
             quant_info(s->type)->name, s->n_in, n_tokens, begin, end, fill_names[s->fill], SEED);
}

static void check_bits(const struct kernels_ops *ops, const struct shape *s, const float *got,
                       const float *expected, uint32_t n_tokens, uint32_t begin, uint32_t end)
{
    uint32_t wrong = 0, row = 0, token = 0;
    for (uint32_t t = 0; t < n_tokens; t++)
        for (uint32_t r = begin; r < end; r++)
            if (memcmp(&got[t * Y_STRIDE + r], &expected[t * Y_STRIDE + r], sizeof *got) != 0) {
                if (wrong++ == 0) {
                    row = r;
                    token = t;
                }
            }
    char text[200];
    describe("bits", ops, s, n_tokens, begin, end, text);
    size_t at = token * Y_STRIDE + row;
    CHECK(wrong == 0, "%s: %u differ, first token %u row %u: %.9g, expected %.9g", text, wrong,
          token, row, got[at], expected[at]);
}

static void check_bound(const struct kernels_ops *ops, const struct shape *s, const float *got)
{
    double worst = 0;
    uint32_t row = 0, token = 0;
    for (uint32_t t = 0; t < MAX_TOKENS; t++)
        for (uint32_t r = 0; r < MAX_ROWS; r++) {
            double error =
                fabs(got[t * Y_STRIDE + r] - reference[t * MAX_ROWS + r]) / bound[t * MAX_ROWS + r];
            if (!(error <= worst)) { /* also a NaN */
                worst = error;
                row = r;
                token = t;
            }
        }
    char text[200];
    describe("bound", ops, s, MAX_TOKENS, 0, MAX_ROWS, text);
    CHECK(worst <= 1, "%s: token %u row %u: %.9g, expected %.9g: %.3g of the bound", text, token,
          row, got[token * Y_STRIDE + row], reference[token * MAX_ROWS + row], worst);
}

static float full[MAX_TOKENS * Y_STRIDE], expected_bits[MAX_TOKENS * Y_STRIDE],
    part[MAX_TOKENS * Y_STRIDE];

static void check_shape(const struct shape *s)
{
    char *weights = malloc(MAX_ROWS * s->row_bytes);
    float *x = malloc(sizeof *x * s->n_in * MAX_TOKENS);
    fill_weights(s->type, s->fill, weights, (size_t)MAX_ROWS * s->n_in);
    fill_activations(s->fill, x, s->n_in, MAX_TOKENS);
    enum kernels_format format = kernels_format_of(s->type);
    struct guarded input = guarded_alloc(kernels_input_bytes(format, MAX_TOKENS, s->n_in), 1);
    generic_prepare(format, x, s->n_in, s->n_in, MAX_TOKENS, 0, MAX_TOKENS, input.data);
    make_reference(s, weights, input.data);
    size_t n_sets;
    const struct kernels_ops *const *sets = kernels_list(&n_sets);
    for (size_t i = 0; i < n_sets; i++) {
        const struct kernels_ops *ops = sets[i];
        if (!ops->available())
            continue;
        run(ops, s, weights, x, MAX_TOKENS, 0, MAX_ROWS, full);
        check_bound(ops, s, full);
        if (i == 0)
            memcpy(expected_bits, full, sizeof full);
        else if (format != KERNELS_FLOAT)
            check_bits(ops, s, full, expected_bits, MAX_TOKENS, 0, MAX_ROWS);
        for (size_t k = 0; k < sizeof token_counts / sizeof *token_counts; k++) {
            uint32_t n_rows = row_counts[lb_random_below(&rng, 8)];
            uint32_t begin = lb_random_below(&rng, MAX_ROWS - n_rows + 1);
            run(ops, s, weights, x, token_counts[k], begin, begin + n_rows, part);
            check_bits(ops, s, part, full, token_counts[k], begin, begin + n_rows);
        }
    }
    guarded_free(&input);
    free(x);
    free(weights);
}

/* Every `step`-th combination of type, length and fill */
static void check_products(unsigned step)
{
    unsigned at = 0;
    static const uint32_t blocks256[] = {1, 2, 3, 5, 7}, blocks32[] = {1, 2, 3, 7, 8, 9, 18, 32},
                          floats[] = {1, 7, 16, 33, 64, 172, 576, 1000};
    reference = malloc(sizeof *reference * MAX_TOKENS * MAX_ROWS);
    bound = malloc(sizeof *bound * MAX_TOKENS * MAX_ROWS);
    for (uint32_t type = 0; type < QUANT_TYPE_LIMIT; type++) {
        if (!quant_info(type))
            continue;
        uint32_t elements = quant_info(type)->block_elements;
        const uint32_t *counts = elements == 256 ? blocks256 : elements == 32 ? blocks32 : floats;
        size_t n_counts = elements == 256 ? 5 : 8, n_fills = elements == 1 ? 1 : N_FILLS;
        for (size_t n = 0; n < n_counts; n++)
            for (size_t fill = 0; fill < n_fills; fill++) {
                struct shape s = {
                    .type = type, .n_in = counts[n] * elements, .fill = (enum fill)fill};
                s.row_bytes = quant_row_bytes(s.type, s.n_in);
                if (at++ % step == 0)
                    check_shape(&s);
            }
    }
    free(bound);
    free(reference);
}

/* ---- prepare ---- */

static void check_prepare_equal(const struct kernels_ops *ops, enum kernels_format format,
                                uint32_t n_in, const float *x, const char *what)
{
    enum { TOKENS = 3 };
    size_t bytes = kernels_input_bytes(format, TOKENS, n_in);
    struct guarded a = guarded_alloc(bytes, 1), b = guarded_alloc(bytes, 1);
    struct guarded from = guarded_alloc((TOKENS * (size_t)n_in + 2 * 3) * sizeof *x, 1);
    memcpy(from.data, x, (TOKENS * (size_t)n_in + 2 * 3) * sizeof *x);
    generic_prepare(format, from.data, n_in + 3, n_in, TOKENS, 0, TOKENS, a.data);
    ops->prepare(format, from.data, n_in + 3, n_in, TOKENS, 0, TOKENS, b.data);
    bool same = memcmp(a.data, b.data, bytes) == 0;
    CHECK(same, "prepare: %s format %d n_in %u %s, seed %d", ops->name, (int)format, n_in, what,
          SEED);
    guarded_free(&from);
    guarded_free(&b);
    guarded_free(&a);
}

/* Every set makes the same bytes, also of values that no sane network holds. */
static void check_prepare(void)
{
    static const float odd[] = {0,        -0.0f,     1e-38f, -1e-42f,  3e38f,
                                INFINITY, -INFINITY, NAN,    0x1p-100f};
    static const uint32_t sizes[][3] = {{1, 33, 100}, {32, 96, 544}, {256, 512, 768}};
    size_t n_sets;
    const struct kernels_ops *const *sets = kernels_list(&n_sets);
    float x[3 * 768 + 6];
    for (size_t i = 1; i < n_sets; i++)
        for (int format = KERNELS_FLOAT; sets[i]->available() && format <= KERNELS_INT8_256;
             format++)
            for (int size = 0; size < 3; size++)
                for (int round = 0; round < 20; round++) {
                    for (size_t k = 0; k < sizeof x / sizeof *x; k++)
                        x[k] = random_normal();
                    for (int k = 0; k < round; k++)
                        x[lb_random_below(&rng, sizeof x / sizeof *x)] =
                            odd[lb_random_below(&rng, sizeof odd / sizeof *odd)];
                    check_prepare_equal(sets[i], (enum kernels_format)format, sizes[format][size],
                                        x, round ? "with odd values" : "normal");
                }
}

/* Rounded to nearest, at most half a step away; a block with a NaN gives NaN. */
static void check_quantization(void)
{
    float x[256];
    for (int i = 0; i < 256; i++)
        x[i] = random_normal();
    struct guarded input = guarded_alloc(kernels_input_bytes(KERNELS_INT8_256, 1, 256), 1);
    generic_prepare(KERNELS_INT8_256, x, 256, 256, 1, 0, 1, input.data);
    struct input_view v = input_view(KERNELS_INT8_256, input.data, 1, 256, NULL);
    int sum = 0, too_far = 0, largest = 0;
    for (int i = 0; i < 256; i++) {
        sum += v.q[i];
        largest = abs(v.q[i]) > largest ? abs(v.q[i]) : largest;
        too_far += fabsf(x[i] - v.scale[0] * v.q[i]) > 0.5001f * v.scale[0];
    }
    CHECK(largest == 127, "largest is %d", largest);
    CHECK(too_far == 0, "%d elements more than half a step away", too_far);
    int sum16 = 0, sum32 = 0;
    for (int i = 0; i < 16; i++)
        sum16 += v.sum16[i];
    for (int i = 0; i < 8; i++)
        sum32 += v.sum32[i];
    CHECK(sum16 == sum && sum32 == sum, "sums %d %d, expected %d", sum16, sum32, sum);
    x[77] = NAN;
    generic_prepare(KERNELS_INT8_256, x, 256, 256, 1, 0, 1, input.data);
    CHECK(isnan(v.scale[0]) && v.q[0] == 0);
    guarded_free(&input);
}

/* ---- choosing a set ---- */

static void check_select(void)
{
    const struct kernels_ops *ops;
    struct lb_error err = LB_ERROR_INIT;
    size_t n_sets;
    const struct kernels_ops *const *sets = kernels_list(&n_sets);
    CHECK(kernels_select(NULL, &ops, &err) == LB_OK && ops && ops->available());
    CHECK(kernels_select("generic", &ops, &err) == LB_OK && ops == sets[0]);
    for (size_t i = 0; i < n_sets; i++) {
        struct lb_error e = LB_ERROR_INIT;
        enum lb_status status = kernels_select(sets[i]->name, &ops, &e);
        CHECK(status == (sets[i]->available() ? LB_OK : LB_ERR_UNSUPPORTED), "%s", e.text);
        fprintf(stderr, "%s: %s\n", sets[i]->name,
                sets[i]->available() ? "tested" : "not on this processor");
    }
    CHECK(kernels_select("sse9", &ops, &err) == LB_ERR_INPUT && !ops && strstr(err.text, "sse9"));
}

/* test_kernels [STEP]: one in STEP shapes, for slow machines such as emulated ones */
int main(int argc, char **argv)
{
    int step = argc > 1 ? atoi(argv[1]) : 1;
    check_select();
    check_quantization();
    check_prepare();
    check_products(step > 1 ? (unsigned)step : 1);
    return check_done();
}
