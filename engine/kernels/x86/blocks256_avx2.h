/*
 * blocks256_avx2: blocks of 256 of each type as vectors of bytes and group scales.
 */
#ifndef KERNELS_BLOCKS256_AVX2_H
#define KERNELS_BLOCKS256_AVX2_H

#include "kernels/x86/codes_avx2.h"

INLINE bool is_signed256(uint32_t type)
{
    return type == QUANT_IQ4_XS || type == QUANT_IQ3_XXS || type == QUANT_IQ3_S;
}

/* What bytes256 adds to the weights to make them unsigned; signed types stay so. */
INLINE int offset256(uint32_t type)
{
    return type == QUANT_Q3_K ? 4 : type == QUANT_Q6_K ? 32 : 0;
}

/* ---- weights ---- */

INLINE __m256i shift_right8(__m256i v, int bits)
{
    return _mm256_and_si256(_mm256_srli_epi16(v, bits), _mm256_set1_epi8((char)(255 >> bits)));
}

INLINE void nibbles256(const uint8_t qs[128], __m256i q[8])
{
    for (int i = 0; i < 4; i++) {
        __m256i both = load256(qs + 32 * i);
        __asm__(
            ""
            : "+x"(
                both)); /* or the compiler loads it twice, and loads are what there is least of */
        q[2 * i] = _mm256_and_si256(both, _mm256_set1_epi8(15));
        q[2 * i + 1] = shift_right8(both, 4);
    }
}

INLINE void pairs256(const uint8_t qs[64], __m256i q[8])
{
    for (int j = 0; j < 8; j++)
        q[j] = _mm256_and_si256(_mm256_srli_epi16(load256(qs + j / 4 * 32), 2 * (j % 4)),
                                _mm256_set1_epi8(3));
}

/* Bit j of each of 32 bytes to `place` of q[j] */
INLINE void or_bits256(const uint8_t bits[32], const int place, __m256i q[8])
{
    const __m256i all = load256(bits), one = _mm256_set1_epi8((char)(1 << place));
    for (int j = 0; j < 8; j++) {
        __m256i moved =
            j < place ? _mm256_slli_epi16(all, place - j) : _mm256_srli_epi16(all, j - place);
        q[j] = _mm256_or_si256(q[j], _mm256_and_si256(moved, one));
    }
}

INLINE void bytes_q6_k(const struct block_q6_k *b, __m256i q[8])
{
    const __m256i low = _mm256_set1_epi8(15), pair = _mm256_set1_epi8(0x30);
    for (int half = 0; half < 2; half++) {
        __m256i even = load256(b->ql + 64 * half), odd = load256(b->ql + 64 * half + 32);
        __m256i qh = load256(b->qh + 32 * half), *out = q + 4 * half;
        out[0] = _mm256_or_si256(_mm256_and_si256(even, low),
                                 _mm256_and_si256(_mm256_slli_epi16(qh, 4), pair));
        out[1] = _mm256_or_si256(_mm256_and_si256(odd, low),
                                 _mm256_and_si256(_mm256_slli_epi16(qh, 2), pair));
        out[2] = _mm256_or_si256(shift_right8(even, 4), _mm256_and_si256(qh, pair));
        out[3] =
            _mm256_or_si256(shift_right8(odd, 4), _mm256_and_si256(_mm256_srli_epi16(qh, 2), pair));
    }
}

/* The 256 elements of a block in order, as bytes: weight + offset256. */
INLINE void bytes256(uint32_t type, const uint8_t *block, __m256i q[8])
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
        bytes_iq3_xxs(b, q);
        break;
    case QUANT_IQ3_S:
        bytes_iq3_s(b, q);
        break;
    default:
        for (int j = 0; j < 8; j++)
            q[j] = iq4_bytes(nibbles32(((const struct block_iq4_xs *)b)->qs + 16 * j));
    }
}

/* ---- scales ---- */

/* Q4_K, Q5_K, two blocks, one in each half: 8 scales, then 8 mins, as bytes. The head of a block is
 * d, dmin, then three words of scales A, B, C; the result is, bytewise, A & 63, C & 15 | A >> 2 &
 * 48, B & 63, C >> 4 | B >> 2 & 48. */
INLINE __m256i scales_k4(const uint8_t *first, const uint8_t *second)
{
    const __m256i words = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(4, 5, 6, 7, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15));
    const __m256i tops = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(-1, -1, -1, -1, 4, 5, 6, 7, -1, -1, -1, -1, 8, 9, 10, 11));
    const __m256i shift = _mm256_setr_epi32(0, 0, 0, 4, 0, 0, 0, 4);
    const __m256i mask =
        _mm256_broadcastsi128_si256(_mm_setr_epi32(0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f, 0x0f0f0f0f));
    __m256i heads = _mm256_set_m128i(load128(second), load128(first));
    __m256i low =
        _mm256_and_si256(_mm256_srlv_epi32(_mm256_shuffle_epi8(heads, words), shift), mask);
    __m256i top = _mm256_and_si256(_mm256_srli_epi32(_mm256_shuffle_epi8(heads, tops), 2),
                                   _mm256_set1_epi8(0x30));
    return _mm256_or_si256(low, top);
}

