/*
 * blocks32_avx512: blocks of 32 of each type as vectors of unsigned bytes and scales.
 *
 * Functions with a `type` argument are called with a constant and inlined, so that each
 * type gets straight code from one source.
 */
#ifndef KERNELS_BLOCKS32_AVX512_H
#define KERNELS_BLOCKS32_AVX512_H

#include "kernels/simd_avx512.h"

/* What bytes32 adds to the weights of this type, to make them unsigned: 128 >> the result. */
INLINE int zero_point_shift(uint32_t type)
{
    return type == QUANT_Q4_0 ? 4 : type == QUANT_Q5_0 ? 3 : 0;
}

/* Eight blocks that follow each other as unsigned bytes, in order: weight + 8 (Q4_0), + 16 (Q5_0),
 * + 128 (Q8_0, IQ4_NL), as they are (Q4_1, Q5_1). */
INLINE void bytes32(uint32_t type, const uint8_t *blocks, __m512i q[4])
{
    const size_t bytes = block_bytes32(type), qs = type == QUANT_Q4_1   ? 4
                                                   : type == QUANT_Q5_0 ? 6
                                                   : type == QUANT_Q5_1 ? 8
                                                                        : 2;
    for (int i = 0; i < 4; i++) {
        const uint8_t *a = blocks + 2 * i * bytes, *b = a + bytes;
        if (type == QUANT_Q8_0) {
            __m256i first = _mm256_loadu_si256((const void *)(a + qs));
            __m256i second = _mm256_loadu_si256((const void *)(b + qs));
            q[i] = _mm512_xor_si512(_mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1),
                                    _mm512_set1_epi8((char)0x80));
            continue;
        }
        q[i] = nibbles32(a + qs, b + qs);
        if (type == QUANT_Q5_0 || type == QUANT_Q5_1) { /* one bit for each element */
            __mmask64 fifth = (uint32_t)load32(a + qs - 4) | (uint64_t)(uint32_t)load32(b + qs - 4)
                                                                 << 32;
            q[i] = _mm512_mask_add_epi8(q[i], fifth, q[i], _mm512_set1_epi8(16));
        }
        if (type == QUANT_IQ4_NL)
            q[i] = iq4_bytes(q[i]);
    }
}

/* Types of which four blocks can be taken together: 16 bytes of nibbles each, all in two vectors */
INLINE bool is_paired32(uint32_t type)
{
    return type == QUANT_Q4_0 || type == QUANT_Q4_1 || type == QUANT_IQ4_NL;
}

/* Bytes as above of four blocks that follow each other, of such a type, in the order of the paired
 * activations: their first halves, their second halves. */
INLINE void bytes32_paired(uint32_t type, const uint8_t *blocks, __m512i *first, __m512i *second)
{
    const size_t bytes = block_bytes32(type);
    const char n = (char)bytes, at = type == QUANT_Q4_1 ? 4 : 2;
    /* from the first 64 of 4 n bytes, and from the last 64 */
    const char last = (char)(64 + 64 - 4 * n + at);
    const __m512i offsets =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    const __m512i begins = _mm512_inserti64x4(
        _mm512_castsi256_si512(_mm256_set_m128i(_mm_set1_epi8((char)(n + at)), _mm_set1_epi8(at))),
        _mm256_set_m128i(_mm_set1_epi8((char)(3 * n + last)), _mm_set1_epi8((char)(2 * n + last))),
        1);
    const __m512i low = _mm512_set1_epi8(15);
    __m512i both = _mm512_permutex2var_epi8(load512(blocks), _mm512_add_epi8(offsets, begins),
                                            load512(blocks + 4 * bytes - 64));
    *first = _mm512_and_si512(both, low);
    *second = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
    if (type == QUANT_IQ4_NL) {
        *first = iq4_bytes(*first);
        *second = iq4_bytes(*second);
    }
}

/* The halfs at `offset` of eight blocks that follow each other */
INLINE __m128i halfs32(uint32_t type, const uint8_t *blocks, size_t offset)
{
    const size_t bytes = block_bytes32(type);
    if (is_paired32(type)) { /* those of four blocks lie within 64 bytes */
        const short n = (short)(bytes / 2), at = (short)(offset / 2);
        const __m128i words = _mm_setr_epi16(
            at, (short)(n + at), (short)(2 * n + at), (short)(3 * n + at), (short)(32 + at),
            (short)(32 + n + at), (short)(32 + 2 * n + at), (short)(32 + 3 * n + at));
        return _mm512_castsi512_si128(_mm512_permutex2var_epi16(
            load512(blocks), _mm512_castsi128_si512(words), load512(blocks + 4 * bytes)));
    }
    const uint8_t *b = blocks + offset;
    __m128i v = _mm_cvtsi32_si128((uint16_t)load16(b));
    v = _mm_insert_epi16(v, load16(b + bytes), 1);
    v = _mm_insert_epi16(v, load16(b + 2 * bytes), 2);
    v = _mm_insert_epi16(v, load16(b + 3 * bytes), 3);
    v = _mm_insert_epi16(v, load16(b + 4 * bytes), 4);
    v = _mm_insert_epi16(v, load16(b + 5 * bytes), 5);
    v = _mm_insert_epi16(v, load16(b + 6 * bytes), 6);
    return _mm_insert_epi16(v, load16(b + 7 * bytes), 7);
}

#endif
