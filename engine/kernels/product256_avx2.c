/*
 * product256_avx2: products with weights in blocks of 256, the float order of generic.h.
 *
 * One token: a row at a time, strictly in order, four blocks at a time (lane j of a vector of four
 * is block j). More: one block of up to 16 rows is unpacked once and goes against four tokens at
 * a time (lane t is token t).
 */
#include "kernels/blocks256_avx2.h"

#include <assert.h>

#define ROWS_AT_ONCE 16

/* Onto lanes that sum to I; pairs of unsigned products fit int16: at most 2 * 63 * 127. */
INLINE __m256i add_products(uint32_t type, __m256i sum, __m256i q, const int8_t *x, __m256i scale)
{
    __m256i pairs =
        type == QUANT_IQ4_XS ? signed_pair_products(q, load256(x)) : pair_products(q, load256(x));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, scale));
}

/* The words of mins256 x the sums of activations of a cell, in lanes */
INLINE __m256i min_products(uint32_t type, __m256i min, const struct input_view *v, size_t cell)
{
    if (groups256(type) == 8)
        return _mm256_zextsi128_si256(
            _mm_madd_epi16(_mm256_castsi256_si128(min), load128(v->sum32 + cell * 8)));
    return _mm256_madd_epi16(min, load256(v->sum16 + cell * 16));
}

/* Lane j: the sum of the lanes of v[j]; with 8 groups only the lower four are used. */
INLINE __m128i sum_mins(uint32_t type, const __m256i v[4])
{
    if (groups256(type) == 16)
        return sum4(v);
    return _mm_hadd_epi32(
        _mm_hadd_epi32(_mm256_castsi256_si128(v[0]), _mm256_castsi256_si128(v[1])),
        _mm_hadd_epi32(_mm256_castsi256_si128(v[2]), _mm256_castsi256_si128(v[3])));
}

/* ---- one token ---- */

/* Blocks at..at+3 of a row, `valid` of them (the others repeat the last and do not count). */
INLINE float add_four(uint32_t type, const struct input_view *v, const uint8_t *row, uint32_t at,
                      uint32_t valid, float sum)
{
    const uint8_t *b[4];
    __m256i lanes[4], mins[4];
    float scale[4] = {0};
    for (uint32_t j = 0; j < 4; j++) {
        uint32_t block = at + (j < valid ? j : valid - 1);
        b[j] = row + block * block_bytes256(type);
        __m256i q[8], scales = scales256(type, b[j]), halves[2];
        scale_halves(scales, halves);
        bytes256(type, b[j], q);
        lanes[j] = _mm256_setzero_si256();
        for (int k = 0; k < 8; k++)
            lanes[j] = add_products(type, lanes[j], q[k], v->q + (size_t)block * GROUP + 32 * k,
                                    scale_words(type, halves, k));
        mins[j] = min_products(type, mins256(type, b[j], scales), v, block);
        if (offset256(type))
            lanes[j] = _mm256_add_epi32(lanes[j], mins[j]);
        if (j < valid)
            scale[j] = v->scale[block];
    }
    prefetch_ahead(b[0], 4 * block_bytes256(type));
    __m128 d, dmin;
    factors256(type, b, &d, &dmin);
    __m128 term = _mm_mul_ps(_mm_cvtepi32_ps(sum4(lanes)), d);
    if (has_mins256(type))
        term = _mm_sub_ps(term, _mm_mul_ps(_mm_cvtepi32_ps(sum_mins(type, mins)), dmin));
    term = _mm_mul_ps(term, _mm_loadu_ps(scale));
    for (uint32_t j = 0; j < valid; j++)
        sum += term[j];
    return sum;
}

INLINE void one_token(uint32_t type, const struct kernels_product *p, const uint8_t *w,
                      uint32_t row_begin, uint32_t row_end)
{
    const struct input_view v = input_view(KERNELS_INT8_256, p->input, 1, p->n_in, NULL);
    for (uint32_t row = row_begin; row < row_end; row++, w += p->row_bytes) {
        float sum = 0;
        uint32_t at = 0;
        for (; at + 4 <= v.n_groups; at += 4)
            sum = add_four(type, &v, w, at, 4, sum);
        if (at < v.n_groups)
            sum = add_four(type, &v, w, at, v.n_groups - at, sum);
        p->y[row] = sum;
    }
}

/* ---- several tokens ---- */

/* One block of a row, unpacked */
struct unpacked {
    __m256i q[8], scale[8];
    __m256i min; /* see mins256 */
    float d, dmin;
};
_Static_assert(ROWS_AT_ONCE * sizeof(struct unpacked) <= TILE_BYTES, "the tile fits its scratch");

INLINE void unpack(uint32_t type, const uint8_t *block, struct unpacked *out)
{
    const uint8_t *const same[4] = {block, block, block, block};
    __m256i scales = scales256(type, block), halves[2];
    scale_halves(scales, halves);
    bytes256(type, block, out->q);
    for (int j = 0; j < 8; j++)
        out->scale[j] = scale_words(type, halves, j);
    out->min = mins256(type, block, scales);
    __m128 d, dmin;
    factors256(type, same, &d, &dmin);
    out->d = _mm_cvtss_f32(d);
    out->dmin = _mm_cvtss_f32(dmin);
}

