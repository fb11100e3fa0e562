/*
 * quant: sizes, the 16-bit floats over all values, known blocks worked out by hand, round trips
 * within the error that each type allows, and the same random weights in every type of the test
 * models.
 */
#include "base/random.h"
#include "gguf/gguf.h"
#include "quant/blocks.h"
#include "quant/codes.h"
#include "quant/quant.h"
#include "tests/check.h"

#include <math.h>
#include <stdint.h>

/* ---- table ---- */

static void table(void)
{
    static const struct {
        const char *name;
        uint32_t type, elements, bytes;
    } expected[] = {
        {"F32", 0, 1, 4},         {"F16", 1, 1, 2},         {"Q4_0", 2, 32, 18},
        {"Q4_1", 3, 32, 20},      {"Q5_0", 6, 32, 22},      {"Q5_1", 7, 32, 24},
        {"Q8_0", 8, 32, 34},      {"Q2_K", 10, 256, 84},    {"Q3_K", 11, 256, 110},
        {"Q4_K", 12, 256, 144},   {"Q5_K", 13, 256, 176},   {"Q6_K", 14, 256, 210},
        {"IQ4_NL", 20, 32, 18},   {"IQ4_XS", 23, 256, 136}, {"BF16", 30, 1, 2},
        {"MXFP4", 39, 32, 17},    {"IQ2_XXS", 16, 256, 66}, {"IQ2_XS", 17, 256, 74},
        {"IQ3_XXS", 18, 256, 98}, {"IQ1_S", 19, 256, 50},   {"IQ3_S", 21, 256, 110},
        {"IQ2_S", 22, 256, 82},   {"IQ1_M", 29, 256, 56},   {"TQ1_0", 34, 256, 54},
        {"TQ2_0", 35, 256, 66},
    };
    size_t known = 0;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const struct quant_info *info = quant_info(expected[i].type);
        CHECK(info && info->block_elements == expected[i].elements &&
                  info->block_bytes == expected[i].bytes && info->dequantize && info->quantize,
              "%s", expected[i].name);
        CHECK_TEXT(info ? info->name : "none", expected[i].name);
        CHECK(quant_type_by_name(expected[i].name) == (int)expected[i].type);
    }
    for (uint32_t type = 0; type < 1000; type++)
        known += quant_info(type) != NULL;
    CHECK(known == sizeof expected / sizeof *expected && !quant_info(UINT32_MAX));
    CHECK(quant_type_by_name("Q9_9") == -1 && quant_type_by_name("") == -1);
}

static void sizes(void)
{
    uint64_t bytes = 0;
    CHECK(quant_row_bytes(QUANT_Q4_K, 4096) == 16 * 144);
    CHECK(quant_row_bytes(QUANT_Q4_K, 4000) == 0 && quant_row_bytes(4, 32) == 0);
    CHECK(quant_row_bytes(QUANT_F32, UINT64_MAX / 2) == 0);
    CHECK(quant_tensor_bytes(QUANT_Q6_K, (uint64_t[]){512, 10, 2, 3}, &bytes) &&
          bytes == 2 * 210 * 60);
    CHECK(!quant_tensor_bytes(QUANT_Q6_K, (uint64_t[]){500, 1, 1, 1}, &bytes));
    CHECK(!quant_tensor_bytes(99, (uint64_t[]){256, 1, 1, 1}, &bytes));
    CHECK(!quant_tensor_bytes(QUANT_F32, (uint64_t[]){0, 1, 1, 1}, &bytes));
    CHECK(!quant_tensor_bytes(QUANT_F32, (uint64_t[]){1, 1, 0, 1}, &bytes));
    CHECK(!quant_tensor_bytes(QUANT_F32, (uint64_t[]){1u << 31, 1u << 31, 2, 1}, &bytes));
    CHECK(!quant_tensor_bytes(QUANT_F32, (uint64_t[]){1ull << 62, 1, 1, 1}, &bytes));
}

/* ---- 16-bit floats ---- */

static double half_by_definition(uint16_t h)
{
    int exponent = h >> 10 & 31, mantissa = h & 1023;
    double value = exponent == 0    ? ldexp(mantissa, -24)
                   : exponent == 31 ? (mantissa ? NAN : INFINITY)
                                    : ldexp(1024 + mantissa, exponent - 25);
    return h & 0x8000 ? -value : value;
}

