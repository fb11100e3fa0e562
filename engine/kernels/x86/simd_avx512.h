/*
 * simd_avx512: what the AVX-512 kernels share: the entry points of the files, loads, small
 * reductions.
 */
#ifndef KERNELS_SIMD_AVX512_H
#define KERNELS_SIMD_AVX512_H

#include "kernels/x86/simd_x86.h"

/* Rows against one token, those of blocks of 32 against up to MATVEC_TOKENS, in one order or the
 * other, and tiles of rows against more */
void rows256_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                    uint32_t row_end);
void rows32_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                   uint32_t row_end);
void matvec256_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                      uint32_t row_end);
void matvec32_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                     uint32_t row_end);

void tile32_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                   uint32_t row_end, void *scratch);
void tile256_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                    uint32_t row_end, void *scratch);

/* Products of up to so many tokens go row by row, two where unpacking is cheap; with more, weights
 * are unpacked once for all of them. */
#define MATVEC_TOKENS 2
INLINE uint32_t tokens_in_rows(uint32_t type)
{
    return type == QUANT_Q4_0 || type == QUANT_Q4_1 || type == QUANT_Q8_0 ? MATVEC_TOKENS : 1;
}

/* Between the two: few tokens, with weights that are unpacked in registers */
#define FEW_TOKENS 8
void few32_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                  uint32_t row_end);
void few256_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                   uint32_t row_end);

/* Up to so many tokens are few; a tile is faster with more, and for the other types. */
INLINE uint32_t few_tokens(uint32_t type)
{
    if (kernels_format_of(type) == KERNELS_INT8_32)
        return type == QUANT_MXFP4 ? 0 : FEW_TOKENS;
    switch (type) {
    case QUANT_Q4_K:
    case QUANT_Q5_K:
        return FEW_TOKENS;
    case QUANT_Q2_K:
    case QUANT_Q3_K:
    case QUANT_Q6_K:
    case QUANT_IQ4_XS:
        return 4;
    default:
        return 0;
    }
}

void float_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                  uint32_t row_end, void *scratch);

void attention_avx512(const struct kernels_attention *a, uint32_t head, uint32_t n_heads,
                      uint32_t first, uint32_t last, void *scratch);
void rms_norm_avx512(const float *x, const float *weight, uint32_t n, float eps, float *y);
void swiglu_avx512(const float *gate, const float *up, uint32_t n, float *y);
uint64_t read_avx512(const void *memory, size_t bytes);
void prepare_avx512(enum kernels_format format, const float *x, size_t x_stride, uint32_t n_in,
                    uint32_t n_tokens, uint32_t first, uint32_t last, void *input);

/* Of several tokens, with two vectors of rows: 24 sums in registers, 2 weights, a broadcast */
#define TOKENS_AT_ONCE 6

/* 7 and 8 are two batches alike rather than 6 and what is left. */
INLINE uint32_t tokens_at_once(uint32_t left)
{
    return left == 7 || left == 8 ? 4 : left < TOKENS_AT_ONCE ? left : TOKENS_AT_ONCE;
}

INLINE __m512i load512(const void *at)
{
    return _mm512_loadu_si512(at);
}

/* 32 bytes in both halves */
INLINE __m512i twice256(const void *at)
{
    return _mm512_broadcast_i64x4(_mm256_loadu_si256(at));
}

INLINE __m512i four128(const uint8_t *const at[4], size_t offset)
{
    __m512i v = _mm512_castsi128_si512(_mm_loadu_si128((const void *)(at[0] + offset)));
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(at[1] + offset)), 1);
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(at[2] + offset)), 2);
    return _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(at[3] + offset)), 3);
}

/* Bit matrices for gf2p8affine, which takes any bits of a byte to any places: the low nibble, the
 * high one moved down, bits s and s + 1 to 0 and 1, bit s to `place`. */
#define LOW_NIBBLE        0x0102040800000000
#define HIGH_NIBBLE       0x1020408000000000
#define TWO_BITS(s)       (0x0102000000000000 << (s))
#define ONE_BIT(s, place) ((1LL << (s)) << (56 - 8 * (place)))

