/* exp_avx2: the exponential of eight floats. */
#ifndef KERNELS_EXP_AVX2_H
#define KERNELS_EXP_AVX2_H

#include <immintrin.h>

static inline __m256 power_of_two(__m256i n)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}

/* As exp512 in exp_avx512.h. The power of two is applied in two halves, as one alone is not always
 * a float. */
static inline __m256 exp256(__m256 x)
{
    const __m256 log2e = _mm256_set1_ps(1.44269504f);
    const __m256 ln2_high = _mm256_set1_ps(0.693359375f), ln2_low = _mm256_set1_ps(-2.12194440e-4f);
    /* these return the second operand, x, when it is NaN */
    x = _mm256_min_ps(_mm256_set1_ps(89), _mm256_max_ps(_mm256_set1_ps(-104), x));
    __m256i whole = _mm256_cvtps_epi32(_mm256_mul_ps(x, log2e));
    __m256 n = _mm256_cvtepi32_ps(whole);
    __m256 r = _mm256_fnmadd_ps(n, ln2_low, _mm256_fnmadd_ps(n, ln2_high, x));
    __m256 p = _mm256_set1_ps(1.9875691500e-4f);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.3981999507e-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(8.3334519073e-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(4.1665795894e-2f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.6666665459e-1f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(5.0000001201e-1f));
    p = _mm256_fmadd_ps(p, _mm256_mul_ps(r, r), r);
    __m256i half = _mm256_srai_epi32(whole, 1);
    p = _mm256_mul_ps(_mm256_add_ps(p, _mm256_set1_ps(1)), power_of_two(half));
    return _mm256_mul_ps(p, power_of_two(_mm256_sub_epi32(whole, half)));
}

#endif