static void halves(void)
{
    int wrong = 0, ties = 0;
    for (uint32_t h = 0; h < 0x10000; h++) {
        float value = quant_half_to_float((uint16_t)h);
        double expected = half_by_definition((uint16_t)h);
        if (isnan(expected)) {
            wrong += !isnan(value) || !isnan(quant_half_to_float(quant_float_to_half(value)));
            continue;
        }
        wrong += (double)value != expected || quant_float_to_half(value) != h;
        if ((h & 0x7fff) >= 0x7bff)
            continue;
        /* half way to the next: to even; a little to either side: to the nearer */
        float next = quant_half_to_float((uint16_t)(h + 1)), middle = (value + next) / 2;
        ties += quant_float_to_half(middle) != ((h & 1) ? h + 1 : h);
        ties += quant_float_to_half(nextafterf(middle, value)) != h;
        ties += quant_float_to_half(nextafterf(middle, next)) != h + 1;
    }
    CHECK(wrong == 0, "%d of 65536 halves", wrong);
    CHECK(ties == 0, "%d roundings", ties);
    CHECK(quant_float_to_half(65519.996f) == 0x7bff && quant_float_to_half(65520) == 0x7c00);
    CHECK(quant_float_to_half(1e30f) == 0x7c00 && quant_float_to_half(-INFINITY) == 0xfc00);
    CHECK(quant_float_to_half(1e-30f) == 0 && quant_float_to_half(-1e-30f) == 0x8000);
}

static void bfloats(void)
{
    int wrong = 0;
    for (uint32_t h = 0; h < 0x10000; h++) {
        float value = quant_bfloat_to_float((uint16_t)h);
        if (isnan(value)) {
            wrong += !isnan(quant_bfloat_to_float(quant_float_to_bfloat(value)));
            continue;
        }
        wrong += quant_float_to_bfloat(value) != h;
    }
    CHECK(wrong == 0, "%d of 65536 bfloats", wrong);
    CHECK(quant_float_to_bfloat(1 + 0x1p-8f) == 0x3f80 &&
          quant_float_to_bfloat(1 + 3 * 0x1p-8f) == 0x3f82 &&
          quant_float_to_bfloat(1 + 0x1p-8f + 0x1p-20f) == 0x3f81);
}

/* ---- known blocks: one element each, worked out from the layout ---- */

static void known_32(void)
{
    float y[32];
    struct block_q4_0 q40 = {.d = 0x3800 /* 0.5 */, .qs = {[2] = 0xf3}};
    quant_info(QUANT_Q4_0)->dequantize(&q40, y, 32);
    CHECK(y[2] == -2.5f && y[18] == 3.5f && y[0] == -4);
    struct block_q4_1 q41 = {.d = 0x3800, .m = 0xbc00 /* -1 */, .qs = {[2] = 0xf3}};
    quant_info(QUANT_Q4_1)->dequantize(&q41, y, 32);
    CHECK(y[2] == 0.5f && y[18] == 6.5f && y[0] == -1);
    struct block_q5_0 q50 = {.d = 0x3800, .qh = {4, 0, 4, 0}, .qs = {[2] = 0xf3, [3] = 0xf3}};
    quant_info(QUANT_Q5_0)->dequantize(&q50, y, 32);
    CHECK(y[2] == 1.5f && y[18] == 7.5f && y[3] == -6.5f && y[19] == -0.5f);
    struct block_q5_1 q51 = {
        .d = 0x3800, .m = 0xbc00, .qh = {4, 0, 4, 0}, .qs = {[2] = 0xf3, [3] = 0xf3}};
    quant_info(QUANT_Q5_1)->dequantize(&q51, y, 32);
    CHECK(y[2] == 8.5f && y[18] == 14.5f && y[3] == 0.5f && y[19] == 6.5f);
    struct block_q8_0 q80 = {.d = 0x3800, .qs = {[5] = -128, [6] = 127}};
    quant_info(QUANT_Q8_0)->dequantize(&q80, y, 32);
    CHECK(y[5] == -64 && y[6] == 63.5f && y[0] == 0);
    struct block_iq4_nl nl = {.d = 0x3800, .qs = {[2] = 0xf3}};
    quant_info(QUANT_IQ4_NL)->dequantize(&nl, y, 32);
    CHECK(y[2] == -32.5f && y[18] == 56.5f && y[0] == -63.5f);
    struct block_mxfp4 mx = {.e = 129, .qs = {[2] = 0xf3, [4] = 0x87}};
    quant_info(QUANT_MXFP4)->dequantize(&mx, y, 32);
    CHECK(y[2] == 6 && y[18] == -24 && y[4] == 24 && y[20] == 0 && y[0] == 0);
    mx.e = 0; /* the least scale is a subnormal float, the largest finite */
    quant_info(QUANT_MXFP4)->dequantize(&mx, y, 32);
    CHECK(y[2] == 3 * 0x1p-128f);
    mx.e = 255;
    CHECK(block_mxfp4_scale(mx.e) == 0x1p127f);
}