/* One matrix for the lower 32 bytes, one for the upper */
INLINE __m512i matrices(long long lower, long long upper)
{
    return _mm512_set_epi64(upper, upper, upper, upper, lower, lower, lower, lower);
}

/* The nibbles of 16 bytes and of another 16, in the order of two blocks of 32: low, high, low,
 * high */
INLINE __m512i nibbles32(const uint8_t *first, const uint8_t *second)
{
    const __m512i parts = _mm512_set_epi64(HIGH_NIBBLE, HIGH_NIBBLE, LOW_NIBBLE, LOW_NIBBLE,
                                           HIGH_NIBBLE, HIGH_NIBBLE, LOW_NIBBLE, LOW_NIBBLE);
    __m256i a = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)first));
    __m256i b = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)second));
    __m512i both = _mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1);
    return _mm512_gf2p8affine_epi64_epi8(both, parts, 0);
}

/* Nibbles to the values of IQ4_NL and IQ4_XS, + 128 */
INLINE __m512i iq4_bytes(__m512i nibbles)
{
    __m128i values = _mm_loadu_si128((const void *)quant_iq4_values);
    values = _mm_xor_si128(values, _mm_set1_epi8((char)0x80));
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(values), nibbles);
}

/* Nibbles to the values of MXFP4, + 16 */
INLINE __m512i mxfp4_bytes(__m512i nibbles)
{
    __m128i values = _mm_loadu_si128((const void *)quant_mxfp4_values);
    values = _mm_add_epi8(values, _mm_set1_epi8(16));
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(values), nibbles);
}

/* ---- reductions ---- */

/* Quarter i, lane j: the sum of quarter i of v[j] */
INLINE __m512i sum4_in_quarters(const __m512i v[4])
{
    __m512i a =
        _mm512_add_epi32(_mm512_unpacklo_epi32(v[0], v[1]), _mm512_unpackhi_epi32(v[0], v[1]));
    __m512i b =
        _mm512_add_epi32(_mm512_unpacklo_epi32(v[2], v[3]), _mm512_unpackhi_epi32(v[2], v[3]));
    return _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}

/* Lane j: the sum of the 16 lanes of v[j] */
INLINE __m128i sum4(const __m512i v[4])
{
    __m512i c = sum4_in_quarters(v);
    __m256i d = _mm256_add_epi32(_mm512_castsi512_si256(c), _mm512_extracti64x4_epi64(c, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(d), _mm256_extracti128_si256(d, 1));
}

/* Lane 4 k + j: the sum of quarter j of v[k] */
INLINE __m512i sum_in_quarters(const __m512i v[4])
{
    const __m512i in_order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
    return _mm512_permutexvar_epi32(in_order, sum4_in_quarters(v));
}

/* Lane 4 k + j: the sum of lanes j of the quarters of v[k] */
INLINE __m512i sum_of_quarters(const __m512i v[4])
{
    __m512i a = _mm512_add_epi32(_mm512_shuffle_i32x4(v[0], v[1], _MM_SHUFFLE(2, 0, 2, 0)),
                                 _mm512_shuffle_i32x4(v[0], v[1], _MM_SHUFFLE(3, 1, 3, 1)));
    __m512i b = _mm512_add_epi32(_mm512_shuffle_i32x4(v[2], v[3], _MM_SHUFFLE(2, 0, 2, 0)),
                                 _mm512_shuffle_i32x4(v[2], v[3], _MM_SHUFFLE(3, 1, 3, 1)));
    return _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, _MM_SHUFFLE(2, 0, 2, 0)),
                            _mm512_shuffle_i32x4(a, b, _MM_SHUFFLE(3, 1, 3, 1)));
}

/* y[i * apart] = v[i] */
INLINE void store_rows(float *y, size_t apart, __m512 v)
{
    const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    _mm512_i32scatter_ps(y, _mm512_mullo_epi32(lanes, _mm512_set1_epi32((int)apart)), v, sizeof *y);
}

#endif
