/*
 * kernels_neon: the set for 64-bit ARM with the dot product instructions (ARMv8.2 and later).
 *
 * Products only, a row at a time: each block is unpacked once into registers and goes against one
 * token after the other, in the float order of generic.h. Everything else is generic C.
 */
#include "kernels/generic.h"
#include "kernels/kernels_layout.h"
#include "quant/blocks.h"

#include <arm_neon.h>
#include <string.h>
#include <sys/auxv.h>

#define INLINE static inline __attribute__((always_inline))

#ifndef HWCAP_ASIMDDP
#define HWCAP_ASIMDDP (1 << 20)
#endif

static bool available(void)
{
    return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
}

/* ---- blocks of 256 ---- */

/* A block as in struct expanded256, in registers: Q4_K and Q5_K 8 scales and 8 mins, Q6_K 16 scales
 * and weights with their offset taken off. */
struct unpacked {
    int8x16_t q[16];
    int16_t scale[16];
    int16x8_t min;
    float d, dmin;
};

INLINE int8x16_t low_nibbles(uint8x16_t v)
{
    return vreinterpretq_s8_u8(vandq_u8(v, vdupq_n_u8(15)));
}

INLINE int8x16_t high_nibbles(uint8x16_t v)
{
    return vreinterpretq_s8_u8(vshrq_n_u8(v, 4));
}

INLINE void unpack_k4(const uint8_t scales[12], const uint8_t *qs, struct unpacked *out)
{
    int16_t min[8];
    for (int j = 0; j < 8; j++) {
        int m, scale = block_k4_scale(scales, j, &m);
        out->scale[j] = (int16_t)scale;
        min[j] = (int16_t)m;
    }
    out->min = vld1q_s16(min);
    for (int i = 0; i < 4; i++) {
        uint8x16_t a = vld1q_u8(qs + 32 * i), b = vld1q_u8(qs + 32 * i + 16);
        out->q[4 * i] = low_nibbles(a);
        out->q[4 * i + 1] = low_nibbles(b);
        out->q[4 * i + 2] = high_nibbles(a);
        out->q[4 * i + 3] = high_nibbles(b);
    }
}

INLINE void unpack_q4_k(const void *block, struct unpacked *out)
{
    const struct block_q4_k *b = block;
    out->d = quant_half_to_float(b->d);
    out->dmin = quant_half_to_float(b->dmin);
    unpack_k4(b->scales, b->qs, out);
}

INLINE void unpack_q5_k(const void *block, struct unpacked *out)
{
    const struct block_q5_k *b = block;
    out->d = quant_half_to_float(b->d);
    out->dmin = quant_half_to_float(b->dmin);
    unpack_k4(b->scales, b->qs, out);
    for (int i = 0; i < 16; i++) { /* bit i / 2 of qh comes to bit 4 */
        uint8x16_t qh = vld1q_u8(b->qh + 16 * (i % 2));
        uint8x16_t bit = vandq_u8(vshlq_u8(qh, vdupq_n_s8((int8_t)(-(i / 2)))), vdupq_n_u8(1));
        out->q[i] = vorrq_s8(out->q[i], vreinterpretq_s8_u8(vshlq_n_u8(bit, 4)));
    }
}

INLINE void unpack_q6_k(const void *block, struct unpacked *out)
{
    const struct block_q6_k *b = block;
    out->d = quant_half_to_float(b->d);
    for (int j = 0; j < 16; j++)
        out->scale[j] = b->scales[j];
    for (int half = 0; half < 2; half++)
        for (int i = 0; i < 2; i++) {
            uint8x16_t even = vld1q_u8(b->ql + 64 * half + 16 * i);
            uint8x16_t odd = vld1q_u8(b->ql + 64 * half + 32 + 16 * i);
            uint8x16_t qh = vld1q_u8(b->qh + 32 * half + 16 * i);
            const uint8x16_t pair = vdupq_n_u8(0x30);
            int8x16_t *q = out->q + 8 * half + i;
            const int8x16_t offset = vdupq_n_s8(32);
            uint8x16_t high0 = vandq_u8(vshlq_n_u8(qh, 4), pair);
            uint8x16_t high1 = vandq_u8(vshlq_n_u8(qh, 2), pair);
            uint8x16_t high2 = vandq_u8(qh, pair);
            uint8x16_t high3 = vandq_u8(vshrq_n_u8(qh, 2), pair);
            q[0] = vsubq_s8(vorrq_s8(low_nibbles(even), vreinterpretq_s8_u8(high0)), offset);
            q[2] = vsubq_s8(vorrq_s8(low_nibbles(odd), vreinterpretq_s8_u8(high1)), offset);
            q[4] = vsubq_s8(vorrq_s8(high_nibbles(even), vreinterpretq_s8_u8(high2)), offset);
            q[6] = vsubq_s8(vorrq_s8(high_nibbles(odd), vreinterpretq_s8_u8(high3)), offset);
        }
}

