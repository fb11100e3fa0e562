/*
 * tile_avx512: vectors of a tile, see tile_x86.h: 16 rows to a vector. vpdpbusd takes four elements
 * of a row against four activations of a token, the same for all rows (one broadcast).
 */
#ifndef KERNELS_TILE_AVX512_H
#define KERNELS_TILE_AVX512_H

#include "kernels/x86/blocks32_avx512.h"
#include "kernels/x86/tile_x86.h"

typedef __m512i vec;

/* Quarter q of v[j] is 16 bytes of row 4 q + j; c[m] gets bytes 4 m to 4 m + 3, a lane a row */
INLINE void transpose_quads(const __m512i v[4], __m512i c[4])
{
    __m512i low01 = _mm512_unpacklo_epi32(v[0], v[1]), low23 = _mm512_unpacklo_epi32(v[2], v[3]);
    __m512i high01 = _mm512_unpackhi_epi32(v[0], v[1]), high23 = _mm512_unpackhi_epi32(v[2], v[3]);
    c[0] = _mm512_unpacklo_epi64(low01, low23);
    c[1] = _mm512_unpackhi_epi64(low01, low23);
    c[2] = _mm512_unpacklo_epi64(high01, high23);
    c[3] = _mm512_unpackhi_epi64(high01, high23);
}

/* 16 bytes of each of 16 rows as four vectors, a lane a row */
INLINE void columns(const uint8_t *at, size_t stride, __m512i c[4])
{
    __m512i v[4];
    for (size_t j = 0; j < 4; j++) {
        const uint8_t *row = at + j * stride;
        v[j] = _mm512_castsi128_si512(_mm_loadu_si128((const void *)row));
        v[j] = _mm512_mask_broadcast_i32x4(v[j], 0x00f0,
                                           _mm_loadu_si128((const void *)(row + 4 * stride)));
        v[j] = _mm512_mask_broadcast_i32x4(v[j], 0x0f00,
                                           _mm_loadu_si128((const void *)(row + 8 * stride)));
        v[j] = _mm512_mask_broadcast_i32x4(v[j], 0xf000,
                                           _mm_loadu_si128((const void *)(row + 12 * stride)));
    }
    transpose_quads(v, c);
}

INLINE __m512i low_nibbles(__m512i v)
{
    return _mm512_and_si512(v, _mm512_set1_epi8(15));
}

INLINE __m512i high_nibbles(__m512i v)
{
    return _mm512_gf2p8affine_epi64_epi8(v, _mm512_set1_epi64(HIGH_NIBBLE), 0);
}

/* Higher bits of each byte to be its lowest; what comes above them is of the next byte. */
INLINE __m512i shift_down(__m512i v, int bits)
{
    return _mm512_srli_epi32(v, (unsigned)bits);
}

/* Bit s to `place`; bits 2 s and 2 s + 1 to `place` and the next */
INLINE __m512i one_bit(__m512i v, int s, int place)
{
    return _mm512_gf2p8affine_epi64_epi8(v, _mm512_set1_epi64(ONE_BIT(s, place)), 0);
}

INLINE __m512i pair_of_bits(__m512i v, int s, int place)
{
    return _mm512_gf2p8affine_epi64_epi8(
        v, _mm512_set1_epi64(ONE_BIT(2 * s, place) | ONE_BIT(2 * s + 1, place + 1)), 0);
}

/* The fifth bits of elements 4 k to 4 k + 3, bits 4 k to 4 k + 3 of each lane, at their place */
INLINE __m512i or_fifth_bits(__m512i q, __m512i bits, int k)
{
    const long long from = 0x2322212003020100; /* bit 4 of what begins 4 bits before */
    const __m512i begin =
        _mm512_add_epi8(_mm512_set1_epi64(from), _mm512_set1_epi8((char)(4 * k + 60)));
    return _mm512_ternarylogic_epi64(q, _mm512_multishift_epi64_epi8(begin, bits),
                                     _mm512_set1_epi8(16), 0xf8);
}

/* v with bits 2 s and 2 s + 1 of `bits` at 4 and 5 */
INLINE __m512i or_pair_of_bits(__m512i v, __m512i bits, int s)
{
    bits = s < 2 ? _mm512_slli_epi32(bits, (unsigned)(4 - 2 * s))
                 : _mm512_srli_epi32(bits, (unsigned)(2 * s - 4));
    return _mm512_ternarylogic_epi64(v, bits, _mm512_set1_epi8(0x30), 0xf8);
}

/* Signed bytes + 128 */
INLINE __m512i int8_bytes(__m512i v)
{
    return _mm512_xor_si512(v, _mm512_set1_epi8((char)0x80));
}

/* The low halfs of words as floats */
INLINE __m512 halfs_of(__m512i words)
{
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(words));
}

INLINE void store_vec(void *to, __m512i v)
{
    _mm512_store_si512(to, v);
}

INLINE void store_scales32(uint32_t type, const uint16_t halfs[16], float out[16])
{
    _mm512_store_ps(out, scales32_of_16(type, _mm256_loadu_si256((const void *)halfs)));
}

INLINE __m512i broadcast32(const void *at)
{
    return _mm512_set1_epi32(load32(at));
}

/* y of the tile's rows, from sums[n_tokens][TILE_ROWS] */
INLINE void tile_store(const struct kernels_product *p, const float *sums, uint32_t row,
                       uint32_t n_rows)
{
    uint32_t mask = n_rows < TILE_ROWS ? (1u << n_rows) - 1 : 0xffffffffu;
    for (uint32_t t = 0; t < p->n_tokens; t++) {
        float *y = p->y + t * p->y_stride + row;
        _mm512_mask_storeu_ps(y, (__mmask16)mask, _mm512_load_ps(sums + t * TILE_ROWS));
        if (mask >> 16)
            _mm512_mask_storeu_ps(y + 16, (__mmask16)(mask >> 16),
                                  _mm512_load_ps(sums + t * TILE_ROWS + 16));
    }
}

/* All tokens, up to TOKENS_AT_ONCE at a time, by multiply of a type that stands for others like it;
 * `what` is a tile or blocks of one. */
#define ALL_TOKENS(name, type, what)                                                               \
    static __attribute__((noinline)) void name(const struct what *tile,                            \
                                               const struct input_view *v, size_t cell,            \
                                               struct tile_ahead ahead, float *sums)               \
    {                                                                                              \
        for (uint32_t t = 0, n; t < v->n_tokens; t += n) {                                         \
            n = tokens_at_once(v->n_tokens - t);                                                   \
            const struct tile_ahead part = tile_ahead_part(ahead, t, t + n, v->n_tokens);          \
            float *to = sums + t * TILE_ROWS;                                                      \
            switch (n) {                                                                           \
            case 6:                                                                                \
                multiply(type, 6, tile, v, cell + t, part, to);                                    \
                break;                                                                             \
            case 5:                                                                                \
                multiply(type, 5, tile, v, cell + t, part, to);                                    \
                break;                                                                             \
            case 4:                                                                                \
                multiply(type, 4, tile, v, cell + t, part, to);                                    \
                break;                                                                             \
            case 3:                                                                                \
                multiply(type, 3, tile, v, cell + t, part, to);                                    \
                break;                                                                             \
            case 2:                                                                                \
                multiply(type, 2, tile, v, cell + t, part, to);                                    \
                break;                                                                             \
            default:                                                                               \
                multiply(type, 1, tile, v, cell + t, part, to);                                    \
            }                                                                                      \
        }                                                                                          \
    }

#endif
