/*
 * matvec256_avx512: rows of types with blocks of 256 against one token.
 *
 * One row at a time, strictly in order, four blocks at a time:
 *   1. the group scales of four blocks as bytes, their d and dmin as floats;
 *   2. per block: bytes of the weights x int8 activations -> 16 sums of 4 per vector (vpdpbusd),
 *      packed to int16, times the group scales (vpdpwssd) -> 16 lanes that sum to I;
 *   3. the four I and M as one vector each, (I d - M dmin) scale, added to the row's sum one
 *      after the other: the order of generic.h.
 */
#include "kernels/blocks256_avx512.h"

#include <assert.h>

/* For the words of two packed vectors of sums, the group that each belongs to. */
#define PAIR(a, b) a, a, a, a, b, b, b, b
static const uint16_t groups_of_32[2][32] = {
    {PAIR(0, 2), PAIR(0, 2), PAIR(1, 3), PAIR(1, 3)},
    {PAIR(4, 6), PAIR(4, 6), PAIR(5, 7), PAIR(5, 7)},
};
static const uint16_t groups_of_16[2][32] = {
    {PAIR(0, 4), PAIR(1, 5), PAIR(2, 6), PAIR(3, 7)},
    {PAIR(8, 12), PAIR(9, 13), PAIR(10, 14), PAIR(11, 15)},
};

/* The scales of block `lane` as int16, in order, for types with 16 of them */
INLINE __m256i scales_of(uint32_t type, __m512i scales, int lane)
{
    __m128i own;
    switch (lane) {
    case 0:
        own = _mm512_castsi512_si128(scales);
        break;
    case 1:
        own = _mm512_extracti32x4_epi32(scales, 1);
        break;
    case 2:
        own = _mm512_extracti32x4_epi32(scales, 2);
        break;
    default:
        own = _mm512_extracti32x4_epi32(scales, 3);
    }
    if (type == QUANT_Q2_K)
        own = _mm_and_si128(own, _mm_set1_epi8(15));
    return _mm256_cvtepi8_epi16(own);
}

/* One scale as int16 for each word of the packed sums of block `lane` */
INLINE void scale_words(uint32_t type, __m512i scales, int lane, __m512i s[2])
{
    if (groups256(type) == 8) { /* one byte permutation, odd bytes zero */
        const __mmask64 even = 0x5555555555555555;
        __m512i at = _mm512_set1_epi16((short)(16 * lane));
        for (int i = 0; i < 2; i++)
            s[i] = _mm512_maskz_permutexvar_epi8(
                even, _mm512_add_epi16(load512(groups_of_32[i]), at), scales);
        return;
    }
    __m512i own = _mm512_castsi256_si512(scales_of(type, scales, lane));
    for (int i = 0; i < 2; i++)
        s[i] = _mm512_permutexvar_epi16(load512(groups_of_16[i]), own);
}

/* Lanes that sum to I, still with the offset of the weights */
INLINE __m512i products(const __m512i q[4], const int8_t *x, const __m512i s[2])
{
    const __m512i zero = _mm512_setzero_si512();
    __m512i p0 = _mm512_dpbusd_epi32(zero, q[0], load512(x));
    __m512i p1 = _mm512_dpbusd_epi32(zero, q[1], load512(x + 64));
    __m512i p2 = _mm512_dpbusd_epi32(zero, q[2], load512(x + 128));
    __m512i p3 = _mm512_dpbusd_epi32(zero, q[3], load512(x + 192));
    /* at most 4 * 63 * 127 = 32004: fits int16 */
    __m512i sum = _mm512_dpwssd_epi32(zero, _mm512_packs_epi32(p0, p1), s[0]);
    return _mm512_dpwssd_epi32(sum, _mm512_packs_epi32(p2, p3), s[1]);
}

/* The same for bytes that use all eight bits, whose sums do not fit int16 */
INLINE __m512i products_wide(const __m512i q[4], const int8_t *x, __m256i scales)
{
    const __m512i per_element4 = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
    __m512i wide = _mm512_cvtepi16_epi32(scales), sum = _mm512_setzero_si512();
    for (int i = 0; i < 4; i++) {
        __m512i p = _mm512_dpbusd_epi32(_mm512_setzero_si512(), q[i], load512(x + 64 * i));
        __m512i at = _mm512_add_epi32(per_element4, _mm512_set1_epi32(4 * i));
        sum = _mm512_add_epi32(sum, _mm512_mullo_epi32(p, _mm512_permutexvar_epi32(at, wide)));
    }
    return sum;
}

/* What the offset of the weights adds too much: offset * sum of scale * sum of 16 activations */
INLINE __m512i offset_products(uint32_t type, __m256i scales, const int16_t *sum16)
{
    const int log2 = type == QUANT_Q3_K ? 2 : type == QUANT_Q6_K ? 5 : 7;
    __m256i sums = _mm256_madd_epi16(scales, _mm256_loadu_si256((const void *)sum16));
    return _mm512_zextsi256_si512(_mm256_slli_epi32(sums, (unsigned)log2));
}

/* M of four blocks with 8 mins (the upper 8 bytes of each lane): x sums of 32 activations */
INLINE __m128i mins8(__m512i scales, __m512i sum32)
{
    __m512i m = _mm512_madd_epi16(_mm512_unpackhi_epi8(scales, _mm512_setzero_si512()), sum32);
    m = _mm512_add_epi32(m, _mm512_shuffle_epi32(m, _MM_PERM_BADC));
    m = _mm512_add_epi32(m, _mm512_shuffle_epi32(m, _MM_PERM_CDAB));
    const __m512i firsts = _mm512_castsi128_si512(_mm_setr_epi32(0, 4, 8, 12));
    return _mm512_castsi512_si128(_mm512_permutexvar_epi32(firsts, m));
}

