/*
 * blocks32_avx512: blocks of 32 of each type as vectors of unsigned bytes and scales.
 *
 * Functions with a `type` argument are called with a constant and inlined, so that each
 * type gets straight code from one source.
 */
#ifndef KERNELS_BLOCKS32_AVX512_H
#define KERNELS_BLOCKS32_AVX512_H

#include "kernels/x86/simd_avx512.h"

/* d of 16 blocks: see scales32_of_eight */
INLINE __m512 scales32_of_16(uint32_t type, __m256i halfs)
{
    if (type != QUANT_MXFP4)
        return _mm512_cvtph_ps(halfs);
    __m512i e = _mm512_and_si512(_mm512_cvtepu16_epi32(halfs), _mm512_set1_epi32(255));
    __m512i normal = _mm512_slli_epi32(_mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23);
    __m512i least =
        _mm512_sllv_epi32(_mm512_set1_epi32(1 << 21), _mm512_min_epi32(e, _mm512_set1_epi32(2)));
    return _mm512_castsi512_ps(_mm512_max_epi32(normal, least));
}

/* Four blocks that follow each other as unsigned bytes, in order: weight + 8 (Q4_0), + 16 (Q5_0,
 * MXFP4), + 128 (Q8_0, IQ4_NL), as they are (Q4_1, Q5_1). */
INLINE void bytes32(uint32_t type, const uint8_t *blocks, __m512i q[2])
{
    const size_t bytes = block_bytes32(type), qs = nibbles_at32(type);
    for (int i = 0; i < 2; i++) {
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
        if (type == QUANT_MXFP4)
            q[i] = mxfp4_bytes(q[i]);
    }
}

/* Types of which four blocks can be taken together: 16 bytes of nibbles each, all in two vectors */
INLINE bool is_paired32(uint32_t type)
{
    return type == QUANT_Q4_0 || type == QUANT_Q4_1 || type == QUANT_IQ4_NL || type == QUANT_MXFP4;
}

/* Bytes as above of four blocks of such a type, in the order of the paired activations: their first
 * halves, their second halves. */
INLINE void bytes32_paired(uint32_t type, const uint8_t *blocks, __m512i q[2])
{
    const size_t bytes = block_bytes32(type), qs = nibbles_at32(type);
    const size_t tail = 4 * bytes - 64; /* from there a vector holds all nibbles but the first's */
    const __m512i offsets =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    const __m512i begins =
        _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_set_m128i(
                               _mm_set1_epi8((char)(bytes + qs - tail)), _mm_setzero_si128())),
                           _mm256_set_m128i(_mm_set1_epi8((char)(3 * bytes + qs - tail)),
                                            _mm_set1_epi8((char)(2 * bytes + qs - tail))),
                           1);
    __m512i first = _mm512_castsi128_si512(_mm_loadu_si128((const void *)(blocks + qs)));
    __m512i both = _mm512_mask_permutexvar_epi8(
        first, 0xffffffffffff0000, _mm512_add_epi8(offsets, begins), load512(blocks + tail));
    q[0] = _mm512_and_si512(both, _mm512_set1_epi8(15));
    q[1] = _mm512_gf2p8affine_epi64_epi8(both, _mm512_set1_epi64(HIGH_NIBBLE), 0);
    for (int i = 0; i < 2; i++)
        q[i] = type == QUANT_IQ4_NL  ? iq4_bytes(q[i])
               : type == QUANT_MXFP4 ? mxfp4_bytes(q[i])
                                     : q[i];
}

/* (I d + S m) scale of 16 rows, a lane a row; m is for types that have it */
INLINE __m512 term32(uint32_t type, __m512i products, __m512 d, __m512 m, int32_t bias, float scale)
{
    __m512 term = _mm512_mul_ps(_mm512_cvtepi32_ps(products), d);
    if (has_mins32(type))
        term = _mm512_add_ps(term, _mm512_mul_ps(_mm512_set1_ps((float)(bias / -128)), m));
    return _mm512_mul_ps(term, _mm512_set1_ps(scale));
}

/* Types that products of one token, or a few, take each by a function of its own: for all of them
 * in one, compilers take most of a GB. A file that uses it has rows_of(type, ...). */
#define EACH_TYPE32(DO)                                                                            \
    DO(QUANT_Q4_0)                                                                                 \
    DO(QUANT_Q4_1)                                                                                 \
    DO(QUANT_Q5_0)                                                                                 \
    DO(QUANT_Q5_1)                                                                                 \
    DO(QUANT_Q8_0)                                                                                 \
    DO(QUANT_IQ4_NL)

#define FUNCTION_OF(type)                                                                          \
    static __attribute__((noinline)) void rows_##type(                                             \
        const struct kernels_product *p, const uint8_t *w, uint32_t row_begin, uint32_t row_end)   \
    {                                                                                              \
        rows_of(type, p, w, row_begin, row_end);                                                   \
    }

#define CASE_OF(type)                                                                              \
    case type:                                                                                     \
        rows_##type(p, w, row_begin, row_end);                                                     \
        break;

#endif
