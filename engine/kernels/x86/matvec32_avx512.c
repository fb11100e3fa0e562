/*
 * matvec32_avx512: rows of types with blocks of 32 against one token or two.
 *
 * Four blocks of each of 16 rows at a time: the weights as unsigned bytes x int8 activations
 * (vpdpbusd), the sums I of 16 rows for each of the four as a vector in which a lane is a row,
 * (I d + S m) scale, added up by fours and then to the sums of the rows: the order of generic.h.
 */
#include "kernels/x86/blocks32_avx512.h"

#include <assert.h>

/* Of four blocks that follow each other and a token: in quarter j lanes that sum to I of block j */
INLINE __m512i products(uint32_t type, const __m512i q[2], const int8_t *x)
{
    const __m512i zero = _mm512_setzero_si512();
    __m512i first = _mm512_dpbusd_epi32(zero, q[0], load512(x));
    if (is_paired32(type))
        return _mm512_dpbusd_epi32(first, q[1], load512(x + 64));
    __m512i second = _mm512_dpbusd_epi32(zero, q[1], load512(x + 64));
    return _mm512_add_epi32(_mm512_shuffle_i32x4(first, second, _MM_SHUFFLE(2, 0, 2, 0)),
                            _mm512_shuffle_i32x4(first, second, _MM_SHUFFLE(3, 1, 3, 1)));
}

/* v[k] quarter j to v[j] quarter k */
INLINE void transpose_quarters(__m512i v[4])
{
    __m512i a = _mm512_shuffle_i32x4(v[0], v[1], _MM_SHUFFLE(1, 0, 1, 0));
    __m512i b = _mm512_shuffle_i32x4(v[0], v[1], _MM_SHUFFLE(3, 2, 3, 2));
    __m512i c = _mm512_shuffle_i32x4(v[2], v[3], _MM_SHUFFLE(1, 0, 1, 0));
    __m512i d = _mm512_shuffle_i32x4(v[2], v[3], _MM_SHUFFLE(3, 2, 3, 2));
    v[0] = _mm512_shuffle_i32x4(a, c, _MM_SHUFFLE(2, 0, 2, 0));
    v[1] = _mm512_shuffle_i32x4(a, c, _MM_SHUFFLE(3, 1, 3, 1));
    v[2] = _mm512_shuffle_i32x4(b, d, _MM_SHUFFLE(2, 0, 2, 0));
    v[3] = _mm512_shuffle_i32x4(b, d, _MM_SHUFFLE(3, 1, 3, 1));
}

/* (I d + S m) scale of block j of 16 rows; `sums` is I, still with the offset of the weights */
INLINE __m512 terms(uint32_t type, __m512i sums, const struct halfs32 *h, size_t j, int32_t bias,
                    float scale)
{
    const __m512i biases = _mm512_set1_epi32(bias);
    __m512 term, d = scales32_of_16(type, _mm256_loadu_si256((const void *)h->d[j]));
    if (has_mins32(type)) {
        __m512i sum_q = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_srai_epi32(biases, 7));
        __m512 m = _mm512_cvtph_ps(_mm256_loadu_si256((const void *)h->m[j]));
        term = _mm512_add_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sums), d),
                             _mm512_mul_ps(_mm512_cvtepi32_ps(sum_q), m));
    } else {
        sums = _mm512_add_epi32(sums, _mm512_srai_epi32(biases, zero_point_shift(type)));
        term = _mm512_mul_ps(_mm512_cvtepi32_ps(sums), d);
    }
    return _mm512_mul_ps(term, _mm512_set1_ps(scale));
}

/* Four blocks of 16 rows, the first row's at w and the others `stride` bytes apart, x n tokens (a
 * constant), onto the sums of the rows; they are the f-th four of each row. */