static void known_256(void)
{
    float y[256];
    /* element 128 + 32 + 16 + 1: group 11, second half, bits 2-3 of byte 17 */
    struct block_q2_k q2 = {.d = 0x3800, .dmin = 0x3c00, .scales = {[11] = 0x25}};
    q2.qs[32 + 17] = 0x0c;
    quant_info(QUANT_Q2_K)->dequantize(&q2, y, 256);
    CHECK(y[177] == 0.5f * 5 * 3 - 2 && y[176] == -2 && y[0] == 0);
    /* group 11: low nibble in the high half of byte 3, high bits at bits 4-5 of byte 8 + 3 */
    struct block_q3_k q3 = {.d = 0x3800, .scales = {[3] = 0x50, [11] = 0x30}};
    q3.qs[32 + 17] = 0x08;
    q3.hmask[17] = 1 << 5;
    quant_info(QUANT_Q3_K)->dequantize(&q3, y, 256);
    CHECK(y[177] == 0.5f * (53 - 32) * 2 && y[176] == 0.5f * 21 * -4 && y[0] == 0.5f * -32 * -4);
    /* group 5: scale nibble low in byte 9, high bits in byte 1; min nibble high, bits in byte 5 */
    struct block_q4_k q4 = {.d = 0x3800, .dmin = 0x3c00};
    q4.scales[9] = 0x21, q4.scales[1] = 0xc0, q4.scales[5] = 0x40;
    q4.qs[32 * 2 + 7] = 0xb0;
    quant_info(QUANT_Q4_K)->dequantize(&q4, y, 256);
    CHECK(y[167] == 0.5f * 49 * 11 - 18 && y[160] == -18 && y[135] == 0 && y[32] == 0);
    struct block_q5_k q5 = {.d = 0x3800, .dmin = 0x3c00};
    q5.scales[9] = 0x21, q5.scales[1] = 0xc0, q5.scales[5] = 0x40;
    q5.qs[32 * 2 + 7] = 0xb0, q5.qh[7] = 1 << 5;
    quant_info(QUANT_Q5_K)->dequantize(&q5, y, 256);
    CHECK(y[167] == 0.5f * 49 * 27 - 18 && y[160] == -18);
    /* element 128 + 96 + 17: high nibble of byte 64 + 32 + 17, bits 6-7 of byte 32 + 17 */
    struct block_q6_k q6 = {.d = 0x3800, .scales = {[15] = -3}};
    q6.ql[113] = 0x70, q6.qh[49] = 0xc0;
    quant_info(QUANT_Q6_K)->dequantize(&q6, y, 256);
    CHECK(y[241] == 0.5f * -3 * 23 && y[240] == 0.5f * -3 * -32 && y[0] == 0);
    /* group 5: high nibble of byte 2, bits 10-11 */
    struct block_iq4_xs xs = {.d = 0x3800, .scales_h = 2 << 10, .scales_l = {[2] = 0x50}};
    xs.qs[16 * 5 + 1] = 0xf3;
    quant_info(QUANT_IQ4_XS)->dequantize(&xs, y, 256);
    CHECK(y[161] == 0.5f * 5 * -65 && y[177] == 0.5f * 5 * 113 && y[0] == 0.5f * -32 * -127);
}

/* Element 148 is in group 4 of 32 and 9 of 16, in vector 37 of four and, as element 4, 18 of eight.
 * Seven signs 0x20 are those of elements 5 and, for an even number, 7. */