INLINE float add256(uint32_t type, const struct unpacked *b, const struct input_view *v,
                    size_t cell, float sum)
{
    const int8_t *x = v->q + cell * GROUP;
    int32x4_t total = vdupq_n_s32(0);
    if (type == QUANT_Q6_K) {
        for (int j = 0; j < 16; j++) {
            int32x4_t part = vdotq_s32(vdupq_n_s32(0), b->q[j], vld1q_s8(x + 16 * j));
            total = vmlaq_n_s32(total, part, b->scale[j]);
        }
        return sum + (float)vaddvq_s32(total) * b->d * v->scale[cell];
    }
    for (int j = 0; j < 8; j++) {
        int32x4_t part = vdotq_s32(vdupq_n_s32(0), b->q[2 * j], vld1q_s8(x + 32 * j));
        part = vdotq_s32(part, b->q[2 * j + 1], vld1q_s8(x + 32 * j + 16));
        total = vmlaq_n_s32(total, part, b->scale[j]);
    }
    int16x8_t sum32 = vld1q_s16(v->sum32 + cell * 8);
    int32x4_t mins = vmull_s16(vget_low_s16(b->min), vget_low_s16(sum32));
    mins = vmlal_s16(mins, vget_high_s16(b->min), vget_high_s16(sum32));
    float products = (float)vaddvq_s32(total) * b->d, offset = (float)vaddvq_s32(mins) * b->dmin;
    return sum + (products - offset) * v->scale[cell];
}

INLINE void product256(uint32_t type, const struct kernels_product *p, const uint8_t *w,
                       uint32_t row_begin, uint32_t row_end, float *sums)
{
    const struct input_view v = input_view(KERNELS_INT8_256, p->input, p->n_tokens, p->n_in, NULL);
    const size_t bytes = type == QUANT_Q4_K   ? sizeof(struct block_q4_k)
                         : type == QUANT_Q5_K ? sizeof(struct block_q5_k)
                                              : sizeof(struct block_q6_k);
    struct unpacked block;
    for (uint32_t row = row_begin; row < row_end; row++, w += p->row_bytes) {
        memset(sums, 0, p->n_tokens * sizeof *sums);
        for (uint32_t g = 0; g < v.n_groups; g++) {
            if (type == QUANT_Q4_K)
                unpack_q4_k(w + g * bytes, &block);
            else if (type == QUANT_Q5_K)
                unpack_q5_k(w + g * bytes, &block);
            else
                unpack_q6_k(w + g * bytes, &block);
            for (uint32_t t = 0; t < p->n_tokens; t++)
                sums[t] = add256(type, &block, &v, (size_t)g * p->n_tokens + t, sums[t]);
        }
        for (uint32_t t = 0; t < p->n_tokens; t++)
            p->y[t * p->y_stride + row] = sums[t];
    }
}

/* ---- blocks of 32 ---- */

struct unpacked32 {
    int8x16_t low, high;
    float d;
};

INLINE struct unpacked32 unpack32(uint32_t type, const uint8_t *block)
{
    struct unpacked32 out;
    uint16_t d;
    memcpy(&d, block, sizeof d);
    out.d = quant_half_to_float(d);
    if (type == QUANT_Q8_0) {
        out.low = vld1q_s8((const int8_t *)block + 2);
        out.high = vld1q_s8((const int8_t *)block + 18);
        return out;
    }
    uint8x16_t both = vld1q_u8(block + 2);
    out.low = vsubq_s8(low_nibbles(both), vdupq_n_s8(8));
    out.high = vsubq_s8(high_nibbles(both), vdupq_n_s8(8));
    return out;
}