/* See block_q3_k_scale; loaded with the two bytes before, as the block ends soon after. */
INLINE __m256i scales_q3_k(const struct block_q3_k *b)
{
    __m128i v = load128((const uint8_t *)b + offsetof(struct block_q3_k, scales) - 2);
    const __m128i nibbles = _mm_setr_epi8(2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5, 6, 7, 8, 9);
    const __m128i tops =
        _mm_setr_epi8(10, 11, 12, 13, 10, 11, 12, 13, 10, 11, 12, 13, 10, 11, 12, 13);
    __m128i low = _mm_and_si128(_mm_srlv_epi64(_mm_shuffle_epi8(v, nibbles), _mm_set_epi64x(4, 0)),
                                _mm_set1_epi8(15));
    __m128i top = _mm_and_si128(
        _mm_srlv_epi32(_mm_shuffle_epi8(v, tops), _mm_setr_epi32(0, 2, 4, 6)), _mm_set1_epi8(3));
    __m128i scales = _mm_or_si128(low, _mm_slli_epi32(top, 4));
    return _mm256_cvtepi8_epi16(_mm_sub_epi8(scales, _mm_set1_epi8(32)));
}

/* The group scales of a block as 16 words in order: Q4_K and Q5_K 8 scales, then 8 mins; the others
 * 16 scales. */
INLINE __m256i scales256(uint32_t type, const uint8_t *block)
{
    const void *b = block;
    int16_t words[16];
    switch (type) {
    case QUANT_Q2_K: {
        __m128i both = load128(((const struct block_q2_k *)b)->scales);
        return _mm256_cvtepu8_epi16(_mm_and_si128(both, _mm_set1_epi8(15)));
    }
    case QUANT_Q4_K:
    case QUANT_Q5_K:
        return _mm256_cvtepu8_epi16(_mm256_castsi256_si128(scales_k4(block, block)));
    case QUANT_Q6_K:
        return _mm256_cvtepi8_epi16(load128(((const struct block_q6_k *)b)->scales));
    case QUANT_Q3_K:
        return scales_q3_k(b);
    case QUANT_IQ3_XXS:
        return scales_iq3_xxs(b);
    case QUANT_IQ3_S:
        return scales_iq3_s(b);
    default:
        for (int j = 0; j < 16; j++)
            words[j] = (int16_t)(block_iq4_xs_scale(b, j / 2) - 32);
        return load256(words);
    }
}

/* The words that go with the sums of activations: 8 mins in the lower half (Q4_K, Q5_K), 16 mins
 * (Q2_K), or 16 times -offset * scale. */
INLINE __m256i mins256(uint32_t type, const uint8_t *block, __m256i scales)
{
    if (groups256(type) == 8)
        return _mm256_permute4x64_epi64(scales, _MM_SHUFFLE(1, 0, 3, 2));
    if (type == QUANT_Q2_K) {
        __m128i both = load128(((const struct block_q2_k *)(const void *)block)->scales);
        return _mm256_srli_epi16(_mm256_cvtepu8_epi16(both), 4);
    }
    return _mm256_mullo_epi16(scales, _mm256_set1_epi16((short)-offset256(type)));
}

/* The scales of elements 32 j to 32 j + 31, one for each word of their products. `scales` is what
 * scales256 gave, with lanes arranged by scale_halves. */
INLINE __m256i scale_words(uint32_t type, const __m256i halves[2], int j)
{
    if (groups256(type) == 8)
        return _mm256_shuffle_epi8(halves[0], _mm256_set1_epi16((short)(2 * j | (2 * j + 1) << 8)));
    const int first = 4 * (j % 4), second = first + 2;
    return _mm256_shuffle_epi8(halves[j / 4],
                               _mm256_set_m128i(_mm_set1_epi16((short)(second | (second + 1) << 8)),
                                                _mm_set1_epi16((short)(first | (first + 1) << 8))));
}

/* Words 0 to 7 in both lanes, words 8 to 15 in both lanes */
INLINE void scale_halves(__m256i scales, __m256i halves[2])
{
    halves[0] = _mm256_permute2x128_si256(scales, scales, 0x00);
    halves[1] = _mm256_permute2x128_si256(scales, scales, 0x11);
}

/* ---- products ---- */

/* Onto lanes that sum to I; pairs of unsigned products fit int16: at most 2 * 63 * 127. */
INLINE __m256i add_products(uint32_t type, __m256i sum, __m256i q, const int8_t *x, __m256i scale)
{
    __m256i pairs =
        is_signed256(type) ? signed_pair_products(q, load256(x)) : pair_products(q, load256(x));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, scale));
}

/* The words of mins256 x the sums of activations of a cell, in lanes */
INLINE __m256i min_products(uint32_t type, __m256i min, const struct input_view *v, size_t cell)
{
    if (groups256(type) == 8)
        return _mm256_zextsi128_si256(
            _mm_madd_epi16(_mm256_castsi256_si128(min), load128(v->sum32 + cell * 8)));
    return _mm256_madd_epi16(min, load256(v->sum16 + cell * 16));
}

#endif
