/*
 * rows256_avx512: the order "rows" of products with blocks of 256 against one token.
 *
 * One row after the other, four blocks at a time:
 *   1. the group scales of four blocks as bytes, their d and dmin as floats;
 *   2. per block: bytes of the weights x int8 activations -> 16 sums of 4 per vector (vpdpbusd),
 *      packed to int16, times the group scales (vpdpwssd) -> 16 lanes that sum to I;
 *   3. the four I and M as one vector each, (I d - M dmin) scale, added to the row's sum one
 *      after the other: the order of generic.h.
 */
#include "kernels/x86/blocks256_avx512.h"

#include <assert.h>

/* For the words of two packed vectors of sums, the group that each belongs to; with groups of 32,
 * of block 0, 1, 2 or 3 of four, whose scales stand in that lane. */
#define PAIR(a, b) a, a, a, a, b, b, b, b
#define FOUR(a)    PAIR(a, a + 1), PAIR(a, a + 1), PAIR(a + 2, a + 3), PAIR(a + 2, a + 3)
#define OF_BLOCK(j)                                                                                \
    {                                                                                              \
        {FOUR(16 * j)},                                                                            \
        {                                                                                          \
            FOUR(16 * j + 4)                                                                       \
        }                                                                                          \
    }
static const uint16_t groups_of_32[4][2][32] = {OF_BLOCK(0), OF_BLOCK(1), OF_BLOCK(2), OF_BLOCK(3)};
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
        for (int i = 0; i < 2; i++)
            s[i] = _mm512_maskz_permutexvar_epi8(even, load512(groups_of_32[lane][i]), scales);
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

/* What the offset of the weights adds too much: offset * sum of scale * sum of 16 activations */
INLINE __m512i offset_products(uint32_t type, __m256i scales, const int16_t *sum16)
{
    const int log2 = __builtin_ctz((unsigned)offset256(type));
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

/* Four blocks of a row on their way to its sum */
struct four {
    const uint8_t *b[4];
    uint32_t at;            /* number of the first in the row */
    uint32_t valid;         /* so many count; at the end of a row the others repeat the last */
    __m128i products, mins; /* I and M of each */
};

INLINE uint32_t block_of(const struct four *f, uint32_t j)
{
    return f->at + (j < f->valid ? j : f->valid - 1);
}

/* The sums of 32 activations of four blocks */
INLINE __m512i sums32(const struct input_view *v, const struct four *f)
{
    if (f->valid == 4) /* they follow each other */
        return load512(v->sum32 + (size_t)f->at * 8);
    const uint8_t *at[4];
    for (uint32_t j = 0; j < 4; j++)
        at[j] = (const uint8_t *)(v->sum32 + (size_t)block_of(f, j) * 8);
    return four128(at, 0);
}

/* Steps 1 and 2 for blocks at..at+3 of a row, `valid` of which exist */
INLINE struct four multiply(uint32_t type, const struct input_view *v, const uint8_t *row,
                            uint32_t at, uint32_t valid)
{
    struct four f = {.at = at, .valid = valid};
    __m512i lanes[4], mins[4]; /* sum to I and (Q2_K) M */
    for (uint32_t j = 0; j < 4; j++)
        f.b[j] = row + block_of(&f, j) * block_bytes256(type);
    __m512i scales = scales256(type, f.b);
    prefetch_row(f.b[0], 4 * block_bytes256(type));
    for (uint32_t j = 0; j < 4; j++) {
        const size_t cell = block_of(&f, j);
        const int8_t *x = (groups256(type) == 8 ? v->paired : v->q) + cell * GROUP;
        const int16_t *sum16 = v->sum16 + cell * 16;
        __m512i q[4], s[2];
        bytes_for_token(type, f.b[j], q);
        if (is_wide256(type)) {
            lanes[j] = products_wide(type, q, x, scales_of(type, scales, (int)j));
        } else {
            scale_words(type, scales, (int)j, s);
            lanes[j] = products(q, x, s);
        }
        if (offset256(type))
            lanes[j] = _mm512_sub_epi32(
                lanes[j], offset_products(type, scales_of(type, scales, (int)j), sum16));
        if (type == QUANT_Q2_K)
            mins[j] = mins16(f.b[j] + offsetof(struct block_q2_k, scales), sum16);
    }
    f.products = sum4(lanes);
    if (type == QUANT_Q2_K)
        f.mins = sum4(mins);
    else if (has_mins256(type))
        f.mins = mins8(scales, sums32(v, &f));
    return f;
}

/* Step 3 */
INLINE float add(uint32_t type, const struct input_view *v, const struct four *f, float sum)
{
    __m256 factors = factors256(type, f->b);
    __m128 d = _mm256_castps256_ps128(factors), dmin = _mm256_extractf128_ps(factors, 1);
    __m128 term = _mm_mul_ps(_mm_cvtepi32_ps(f->products), d);
    if (has_mins256(type))
        term = _mm_sub_ps(term, _mm_mul_ps(_mm_cvtepi32_ps(f->mins), dmin));
    if (f->valid == 4) {
        term = _mm_mul_ps(term, _mm_loadu_ps(v->scale + f->at));
        return sum + term[0] + term[1] + term[2] + term[3];
    }
    for (uint32_t j = 0; j < f->valid; j++)
        sum += term[j] * v->scale[f->at + j];
    return sum;
}

/* Step 3 of four blocks stands behind steps 1 and 2 of the next four, so that its long chain of
 * small operations does not hold them up. */
INLINE void rows(uint32_t type, const struct kernels_product *p, const uint8_t *w,
                 uint32_t row_begin, uint32_t row_end)
{
    const struct input_view v = input_view(KERNELS_INT8_256, p->input, 1, p->n_in, NULL);
    assert(p->n_tokens == 1);
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

void rows256_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                    uint32_t row_end)
{
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
    case QUANT_IQ3_XXS:
        rows(QUANT_IQ3_XXS, p, w, row_begin, row_end);
        break;
    case QUANT_IQ3_S:
        rows(QUANT_IQ3_S, p, w, row_begin, row_end);
        break;
    default:
        assert(p->type == QUANT_IQ4_XS);
        rows(QUANT_IQ4_XS, p, w, row_begin, row_end);
    }
}