static void known_codes(void)
{
    float y[256];
    struct block_iq3_s i3s = {.d = 0x3800};
    i3s.qs[37] = 3, i3s.qh[4] = 1 << 5; /* vector 259: 3 9 9 5 */
    i3s.signs[18] = 1 << 5, i3s.scales[2] = 6;
    quant_info(QUANT_IQ3_S)->dequantize(&i3s, y, 256);
    CHECK(y[148] == 6.5f * 3 && y[149] == 6.5f * -9 && y[151] == 6.5f * 5 && y[0] == 0.5f);
    const uint32_t word = 6u << 28 | 0x20u << 14;
    struct block_iq3_xxs i3 = {.d = 0x3800};
    i3.qs[37] = 200; /* 4 62 4 44 */
    memcpy(i3.words + 16, &word, sizeof word);
    quant_info(QUANT_IQ3_XXS)->dequantize(&i3, y, 256);
    CHECK(y[148] == 1.625f * 4 && y[149] == 1.625f * -62 && y[151] == 1.625f * -44);
    CHECK(y[0] == 0.5f);
    struct block_iq2_s i2s = {.d = 0x3800};
    i2s.qs[18] = 0x45, i2s.qh[4] = 2 << 4; /* vector 0x245: 25 25 25 8 25 25 8 25 */
    i2s.signs[18] = 1 << 3, i2s.scales[4] = 0x60;
    quant_info(QUANT_IQ2_S)->dequantize(&i2s, y, 256);
    CHECK(y[144] == 0.8125f * 25 && y[147] == 0.8125f * -8 && y[150] == 0.8125f * 8 &&
          y[0] == 0.5f);
    struct block_iq2_xs i2x = {.d = 0x3800, .scales = {[4] = 0x60}};
    i2x.qs[18] = 0x145 | 0x20 << 9; /* 8 8 8 8 25 43 8 25 */
    quant_info(QUANT_IQ2_XS)->dequantize(&i2x, y, 256);
    CHECK(y[148] == 0.8125f * 25 && y[149] == 0.8125f * -43 && y[151] == 0.8125f * -25);
    struct block_iq2_xxs i2 = {.d = 0x3800};
    i2.qs[34] = 0x45; /* 8 8 8 25 25 43 8 8 */
    memcpy(i2.qs + 36, &word, sizeof word);
    quant_info(QUANT_IQ2_XXS)->dequantize(&i2, y, 256);
    CHECK(y[147] == 0.8125f * 25 && y[149] == 0.8125f * -43 && y[151] == 0.8125f * -8);
    struct block_iq1_s i1 = {.d = 0x3800};
    i1.qs[18] = 0x45; /* vector 0x545: 0 0 0 0 1 0 1 0, shifted down, scale 7 */
    i1.qh[4] = 5 << 6 | 3 << 12 | 1 << 15;
    quant_info(QUANT_IQ1_S)->dequantize(&i1, y, 256);
    CHECK(y[144] == 0.4375f * -1 && y[148] == 0.4375f * 7 && y[0] == 0.0625f * -7);
    struct block_iq1_m i1m = {.scales = {0, 0, 8 << 12 | 3 << 3, 3 << 12}};
    i1m.qs[18] = 0x45, i1m.qh[9] = 5 | 8;
    quant_info(QUANT_IQ1_M)->dequantize(&i1m, y, 256);
    CHECK(y[144] == 0.4375f * -1 && y[148] == 0.4375f * 7 && y[152] == 0.4375f * -7 &&
          y[0] == 0.0625f * -7);
}

static void known_ternary(void)
{
    float y[256];
    struct block_tq1_0 t1 = {.d = 0x3800};
    t1.qs[17] = t1.qs[35] = t1.qs[49] = 188; /* 256 / 243 of 2 0 1 2 1 in base three, rounded up */
    quant_info(QUANT_TQ1_0)->dequantize(&t1, y, 256);
    CHECK(y[17] == 0.5f && y[49] == -0.5f && y[81] == 0 && y[113] == 0.5f && y[145] == 0);
    CHECK(y[163] == 0.5f && y[179] == -0.5f && y[195] == 0 && y[211] == 0.5f && y[227] == 0);
    CHECK(y[241] == 0.5f && y[245] == -0.5f && y[249] == 0 && y[253] == 0.5f && y[0] == -0.5f);
    struct block_tq2_0 t2 = {.d = 0x3800};
    t2.qs[32 + 17] = 2 << 2, t2.qs[3] = 3;
    quant_info(QUANT_TQ2_0)->dequantize(&t2, y, 256);
    CHECK(y[177] == 0.5f && y[176] == -0.5f && y[3] == 1);
}

