/* blocks32: plain floats and the types with 32 elements to a block. Layouts: blocks.h. */
#include "quant/blocks.h"
#include "quant/fit.h"
#include "quant/quant.h"

#include <math.h>
#include <string.h>

const int8_t quant_iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                     1,    13,   25,  38,  53,  69,  89,  113};

#define N 32 /* elements of a block */

/* ---- floats ---- */

void quant_decode_f32(const void *blocks, float *y, size_t n)
{
    memcpy(y, blocks, n * sizeof *y);
}

void quant_encode_f32(const float *x, void *blocks, size_t n)
{
    memcpy(blocks, x, n * sizeof *x);
}

void quant_decode_f16(const void *blocks, float *y, size_t n)
{
    const uint16_t *h = blocks;
    for (size_t i = 0; i < n; i++)
        y[i] = quant_half_to_float(h[i]);
}

void quant_encode_f16(const float *x, void *blocks, size_t n)
{
    uint16_t *h = blocks;
    for (size_t i = 0; i < n; i++)
        h[i] = quant_float_to_half(x[i]);
}

void quant_decode_bf16(const void *blocks, float *y, size_t n)
{
    const uint16_t *h = blocks;
    for (size_t i = 0; i < n; i++)
        y[i] = quant_bfloat_to_float(h[i]);
}

void quant_encode_bf16(const float *x, void *blocks, size_t n)
{
    uint16_t *h = blocks;
    for (size_t i = 0; i < n; i++)
        h[i] = quant_float_to_bfloat(x[i]);
}

/* ---- four bits ---- */

static void pack_nibbles(const uint8_t q[N], uint8_t qs[N / 2])
{
    for (int i = 0; i < N / 2; i++)
        qs[i] = (uint8_t)((q[i] & 15) | q[i + N / 2] << 4);
}

void quant_decode_q4_0(const void *blocks, float *y, size_t n)
{
    const struct block_q4_0 *b = blocks;
    for (size_t k = 0; k < n / N; k++, b++, y += N) {
        float d = quant_half_to_float(b->d);
        for (int i = 0; i < N / 2; i++) {
            y[i] = d * (float)((b->qs[i] & 15) - 8);
            y[i + N / 2] = d * (float)((b->qs[i] >> 4) - 8);
        }
    }
}

void quant_encode_q4_0(const float *x, void *blocks, size_t n)
{
    struct block_q4_0 *b = blocks;
    uint8_t q[N];
    for (size_t k = 0; k < n / N; k++, b++, x += N) {
        float step = fit_half(fit_peak(x, N) / -8, &b->d);
        for (int i = 0; i < N; i++)
            q[i] = (uint8_t)(fit_nearest(x[i], step, -8, 7) + 8);
        pack_nibbles(q, b->qs);
    }
}

void quant_decode_q4_1(const void *blocks, float *y, size_t n)
{
    const struct block_q4_1 *b = blocks;
    for (size_t k = 0; k < n / N; k++, b++, y += N) {
        float d = quant_half_to_float(b->d), m = quant_half_to_float(b->m);
        for (int i = 0; i < N / 2; i++) {
            y[i] = d * (float)(b->qs[i] & 15) + m;
            y[i + N / 2] = d * (float)(b->qs[i] >> 4) + m;
        }
    }
}

void quant_encode_q4_1(const float *x, void *blocks, size_t n)
{
    struct block_q4_1 *b = blocks;
    uint8_t q[N];
    for (size_t k = 0; k < n / N; k++, b++, x += N) {
        float low, high;
        fit_range(x, N, &low, &high);
        float m = fit_half(low, &b->m), step = fit_half((high - m) / 15, &b->d);
        for (int i = 0; i < N; i++)
            q[i] = (uint8_t)fit_nearest(x[i] - m, step, 0, 15);
        pack_nibbles(q, b->qs);
    }
}

void quant_decode_iq4_nl(const void *blocks, float *y, size_t n)
{
    const struct block_iq4_nl *b = blocks;
    for (size_t k = 0; k < n / N; k++, b++, y += N) {
        float d = quant_half_to_float(b->d);
        for (int i = 0; i < N / 2; i++) {
            y[i] = d * (float)quant_iq4_values[b->qs[i] & 15];
            y[i + N / 2] = d * (float)quant_iq4_values[b->qs[i] >> 4];
        }
    }
}

void quant_encode_iq4_nl(const float *x, void *blocks, size_t n)
{
    struct block_iq4_nl *b = blocks;
    uint8_t q[N];
    for (size_t k = 0; k < n / N; k++, b++, x += N) {
        float step = fit_half(fit_peak(x, N) / -127, &b->d);
        for (int i = 0; i < N; i++)
            q[i] = fit_iq4(x[i], step);
        pack_nibbles(q, b->qs);
    }
}

const int8_t quant_mxfp4_values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

float block_mxfp4_scale(uint8_t e)
{
    return ldexpf(1, (int)e - 128);
}