/* The terms of one block for tokens first..first+3; those past the end repeat the last. */
INLINE __m128 four_tokens(uint32_t type, const struct unpacked *b, const struct input_view *v,
                          const size_t cell[4])
{
    __m256i lanes[4], mins[4];
    for (int t = 0; t < 4; t++)
        lanes[t] = _mm256_setzero_si256();
    for (int k = 0; k < 8; k++) {
        __m256i q = b->q[k], scale = b->scale[k];
        for (int t = 0; t < 4; t++)
            lanes[t] = add_products(type, lanes[t], q, v->q + cell[t] * GROUP + 32 * k, scale);
    }
    for (int t = 0; t < 4; t++) {
        mins[t] = min_products(type, b->min, v, cell[t]);
        if (offset256(type))
            lanes[t] = _mm256_add_epi32(lanes[t], mins[t]);
    }
    __m128 term = _mm_mul_ps(_mm_cvtepi32_ps(sum4(lanes)), _mm_set1_ps(b->d));
    if (has_mins256(type))
        term = _mm_sub_ps(term,
                          _mm_mul_ps(_mm_cvtepi32_ps(sum_mins(type, mins)), _mm_set1_ps(b->dmin)));
    return _mm_mul_ps(term, _mm_setr_ps(v->scale[cell[0]], v->scale[cell[1]], v->scale[cell[2]],
                                        v->scale[cell[3]]));
}

/* One block of n_rows rows x all tokens onto sums[n_tokens][TILE_ROWS]. */
INLINE void add_tile(uint32_t type, const struct unpacked *rows, uint32_t n_rows,
                     const struct input_view *v, uint32_t group, float *sums)
{
    for (uint32_t first = 0; first < v->n_tokens; first += 4) {
        uint32_t n = v->n_tokens - first < 4 ? v->n_tokens - first : 4;
        size_t cell[4];
        for (uint32_t t = 0; t < 4; t++)
            cell[t] = (size_t)group * v->n_tokens + first + (t < n ? t : n - 1);
        for (uint32_t i = 0; i < n_rows; i++) {
            __m128 term = four_tokens(type, &rows[i], v, cell);
            float *sum = sums + (size_t)first * TILE_ROWS + i;
            for (uint32_t t = 0; t < n; t++)
                sum[t * TILE_ROWS] += term[t];
        }
    }
}

INLINE void tiles(uint32_t type, const struct kernels_product *p, const uint8_t *w,
                  uint32_t row_begin, uint32_t row_end, void *scratch)
{
    const struct input_view v = input_view(KERNELS_INT8_256, p->input, p->n_tokens, p->n_in, NULL);
    struct unpacked *unpacked = scratch_tile(scratch);
    float *sums = scratch_sums(scratch);
    for (uint32_t row = row_begin; row < row_end; row += ROWS_AT_ONCE) {
        uint32_t n_rows = row_end - row < ROWS_AT_ONCE ? row_end - row : ROWS_AT_ONCE;
        const uint8_t *first = w + (row - row_begin) * p->row_bytes;
        memset(sums, 0, (size_t)p->n_tokens * TILE_ROWS * sizeof *sums);
        for (uint32_t g = 0; g < v.n_groups; g++) {
            for (uint32_t i = 0; i < n_rows; i++) {
                const uint8_t *block = first + i * p->row_bytes + g * block_bytes256(type);
                unpack(type, block, &unpacked[i]);
                for (size_t at = 0; at < block_bytes256(type); at += 64)
                    _mm_prefetch((const char *)block + block_bytes256(type) + at, _MM_HINT_T1);
            }
            add_tile(type, unpacked, n_rows, &v, g, sums);
        }
        for (uint32_t t = 0; t < p->n_tokens; t++)
            memcpy(p->y + t * p->y_stride + row, sums + (size_t)t * TILE_ROWS,
                   n_rows * sizeof *sums);
    }
}

INLINE void product(uint32_t type, const struct kernels_product *p, const uint8_t *w,
                    uint32_t row_begin, uint32_t row_end, void *scratch)
{
    if (p->n_tokens == 1)
        one_token(type, p, w, row_begin, row_end);
    else
        tiles(type, p, w, row_begin, row_end, scratch);
}

void product256_avx2(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                     uint32_t row_end, void *scratch)
{
    switch (p->type) {
    case QUANT_Q2_K:
        product(QUANT_Q2_K, p, w, row_begin, row_end, scratch);
        break;
    case QUANT_Q3_K:
        product(QUANT_Q3_K, p, w, row_begin, row_end, scratch);
        break;
    case QUANT_Q4_K:
        product(QUANT_Q4_K, p, w, row_begin, row_end, scratch);
        break;
    case QUANT_Q5_K:
        product(QUANT_Q5_K, p, w, row_begin, row_end, scratch);
        break;
    case QUANT_Q6_K:
        product(QUANT_Q6_K, p, w, row_begin, row_end, scratch);
        break;
    default:
        assert(p->type == QUANT_IQ4_XS);
        product(QUANT_IQ4_XS, p, w, row_begin, row_end, scratch);
    }
}
