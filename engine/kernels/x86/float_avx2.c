/*
 * float_avx2: products with F32, F16 and BF16 weights, fused multiply-add in float.
 *
 * Every element of y is 32 partial sums (element i of the row goes to sum i % 32, in order),
 * added up by sum32: whether it is one token or many, so that a token's result is the same
 * bits in both.
 *
 * One token: see simd_x86.h. More: two rows x three tokens x 16 of the 32 sums in registers, over
 * the row once for each half.
 */
#include "kernels/x86/simd_avx2.h"

#define TOKENS_AT_ONCE 3

/* Weights at..at+7 of a row */
INLINE __m256 weights(uint32_t type, const uint8_t *row, uint32_t at)
{
    if (type == QUANT_F32)
        return _mm256_loadu_ps((const float *)(const void *)row + at);
    __m128i halfs = load128(row + 2 * (size_t)at);
    if (type == QUANT_F16)
        return _mm256_cvtph_ps(halfs);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halfs), 16));
}

/* The last n_in % 32 weights of a row, filled up with zeros */
INLINE const uint8_t *rest_of(uint32_t type, const uint8_t *row, uint32_t n_in, uint8_t copy[128])
{
    const uint32_t n_whole = n_in / 32 * 32;
    memset(copy, 0, 128);
    return memcpy(copy, row + n_whole * element_bytes(type),
                  (n_in - n_whole) * element_bytes(type));
}

INLINE float sum32(const __m256 s[4])
{
    return sum_floats(_mm256_add_ps(_mm256_add_ps(s[0], s[1]), _mm256_add_ps(s[2], s[3])));
}

INLINE void multiply_add(uint32_t type, const uint8_t *row, uint32_t at, const float *x,
                         __m256 sum[4])
{
    for (uint32_t j = 0; j < 4; j++)
        sum[j] =
            _mm256_fmadd_ps(weights(type, row, at + 8 * j), _mm256_loadu_ps(x + 8 * j), sum[j]);
}

/* One token, one row after the other */
INLINE void in_rows(uint32_t type, const struct kernels_product *p, const uint8_t *w,
                    uint32_t row_begin, uint32_t row_end)
{
    const float *x = p->input;
    const uint32_t n_whole = p->n_in / 32 * 32;
    uint8_t copy[128];
    for (uint32_t row = row_begin; row < row_end; row++, w += p->row_bytes) {
        __m256 sum[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                         _mm256_setzero_ps()};
        for (uint32_t i = 0; i < n_whole; i += 32) {
            prefetch_row(w + i * element_bytes(type), 32 * element_bytes(type));
            multiply_add(type, w, i, x + i, sum);
        }
        if (n_whole < p->n_in)
            multiply_add(type, rest_of(type, w, p->n_in, copy), 0, x + n_whole, sum);
        p->y[row] = sum32(sum);
    }
}

INLINE void visit(uint32_t type, const uint8_t *row, uint32_t begin, uint32_t end, const float *x,
                  float sums[32])
{
    uint8_t copy[128];
    __m256 sum[4];
    uint32_t i = begin;
    for (int j = 0; j < 4; j++)
        sum[j] = _mm256_load_ps(sums + 8 * j);
    for (; i + 32 <= end; i += 32)
        multiply_add(type, row, i, x + i, sum);
    if (i < end)
        multiply_add(type, rest_of(type, row, end, copy), 0, x + i, sum);
    for (int j = 0; j < 4; j++)
        _mm256_store_ps(sums + 8 * j, sum[j]);
}

INLINE float sum_visits(const float sums[32])
{
    const __m256 s[4] = {_mm256_load_ps(sums), _mm256_load_ps(sums + 8), _mm256_load_ps(sums + 16),
                         _mm256_load_ps(sums + 24)};
    return sum32(s);
}

INLINE void streams(uint32_t type, const int n, const struct kernels_product *p, const uint8_t *w,
                    size_t apart, float *y)
{
    (void)n; /* is 1 */
    float_streams(type, p, w, apart, y, visit, sum_visits);
}

/* Sixteen of the 32 sums of two rows x three tokens */
struct sums16 {
    __m256 s[2][TOKENS_AT_ONCE][2];
};