/* Lanes that sum to M of a block with 16 mins (the high nibbles): x sums of 16 activations */
INLINE __m512i mins16(const uint8_t *scales, const int16_t *sum16)
{
    __m256i min = _mm256_srli_epi16(_mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)scales)), 4);
    return _mm512_zextsi256_si512(_mm256_madd_epi16(min, _mm256_loadu_si256((const void *)sum16)));
}

/* Four blocks of a row on their way to its sum. */
struct four {
    const uint8_t *b[4];
    uint32_t at;   /* number of the first in the row */
    __mmask8 used; /* at the end of a row some repeat the last block, and do not count */
    __m512i scales;
    __m512i lanes[4]; /* sum to I */
    __m512i mins[4];  /* sum to M (Q2_K) */
};

/* Steps 1 and 2 for blocks at..at+3 of a row, `valid` of which exist. */
INLINE struct four multiply(uint32_t type, const struct input_view *v, const uint8_t *row,
                            uint32_t at, uint32_t valid)
{
    struct four f = {.at = at, .used = (__mmask8)((1u << valid) - 1)};
    uint32_t block[4];
    for (uint32_t j = 0; j < 4; j++) {
        block[j] = at + (j < valid ? j : valid - 1);
        f.b[j] = row + block[j] * block_bytes256(type);
    }
    f.scales = scales256(type, f.b);
    prefetch_ahead(f.b[0], 4 * block_bytes256(type));
    for (int j = 0; j < 4; j++) {
        const int8_t *x = v->q + (size_t)block[j] * GROUP;
        const int16_t *sum16 = v->sum16 + (size_t)block[j] * 16;
        __m512i q[4], s[2];
        bytes256(type, f.b[j], q);
        if (type == QUANT_IQ4_XS) {
            f.lanes[j] = products_wide(q, x, scales_of(type, f.scales, j));
        } else {
            scale_words(type, f.scales, j, s);
            f.lanes[j] = products(q, x, s);
        }
        if (offset256(type))
            f.lanes[j] = _mm512_sub_epi32(
                f.lanes[j], offset_products(type, scales_of(type, f.scales, j), sum16));
        if (type == QUANT_Q2_K)
            f.mins[j] = mins16(f.b[j] + offsetof(struct block_q2_k, scales), sum16);
    }
    return f;
}

/* Step 3 */
INLINE float add(uint32_t type, const struct input_view *v, const struct four *f, float sum)
{
    __m256 factors = factors256(type, f->b);
    __m128 d = _mm256_castps256_ps128(factors), dmin = _mm256_extractf128_ps(factors, 1);
    __m128 term = _mm_mul_ps(_mm_cvtepi32_ps(sum4(f->lanes)), d);
    if (has_mins256(type)) {
        const __mmask64 sums_used = (__mmask64)-1 >> 16 * (4 - _mm_popcnt_u32(f->used));
        __m512i sum32 = _mm512_maskz_loadu_epi8(sums_used, v->sum32 + (size_t)f->at * 8);
        __m128i m = type == QUANT_Q2_K ? sum4(f->mins) : mins8(f->scales, sum32);
        term = _mm_sub_ps(term, _mm_mul_ps(_mm_cvtepi32_ps(m), dmin));
    }
    term = _mm_maskz_mul_ps(f->used, term, _mm_maskz_loadu_ps(f->used, v->scale + f->at));
    for (int j = 0; j < 4; j++)
        sum += term[j];
    return sum;
}

/* Step 3 of four blocks stands behind steps 1 and 2 of the next four, so that its long chain of
 * small operations does not hold them up. */
INLINE void rows(uint32_t type, const struct kernels_product *p, const uint8_t *w,
                 uint32_t row_begin, uint32_t row_end)
{
    const struct input_view v = input_view(KERNELS_INT8_256, p->input, 1, p->n_in, NULL);
    for (uint32_t row = row_begin; row < row_end; row++, w += p->row_bytes) {
        float sum = 0;
        uint32_t at = 0;
        if (v.n_groups >= 4) {
            struct four before = multiply(type, &v, w, 0, 4);
            for (at = 4; at + 4 <= v.n_groups; at += 4) {
                struct four now = multiply(type, &v, w, at, 4);
                sum = add(type, &v, &before, sum);
                before = now;
            }
            sum = add(type, &v, &before, sum);
        }
        if (at < v.n_groups) {
            struct four rest = multiply(type, &v, w, at, v.n_groups - at);
            sum = add(type, &v, &rest, sum);
        }
        p->y[row] = sum;
    }
}

void matvec256_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                      uint32_t row_end)
{
    assert(p->n_tokens == 1);
    switch (p->type) {
    case QUANT_Q2_K:
        rows(QUANT_Q2_K, p, w, row_begin, row_end);
        break;
    case QUANT_Q3_K:
        rows(QUANT_Q3_K, p, w, row_begin, row_end);
        break;
    case QUANT_Q4_K:
        rows(QUANT_Q4_K, p, w, row_begin, row_end);
        break;
    case QUANT_Q5_K:
        rows(QUANT_Q5_K, p, w, row_begin, row_end);
        break;
    case QUANT_Q6_K:
        rows(QUANT_Q6_K, p, w, row_begin, row_end);
        break;
    default:
        assert(p->type == QUANT_IQ4_XS);
        rows(QUANT_IQ4_XS, p, w, row_begin, row_end);
    }
}
