/*
 * tile256_avx512: what kernels with blocks of 256 share where a lane is a row, be it of a tile in
 * memory or of a few rows in registers: scales, and the terms of a block.
 */
#ifndef KERNELS_TILE256_AVX512_H
#define KERNELS_TILE256_AVX512_H

#include "kernels/x86/blocks256_avx512.h"
#include "kernels/x86/tile_avx512.h"
/* after the vectors that it is made of */
#include "kernels/x86/tile256_x86.h"

/* Half `half` of each of four vectors, in order */
INLINE __m512 join_lanes(const __m256 v[4], int half)
{
    const __m512i own = half
                            ? _mm512_setr_epi32(4, 5, 6, 7, 20, 21, 22, 23, 0, 0, 0, 0, 0, 0, 0, 0)
                            : _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 0, 0, 0, 0, 0, 0, 0, 0);
    __m512 low =
        _mm512_permutex2var_ps(_mm512_castps256_ps512(v[0]), own, _mm512_castps256_ps512(v[1]));
    __m512 high =
        _mm512_permutex2var_ps(_mm512_castps256_ps512(v[2]), own, _mm512_castps256_ps512(v[3]));
    return _mm512_insertf32x8(low, _mm512_castps512_ps256(high), 1);
}

/* Bytes `low` and `high` of each lane as its words, times 2^log2 */
INLINE __m512i words_of(__m512i lanes, int low, int high, int log2)
{
    const unsigned first = 0x00800080u | (unsigned)low << 8 | (unsigned)high << 24;
    const unsigned step = 0x04000400u;
    const __m512i from = _mm512_broadcast_i32x4(_mm_setr_epi32(
        (int)first, (int)(first + step), (int)(first + 2 * step), (int)(first + 3 * step)));
    return _mm512_srai_epi16(_mm512_shuffle_epi8(lanes, from), (unsigned)(8 - log2));
}

/* Byte j of each lane as a signed number */
INLINE __m512i byte_of(__m512i lanes, int j)
{
    return _mm512_srai_epi32(_mm512_slli_epi32(lanes, (unsigned)(24 - 8 * j)), 24);
}

/* Q4_K, Q5_K. Of the head of a block, d and dmin in a word, then three words of scales A, B, C,
 * come four vectors of scales and mins: see scales_k4. */
INLINE void scales_of_heads(const __m512i head[4], __m512i c[4])
{
    const __m512i low6 = _mm512_set1_epi8(0x3f), low4 = _mm512_set1_epi8(15),
                  top = _mm512_set1_epi8(0x30);
    c[0] = _mm512_and_si512(head[1], low6);
    c[2] = _mm512_and_si512(head[2], low6);
    /* 0xf8: a | b & c */
    c[1] = _mm512_ternarylogic_epi32(_mm512_and_si512(head[3], low4), _mm512_srli_epi32(head[1], 2),
                                     top, 0xf8);
    c[3] = _mm512_ternarylogic_epi32(_mm512_and_si512(_mm512_srli_epi32(head[3], 4), low4),
                                     _mm512_srli_epi32(head[2], 2), top, 0xf8);
}

/* The other types: four vectors of scales, of Q2_K with the mins in the high nibbles */
INLINE void scales_of_rows(uint32_t type, const uint8_t *w, size_t stride, __m512i c[4],
                           struct scales256 *s)
{
    __m512i v[4];
    __m256 factors[4];
    for (size_t i = 0; i < 4; i++) {
        const uint8_t *row = w + i * stride;
        const uint8_t *const b[4] = {row, row + 4 * stride, row + 8 * stride, row + 12 * stride};
        v[i] = scales256(type, b);
        row = w + 4 * i * stride;
        const uint8_t *const of[4] = {row, row + stride, row + 2 * stride, row + 3 * stride};
        factors[i] = factors256(type, of);
    }
    transpose_quads(v, c);
    _mm512_storeu_ps(s->d, join_lanes(factors, 0));
    _mm512_storeu_ps(s->dmin, join_lanes(factors, 1));
}

INLINE void load_scales(uint32_t type, const uint8_t *w, size_t stride, struct scales256 *s)
{
    __m512i c[4], mins[4], head[4];
    if (groups256(type) == 8) {
        columns(w, stride, head);
        scales_of_heads(head, c);
        _mm512_storeu_ps(s->d, halfs_of(head[0]));
        _mm512_storeu_ps(s->dmin, halfs_of(_mm512_srli_epi32(head[0], 16)));
    } else {
        scales_of_rows(type, w, stride, c, s);
    }
    for (int i = 0; i < 4; i++) { /* Q2_K has a min in the high nibble */
        mins[i] = type == QUANT_Q2_K ? high_nibbles(c[i]) : c[i];
        c[i] = type == QUANT_Q2_K ? low_nibbles(c[i]) : c[i];
    }
    for (int j = 0; j < groups256(type); j++)
        s->scale[j] = byte_of(c[j / 4], j % 4);
    const int log2 = has_mins256(type) ? 0 : __builtin_ctz((unsigned)offset256(type));
    for (int j = 0; j < groups256(type) / 2; j++) {
        const int at = groups256(type) == 8 ? 2 + j / 2 : j / 2; /* the mins stand behind */
        const __m512i two = words_of(mins[at], j % 2 * 2, j % 2 * 2 + 1, log2);
        s->min[j] = has_mins256(type) ? two : _mm512_sub_epi16(_mm512_setzero_si512(), two);
    }
}

/* (I d - M dmin) scale of 16 rows and a token. `total` is I, still with the offset of the weights;
 * the sums of its activations are those of the groups, `scale` its own. */
INLINE __m512 terms(uint32_t type, __m512i total, const struct scales256 *s,
                    const int16_t *group_sums, float scale)
{
    __m512i m = has_mins256(type) ? _mm512_setzero_si512() : total;
#pragma GCC unroll 8
    for (int j = 0; j < groups256(type) / 2; j++)
        m = _mm512_dpwssd_epi32(m, s->min[j], broadcast32(group_sums + 2 * j));
    const __m512 d = _mm512_loadu_ps(s->d);
    __m512 term = _mm512_mul_ps(_mm512_cvtepi32_ps(m), d);
    if (has_mins256(type))
        term = _mm512_sub_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(total), d),
                             _mm512_mul_ps(_mm512_cvtepi32_ps(m), _mm512_loadu_ps(s->dmin)));
    return _mm512_mul_ps(term, _mm512_set1_ps(scale));
}

#endif
