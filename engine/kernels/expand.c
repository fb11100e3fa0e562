/* expand: blocks of every quantised type as small integers and scales. See generic.h; the
 * layouts are in quant/blocks.h. */
#include "kernels/generic.h"

#include "quant/blocks.h"
#include "quant/codes.h"

#include <string.h>

/* ---- blocks of 32 ---- */

static void nibbles32(const uint8_t qs[16], int8_t q[32])
{
    for (int i = 0; i < 16; i++) {
        q[i] = (int8_t)(qs[i] & 15);
        q[i + 16] = (int8_t)(qs[i] >> 4);
    }
}

static void fifth_bits(const uint8_t qh[4], int8_t q[32])
{
    for (int i = 0; i < 32; i++)
        q[i] = (int8_t)(q[i] | (qh[i / 8] >> i % 8 & 1) << 4);
}

static void shift32(int8_t q[32], int offset)
{
    for (int i = 0; i < 32; i++)
        q[i] = (int8_t)(q[i] - offset);
}

static void expand_q4_0(const void *block, struct expanded32 *out)
{
    const struct block_q4_0 *b = block;
    out->d = quant_half_to_float(b->d);
    out->m = 0;
    nibbles32(b->qs, out->q);
    shift32(out->q, 8);
}

static void expand_q4_1(const void *block, struct expanded32 *out)
{
    const struct block_q4_1 *b = block;
    out->d = quant_half_to_float(b->d);
    out->m = quant_half_to_float(b->m);
    nibbles32(b->qs, out->q);
}

static void expand_q5_0(const void *block, struct expanded32 *out)
{
    const struct block_q5_0 *b = block;
    out->d = quant_half_to_float(b->d);
    out->m = 0;
    nibbles32(b->qs, out->q);
    fifth_bits(b->qh, out->q);
    shift32(out->q, 16);
}

static void expand_q5_1(const void *block, struct expanded32 *out)
{
    const struct block_q5_1 *b = block;
    out->d = quant_half_to_float(b->d);
    out->m = quant_half_to_float(b->m);
    nibbles32(b->qs, out->q);
    fifth_bits(b->qh, out->q);
}

static void expand_q8_0(const void *block, struct expanded32 *out)
{
    const struct block_q8_0 *b = block;
    out->d = quant_half_to_float(b->d);
    out->m = 0;
    memcpy(out->q, b->qs, 32);
}

static void expand_iq4_nl(const void *block, struct expanded32 *out)
{
    const struct block_iq4_nl *b = block;
    out->d = quant_half_to_float(b->d);
    out->m = 0;
    nibbles32(b->qs, out->q);
    for (int i = 0; i < 32; i++)
        out->q[i] = quant_iq4_values[out->q[i]];
}

static void expand_mxfp4(const void *block, struct expanded32 *out)
{
    const struct block_mxfp4 *b = block;
    out->d = block_mxfp4_scale(b->e);
    out->m = 0;
    nibbles32(b->qs, out->q);
    for (int i = 0; i < 32; i++)
        out->q[i] = quant_mxfp4_values[out->q[i]];
}

expand32_fn expand32_of(uint32_t type)
{
    switch (type) {
    case QUANT_Q4_0:
        return expand_q4_0;
    case QUANT_Q4_1:
        return expand_q4_1;
    case QUANT_Q5_0:
        return expand_q5_0;
    case QUANT_Q5_1:
        return expand_q5_1;
    case QUANT_Q8_0:
        return expand_q8_0;
    case QUANT_IQ4_NL:
        return expand_iq4_nl;
    case QUANT_MXFP4:
        return expand_mxfp4;
    default:
        return NULL;
    }
}

/* ---- blocks of 256 ---- */

static void no_mins(struct expanded256 *out)
{
    out->dmin = 0;
    memset(out->min, 0, sizeof out->min);
}

/* Two bits of each element, as Q2_K and Q3_K keep them. */
static void pairs256(const uint8_t qs[64], int8_t q[256])
{
    for (int i = 0; i < 256; i++)
        q[i] = (int8_t)(qs[i / 128 * 32 + i % 32] >> i / 32 % 4 * 2 & 3);
}

static void nibbles256(const uint8_t qs[128], int8_t q[256])
{
    for (int i = 0; i < 256; i++)
        q[i] = (int8_t)(qs[i / 64 * 32 + i % 32] >> i / 32 % 2 * 4 & 15);
}

static void k4_scales(const uint8_t scales[12], struct expanded256 *out)
{
    for (int j = 0; j < 8; j++) {
        int min, scale = block_k4_scale(scales, j, &min);
        out->scale[2 * j] = out->scale[2 * j + 1] = (int16_t)scale;
        out->min[2 * j] = out->min[2 * j + 1] = (int16_t)min;
    }
}

