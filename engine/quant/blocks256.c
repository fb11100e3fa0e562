/* blocks256: the types with 256 elements to a block. Layouts: blocks.h. */
#include "quant/blocks.h"
#include "quant/fit.h"
#include "quant/quant.h"

#include <string.h>

#define N 256 /* elements of a block */

/* ---- Q2_K ---- */

void quant_decode_q2_k(const void *blocks, float *y, size_t n)
{
    const struct block_q2_k *b = blocks;
    for (size_t k = 0; k < n / N; k++, b++, y += N) {
        float d = quant_half_to_float(b->d), dmin = quant_half_to_float(b->dmin);
        for (int j = 0; j < 16; j++) {
            float scale = d * (float)(b->scales[j] & 15), min = dmin * (float)(b->scales[j] >> 4);
            const uint8_t *q = b->qs + 32 * (j / 8) + 16 * (j % 2);
            for (int i = 0; i < 16; i++)
                y[16 * j + i] = scale * (float)(q[i] >> 2 * (j / 2 % 4) & 3) - min;
        }
    }
}

void quant_encode_q2_k(const float *x, void *blocks, size_t n)
{
    struct block_q2_k *b = blocks;
    int s[16], m[16];
    for (size_t k = 0; k < n / N; k++, b++, x += N) {
        fit_offset_groups(x, 16, 16, 3, 15, &b->d, &b->dmin, s, m);
        float d = quant_half_to_float(b->d), dmin = quant_half_to_float(b->dmin);
        memset(b->qs, 0, sizeof b->qs);
        for (int j = 0; j < 16; j++) {
            uint8_t *q = b->qs + 32 * (j / 8) + 16 * (j % 2);
            b->scales[j] = (uint8_t)(s[j] | m[j] << 4);
            for (int i = 0; i < 16; i++)
                q[i] |=
                    (uint8_t)(fit_nearest(x[16 * j + i] + dmin * (float)m[j], d * (float)s[j], 0, 3)
                              << 2 * (j / 2 % 4));
        }
    }
}

/* ---- Q3_K ---- */

void quant_decode_q3_k(const void *blocks, float *y, size_t n)
{
    const struct block_q3_k *b = blocks;
    for (size_t k = 0; k < n / N; k++, b++, y += N) {
        float d = quant_half_to_float(b->d);
        for (int j = 0; j < 16; j++) {
            float scale = d * (float)(block_q3_k_scale(b->scales, j) - 32);
            const uint8_t *q = b->qs + 32 * (j / 8) + 16 * (j % 2), *h = b->hmask + 16 * (j % 2);
            for (int i = 0; i < 16; i++) {
                int low = q[i] >> 2 * (j / 2 % 4) & 3, high = h[i] >> j / 2 & 1;
                y[16 * j + i] = scale * (float)(low + 4 * high - 4);
            }
        }
    }
}

static void pack_q3_k_scales(const int s[16], uint8_t scales[12])
{
    memset(scales, 0, 12);
    for (int j = 0; j < 16; j++) {
        int v = s[j] + 32;
        scales[j % 8] |= (uint8_t)((v & 15) << 4 * (j / 8));
        scales[8 + j % 4] |= (uint8_t)((v >> 4) << 2 * (j / 4));
    }
}

void quant_encode_q3_k(const float *x, void *blocks, size_t n)
{
    struct block_q3_k *b = blocks;
    int s[16];
    for (size_t k = 0; k < n / N; k++, b++, x += N) {
        float d = fit_signed_groups(x, 16, 16, -4, 32, &b->d, s);
        pack_q3_k_scales(s, b->scales);
        memset(b->qs, 0, sizeof b->qs);
        memset(b->hmask, 0, sizeof b->hmask);
        for (int j = 0; j < 16; j++) {
            uint8_t *q = b->qs + 32 * (j / 8) + 16 * (j % 2), *h = b->hmask + 16 * (j % 2);
            for (int i = 0; i < 16; i++) {
                int v = fit_nearest(x[16 * j + i], d * (float)s[j], -4, 3) + 4;
                q[i] |= (uint8_t)((v & 3) << 2 * (j / 2 % 4));
                h[i] |= (uint8_t)((v >> 2) << j / 2);
            }
        }
    }
}

