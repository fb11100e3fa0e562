/*
 * matvec256_avx512: rows of types with blocks of 256 against one token.
 *
 * One block of each of 16 rows at a time, four rows by four; in the end a lane is a row.
 *   1. the group scales of four blocks as bytes;
 *   2. per block: bytes of the weights x int8 activations -> 16 sums of 4 per vector (vpdpbusd);
 *      those of two rows packed to int16, times the group scales (vpdpwssd) -> lanes that sum to
 *      the I of both;
 *   3. I and M of the 16 rows as one vector each, (I d - M dmin) scale, added to the sums of the
 *      rows: the order of generic.h.
 */
#include "kernels/x86/blocks256_avx512.h"

#include <assert.h>

/* For the words of two packed vectors of sums, in each quarter four of row a and four of row b,
 * where their group scale stands: among the bytes of scales256 for groups of 32 (rows 0 and 1, rows
 * 2 and 3), among the words of scales_of_two for groups of 16. */
#define FOUR(a)     a, a, a, a
#define QUARTER(a)  FOUR(a), FOUR((a) + 16)
#define HALVES(a)   QUARTER(a), QUARTER(a), QUARTER((a) + 2), QUARTER((a) + 2)
#define QUARTERS(a) QUARTER(a), QUARTER((a) + 1), QUARTER((a) + 2), QUARTER((a) + 3)
static const uint16_t groups_of_32[2][4][32] = {
    {{HALVES(0)}, {HALVES(1)}, {HALVES(4)}, {HALVES(5)}},
    {{HALVES(32)}, {HALVES(33)}, {HALVES(36)}, {HALVES(37)}},
};
static const uint16_t groups_of_16[4][32] = {
    {QUARTERS(0)}, {QUARTERS(4)}, {QUARTERS(8)}, {QUARTERS(12)}};

/* ---- step 1 ---- */

/* The scales of blocks 2 i and 2 i + 1 as int16, for types with 16 of them */
INLINE __m512i scales_of_two(uint32_t type, __m512i scales, int i)
{
    __m256i two = i ? _mm512_extracti64x4_epi64(scales, 1) : _mm512_castsi512_si256(scales);
    if (type == QUANT_Q2_K)
        two = _mm256_and_si256(two, _mm256_set1_epi8(15));
    return _mm512_cvtepi8_epi16(two);
}

/* The mins of Q2_K (the high nibbles), likewise */
INLINE __m512i mins_of_two(__m512i scales, int i)
{
    __m256i two = i ? _mm512_extracti64x4_epi64(scales, 1) : _mm512_castsi512_si256(scales);
    return _mm512_srli_epi16(_mm512_cvtepu8_epi16(two), 4);
}

/* One scale as int16 for each word of the packed sums of rows 2 i and 2 i + 1 */
INLINE void scale_words(uint32_t type, __m512i scales, int i, __m512i s[4])
{
    for (int k = 0; k < 4; k++)
        if (groups256(type) == 8) /* one byte permutation, odd bytes zero */
            s[k] = _mm512_maskz_permutexvar_epi8(0x5555555555555555, load512(groups_of_32[i][k]),
                                                 scales);
        else
            s[k] =
                _mm512_permutexvar_epi16(load512(groups_of_16[k]), scales_of_two(type, scales, i));
}

/* ---- step 2 ---- */

/* In each quarter lanes 0 and 1 sum to I of row a, lanes 2 and 3 to that of row b, still with the
 * offset of the weights */
INLINE __m512i products(const __m512i a[4], const __m512i b[4], const int8_t *x, const __m512i s[4])
{
    const __m512i zero = _mm512_setzero_si512();
    __m512i sum = zero;
    for (int k = 0; k < 4; k++) { /* at most 4 * 63 * 127 = 32004: fits int16 */
        __m512i x64 = load512(x + 64 * k);
        __m512i words = _mm512_packs_epi32(_mm512_dpbusd_epi32(zero, a[k], x64),
                                           _mm512_dpbusd_epi32(zero, b[k], x64));
        sum = _mm512_dpwssd_epi32(sum, words, s[k]);
    }
    return sum;
}

/* As products, of bytes that use all eight bits; `two` is what scales_of_two gave. */
INLINE __m512i products_wide_of_two(uint32_t type, const __m512i a[4], const __m512i b[4],
                                    const int8_t *x, __m512i two)
{
    __m512i sum_a = products_wide(type, a, x, _mm512_castsi512_si256(two));
    __m512i sum_b = products_wide(type, b, x, _mm512_extracti64x4_epi64(two, 1));
    return _mm512_add_epi32(_mm512_unpacklo_epi64(sum_a, sum_b),
                            _mm512_unpackhi_epi64(sum_a, sum_b));
}