INLINE void product32(uint32_t type, const struct kernels_product *p, const uint8_t *w,
                      uint32_t row_begin, uint32_t row_end, float *sums)
{
    const struct input_view v = input_view(KERNELS_INT8_32, p->input, p->n_tokens, p->n_in, NULL);
    const size_t bytes = type == QUANT_Q8_0 ? sizeof(struct block_q8_0) : sizeof(struct block_q4_0);
    const uint32_t n_blocks = p->n_in / 32;
    struct unpacked32 b[4];
    for (uint32_t row = row_begin; row < row_end; row++, w += p->row_bytes) {
        memset(sums, 0, p->n_tokens * sizeof *sums);
        for (uint32_t first = 0; first < n_blocks; first += 4) {
            uint32_t n = n_blocks - first < 4 ? n_blocks - first : 4;
            for (uint32_t j = 0; j < n; j++)
                b[j] = unpack32(type, w + (first + j) * bytes);
            for (uint32_t t = 0; t < p->n_tokens; t++) {
                size_t cell = (size_t)(first / 8) * p->n_tokens + t;
                const int8_t *x = v.q + cell * GROUP + first % 8 * 32;
                float four = 0;
                for (uint32_t j = 0; j < n; j++) {
                    int32x4_t dots = vdotq_s32(vdupq_n_s32(0), b[j].low, vld1q_s8(x + 32 * j));
                    dots = vdotq_s32(dots, b[j].high, vld1q_s8(x + 32 * j + 16));
                    four += (float)vaddvq_s32(dots) * b[j].d * v.scale[cell * 8 + first % 8 + j];
                }
                sums[t] += four;
            }
        }
        for (uint32_t t = 0; t < p->n_tokens; t++)
            p->y[t * p->y_stride + row] = sums[t];
    }
}

/* ---- floats: 16 partial sums, fused multiply-add, the same for one token and many ---- */

INLINE float32x4_t weights(uint32_t type, const uint8_t *row, uint32_t at)
{
    if (type == QUANT_F32)
        return vld1q_f32((const float *)(const void *)row + at);
    uint16x4_t halfs = vld1_u16((const uint16_t *)(const void *)row + at);
    if (type == QUANT_F16)
        return vcvt_f32_f16(vreinterpret_f16_u16(halfs));
    return vreinterpretq_f32_u32(vshll_n_u16(halfs, 16));
}

INLINE void product_float(uint32_t type, const struct kernels_product *p, const uint8_t *w,
                          uint32_t row_begin, uint32_t row_end)
{
    const size_t element = type == QUANT_F32 ? 4 : 2, stride = input_float_stride(p->n_in);
    const uint32_t n_whole = p->n_in / 16 * 16;
    for (uint32_t row = row_begin; row < row_end; row++, w += p->row_bytes) {
        uint8_t rest[64] = {0}; /* the last n_in % 16 weights, filled up with zeros */
        memcpy(rest, w + n_whole * element, (p->n_in - n_whole) * element);
        for (uint32_t t = 0; t < p->n_tokens; t++) {
            const float *x = (const float *)p->input + t * stride;
            float32x4_t sum[4] = {vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0)};
            for (uint32_t i = 0; i < n_whole; i += 16)
                for (uint32_t j = 0; j < 4; j++)
                    sum[j] =
                        vfmaq_f32(sum[j], weights(type, w, i + 4 * j), vld1q_f32(x + i + 4 * j));
            for (uint32_t j = 0; j < 4 && n_whole < p->n_in; j++)
                sum[j] =
                    vfmaq_f32(sum[j], weights(type, rest, 4 * j), vld1q_f32(x + n_whole + 4 * j));
            p->y[t * p->y_stride + row] =
                vaddvq_f32(vaddq_f32(vaddq_f32(sum[0], sum[1]), vaddq_f32(sum[2], sum[3])));
        }
    }
}

static void product(const struct kernels_product *p, const void *w, uint32_t row_begin,
                    uint32_t row_end, void *scratch)
{
    float *sums = scratch_sums(scratch);
    switch (p->type) {
    case QUANT_Q4_K:
        product256(QUANT_Q4_K, p, w, row_begin, row_end, sums);
        break;
    case QUANT_Q5_K:
        product256(QUANT_Q5_K, p, w, row_begin, row_end, sums);
        break;
    case QUANT_Q6_K:
        product256(QUANT_Q6_K, p, w, row_begin, row_end, sums);
        break;
    case QUANT_Q8_0:
        product32(QUANT_Q8_0, p, w, row_begin, row_end, sums);
        break;
    case QUANT_Q4_0:
        product32(QUANT_Q4_0, p, w, row_begin, row_end, sums);
        break;
    case QUANT_F32:
        product_float(QUANT_F32, p, w, row_begin, row_end);
        break;
    case QUANT_F16:
        product_float(QUANT_F16, p, w, row_begin, row_end);
        break;
    case QUANT_BF16:
        product_float(QUANT_BF16, p, w, row_begin, row_end);
        break;
    default:
        generic_product(p, w, row_begin, row_end, scratch);
    }
}

const struct kernels_ops kernels_neon = {
    .name = "neon",
    .about = "64-bit ARM with dot product instructions (ARMv8.2 and later)",
    .available = available,
    .prepare = generic_prepare,
    .product = product,
    .attention = generic_attention,
    .rms_norm = generic_rms_norm,
    .swiglu = generic_swiglu,
    .read = generic_read,
};