/* ---- Q4_K and Q5_K ---- */

static void pack_k4_scales(const int s[8], const int m[8], uint8_t scales[12])
{
    memset(scales, 0, 12);
    for (int j = 0; j < 4; j++) {
        scales[j] = (uint8_t)(s[j] | s[j + 4] >> 4 << 6);
        scales[j + 4] = (uint8_t)(m[j] | m[j + 4] >> 4 << 6);
        scales[j + 8] = (uint8_t)((s[j + 4] & 15) | (m[j + 4] & 15) << 4);
    }
}

void quant_decode_q4_k(const void *blocks, float *y, size_t n)
{
    const struct block_q4_k *b = blocks;
    for (size_t k = 0; k < n / N; k++, b++, y += N) {
        float d = quant_half_to_float(b->d), dmin = quant_half_to_float(b->dmin);
        for (int j = 0; j < 8; j++) {
            int m, s = block_k4_scale(b->scales, j, &m), shift = 4 * (j % 2);
            float scale = d * (float)s, min = dmin * (float)m;
            const uint8_t *q = b->qs + 32 * (j / 2);
            for (int i = 0; i < 32; i++)
                y[32 * j + i] = scale * (float)(q[i] >> shift & 15) - min;
        }
    }
}

void quant_encode_q4_k(const float *x, void *blocks, size_t n)
{
    struct block_q4_k *b = blocks;
    int s[8], m[8];
    for (size_t k = 0; k < n / N; k++, b++, x += N) {
        fit_offset_groups(x, 8, 32, 15, 63, &b->d, &b->dmin, s, m);
        float d = quant_half_to_float(b->d), dmin = quant_half_to_float(b->dmin);
        pack_k4_scales(s, m, b->scales);
        memset(b->qs, 0, sizeof b->qs);
        for (int j = 0; j < 8; j++) {
            float scale = d * (float)s[j], min = dmin * (float)m[j];
            for (int i = 0; i < 32; i++)
                b->qs[32 * (j / 2) + i] |=
                    (uint8_t)(fit_nearest(x[32 * j + i] + min, scale, 0, 15) << 4 * (j % 2));
        }
    }
}

void quant_decode_q5_k(const void *blocks, float *y, size_t n)
{
    const struct block_q5_k *b = blocks;
    for (size_t k = 0; k < n / N; k++, b++, y += N) {
        float d = quant_half_to_float(b->d), dmin = quant_half_to_float(b->dmin);
        for (int j = 0; j < 8; j++) {
            int m, s = block_k4_scale(b->scales, j, &m), shift = 4 * (j % 2);
            float scale = d * (float)s, min = dmin * (float)m;
            const uint8_t *q = b->qs + 32 * (j / 2);
            for (int i = 0; i < 32; i++) {
                int v = (q[i] >> shift & 15) | (b->qh[i] >> j & 1) << 4;
                y[32 * j + i] = scale * (float)v - min;
            }
        }
    }
}

void quant_encode_q5_k(const float *x, void *blocks, size_t n)
{
    struct block_q5_k *b = blocks;
    int s[8], m[8];
    for (size_t k = 0; k < n / N; k++, b++, x += N) {
        fit_offset_groups(x, 8, 32, 31, 63, &b->d, &b->dmin, s, m);
        float d = quant_half_to_float(b->d), dmin = quant_half_to_float(b->dmin);
        pack_k4_scales(s, m, b->scales);
        memset(b->qs, 0, sizeof b->qs);
        memset(b->qh, 0, sizeof b->qh);
        for (int j = 0; j < 8; j++) {
            float scale = d * (float)s[j], min = dmin * (float)m[j];
            for (int i = 0; i < 32; i++) {
                int v = fit_nearest(x[32 * j + i] + min, scale, 0, 31);
                b->qs[32 * (j / 2) + i] |= (uint8_t)((v & 15) << 4 * (j % 2));
                b->qh[i] |= (uint8_t)((v >> 4) << j);
            }
        }
    }
}

