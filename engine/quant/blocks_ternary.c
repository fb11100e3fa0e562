/*
 * blocks_ternary: -1, 0 and 1 under one scale, as networks that are trained so have them. Layouts:
 * blocks.h.
 */
#include "quant/blocks.h"
#include "quant/codes.h"
#include "quant/fit.h"
#include "quant/quant.h"

#include <math.h>

#define N 256 /* elements of a block */

static void no_scales(int16_t scale[16])
{
    for (int j = 0; j < 16; j++)
        scale[j] = 1;
}

/* ---- TQ1_0 ---- */

/* Which byte of the block element i stands in, and which of its digits it is (0 the first) */
static int digit_of(int i, int *digit)
{
    if (i < 160) {
        *digit = i / 32;
        return i % 32;
    }
    if (i < 240) {
        *digit = (i - 160) / 16;
        return 32 + i % 16;
    }
    *digit = (i - 240) / 4;
    return 48 + i % 4;
}

/* A byte b stands for the fraction b / 256 in base three: a digit is the whole part of three times
 * the fraction that remains behind the digits before it. */
static int digit_at(uint8_t byte, int digit)
{
    static const uint8_t powers[5] = {1, 3, 9, 27, 81};
    return (uint8_t)(byte * powers[digit]) * 3 >> 8;
}

float quant_unpack_tq1_0(const void *block, int16_t scale[16], int8_t q[N])
{
    const struct block_tq1_0 *b = block;
    for (int i = 0; i < N; i++) {
        int digit, byte = digit_of(i, &digit);
        q[i] = (int8_t)(digit_at(b->qs[byte], digit) - 1);
    }
    no_scales(scale);
    return quant_half_to_float(b->d);
}

CODES_DECODE(tq1_0)

void quant_encode_tq1_0(const float *x, void *blocks, size_t n)
{
    struct block_tq1_0 *b = blocks;
    static const uint8_t weight[5] = {81, 27, 9, 3, 1};
    for (size_t k = 0; k < n / N; k++, b++, x += N) {
        int number[sizeof b->qs] = {0};
        float d = fit_half(fabsf(fit_peak(x, N)), &b->d);
        for (int i = 0; i < N; i++) {
            int digit, byte = digit_of(i, &digit);
            number[byte] += weight[digit] * (fit_nearest(x[i], d, -1, 1) + 1);
        }
        for (size_t i = 0; i < sizeof b->qs; i++) /* rounded up: no digit becomes one less */
            b->qs[i] = (uint8_t)((number[i] * 256 + 242) / 243);
    }
}

/* ---- TQ2_0 ---- */

float quant_unpack_tq2_0(const void *block, int16_t scale[16], int8_t q[N])
{
    const struct block_tq2_0 *b = block;
    for (int i = 0; i < N; i++)
        q[i] = (int8_t)((b->qs[i / 128 * 32 + i % 32] >> i / 32 % 4 * 2 & 3) - 1);
    no_scales(scale);
    return quant_half_to_float(b->d);
}

CODES_DECODE(tq2_0)

void quant_encode_tq2_0(const float *x, void *blocks, size_t n)
{
    struct block_tq2_0 *b = blocks;
    for (size_t k = 0; k < n / N; k++, b++, x += N) {
        float d = fit_half(fabsf(fit_peak(x, N)), &b->d);
        memset(b->qs, 0, sizeof b->qs);
        for (int i = 0; i < N; i++)
            b->qs[i / 128 * 32 + i % 32] |=
                (uint8_t)((fit_nearest(x[i], d, -1, 1) + 1) << i / 32 % 4 * 2);
    }
}