/* Vectors stand in ascending order and use the values that there are; the sums of all words are
 * those of the books that gave the reference's logits. */
static void books(void)
{
    static const struct {
        const struct code_book *book;
        uint32_t sum, n_values;
    } all[] = {{&quant_book_iq1, 44428132, 3},    {&quant_book_iq2_xxs, 3697703, 3},
               {&quant_book_iq2_xs, 8004683, 3},  {&quant_book_iq2_s, 16519059, 3},
               {&quant_book_iq3_xxs, 2925986, 8}, {&quant_book_iq3_s, 5799355, 8}};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        const struct code_book *book = all[k].book;
        uint32_t sum = 0, wrong = 0;
        for (uint32_t code = 0; code < book->count; code++) {
            sum += book->words[code];
            wrong += code > 0 && book->words[code] <= book->words[code - 1];
            for (int i = 0; i < 16; i += book->bits)
                wrong += (book->words[code] >> i & ((1u << book->bits) - 1)) >= all[k].n_values;
        }
        CHECK(sum == all[k].sum && wrong == 0, "%s: sum %u, expected %u; %u wrong", book->name, sum,
              all[k].sum, wrong);
    }
}

/* ---- round trips ---- */

/* Largest error of an element as a fraction of the largest magnitude A in its block. Symmetric
 * types with 2^b steps lose at most one step (2 A / 2^b, at the extreme opposite to the peak);
 * types with an offset half a step of their range, at most 2 A; integer group scales add half
 * a unit of themselves times the largest integer. 1% on top for the rounding of the half scales. */
static double bound(uint32_t type)
{
    switch (type) {
    case QUANT_F32:
        return 0;
    case QUANT_F16:
        return 0x1p-11;
    case QUANT_BF16:
        return 0x1p-8;
    case QUANT_Q8_0:
        return 1.01 * 0.5 / 127;
    case QUANT_Q4_0:
        return 1.01 / 8;
    case QUANT_Q5_0:
        return 1.01 / 16;
    case QUANT_Q4_1:
        return 1.01 / 15;
    case QUANT_Q5_1:
        return 1.01 / 31;
    case QUANT_IQ4_NL:
        return 1.01 * 14 / 127; /* -127 to 113 are not symmetric */
    case QUANT_MXFP4:
        return 1.0 / 3; /* half of the widest gap, 4, under a scale of up to 2 * peak / 12 */
    case QUANT_Q6_K:
        return 1.01 * (1.0 / 32 + 0.5 / 128);
    case QUANT_Q3_K:
        return 1.01 * (1.0 / 4 + 0.5 / 32);
    case QUANT_IQ4_XS:
        return 1.01 * (14.0 / 127 + 1.0 / 32);
    case QUANT_Q2_K:
        return 1.01 / 3 * (16.0 / 15) * (16.0 / 15);
    case QUANT_Q4_K:
        return 1.01 / 15 * (64.0 / 63) * (64.0 / 63);
    case QUANT_Q5_K:
        return 1.01 / 31 * (64.0 / 63) * (64.0 / 63);
    case QUANT_TQ1_0:
    case QUANT_TQ2_0:
        return 1.01 / 2;
    case QUANT_IQ1_S: /* the nearest vector may be far off in one element: less than A, though */
    case QUANT_IQ1_M:
    case QUANT_IQ2_S:
    case QUANT_IQ2_XS:
    case QUANT_IQ2_XXS:
        return 0.9;
    case QUANT_IQ3_S:
    case QUANT_IQ3_XXS:
        return 0.6;
    }
    return -1;
}

enum pattern { GAUSS, ONE_SIGN, SPIKE, ZERO, CONSTANT, TINY, HUGE_VALUES, N_PATTERNS };

static void fill(enum pattern pattern, float *x, size_t n, struct lb_random *r)
{
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (int k = 0; k < 12; k++)
            sum += lb_random_unit(r);
        double gauss = sum - 6;
        x[i] = (float)(pattern == GAUSS      ? 0.02 * gauss
                       : pattern == ONE_SIGN ? 3 + fabs(gauss)
                       : pattern == SPIKE    ? (i % 97 == 5 ? -40 : 0.01 * gauss)
                       : pattern == ZERO     ? 0
                       : pattern == CONSTANT ? -1.25
                       : pattern == TINY     ? 0x1p-30 * gauss
                                             : 1000 * gauss);
    }
}

