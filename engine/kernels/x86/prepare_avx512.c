/* prepare_avx512: activations to int8, the same bytes as generic_prepare makes. */
#include "kernels/prepare.h"
#include "kernels/x86/simd_avx512.h"

#include <math.h>

/* What generic.c's quantize finds for a block: the factor to multiply with, the scale to store. */
struct factors {
    float inverse, scale;
};

/* `magnitude`: the bits of the largest magnitude; as integers, NaN > infinity > the rest. */
INLINE struct factors factors_of(uint32_t magnitude)
{
    if (magnitude >= 0x7f800000)
        return (struct factors){0, NAN};
    float largest;
    memcpy(&largest, &magnitude, sizeof largest);
    if (largest < SMALLEST_MAGNITUDE)
        return (struct factors){0, 0};
    return (struct factors){127 / largest, largest / 127};
}

INLINE __m512i magnitude_bits(__m512 x)
{
    return _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7fffffff));
}

/* Rounded to nearest even; 0 where the factor is 0, whatever x is. */
INLINE __m512i scaled(__m512 x, float inverse)
{
    __mmask16 used = inverse == 0 ? 0 : 0xffff;
    return _mm512_maskz_cvtps_epi32(used, _mm512_mul_ps(x, _mm512_set1_ps(inverse)));
}

static void quantize256(const float *x, int8_t *q, float *scale, int16_t *sum16, int16_t *sum32)
{
    __m512i largest = _mm512_setzero_si512();
    for (int i = 0; i < 16; i++)
        largest = _mm512_max_epu32(largest, magnitude_bits(_mm512_loadu_ps(x + 16 * i)));
    struct factors f = factors_of(_mm512_reduce_max_epu32(largest));
    *scale = f.scale;
    __m128i sums[4];
    for (int j = 0; j < 4; j++) {
        __m512i v[4];
        for (int i = 0; i < 4; i++) {
            v[i] = scaled(_mm512_loadu_ps(x + 64 * j + 16 * i), f.inverse);
            _mm_storeu_si128((void *)(q + 64 * j + 16 * i), _mm512_cvtepi32_epi8(v[i]));
        }
        sums[j] = sum4(v);
    }
    __m256i s16 =
        _mm256_packs_epi32(_mm256_set_m128i(sums[2], sums[0]), _mm256_set_m128i(sums[3], sums[1]));
    _mm256_storeu_si256((void *)sum16, s16);
    __m256i s32 = _mm256_madd_epi16(s16, _mm256_set1_epi16(1));
    _mm_storeu_si128((void *)sum32, _mm256_cvtepi32_epi16(s32));
}

static void quantize32(const float *x, int8_t *q, float *scale, int32_t *bias)
{
    __m512 a = _mm512_loadu_ps(x), b = _mm512_loadu_ps(x + 16);
    struct factors f =
        factors_of(_mm512_reduce_max_epu32(_mm512_max_epu32(magnitude_bits(a), magnitude_bits(b))));
    __m512i qa = scaled(a, f.inverse), qb = scaled(b, f.inverse);
    _mm_storeu_si128((void *)q, _mm512_cvtepi32_epi8(qa));
    _mm_storeu_si128((void *)(q + 16), _mm512_cvtepi32_epi8(qb));
    *scale = f.scale;
    *bias = -128 * _mm512_reduce_add_epi32(_mm512_add_epi32(qa, qb));
}

void prepare_avx512(enum kernels_format format, const float *x, size_t x_stride, uint32_t n_in,
                    uint32_t n_tokens, uint32_t first, uint32_t last, void *input)
{
    prepare_input(format, x, x_stride, n_in, n_tokens, first, last, input, quantize32, quantize256);
}