/* What the offset of the weights adds too much to products: offset * sum of scale * sum of 16
 * activations; `two` is what scales_of_two gave. */
INLINE __m512i offset_products(uint32_t type, __m512i two, __m512i sum16)
{
    const unsigned log2 = (unsigned)__builtin_ctz((unsigned)offset256(type));
    const __m512i quarters = _mm512_set_epi32(15, 14, 7, 6, 13, 12, 5, 4, 11, 10, 3, 2, 9, 8, 1, 0);
    __m512i sums = _mm512_slli_epi32(_mm512_madd_epi16(two, sum16), log2);
    return _mm512_permutexvar_epi32(quarters, sums);
}

/* Vectors whose quarters are a, a, b, b and c, c, d, d as one with quarters a, b, c, d */
INLINE __m512i join_quarters(const __m512i v[2])
{
    __m512 ab = _mm512_castsi512_ps(v[0]), cd = _mm512_castsi512_ps(v[1]);
    return _mm512_add_epi32(
        _mm512_castps_si512(_mm512_shuffle_ps(ab, cd, _MM_SHUFFLE(2, 0, 2, 0))),
        _mm512_castps_si512(_mm512_shuffle_ps(ab, cd, _MM_SHUFFLE(3, 1, 3, 1))));
}

/* Vectors whose halves belong to a and b and to c and d as one whose quarters do to a, b, c, d */
INLINE __m512i join_halves(const __m512i v[2])
{
    return _mm512_add_epi32(_mm512_shuffle_i64x2(v[0], v[1], _MM_SHUFFLE(2, 0, 2, 0)),
                            _mm512_shuffle_i64x2(v[0], v[1], _MM_SHUFFLE(3, 1, 3, 1)));
}

/* One block of each of 16 rows on their way to their sums */
struct column {
    __m512i products[4]; /* lane j of the quarters of k sums to I of row 4 k + j */
    __m512i mins[4];     /* quarter j of k sums to M of row 4 k + j */
};

/* Block number `at` of rows 4 k to 4 k + 3, which are b */
INLINE void multiply(uint32_t type, const struct input_view *v, const uint8_t *const b[4],
                     size_t at, int k, struct column *out)
{
    const int8_t *x = (groups256(type) == 8 ? v->paired : v->q) + at * GROUP;
    const __m512i sum16 = twice256(v->sum16 + at * 16), scales = scales256(type, b);
    __m512i lanes[2], mins[2];
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        __m512i first[4], second[4], s[4];
        bytes_for_token(type, b[2 * i], first);
        bytes_for_token(type, b[2 * i + 1], second);
        if (is_wide256(type)) {
            lanes[i] = products_wide_of_two(type, first, second, x, scales_of_two(type, scales, i));
        } else {
            scale_words(type, scales, i, s);
            lanes[i] = products(first, second, x, s);
        }
        if (offset256(type))
            lanes[i] = _mm512_sub_epi32(
                lanes[i], offset_products(type, scales_of_two(type, scales, i), sum16));
        if (type == QUANT_Q2_K)
            mins[i] = _mm512_madd_epi16(mins_of_two(scales, i), sum16);
    }
    out->products[k] = join_quarters(lanes);
    if (groups256(type) == 8) /* the upper half of each quarter of scales */
        out->mins[k] = _mm512_madd_epi16(
            _mm512_unpackhi_epi8(scales, _mm512_setzero_si512()),
            _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)(v->sum32 + at * 8))));
    else if (type == QUANT_Q2_K)
        out->mins[k] = join_halves(mins);
}

/* ---- step 3 ---- */

/* d of 16 rows, and dmin where there is one */
struct factors {
    __m512 d, dmin;
};

