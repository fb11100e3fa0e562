/*
 * matvec32_avx512: rows of types with blocks of 32 against one token.
 *
 * One row at a time, strictly in order, eight blocks at a time: the weights as unsigned bytes x
 * int8 activations (vpdpbusd), the eight sums I in one vector, (I d + S m) scale, added up by
 * fours and then to the row's sum: the order of generic.h.
 */
#include "kernels/blocks32_avx512.h"

#include <assert.h>

/* Eight blocks of a row on their way to its sum: the lanes of each half of a vector sum to the I
 * of a block. */
struct eight {
    __m512i lanes[4];
    __m256 d, m;
    uint32_t g;
};

/* Blocks 8 g to 8 g + 7 of a row */
INLINE struct eight multiply(uint32_t type, const uint8_t *blocks, const struct input_view *v,
                             uint32_t g)
{
    struct eight e = {.d = _mm256_cvtph_ps(halfs32(type, blocks, 0)), .g = g};
    __m512i q[4];
    if (has_mins32(type))
        e.m = _mm256_cvtph_ps(halfs32(type, blocks, 2));
    bytes32(type, blocks, q);
    for (int i = 0; i < 4; i++)
        e.lanes[i] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), q[i],
                                         load512(v->q + (size_t)g * GROUP + 64 * i));
    return e;
}

INLINE float add(uint32_t type, const struct eight *e, const struct input_view *v, float sum)
{
    __m256i products = sum8(e->lanes);
    __m256i bias = _mm256_loadu_si256((const void *)(v->bias + (size_t)e->g * 8));
    __m256 terms;
    if (has_mins32(type)) {
        __m256i sum_q = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_srai_epi32(bias, 7));
        terms = _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(products), e->d),
                              _mm256_mul_ps(_mm256_cvtepi32_ps(sum_q), e->m));
    } else {
        products = _mm256_add_epi32(products, _mm256_srai_epi32(bias, zero_point_shift(type)));
        terms = _mm256_mul_ps(_mm256_cvtepi32_ps(products), e->d);
    }
    terms = _mm256_mul_ps(terms, _mm256_loadu_ps(v->scale + (size_t)e->g * 8));
    /* each half: ((t0 + t1) + t2) + t3 */
    __m256 four = _mm256_add_ps(terms, _mm256_permute_ps(terms, 1));
    four = _mm256_add_ps(four, _mm256_permute_ps(terms, 2));
    four = _mm256_add_ps(four, _mm256_permute_ps(terms, 3));
    sum += _mm256_cvtss_f32(four);
    return sum + _mm_cvtss_f32(_mm256_extractf128_ps(four, 1));
}

/* A last group of less than eight blocks: those that are missing are zero in a copy. */
INLINE float add_rest(uint32_t type, const uint8_t *blocks, uint32_t n, const struct input_view *v,
                      uint32_t g, float sum)
{
    uint8_t copy[8 * sizeof(struct block_q8_0)] = {0};
    memcpy(copy, blocks, n * block_bytes32(type));
    struct eight e = multiply(type, copy, v, g);
    return add(type, &e, v, sum);
}

/* What follows the products of eight blocks stands behind the products of the next eight, so
 * that its long chain of small operations does not hold them up. */
INLINE void rows(uint32_t type, const struct kernels_product *p, const uint8_t *w,
                 uint32_t row_begin, uint32_t row_end)
{
    const struct input_view v = input_view(KERNELS_INT8_32, p->input, 1, p->n_in, NULL);
    const size_t bytes = 8 * block_bytes32(type);
    const uint32_t n_whole = p->n_in / GROUP, rest = p->n_in % GROUP / 32;
    for (uint32_t row = row_begin; row < row_end; row++, w += p->row_bytes) {
        float sum = 0;
        if (n_whole) {
            struct eight before = multiply(type, w, &v, 0);
            for (uint32_t g = 1; g < n_whole; g++) {
                if (g % 4 == 1) /* four groups are whole lines */
                    prefetch_ahead(w + (g - 1) * bytes, 4 * bytes);
                struct eight now = multiply(type, w + g * bytes, &v, g);
                sum = add(type, &before, &v, sum);
                before = now;
            }
            sum = add(type, &before, &v, sum);
        }
        if (rest)
            sum = add_rest(type, w + n_whole * bytes, rest, &v, n_whole, sum);
        p->y[row] = sum;
    }
}

void matvec32_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                     uint32_t row_end)
{
    assert(p->n_tokens == 1);
    switch (p->type) {
    case QUANT_Q4_0:
        rows(QUANT_Q4_0, p, w, row_begin, row_end);
        break;
    case QUANT_Q4_1:
        rows(QUANT_Q4_1, p, w, row_begin, row_end);
        break;
    case QUANT_Q5_0:
        rows(QUANT_Q5_0, p, w, row_begin, row_end);
        break;
    case QUANT_Q5_1:
        rows(QUANT_Q5_1, p, w, row_begin, row_end);
        break;
    case QUANT_Q8_0:
        rows(QUANT_Q8_0, p, w, row_begin, row_end);
        break;
    default:
        assert(p->type == QUANT_IQ4_NL);
        rows(QUANT_IQ4_NL, p, w, row_begin, row_end);
    }
}