INLINE void add_four(uint32_t type, const int n, const struct input_view *v, const uint8_t *w,
                     size_t stride, const struct halfs32 *halfs, size_t f,
                     __m512 sum[MATVEC_TOKENS])
{
    __m512i sums[MATVEC_TOKENS][4];
#pragma GCC unroll 4
    for (size_t k = 0; k < 4; k++) {
        __m512i lanes[MATVEC_TOKENS][4];
        for (size_t i = 0; i < 4; i++) {
            const uint8_t *blocks = w + (4 * k + i) * stride;
            __m512i q[2];
            if (is_paired32(type))
                bytes32_paired(type, blocks, q);
            else
                bytes32(type, blocks, q);
            for (int t = 0; t < n; t++) {
                const size_t at = (f / 2 * (size_t)n + (size_t)t) * GROUP + f % 2 * 128;
                lanes[t][i] = products(type, q, (is_paired32(type) ? v->paired : v->q) + at);
            }
        }
        for (int t = 0; t < n; t++)
            sums[t][k] = sum4_in_quarters(lanes[t]);
    }
#pragma GCC unroll 4
    for (int t = 0; t < n; t++) {
        const size_t cell = (f / 2 * (size_t)n + (size_t)t) * 8 + f % 2 * 4;
        __m512 four = _mm512_setzero_ps();
        transpose_quarters(sums[t]); /* of rows 4 k to 4 k + 3 becomes: of block j */
        for (size_t j = 0; j < 4; j++)
            four = _mm512_add_ps(
                four, terms(type, sums[t][j], halfs, j, v->bias[cell + j], v->scale[cell + j]));
        sum[t] = _mm512_add_ps(sum[t], four);
    }
}

/* 16 rows, `apart` rows from each other, x n tokens. Blocks that a last four lacks are zeros in a
 * copy. */
INLINE void streams(uint32_t type, const int n, const struct kernels_product *p, const uint8_t *w,
                    size_t apart, float *y)
{
    const struct input_view v = input_view(KERNELS_INT8_32, p->input, (uint32_t)n, p->n_in, NULL);
    const size_t bytes = 4 * block_bytes32(type), stride = apart * p->row_bytes;
    const size_t n_whole = p->n_in / 128, rest = p->n_in % 128 / 32;
    struct halfs32 halfs[2];
    __m512 sum[MATVEC_TOKENS];
    for (int t = 0; t < n; t++)
        sum[t] = _mm512_setzero_ps();
    if (n_whole > 0)
        copy_halfs32(type, w, stride, &halfs[0]);
    for (size_t f = 0; f < n_whole; f++, w += bytes) {
        look_ahead32(type, w, stride, f, n_whole, halfs);
        add_four(type, n, &v, w, stride, &halfs[f % 2], f, sum);
    }
    if (rest) {
        struct rest32 copy = copy_rest32(type, w, stride, rest);
        copy_halfs32(type, copy.blocks[0], sizeof copy.blocks[0], &halfs[0]);
        add_four(type, n, &v, copy.blocks[0], sizeof copy.blocks[0], &halfs[0], n_whole, sum);
    }
    for (int t = 0; t < n; t++)
        store_rows(y + (size_t)t * p->y_stride, apart, sum[t]);
}

INLINE void rows_of(uint32_t type, const struct kernels_product *p, const uint8_t *w,
                    uint32_t row_begin, uint32_t row_end)
{
    assert(p->n_tokens <= tokens_in_rows(type));
    if (p->n_tokens == 1)
        in_streams(type, 1, p, w, row_begin, row_end, streams);
    else if (tokens_in_rows(type) == MATVEC_TOKENS)
        in_streams(type, MATVEC_TOKENS, p, w, row_begin, row_end, streams);
}

EACH_TYPE32(FUNCTION_OF)
FUNCTION_OF(QUANT_MXFP4)

void matvec32_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                     uint32_t row_end)
{
    switch (p->type) {
        EACH_TYPE32(CASE_OF)
        CASE_OF(QUANT_MXFP4)
    default:
        assert(false);
    }
}