/* of types whose blocks begin with both: heads are the first 16 bytes, of four rows each */
INLINE struct factors factors_of_heads(const __m512i heads[4])
{
    const __m512i d = _mm512_castsi256_si512(
        _mm256_setr_epi16(0, 8, 16, 24, 2, 10, 18, 26, 4, 12, 20, 28, 6, 14, 22, 30));
    __m512i both = _mm512_unpacklo_epi64(_mm512_unpacklo_epi32(heads[0], heads[1]),
                                         _mm512_unpacklo_epi32(heads[2], heads[3]));
    __m512i dmin = _mm512_add_epi16(d, _mm512_set1_epi16(1));
    return (struct factors){
        _mm512_cvtph_ps(_mm512_castsi512_si256(_mm512_permutexvar_epi16(d, both))),
        _mm512_cvtph_ps(_mm512_castsi512_si256(_mm512_permutexvar_epi16(dmin, both)))};
}

/* ditto of other types */
INLINE struct factors factors_of_halfs(uint32_t type, const struct halfs256 *h)
{
    __m512 d = _mm512_cvtph_ps(_mm256_loadu_si256((const void *)h->d));
    if (type == QUANT_IQ3_XXS) /* see scales256_of_eight */
        d = _mm512_mul_ps(d, _mm512_set1_ps(0.25f));
    return (struct factors){
        d, has_mins256(type) ? _mm512_cvtph_ps(_mm256_loadu_si256((const void *)h->dmin)) : d};
}

/* The terms of 16 rows */
INLINE __m512 terms(uint32_t type, const struct column *c, struct factors f, float scale)
{
    __m512 term = _mm512_mul_ps(_mm512_cvtepi32_ps(sum_of_quarters(c->products)), f.d);
    if (has_mins256(type))
        term = _mm512_sub_ps(term,
                             _mm512_mul_ps(_mm512_cvtepi32_ps(sum_in_quarters(c->mins)), f.dmin));
    return _mm512_mul_ps(term, _mm512_set1_ps(scale));
}

/* As streams_fn, one token */
INLINE void streams(uint32_t type, const int n, const struct kernels_product *p, const uint8_t *w,
                    size_t apart, float *y)
{
    const struct input_view v = input_view(KERNELS_INT8_256, p->input, (uint32_t)n, p->n_in, NULL);
    const size_t stride = apart * p->row_bytes;
    struct halfs256 halfs[2];
    __m512 sum = _mm512_setzero_ps();
    if (groups256(type) == 16)
        copy_halfs256(type, w, stride, &halfs[0]);
    for (size_t at = 0; at < v.n_groups; at++, w += block_bytes256(type)) {
        struct column c;
        __m512i heads[4];
        if (groups256(type) == 16 && at + 1 < v.n_groups)
            copy_halfs256(type, w + block_bytes256(type), stride, &halfs[(at + 1) % 2]);
        for (size_t k = 0; k < 4; k++) {
            const uint8_t *four = w + 4 * k * stride;
            const uint8_t *const b[4] = {four, four + stride, four + 2 * stride, four + 3 * stride};
            for (int j = 0; j < 4; j++)
                prefetch_ahead(b[j], block_bytes256(type));
            if (groups256(type) == 8)
                heads[k] = four128(b, 0);
            multiply(type, &v, b, at, (int)k, &c);
        }
        struct factors f =
            groups256(type) == 8 ? factors_of_heads(heads) : factors_of_halfs(type, &halfs[at % 2]);
        sum = _mm512_add_ps(sum, terms(type, &c, f, v.scale[at]));
    }
    store_rows(y, apart, sum);
}

void matvec256_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                      uint32_t row_end)
{
    assert(p->n_tokens == 1);
    switch (p->type) {
    case QUANT_Q2_K:
        in_streams(QUANT_Q2_K, 1, p, w, row_begin, row_end, streams);
        break;
    case QUANT_Q3_K:
        in_streams(QUANT_Q3_K, 1, p, w, row_begin, row_end, streams);
        break;
    case QUANT_Q4_K:
        in_streams(QUANT_Q4_K, 1, p, w, row_begin, row_end, streams);
        break;
    case QUANT_Q5_K:
        in_streams(QUANT_Q5_K, 1, p, w, row_begin, row_end, streams);
        break;
    case QUANT_Q6_K:
        in_streams(QUANT_Q6_K, 1, p, w, row_begin, row_end, streams);
        break;
    case QUANT_IQ3_XXS:
        in_streams(QUANT_IQ3_XXS, 1, p, w, row_begin, row_end, streams);
        break;
    case QUANT_IQ3_S:
        in_streams(QUANT_IQ3_S, 1, p, w, row_begin, row_end, streams);
        break;
    default:
        assert(p->type == QUANT_IQ4_XS);
        in_streams(QUANT_IQ4_XS, 1, p, w, row_begin, row_end, streams);
    }
}
