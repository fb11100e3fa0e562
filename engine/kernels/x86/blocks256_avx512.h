/*
 * blocks256_avx512: blocks of 256 of each type as vectors of unsigned bytes and group scales.
 */
#ifndef KERNELS_BLOCKS256_AVX512_H
#define KERNELS_BLOCKS256_AVX512_H

#include "kernels/x86/codes_avx512.h"

/* What bytes256 adds to the weights to make them unsigned */
INLINE int offset256(uint32_t type)
{
    switch (type) {
    case QUANT_Q3_K:
        return 4;
    case QUANT_IQ3_S:
        return 16;
    case QUANT_Q6_K:
        return 32;
    case QUANT_IQ3_XXS:
        return 64;
    case QUANT_IQ4_XS:
        return 128;
    default:
        return 0;
    }
}

/* Types whose bytes are above 63: four of them times activations do not fit int16. */
INLINE bool is_wide256(uint32_t type)
{
    return type == QUANT_IQ4_XS || type == QUANT_IQ3_XXS;
}

/* ---- weights ---- */

/* 256 elements of four, two or one bit each out of the bytes that hold them, at `place` */
INLINE void nibbles256(const uint8_t qs[128], __m512i q[4])
{
    for (int i = 0; i < 4; i++)
        q[i] = _mm512_gf2p8affine_epi64_epi8(twice256(qs + 32 * i),
                                             matrices(LOW_NIBBLE, HIGH_NIBBLE), 0);
}

INLINE void pairs256(const uint8_t qs[64], __m512i q[4])
{
    for (int i = 0; i < 4; i++) {
        __m512i parts =
            i % 2 ? matrices(TWO_BITS(4), TWO_BITS(6)) : matrices(TWO_BITS(0), TWO_BITS(2));
        q[i] = _mm512_gf2p8affine_epi64_epi8(twice256(qs + i / 2 * 32), parts, 0);
    }
}

INLINE void or_bits256(const uint8_t bits[32], const int place, __m512i q[4])
{
    const __m512i both = twice256(bits);
    for (int i = 0; i < 4; i++)
        q[i] = _mm512_or_si512(
            q[i], _mm512_gf2p8affine_epi64_epi8(
                      both, matrices(ONE_BIT(2 * i, place), ONE_BIT(2 * i + 1, place)), 0));
}

INLINE void bytes_q6_k(const struct block_q6_k *b, __m512i q[4])
{
    const __m512i low = _mm512_set1_epi8(15), high = _mm512_set1_epi8(0x30);
    const __m512i to45 = _mm512_set_epi64(2, 2, 2, 2, 4, 4, 4, 4);
    const __m512i from45 = _mm512_set_epi64(62, 62, 62, 62, 0, 0, 0, 0);
    for (int half = 0; half < 2; half++) {
        __m512i ql = load512(b->ql + 64 * half), qh = twice256(b->qh + 32 * half);
        __m512i upper = _mm512_gf2p8affine_epi64_epi8(ql, _mm512_set1_epi64(HIGH_NIBBLE), 0);
        /* bits 0-1 (elements 0-31), 2-3, then 4-5 and 6-7 come to bits 4-5; 0xf8: a | b & c */
        q[2 * half] = _mm512_ternarylogic_epi64(_mm512_and_si512(ql, low),
                                                _mm512_rolv_epi64(qh, to45), high, 0xf8);
        q[2 * half + 1] =
            _mm512_ternarylogic_epi64(upper, _mm512_rolv_epi64(qh, from45), high, 0xf8);
    }
}

/* The 256 elements of a block in order, as unsigned bytes: weight + offset256. Of IQ4_XS see
 * bytes_of_quarters. */
INLINE void bytes256(uint32_t type, const uint8_t *block, __m512i q[4])
{
    const void *b = block;
    switch (type) {
    case QUANT_Q2_K:
        pairs256(((const struct block_q2_k *)b)->qs, q);
        break;
    case QUANT_Q3_K:
        pairs256(((const struct block_q3_k *)b)->qs, q);
        or_bits256(((const struct block_q3_k *)b)->hmask, 2, q);
        break;
    case QUANT_Q4_K:
        nibbles256(((const struct block_q4_k *)b)->qs, q);
        break;
    case QUANT_Q5_K:
        nibbles256(((const struct block_q5_k *)b)->qs, q);
        or_bits256(((const struct block_q5_k *)b)->qh, 4, q);
        break;
    case QUANT_Q6_K:
        bytes_q6_k(b, q);
        break;
    case QUANT_IQ3_XXS:
        bytes_iq3_xxs(b, offset256(type), q);
        break;
    default:
        bytes_iq3_s(b, offset256(type), q);
    }
}

/* IQ4_XS, 128 elements in two vectors: quarter j of the first has the first 16 of group j of 32,
 * quarter j of the second the other 16; as unsigned bytes: weight + offset256. */
