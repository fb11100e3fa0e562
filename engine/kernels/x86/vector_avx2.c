/* vector_avx2: rms_norm, swiglu, and reading. */
#include "kernels/read.h"
#include "kernels/x86/exp_avx2.h"
#include "kernels/x86/simd_avx2.h"

#include <math.h>

/* The last n % 8 elements go through copies filled up with zeros. */
static __m256 load_rest(const float *x, uint32_t n)
{
    float copy[8] = {0};
    memcpy(copy, x, n * sizeof *x);
    return _mm256_loadu_ps(copy);
}

static void store_rest(float *y, __m256 v, uint32_t n)
{
    float copy[8];
    _mm256_storeu_ps(copy, v);
    memcpy(y, copy, n * sizeof *y);
}

void rms_norm_avx2(const float *x, const float *weight, uint32_t n, float eps, float *y)
{
    __m256 sums[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                      _mm256_setzero_ps()};
    const uint32_t n_whole = n / 8 * 8;
    for (uint32_t i = 0; i < n_whole; i += 8) {
        __m256 v = _mm256_loadu_ps(x + i);
        sums[i / 8 % 4] = _mm256_fmadd_ps(v, v, sums[i / 8 % 4]);
    }
    __m256 rest = load_rest(x + n_whole, n - n_whole);
    sums[0] = _mm256_fmadd_ps(rest, rest, sums[0]);
    float sum =
        sum_floats(_mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3])));
    const __m256 factor = _mm256_set1_ps(1 / sqrtf(sum / (float)n + eps));
    for (uint32_t i = 0; i < n_whole; i += 8)
        _mm256_storeu_ps(y + i, _mm256_mul_ps(_mm256_mul_ps(_mm256_loadu_ps(x + i), factor),
                                              _mm256_loadu_ps(weight + i)));
    __m256 last = load_rest(weight + n_whole, n - n_whole);
    store_rest(y + n_whole, _mm256_mul_ps(_mm256_mul_ps(rest, factor), last), n - n_whole);
}

INLINE __m256 swiglu8(__m256 g, __m256 up)
{
    __m256 e = exp256(_mm256_sub_ps(_mm256_setzero_ps(), g));
    return _mm256_mul_ps(_mm256_div_ps(g, _mm256_add_ps(_mm256_set1_ps(1), e)), up);
}

void swiglu_avx2(const float *gate, const float *up, uint32_t n, float *y)
{
    const uint32_t n_whole = n / 8 * 8;
    for (uint32_t i = 0; i < n_whole; i += 8)
        _mm256_storeu_ps(y + i, swiglu8(_mm256_loadu_ps(gate + i), _mm256_loadu_ps(up + i)));
    __m256 rest =
        swiglu8(load_rest(gate + n_whole, n - n_whole), load_rest(up + n_whole, n - n_whole));
    store_rest(y + n_whole, rest, n - n_whole);
}

uint64_t read_avx2(const void *memory, size_t bytes)
{
    return read_in_streams(memory, bytes);
}