/* Most excess of |x - y| over the bound, in units of the bound. */
static double worst(uint32_t type, const float *x, const float *y, size_t n)
{
    size_t block = quant_info(type)->block_elements;
    double most = 0;
    for (size_t at = 0; at < n; at += block) {
        double peak = 0, error = 0;
        for (size_t i = at; i < at + block; i++) {
            peak = fmax(peak, fabs(x[i]));
            error = fmax(error, isfinite(y[i]) ? fabs((double)x[i] - y[i]) : INFINITY);
        }
        /* a scale below the smallest half loses up to that half times the largest integers */
        double allowed =
            bound(type) * peak + (type == QUANT_F32 || type == QUANT_BF16 ? 0 : 0x1p-24 * 64 * 128);
        most = fmax(most, allowed > 0 ? error / allowed : error > 0 ? INFINITY : 0);
    }
    return most;
}

static void round_trips(void)
{
    enum { N = 4096 };
    static float x[N], y[N], z[N];
    static unsigned char blocks[4 * N + 1];
    struct lb_random r = {11};
    for (uint32_t type = 0; type < QUANT_TYPE_LIMIT; type++) {
        const struct quant_info *info = quant_info(type);
        if (!info)
            continue;
        for (int pattern = 0; pattern < N_PATTERNS; pattern++) {
            fill(pattern, x, N, &r);
            memset(blocks, 0xee, sizeof blocks);
            info->quantize(x, blocks, N);
            info->dequantize(blocks, y, N);
            double most = worst(type, x, y, N);
            CHECK(most <= 1, "%s, pattern %d: error is %.3f of the bound, seed 11", info->name,
                  pattern, most);
            CHECK(blocks[quant_row_bytes(type, N)] == 0xee, "%s writes behind its blocks",
                  info->name);
            /* in pieces as in one go */
            for (size_t at = 0; at < N; at += 256)
                info->dequantize(blocks + quant_row_bytes(type, at), z + at, 256);
            CHECK(memcmp(y, z, sizeof y) == 0, "%s in pieces", info->name);
        }
    }
}

/* Types whose single elements say little: the root mean square of the errors of normally
 * distributed weights, in units of their deviation; 3% over what the encoders reach. Q2_K reaches
 * 0.353. */
static void coarse(void)
{
    static const struct {
        uint32_t type;
        double rms;
    } all[] = {{QUANT_IQ3_S, 0.141},  {QUANT_IQ3_XXS, 0.193}, {QUANT_IQ2_S, 0.266},
               {QUANT_IQ2_XS, 0.316}, {QUANT_IQ2_XXS, 0.365}, {QUANT_IQ1_M, 0.512},
               {QUANT_IQ1_S, 0.593},  {QUANT_TQ1_0, 0.816},   {QUANT_TQ2_0, 0.816}};
    enum { N = 65536 };
    static float x[N], y[N];
    static unsigned char blocks[N];
    struct lb_random r = {13};
    fill(GAUSS, x, N, &r);
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        const struct quant_info *info = quant_info(all[k].type);
        double errors = 0, squares = 0;
        info->quantize(x, blocks, N);
        info->dequantize(blocks, y, N);
        for (size_t i = 0; i < N; i++) {
            errors += ((double)x[i] - y[i]) * ((double)x[i] - y[i]);
            squares += (double)x[i] * x[i];
        }
        double rms = sqrt(errors / squares);
        CHECK(rms <= all[k].rms, "%s: %.4f, expected at most %.4f, seed 13", info->name, rms,
              all[k].rms);
    }
}

/* Any bytes decode without undefined behaviour, and infinity in x does not hurt the encoder. */
static void extremes(void)
{
    static unsigned char blocks[1024];
    float x[256], y[256];
    struct lb_random r = {12};
    for (int i = 0; i < 256; i++)
        x[i] = i == 7 ? INFINITY : i == 40 ? NAN : i == 41 ? -INFINITY : (float)i * 1e33f;
    for (uint32_t type = 0; type < QUANT_TYPE_LIMIT; type++) {
        const struct quant_info *info = quant_info(type);
        if (!info)
            continue;
        for (int round = 0; round < 200; round++) {
            for (size_t i = 0; i < sizeof blocks; i++)
                blocks[i] = (unsigned char)(round == 0 ? 255 : lb_random_next(&r));
            info->dequantize(blocks, y, 256);
        }
        info->quantize(x, blocks, 256);
        info->dequantize(blocks, y, 256);
        CHECK(type == QUANT_F16 || type == QUANT_BF16 || type == QUANT_F32 || isfinite(y[0]),
              "%s: %g", info->name, y[0]);
    }
}