INLINE void bytes_of_quarters(const uint8_t *block, __m512i q[4])
{
    for (int i = 0; i < 2; i++) {
        __m512i both = load512(block + offsetof(struct block_iq4_xs, qs) + 64 * i);
        q[2 * i] = iq4_bytes(_mm512_and_si512(both, _mm512_set1_epi8(15)));
        q[2 * i + 1] =
            iq4_bytes(_mm512_gf2p8affine_epi64_epi8(both, _mm512_set1_epi64(HIGH_NIBBLE), 0));
    }
}

/* Such 128 elements x the activations: the lanes of quarter j sum to the product of group j. */
INLINE __m512i products_of_quarters(const __m512i q[2], const int8_t *x)
{
    const __m512i x0 = load512(x), x1 = load512(x + 64);
    const __m512i first = _mm512_shuffle_i32x4(x0, x1, _MM_SHUFFLE(2, 0, 2, 0)),
                  second = _mm512_shuffle_i32x4(x0, x1, _MM_SHUFFLE(3, 1, 3, 1));
    return _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(_mm512_setzero_si512(), q[0], first), q[1],
                               second);
}

/* The scale of group 4 i + j in quarter j, from 16 scales that stand twice each */
INLINE __m512i scales_of_quarters(__m512i scales, int i)
{
    const __m512i twice = _mm512_set_epi32(6, 6, 6, 6, 4, 4, 4, 4, 2, 2, 2, 2, 0, 0, 0, 0);
    return _mm512_permutexvar_epi32(_mm512_add_epi32(twice, _mm512_set1_epi32(8 * i)), scales);
}

/* The weights of Q4_K and Q5_K in the order of the paired activations */
INLINE void bytes_paired(uint32_t type, const uint8_t *block, __m512i q[4])
{
    const uint8_t *qs = block + (type == QUANT_Q4_K ? offsetof(struct block_q4_k, qs)
                                                    : offsetof(struct block_q5_k, qs));
    for (int i = 0; i < 2; i++) {
        __m512i both = load512(qs + 64 * i);
        __asm__("" : "+v"(both)); /* or the compiler loads it twice */
        q[2 * i] = _mm512_and_si512(both, _mm512_set1_epi8(15));
        q[2 * i + 1] = _mm512_gf2p8affine_epi64_epi8(both, _mm512_set1_epi64(HIGH_NIBBLE), 0);
    }
    if (type == QUANT_Q4_K)
        return;
    const __m512i fifth = twice256(block + offsetof(struct block_q5_k, qh));
    for (int i = 0; i < 4; i++) { /* groups 0 and 2, 1 and 3, 4 and 6, 5 and 7 */
        const int first = i + i / 2 * 2;
        __m512i parts = matrices(ONE_BIT(first, 4), ONE_BIT(first + 2, 4));
        q[i] = _mm512_or_si512(q[i], _mm512_gf2p8affine_epi64_epi8(fifth, parts, 0));
    }
}

/* The weights in the order in which one token or a few take them: paired where there are 8 groups,
 * of IQ4_XS in quarters */
INLINE void bytes_for_token(uint32_t type, const uint8_t *block, __m512i q[4])
{
    if (groups256(type) == 8)
        bytes_paired(type, block, q);
    else if (type == QUANT_IQ4_XS)
        bytes_of_quarters(block, q);
    else
        bytes256(type, block, q);
}

/* ---- scales ---- */

/* Q4_K, Q5_K. The head is d, dmin, then three words of scales A, B, C; the result is, bytewise,
 * A & 63, C & 15 | A >> 2 & 48, B & 63, C >> 4 | B >> 2 & 48. */
INLINE __m512i scales_k4(__m512i heads)
{
    const __m512i words = _mm512_broadcast_i32x4(
        _mm_setr_epi8(4, 5, 6, 7, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15));
    const __m512i tops = _mm512_broadcast_i32x4(
        _mm_setr_epi8(-1, -1, -1, -1, 4, 5, 6, 7, -1, -1, -1, -1, 8, 9, 10, 11));
    const __m512i shift = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0, 0, 4));
    const __m512i mask =
        _mm512_broadcast_i32x4(_mm_setr_epi32(0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f, 0x0f0f0f0f));
    __m512i low =
        _mm512_and_si512(_mm512_srlv_epi32(_mm512_shuffle_epi8(heads, words), shift), mask);
    __m512i top = _mm512_srli_epi32(_mm512_shuffle_epi8(heads, tops), 2);
    return _mm512_ternarylogic_epi32(low, top, _mm512_set1_epi8(0x30), 0xf8);
}