INLINE void multiply(uint32_t type, const uint8_t *const w[2], const float *const x[TOKENS_AT_ONCE],
                     uint32_t at, uint32_t x_at, struct sums16 *sums)
{
    for (uint32_t j = 0; j < 2; j++) {
        __m256 w0 = weights(type, w[0], at + 8 * j), w1 = weights(type, w[1], at + 8 * j);
        for (int t = 0; t < TOKENS_AT_ONCE; t++) {
            __m256 v = _mm256_loadu_ps(x[t] + x_at + 8 * j);
            sums->s[0][t][j] = _mm256_fmadd_ps(w0, v, sums->s[0][t][j]);
            sums->s[1][t][j] = _mm256_fmadd_ps(w1, v, sums->s[1][t][j]);
        }
    }
}

INLINE struct sums16 half_of_sums(uint32_t type, uint32_t n_in, const uint8_t *const w[2],
                                  const uint8_t *const rest[2],
                                  const float *const x[TOKENS_AT_ONCE], uint32_t half)
{
    struct sums16 sums;
    for (int t = 0; t < TOKENS_AT_ONCE; t++)
        for (int j = 0; j < 2; j++)
            sums.s[0][t][j] = sums.s[1][t][j] = _mm256_setzero_ps();
    const uint32_t n_whole = n_in / 32 * 32;
    for (uint32_t i = 16 * half; i < n_whole; i += 32)
        multiply(type, w, x, i, i, &sums);
    if (n_whole < n_in)
        multiply(type, rest, x, 16 * half, n_whole + 16 * half, &sums);
    return sums;
}

/* Two rows (the same one twice where there is but one) x all tokens */
INLINE void two_rows(uint32_t type, const struct kernels_product *p, const uint8_t *const w[2],
                     uint32_t row, uint32_t n_rows)
{
    const size_t stride = input_float_stride(p->n_in);
    uint8_t copy[2][128];
    const uint8_t *rest[2] = {rest_of(type, w[0], p->n_in, copy[0]),
                              rest_of(type, w[1], p->n_in, copy[1])};
    for (uint32_t first = 0; first < p->n_tokens; first += TOKENS_AT_ONCE) {
        uint32_t left = p->n_tokens - first, n = left < TOKENS_AT_ONCE ? left : TOKENS_AT_ONCE;
        const float *x[TOKENS_AT_ONCE];
        for (uint32_t t = 0; t < TOKENS_AT_ONCE; t++)
            x[t] = (const float *)p->input + (first + (t < n ? t : n - 1)) * stride;
        struct sums16 low = half_of_sums(type, p->n_in, w, rest, x, 0);
        struct sums16 high = half_of_sums(type, p->n_in, w, rest, x, 1);
        for (uint32_t t = 0; t < n; t++)
            for (uint32_t i = 0; i < n_rows; i++) {
                const __m256 all[4] = {low.s[i][t][0], low.s[i][t][1], high.s[i][t][0],
                                       high.s[i][t][1]};
                p->y[(first + t) * p->y_stride + row + i] = sum32(all);
            }
    }
}

INLINE void product(uint32_t type, const struct kernels_product *p, const uint8_t *w,
                    uint32_t row_begin, uint32_t row_end)
{
    if (p->n_tokens == 1 && p->order == KERNELS_ROWS) {
        in_rows(type, p, w, row_begin, row_end);
        return;
    }
    if (p->n_tokens == 1) {
        in_streams(type, 1, p, w, row_begin, row_end, streams);
        return;
    }
    for (uint32_t row = row_begin; row < row_end; row += 2) {
        const uint8_t *first = w + (row - row_begin) * p->row_bytes;
        uint32_t n_rows = row_end - row < 2 ? 1 : 2;
        const uint8_t *const two[2] = {first, n_rows == 2 ? first + p->row_bytes : first};
        two_rows(type, p, two, row, n_rows);
    }
}

void float_avx2(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                uint32_t row_end)
{
    switch (p->type) {
    case QUANT_F32:
        product(QUANT_F32, p, w, row_begin, row_end);
        break;
    case QUANT_F16:
        product(QUANT_F16, p, w, row_begin, row_end);
        break;
    default:
        product(QUANT_BF16, p, w, row_begin, row_end);
    }
}
