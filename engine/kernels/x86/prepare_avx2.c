/* prepare_avx2: activations to int8, the same bytes as generic_prepare makes. */
#include "kernels/prepare.h"
#include "kernels/x86/simd_avx2.h"

#include <math.h>

/* What generic.c's quantize finds for a block: the factor to multiply with, the scale to store. */
struct factors {
    float inverse, scale;
};

INLINE uint32_t largest_lane(__m256i v)
{
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, _MM_SHUFFLE(1, 0, 3, 2)));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, _MM_SHUFFLE(2, 3, 0, 1)));
    return (uint32_t)_mm_cvtsi128_si32(m);
}

/* Of n elements, a multiple of 8. Magnitudes compare as integers: NaN > infinity > the rest. */
INLINE struct factors factors_of(const float *x, int n)
{
    __m256i largest = _mm256_setzero_si256();
    for (int i = 0; i < n; i += 8)
        largest = _mm256_max_epi32(largest,
                                   _mm256_and_si256(load256(x + i), _mm256_set1_epi32(0x7fffffff)));
    uint32_t magnitude = largest_lane(largest);
    if (magnitude >= 0x7f800000)
        return (struct factors){0, NAN};
    float value;
    memcpy(&value, &magnitude, sizeof value);
    if (value < SMALLEST_MAGNITUDE)
        return (struct factors){0, 0};
    return (struct factors){127 / value, value / 127};
}

/* 32 elements to q, to nearest even; 0 where the factor is 0, whatever x is. */
INLINE void scale32(const float *x, float inverse, int8_t *q)
{
    const __m256 factor = _mm256_set1_ps(inverse);
    const __m256i used = _mm256_set1_epi32(inverse == 0 ? 0 : -1);
    __m256i v[4];
    for (int i = 0; i < 4; i++)
        v[i] = _mm256_and_si256(
            _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), factor)), used);
    __m256i bytes =
        _mm256_packs_epi16(_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3]));
    /* packing works within lanes: put the eight quads in order */
    bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256((void *)q, bytes);
}

/* Sums of 4 of 32 elements */
INLINE __m256i sums_of_4(const int8_t *q)
{
    const __m256i ones = _mm256_set1_epi8(1);
    return _mm256_madd_epi16(_mm256_maddubs_epi16(ones, load256(q)), _mm256_set1_epi16(1));
}

static void quantize256(const float *x, int8_t *q, float *scale, int16_t *sum16, int16_t *sum32)
{
    struct factors f = factors_of(x, GROUP);
    *scale = f.scale;
    for (int j = 0; j < 8; j += 2) {
        scale32(x + 32 * j, f.inverse, q + 32 * j);
        scale32(x + 32 * j + 32, f.inverse, q + 32 * j + 32);
        __m256i two = _mm256_hadd_epi32(sums_of_4(q + 32 * j), sums_of_4(q + 32 * j + 32));
        two = _mm256_hadd_epi32(two, two); /* sums 0, 2 in the lower lane, 1, 3 in the upper */
        int even[4], odd[4];
        _mm_storeu_si128((void *)even, _mm256_castsi256_si128(two));
        _mm_storeu_si128((void *)odd, _mm256_extracti128_si256(two, 1));
        for (int i = 0; i < 2; i++) {
            sum16[2 * j + 2 * i] = (int16_t)even[i];
            sum16[2 * j + 2 * i + 1] = (int16_t)odd[i];
            sum32[j + i] = (int16_t)(even[i] + odd[i]);
        }
    }
}

static void quantize32(const float *x, int8_t *q, float *scale, int32_t *bias)
{
    struct factors f = factors_of(x, 32);
    *scale = f.scale;
    scale32(x, f.inverse, q);
    __m256i sums = sums_of_4(q);
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    sum = _mm_hadd_epi32(sum, sum);
    *bias = -128 * _mm_cvtsi128_si32(_mm_hadd_epi32(sum, sum));
}

void prepare_avx2(enum kernels_format format, const float *x, size_t x_stride, uint32_t n_in,
                  uint32_t n_tokens, uint32_t first, uint32_t last, void *input)
{
    prepare_input(format, x, x_stride, n_in, n_tokens, first, last, input, quantize32, quantize256);
}
