/*
 * blocks32_avx512: blocks of 32 of each type as vectors of unsigned bytes and scales.
 *
 * Functions with a `type` argument are called with a constant and inlined, so that each
 * type gets straight code from one source.
 */
#ifndef KERNELS_BLOCKS32_AVX512_H
#define KERNELS_BLOCKS32_AVX512_H

#include "kernels/simd_avx512.h"

INLINE size_t block_bytes32(uint32_t type)
{
    switch (type) {
    case QUANT_Q4_0:
        return sizeof(struct block_q4_0);
    case QUANT_Q4_1:
        return sizeof(struct block_q4_1);
    case QUANT_Q5_0:
        return sizeof(struct block_q5_0);
    case QUANT_Q5_1:
        return sizeof(struct block_q5_1);
    case QUANT_Q8_0:
        return sizeof(struct block_q8_0);
    default:
        return sizeof(struct block_iq4_nl);
    }
}

INLINE bool has_mins32(uint32_t type)
{
    return type == QUANT_Q4_1 || type == QUANT_Q5_1;
}

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

/* The halfs at `offset` of eight blocks that follow each other */
INLINE __m128i halfs32(uint32_t type, const uint8_t *blocks, size_t offset)
{
    const size_t bytes = block_bytes32(type);
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
