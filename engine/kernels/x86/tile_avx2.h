/*
 * tile_avx2: vectors of a tile, see tile_x86.h: eight rows to a vector. vpmaddubsw takes four
 * elements of a row against four activations of a token, the same for all rows (one broadcast), and
 * words are added up for as long as they cannot overflow.
 */
#ifndef KERNELS_TILE_AVX2_H
#define KERNELS_TILE_AVX2_H

#include "kernels/x86/simd_avx2.h"
#include "kernels/x86/tile_x86.h"

#define TOKENS_AT_ONCE 4 /* with 16 rows: 8 sums of words in registers */

typedef __m256i vec;

/* 16 bytes of each of 8 rows as four vectors, a lane a row */
INLINE void columns(const uint8_t *at, size_t stride, __m256i c[4])
{
    __m256i v[4];
    for (size_t j = 0; j < 4; j++)
        v[j] = _mm256_set_m128i(load128(at + (j + 4) * stride), load128(at + j * stride));
    __m256i low01 = _mm256_unpacklo_epi32(v[0], v[1]), low23 = _mm256_unpacklo_epi32(v[2], v[3]);
    __m256i high01 = _mm256_unpackhi_epi32(v[0], v[1]), high23 = _mm256_unpackhi_epi32(v[2], v[3]);
    c[0] = _mm256_unpacklo_epi64(low01, low23);
    c[1] = _mm256_unpackhi_epi64(low01, low23);
    c[2] = _mm256_unpacklo_epi64(high01, high23);
    c[3] = _mm256_unpackhi_epi64(high01, high23);
}

INLINE __m256i low_nibbles(__m256i v)
{
    return _mm256_and_si256(v, _mm256_set1_epi8(15));
}

INLINE __m256i high_nibbles(__m256i v)
{
    return low_nibbles(_mm256_srli_epi16(v, 4));
}

/* What `mask` keeps of bytes whose bit `from` has moved to `to` */
INLINE __m256i moved(__m256i v, int from, int to, int mask)
{
    v = from < to ? _mm256_slli_epi16(v, to - from) : _mm256_srli_epi16(v, from - to);
    return _mm256_and_si256(v, _mm256_set1_epi8((char)mask));
}

/* Higher bits of each byte to be its lowest; what comes above them is of the next byte. */
INLINE __m256i shift_down(__m256i v, int bits)
{
    return _mm256_srli_epi32(v, bits);
}

/* Bit s to `place`; bits 2 s and 2 s + 1 to `place` and the next */
INLINE __m256i one_bit(__m256i v, int s, int place)
{
    return moved(v, s, place, 1 << place);
}

INLINE __m256i pair_of_bits(__m256i v, int s, int place)
{
    return moved(v, 2 * s, place, 3 << place);
}

/* v with bits 2 s and 2 s + 1 of `bits` at 4 and 5 */
INLINE __m256i or_pair_of_bits(__m256i v, __m256i bits, int s)
{
    return _mm256_or_si256(v, pair_of_bits(bits, s, 4));
}

/* The fifth bits of elements 4 k to 4 k + 3, bits 4 k to 4 k + 3 of each lane, at their place */
INLINE __m256i or_fifth_bits(__m256i q, __m256i bits, int k)
{
    const __m256i byte_of = _mm256_broadcastsi128_si256(
        _mm_add_epi8(_mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12),
                     _mm_set1_epi8((char)(k / 2))));
    const __m256i bit = _mm256_set1_epi32(k % 2 ? (int)0x80402010 : 0x08040201);
    __m256i set = _mm256_and_si256(_mm256_shuffle_epi8(bits, byte_of), bit);
    set = _mm256_cmpeq_epi8(set, bit);
    return _mm256_or_si256(q, _mm256_and_si256(set, _mm256_set1_epi8(16)));
}

/* Signed bytes stay so. */
INLINE __m256i int8_bytes(__m256i v)
{
    return v;
}

INLINE void store_vec(void *to, __m256i v)
{
    _mm256_store_si256(to, v);
}

INLINE void store_scales32(uint32_t type, const uint16_t halfs[8], float out[8])
{
    _mm256_storeu_ps(out, scales32_of_eight(type, load128(halfs)));
}

INLINE __m256i broadcast32(const void *at)
{
    return _mm256_set1_epi32(load32(at));
}

/* Weights of eight rows x four activations of a token, in pairs, onto `words`; `begin`: there are
 * none yet */
INLINE __m256i add_quads(const bool is_signed, const bool begin, __m256i words, __m256i w,
                         __m256i four)
{
    __m256i pairs = is_signed ? signed_pair_products(w, four) : pair_products(w, four);
    if (begin)
        return pairs;
    words = _mm256_add_epi16(words, pairs);
    __asm__("" : "+x"(words)); /* or the compiler adds up in another order, out of registers */
    return words;
}

/* y of the tile's rows, from sums[n_tokens][TILE_ROWS] */
INLINE void tile_store(const struct kernels_product *p, const float *sums, uint32_t row,
                       uint32_t n_rows)
{
    for (uint32_t t = 0; t < p->n_tokens; t++)
        memcpy(p->y + t * p->y_stride + row, sums + (size_t)t * TILE_ROWS, n_rows * sizeof *sums);
}

/* All tokens, TOKENS_AT_ONCE at a time, by multiply of a type that stands for others like it;
 * `what` is a tile or blocks of one. */
#define ALL_TOKENS(name, type, what)                                                               \
    static __attribute__((noinline)) void name(const struct what *tile,                            \
                                               const struct input_view *v, size_t cell,            \
                                               struct tile_ahead ahead, float *sums)               \
    {                                                                                              \
        const uint32_t n = v->n_tokens;                                                            \
        uint32_t t = 0;                                                                            \
        for (; t + 4 <= n; t += 4)                                                                 \
            multiply(type, 4, tile, v, cell + t, tile_ahead_part(ahead, t, t + 4, n),              \
                     sums + t * TILE_ROWS);                                                        \
        for (; t + 2 <= n; t += 2)                                                                 \
            multiply(type, 2, tile, v, cell + t, tile_ahead_part(ahead, t, t + 2, n),              \
                     sums + t * TILE_ROWS);                                                        \
        if (t < n)                                                                                 \
            multiply(type, 1, tile, v, cell + t, tile_ahead_part(ahead, t, n, n),                  \
                     sums + t * TILE_ROWS);                                                        \
    }

#endif
