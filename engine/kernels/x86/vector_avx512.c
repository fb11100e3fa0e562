/* vector_avx512: rms_norm, swiglu, and reading. */
#include "kernels/read.h"
#include "kernels/x86/exp_avx512.h"
#include "kernels/x86/simd_avx512.h"

#include <math.h>

INLINE __mmask16 used_of(uint32_t at, uint32_t n)
{
    return n - at < 16 ? (__mmask16)((1u << (n - at)) - 1) : 0xffff;
}

void rms_norm_avx512(const float *x, const float *weight, uint32_t n, float eps, float *y)
{
    __m512 sums[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                      _mm512_setzero_ps()};
    uint32_t i = 0;
    for (; i + 64 <= n; i += 64)
        for (int j = 0; j < 4; j++) {
            __m512 v = _mm512_loadu_ps(x + i + 16 * j);
            sums[j] = _mm512_fmadd_ps(v, v, sums[j]);
        }
    for (; i < n; i += 16) {
        __m512 v = _mm512_maskz_loadu_ps(used_of(i, n), x + i);
        sums[0] = _mm512_fmadd_ps(v, v, sums[0]);
    }
    float sum = _mm512_reduce_add_ps(
        _mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3])));
    const __m512 factor = _mm512_set1_ps(1 / sqrtf(sum / (float)n + eps));
    for (i = 0; i < n; i += 16) {
        __mmask16 used = used_of(i, n);
        __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(used, x + i), factor);
        v = _mm512_mul_ps(v, _mm512_maskz_loadu_ps(used, weight + i));
        _mm512_mask_storeu_ps(y + i, used, v);
    }
}

void swiglu_avx512(const float *gate, const float *up, uint32_t n, float *y)
{
    const __m512 one = _mm512_set1_ps(1);
    for (uint32_t i = 0; i < n; i += 16) {
        __mmask16 used = used_of(i, n);
        __m512 g = _mm512_maskz_loadu_ps(used, gate + i);
        __m512 e = exp512(_mm512_sub_ps(_mm512_setzero_ps(), g));
        __m512 silu = _mm512_div_ps(g, _mm512_add_ps(one, e));
        _mm512_mask_storeu_ps(y + i, used,
                              _mm512_mul_ps(silu, _mm512_maskz_loadu_ps(used, up + i)));
    }
}

uint64_t read_avx512(const void *memory, size_t bytes)
{
    return read_in_streams(memory, bytes);
}
