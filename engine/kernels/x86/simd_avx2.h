/*
 * simd_avx2: what the AVX2 kernels share: the entry points of the files, loads, small reductions.
 */
#ifndef KERNELS_SIMD_AVX2_H
#define KERNELS_SIMD_AVX2_H

#include "kernels/x86/simd_x86.h"

void rows256_avx2(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                  uint32_t row_end);
void matvec256_avx2(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                    uint32_t row_end);
void tile32_avx2(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                 uint32_t row_end, void *scratch);
void tile256_avx2(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                  uint32_t row_end, void *scratch);
void float_avx2(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                uint32_t row_end);
void prepare_avx2(enum kernels_format format, const float *x, size_t x_stride, uint32_t n_in,
                  uint32_t n_tokens, uint32_t first, uint32_t last, void *input);
void attention_avx2(const struct kernels_attention *a, uint32_t head, uint32_t n_heads,
                    uint32_t first, uint32_t last, void *scratch);
void rms_norm_avx2(const float *x, const float *weight, uint32_t n, float eps, float *y);
void swiglu_avx2(const float *gate, const float *up, uint32_t n, float *y);
uint64_t read_avx2(const void *memory, size_t bytes);

INLINE __m256i load256(const void *at)
{
    return _mm256_loadu_si256(at);
}

INLINE __m128i load128(const void *at)
{
    return _mm_loadu_si128(at);
}

/* ---- reductions: unpack and add, as the horizontal additions take twice as long ---- */

/* In each half, lane j: the sum of the lanes of v[j] in that half */
INLINE __m256i sum4_halves(const __m256i v[4])
{
    __m256i a =
        _mm256_add_epi32(_mm256_unpacklo_epi32(v[0], v[1]), _mm256_unpackhi_epi32(v[0], v[1]));
    __m256i b =
        _mm256_add_epi32(_mm256_unpacklo_epi32(v[2], v[3]), _mm256_unpackhi_epi32(v[2], v[3]));
    return _mm256_add_epi32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
}

/* Lane j: the sum of the lanes of v[j] */
INLINE __m128i sum4(const __m256i v[4])
{
    __m256i sum = sum4_halves(v);
    return _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
}

/* The same of words, of which any eight together fit a word */
INLINE __m256i sum4_halves_of_words(const __m256i v[4])
{
    __m256i a =
        _mm256_add_epi16(_mm256_unpacklo_epi32(v[0], v[1]), _mm256_unpackhi_epi32(v[0], v[1]));
    __m256i b =
        _mm256_add_epi16(_mm256_unpacklo_epi32(v[2], v[3]), _mm256_unpackhi_epi32(v[2], v[3]));
    __m256i sum = _mm256_add_epi16(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
    return _mm256_madd_epi16(sum, _mm256_set1_epi16(1));
}

/* Lower half: the sum of the halves of a, upper half: of those of b */
INLINE __m256i add_halves(__m256i a, __m256i b)
{
    return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20),
                            _mm256_permute2x128_si256(a, b, 0x31));
}

/* Lane j: the sum of the lanes of v[j] */
INLINE __m256i sums8(const __m256i v[8])
{
    return add_halves(sum4_halves(v), sum4_halves(v + 4));
}

/* y[i * apart] = v[i] */
INLINE void store_rows(float *y, size_t apart, __m256 v)
{
    for (size_t i = 0; i < 8; i++)
        y[i * apart] = v[i];
}

INLINE float sum_floats(__m256 v)
{
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

/* Products of unsigned bytes a and signed bytes x, added in pairs that must fit int16 */
INLINE __m256i pair_products(__m256i a, __m256i x)
{
    return _mm256_maddubs_epi16(a, x);
}

/* The same for signed a; pairs fit int16 for all values, as no activation x is -128. */
INLINE __m256i signed_pair_products(__m256i a, __m256i x)
{
    return _mm256_maddubs_epi16(_mm256_abs_epi8(a), _mm256_sign_epi8(x, a));
}

/* 16 bytes as 32 nibbles: the low ones, then the high ones */
INLINE __m256i nibbles32(const uint8_t *qs)
{
    __m256i both = _mm256_broadcastsi128_si256(load128(qs));
    __m256i low = _mm256_srlv_epi32(both, _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4));
    return _mm256_and_si256(low, _mm256_set1_epi8(15));
}

/* Nibbles to the values of IQ4_NL and IQ4_XS */
INLINE __m256i iq4_bytes(__m256i nibbles)
{
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load128(quant_iq4_values)), nibbles);
}

/* Nibbles to the values of MXFP4, + 16 */
INLINE __m256i mxfp4_bytes(__m256i nibbles)
{
    __m128i values = _mm_add_epi8(load128(quant_mxfp4_values), _mm_set1_epi8(16));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(values), nibbles);
}

#endif