/* Q3_K, from the two bytes before the scales and the scales; see block_q3_k_scale. */
INLINE __m512i scales_q3_k(__m512i v)
{
    const __m512i nibbles =
        _mm512_broadcast_i32x4(_mm_setr_epi8(2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5, 6, 7, 8, 9));
    const __m512i tops = _mm512_broadcast_i32x4(
        _mm_setr_epi8(10, 11, 12, 13, 10, 11, 12, 13, 10, 11, 12, 13, 10, 11, 12, 13));
    const __m512i by4 = _mm512_set_epi64(4, 0, 4, 0, 4, 0, 4, 0);
    const __m512i by2 = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 2, 4, 6));
    __m512i low = _mm512_and_si512(_mm512_srlv_epi64(_mm512_shuffle_epi8(v, nibbles), by4),
                                   _mm512_set1_epi8(15));
    __m512i top =
        _mm512_and_si512(_mm512_srlv_epi32(_mm512_shuffle_epi8(v, tops), by2), _mm512_set1_epi8(3));
    return _mm512_sub_epi8(_mm512_or_si512(low, _mm512_slli_epi32(top, 4)), _mm512_set1_epi8(32));
}

/* IQ4_XS, from the head of the block: 8 scales, each twice; see block_iq4_xs_scale. */
INLINE __m512i scales_iq4_xs(__m512i heads)
{
    const __m512i lows = _mm512_broadcast_i32x4(
        _mm_setr_epi8(4, -1, 4, -1, 5, -1, 5, -1, 6, -1, 6, -1, 7, -1, 7, -1));
    const __m512i tops = _mm512_broadcast_i32x4(
        _mm_setr_epi8(2, -1, 2, -1, 2, -1, 2, -1, 3, -1, 3, -1, 3, -1, 3, -1));
    const __m512i by4 = _mm512_set1_epi32(4 << 16);
    const __m512i by2 = _mm512_set1_epi64(0x0006000400020000);
    const __m512i twice =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0, 2, 2, 4, 4, 6, 6, 8, 8, 10, 10, 12, 12, 14, 14));
    __m512i low = _mm512_and_si512(_mm512_srlv_epi16(_mm512_shuffle_epi8(heads, lows), by4),
                                   _mm512_set1_epi16(15));
    __m512i top = _mm512_and_si512(_mm512_srlv_epi16(_mm512_shuffle_epi8(heads, tops), by2),
                                   _mm512_set1_epi16(3));
    __m512i scales = _mm512_or_si512(low, _mm512_slli_epi16(top, 4));
    return _mm512_sub_epi8(_mm512_shuffle_epi8(scales, twice), _mm512_set1_epi8(32));
}

/* The group scales of four blocks, 16 bytes each: Q4_K, Q5_K 8 scales, then 8 mins; Q2_K a scale in
 * the low and a min in the high nibble; the others 16 scales (int8). */
INLINE __m512i scales256(uint32_t type, const uint8_t *const blocks[4])
{
    switch (type) {
    case QUANT_Q2_K:
        return four128(blocks, offsetof(struct block_q2_k, scales));
    case QUANT_Q3_K:
        return scales_q3_k(four128(blocks, offsetof(struct block_q3_k, scales) - 2));
    case QUANT_Q4_K:
    case QUANT_Q5_K:
        return scales_k4(four128(blocks, 0));
    case QUANT_Q6_K:
        return four128(blocks, offsetof(struct block_q6_k, scales));
    case QUANT_IQ3_XXS:
        return scales_iq3_xxs(blocks);
    case QUANT_IQ3_S:
        return scales_iq3_s(blocks);
    default:
        return scales_iq4_xs(four128(blocks, 0));
    }
}

/* ---- products ---- */

/* A block's bytes_for_token x activations and its 16 scales: lanes that sum to I, still with the
 * offset of the weights. For bytes that use all eight bits, whose sums do not fit int16. */
INLINE __m512i products_wide(uint32_t type, const __m512i q[4], const int8_t *x, __m256i scales)
{
    const __m512i quarters = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
    const __m512i wide = _mm512_cvtepi16_epi32(scales);
    __m512i sum = _mm512_setzero_si512();
    for (int i = 0; i < 2 && type == QUANT_IQ4_XS; i++)
        sum = _mm512_add_epi32(sum, _mm512_mullo_epi32(products_of_quarters(q + 2 * i, x + 128 * i),
                                                       scales_of_quarters(wide, i)));
    for (int k = 0; k < 4 && type != QUANT_IQ4_XS; k++) {
        __m512i group = _mm512_add_epi32(quarters, _mm512_set1_epi32(4 * k));
        __m512i p = _mm512_dpbusd_epi32(_mm512_setzero_si512(), q[k], load512(x + 64 * k));
        sum = _mm512_add_epi32(sum, _mm512_mullo_epi32(p, _mm512_permutexvar_epi32(group, wide)));
    }
    return sum;
}

#endif