void quant_decode_mxfp4(const void *blocks, float *y, size_t n)
{
    const struct block_mxfp4 *b = blocks;
    for (size_t k = 0; k < n / N; k++, b++, y += N) {
        float d = block_mxfp4_scale(b->e);
        for (int i = 0; i < N / 2; i++) {
            y[i] = d * (float)quant_mxfp4_values[b->qs[i] & 15];
            y[i + N / 2] = d * (float)quant_mxfp4_values[b->qs[i] >> 4];
        }
    }
}

/* The index of the value nearest to x / step; in the middle between two, the even one. */
static uint8_t fit_mxfp4(float x, float step)
{
    uint8_t best = 0;
    for (uint8_t q = 1; q < 8; q++) {
        float now = fabsf(fabsf(x) - step * (float)quant_mxfp4_values[q]);
        float then = fabsf(fabsf(x) - step * (float)quant_mxfp4_values[best]);
        if (now < then || (now == then && q % 2 == 0))
            best = q;
    }
    return x < 0 ? best | 8 : best;
}

/* The least scale under which the peak is at most the largest value. */
void quant_encode_mxfp4(const float *x, void *blocks, size_t n)
{
    struct block_mxfp4 *b = blocks;
    uint8_t q[N];
    for (size_t k = 0; k < n / N; k++, b++, x += N) {
        int exponent = -128;
        float peak = fabsf(fit_peak(x, N));
        if (peak > 0 && (frexpf(peak / 12, &exponent) == 0.5f))
            exponent--; /* a power of two is its own bound */
        b->e = (uint8_t)(exponent < -128 ? 0 : exponent > 127 ? 255 : exponent + 128);
        for (int i = 0; i < N; i++)
            q[i] = fit_mxfp4(x[i], block_mxfp4_scale(b->e));
        pack_nibbles(q, b->qs);
    }
}

/* ---- five bits ---- */

static int fifth_bit(const uint8_t qh[4], int i)
{
    return (qh[i / 8] >> i % 8 & 1) << 4;
}

static void pack_five(const uint8_t q[N], uint8_t qh[4], uint8_t qs[N / 2])
{
    memset(qh, 0, 4);
    for (int i = 0; i < N; i++)
        qh[i / 8] |= (uint8_t)((q[i] >> 4) << i % 8);
    pack_nibbles(q, qs);
}

void quant_decode_q5_0(const void *blocks, float *y, size_t n)
{
    const struct block_q5_0 *b = blocks;
    for (size_t k = 0; k < n / N; k++, b++, y += N) {
        float d = quant_half_to_float(b->d);
        for (int i = 0; i < N / 2; i++) {
            int low = (b->qs[i] & 15) | fifth_bit(b->qh, i);
            int high = b->qs[i] >> 4 | fifth_bit(b->qh, i + N / 2);
            y[i] = d * (float)(low - 16);
            y[i + N / 2] = d * (float)(high - 16);
        }
    }
}

void quant_encode_q5_0(const float *x, void *blocks, size_t n)
{
    struct block_q5_0 *b = blocks;
    uint8_t q[N];
    for (size_t k = 0; k < n / N; k++, b++, x += N) {
        float step = fit_half(fit_peak(x, N) / -16, &b->d);
        for (int i = 0; i < N; i++)
            q[i] = (uint8_t)(fit_nearest(x[i], step, -16, 15) + 16);
        pack_five(q, b->qh, b->qs);
    }
}

void quant_decode_q5_1(const void *blocks, float *y, size_t n)
{
    const struct block_q5_1 *b = blocks;
    for (size_t k = 0; k < n / N; k++, b++, y += N) {
        float d = quant_half_to_float(b->d), m = quant_half_to_float(b->m);
        for (int i = 0; i < N / 2; i++) {
            int low = (b->qs[i] & 15) | fifth_bit(b->qh, i);
            int high = b->qs[i] >> 4 | fifth_bit(b->qh, i + N / 2);
            y[i] = d * (float)low + m;
            y[i + N / 2] = d * (float)high + m;
        }
    }
}

void quant_encode_q5_1(const float *x, void *blocks, size_t n)
{
    struct block_q5_1 *b = blocks;
    uint8_t q[N];
    for (size_t k = 0; k < n / N; k++, b++, x += N) {
        float low, high;
        fit_range(x, N, &low, &high);
        float m = fit_half(low, &b->m), step = fit_half((high - m) / 31, &b->d);
        for (int i = 0; i < N; i++)
            q[i] = (uint8_t)fit_nearest(x[i] - m, step, 0, 31);
        pack_five(q, b->qh, b->qs);
    }
}

/* ---- eight bits ---- */

void quant_decode_q8_0(const void *blocks, float *y, size_t n)
{
    const struct block_q8_0 *b = blocks;
    for (size_t k = 0; k < n / N; k++, b++, y += N) {
        float d = quant_half_to_float(b->d);
        for (int i = 0; i < N; i++)
            y[i] = d * (float)b->qs[i];
    }
}

void quant_encode_q8_0(const float *x, void *blocks, size_t n)
{
    struct block_q8_0 *b = blocks;
    for (size_t k = 0; k < n / N; k++, b++, x += N) {
        float step = fit_half(fabsf(fit_peak(x, N)) / 127, &b->d);
        for (int i = 0; i < N; i++)
            b->qs[i] = (int8_t)fit_nearest(x[i], step, -127, 127);
    }
}