/* ---- Q6_K ---- */

void quant_decode_q6_k(const void *blocks, float *y, size_t n)
{
    const struct block_q6_k *b = blocks;
    for (size_t k = 0; k < n / N; k++, b++, y += N) {
        float d = quant_half_to_float(b->d);
        for (int j = 0; j < 16; j++) {
            int t = j / 2 % 4, at = 16 * (j % 2);
            const uint8_t *ql = b->ql + 64 * (j / 8) + 32 * (t % 2) + at;
            const uint8_t *qh = b->qh + 32 * (j / 8) + at;
            float scale = d * (float)b->scales[j];
            for (int i = 0; i < 16; i++) {
                int v = (ql[i] >> 4 * (t / 2) & 15) | (qh[i] >> 2 * t & 3) << 4;
                y[16 * j + i] = scale * (float)(v - 32);
            }
        }
    }
}

void quant_encode_q6_k(const float *x, void *blocks, size_t n)
{
    struct block_q6_k *b = blocks;
    int s[16];
    for (size_t k = 0; k < n / N; k++, b++, x += N) {
        float d = fit_signed_groups(x, 16, 16, -32, 128, &b->d, s);
        memset(b->ql, 0, sizeof b->ql);
        memset(b->qh, 0, sizeof b->qh);
        for (int j = 0; j < 16; j++) {
            int t = j / 2 % 4, at = 16 * (j % 2);
            uint8_t *ql = b->ql + 64 * (j / 8) + 32 * (t % 2) + at;
            uint8_t *qh = b->qh + 32 * (j / 8) + at;
            b->scales[j] = (int8_t)s[j];
            for (int i = 0; i < 16; i++) {
                int v = fit_nearest(x[16 * j + i], d * (float)s[j], -32, 31) + 32;
                ql[i] |= (uint8_t)((v & 15) << 4 * (t / 2));
                qh[i] |= (uint8_t)((v >> 4) << 2 * t);
            }
        }
    }
}

/* ---- IQ4_XS ---- */

void quant_decode_iq4_xs(const void *blocks, float *y, size_t n)
{
    const struct block_iq4_xs *b = blocks;
    for (size_t k = 0; k < n / N; k++, b++, y += N) {
        float d = quant_half_to_float(b->d);
        for (int j = 0; j < 8; j++) {
            float scale = d * (float)(block_iq4_xs_scale(b, j) - 32);
            const uint8_t *q = b->qs + 16 * j;
            for (int i = 0; i < 16; i++) {
                y[32 * j + i] = scale * (float)quant_iq4_values[q[i] & 15];
                y[32 * j + i + 16] = scale * (float)quant_iq4_values[q[i] >> 4];
            }
        }
    }
}

void quant_encode_iq4_xs(const float *x, void *blocks, size_t n)
{
    struct block_iq4_xs *b = blocks;
    int s[8];
    for (size_t k = 0; k < n / N; k++, b++, x += N) {
        float d = fit_signed_groups(x, 8, 32, -127, 32, &b->d, s);
        memset(b->scales_l, 0, sizeof b->scales_l);
        b->scales_h = 0;
        for (int j = 0; j < 8; j++) {
            int v = s[j] + 32;
            float step = d * (float)s[j];
            b->scales_l[j / 2] |= (uint8_t)((v & 15) << 4 * (j % 2));
            b->scales_h |= (uint16_t)((v >> 4) << 2 * j);
            for (int i = 0; i < 16; i++)
                b->qs[16 * j + i] = (uint8_t)(fit_iq4(x[32 * j + i], step) |
                                              fit_iq4(x[32 * j + i + 16], step) << 4);
        }
    }
}