static void expand_q2_k(const void *block, struct expanded256 *out)
{
    const struct block_q2_k *b = block;
    out->d = quant_half_to_float(b->d);
    out->dmin = quant_half_to_float(b->dmin);
    for (int j = 0; j < 16; j++) {
        out->scale[j] = b->scales[j] & 15;
        out->min[j] = b->scales[j] >> 4;
    }
    pairs256(b->qs, out->q);
}

static void expand_q3_k(const void *block, struct expanded256 *out)
{
    const struct block_q3_k *b = block;
    out->d = quant_half_to_float(b->d);
    no_mins(out);
    for (int j = 0; j < 16; j++)
        out->scale[j] = (int16_t)(block_q3_k_scale(b->scales, j) - 32);
    pairs256(b->qs, out->q);
    for (int i = 0; i < 256; i++)
        out->q[i] = (int8_t)(out->q[i] + (b->hmask[i % 32] >> i / 32 & 1) * 4 - 4);
}

static void expand_q4_k(const void *block, struct expanded256 *out)
{
    const struct block_q4_k *b = block;
    out->d = quant_half_to_float(b->d);
    out->dmin = quant_half_to_float(b->dmin);
    k4_scales(b->scales, out);
    nibbles256(b->qs, out->q);
}

static void expand_q5_k(const void *block, struct expanded256 *out)
{
    const struct block_q5_k *b = block;
    out->d = quant_half_to_float(b->d);
    out->dmin = quant_half_to_float(b->dmin);
    k4_scales(b->scales, out);
    nibbles256(b->qs, out->q);
    for (int i = 0; i < 256; i++)
        out->q[i] = (int8_t)(out->q[i] | (b->qh[i % 32] >> i / 32 & 1) << 4);
}

static void expand_q6_k(const void *block, struct expanded256 *out)
{
    const struct block_q6_k *b = block;
    out->d = quant_half_to_float(b->d);
    no_mins(out);
    for (int j = 0; j < 16; j++)
        out->scale[j] = b->scales[j];
    for (int i = 0; i < 256; i++) {
        int half = i / 128, t = i / 32 % 4, l = i % 32;
        int low = b->ql[64 * half + 32 * (t & 1) + l] >> 4 * (t >> 1) & 15;
        int high = b->qh[32 * half + l] >> 2 * t & 3;
        out->q[i] = (int8_t)((low | high << 4) - 32);
    }
}

static void expand_iq4_xs(const void *block, struct expanded256 *out)
{
    const struct block_iq4_xs *b = block;
    out->d = quant_half_to_float(b->d);
    no_mins(out);
    for (int j = 0; j < 8; j++)
        out->scale[2 * j] = out->scale[2 * j + 1] = (int16_t)(block_iq4_xs_scale(b, j) - 32);
    for (int i = 0; i < 256; i++) {
        int l = i % 32;
        out->q[i] = quant_iq4_values[b->qs[i / 32 * 16 + l % 16] >> l / 16 * 4 & 15];
    }
}

#define EXPAND_CODES(suffix)                                                                       \
    static void expand_##suffix(const void *block, struct expanded256 *out)                        \
    {                                                                                              \
        out->d = quant_unpack_##suffix(block, out->scale, out->q);                                 \
        no_mins(out);                                                                              \
    }

EXPAND_CODES(tq1_0)
EXPAND_CODES(tq2_0)
EXPAND_CODES(iq1_s)
EXPAND_CODES(iq1_m)
EXPAND_CODES(iq2_xxs)
EXPAND_CODES(iq2_xs)
EXPAND_CODES(iq2_s)
EXPAND_CODES(iq3_xxs)
EXPAND_CODES(iq3_s)

expand256_fn expand256_of(uint32_t type)
{
    switch (type) {
    case QUANT_Q2_K:
        return expand_q2_k;
    case QUANT_Q3_K:
        return expand_q3_k;
    case QUANT_Q4_K:
        return expand_q4_k;
    case QUANT_Q5_K:
        return expand_q5_k;
    case QUANT_Q6_K:
        return expand_q6_k;
    case QUANT_IQ4_XS:
        return expand_iq4_xs;
    case QUANT_TQ1_0:
        return expand_tq1_0;
    case QUANT_TQ2_0:
        return expand_tq2_0;
    case QUANT_IQ1_S:
        return expand_iq1_s;
    case QUANT_IQ1_M:
        return expand_iq1_m;
    case QUANT_IQ2_XXS:
        return expand_iq2_xxs;
    case QUANT_IQ2_XS:
        return expand_iq2_xs;
    case QUANT_IQ2_S:
        return expand_iq2_s;
    case QUANT_IQ3_XXS:
        return expand_iq3_xxs;
    case QUANT_IQ3_S:
        return expand_iq3_s;
    default:
        return NULL;
    }
}