/* ---- the test models: the same weights in every type ---- */

struct model {
    struct gguf_file *file;
    FILE *data;
};

static int open_model(struct model *m, const char *shared, const char *name)
{
    char path[4096];
    struct lb_error err = LB_ERROR_INIT;
    snprintf(path, sizeof path, "%s/models/%s.gguf", shared, name);
    enum lb_status status = gguf_open(path, quant_tensor_bytes, &m->file, &err);
    m->data = fopen(path, "rb");
    CHECK(status == LB_OK && m->data, "%s: %s", path, err.text);
    return status == LB_OK && m->data;
}

static void close_model(struct model *m)
{
    gguf_close(m->file);
    if (m->data)
        fclose(m->data);
}

/* All elements of a tensor, to be freed; *n elements. */
static float *load(const struct model *m, const struct gguf_tensor *t, size_t *n)
{
    void *blocks = malloc(t->bytes);
    *n = t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
    float *y = malloc(*n * sizeof *y);
    if (!blocks || !y || fseek(m->data, (long)t->file_offset, SEEK_SET) != 0 ||
        fread(blocks, 1, t->bytes, m->data) != t->bytes)
        CHECK(0, "cannot read %s", t->name);
    else
        quant_info(t->type)->dequantize(blocks, y, *n);
    free(blocks);
    return y;
}

/* Cosine between the tensors of both models, least of all tensors. */
static void compare(const char *shared, const char *name, double least)
{
    struct model a = {0}, b = {0};
    int ok = open_model(&a, shared, "tiny-llama-f16") & open_model(&b, shared, name);
    for (size_t i = 0; ok && i < gguf_tensor_count(b.file); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(b.file, i);
        const struct gguf_tensor *u = gguf_find_tensor(a.file, t->name);
        size_t n, m;
        CHECK(u, "%s lacks %s", name, t->name);
        if (!u)
            continue;
        float *x = load(&b, t, &n), *y = load(&a, u, &m);
        double xx = 0, yy = 0, xy = 0, peak = 0;
        for (size_t k = 0; n == m && k < n; k++) {
            xx += (double)x[k] * x[k];
            yy += (double)y[k] * y[k];
            xy += (double)x[k] * y[k];
            peak = fmax(peak, isfinite(x[k]) ? fabs(x[k]) : INFINITY);
        }
        CHECK(peak < 10 && xx > 0, "%s, %s: peak %g", name, t->name, peak);
        CHECK(xy >= least * sqrt(xx * yy), "%s, %s (%s): cosine %.5f, expected %.5f", name, t->name,
              quant_info(t->type)->name, xy / sqrt(xx * yy), least);
        free(x);
        free(y);
    }
    close_model(&a);
    close_model(&b);
}

static void models(const char *shared)
{
    static const struct {
        const char *name;
        double cosine;
    } all[] = {
        {"tiny-llama-bf16", 0.99999}, {"tiny-llama-q8_0", 0.9999}, {"tiny-llama-q6_k", 0.999},
        {"tiny-llama-q5_0", 0.998},   {"tiny-llama-q5_1", 0.998},  {"tiny-llama-q5_k_m", 0.998},
        {"tiny-llama-q4_0", 0.99},    {"tiny-llama-q4_1", 0.99},   {"tiny-llama-q4_k_m", 0.99},
        {"tiny-llama-iq4_nl", 0.99},  {"tiny-llama-iq4_xs", 0.99}, {"tiny-llama-q3_k_m", 0.96},
        {"tiny-llama-q2_k", 0.9},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        compare(shared, all[i].name, all[i].cosine);
}

int main(void)
{
    table();
    sizes();
    halves();
    bfloats();
    known_32();
    known_256();
    known_codes();
    known_ternary();
    books();
    round_trips();
    coarse();
    extremes();
    const char *shared = check_shared();
    if (!shared)
        check_skip("models: no shared test data");
    models(shared);
    return check_done();
}
