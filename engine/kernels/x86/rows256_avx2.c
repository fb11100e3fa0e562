/*
 * rows256_avx2: the order "rows" of products of one token with blocks of 256.
 *
 * One row after the other, four blocks at a time (lane j of a vector of four is block j).
 */
#include "kernels/x86/blocks256_avx2.h"

#include <assert.h>

/* Four blocks of a row on their way to its sum. */
struct four {
    const uint8_t *b[4];
    uint32_t at, valid; /* the first's number in the row; how many count, the others repeat it */
    __m256i lanes[4];   /* sum to I */
    __m128i mins;       /* M of each */
};

/* lanes and mins of types with 16 groups; block[j] is the number of b[j] in the row */
INLINE void multiply16(uint32_t type, const struct input_view *v, const uint32_t block[4],
                       struct four *f)
{
    __m256i mins[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        __m256i q[8], scales = scales256(type, f->b[j]), halves[2], sum = _mm256_setzero_si256();
        scale_halves(scales, halves);
        bytes256(type, f->b[j], q);
        for (int k = 0; k < 8; k++)
            sum = add_products(type, sum, q[k], v->q + (size_t)block[j] * GROUP + 32 * k,
                               scale_words(type, halves, k));
        mins[j] = min_products(type, mins256(type, f->b[j], scales), v, block[j]);
        f->lanes[j] = offset256(type) ? _mm256_add_epi32(sum, mins[j]) : sum;
    }
    if (has_mins256(type))
        f->mins = sum4(mins);
}

/* The same with 8 groups: the scales of two blocks are unpacked together, written to memory and
 * broadcast from there, which takes a load where a shuffle would take a unit that computes. */
INLINE void multiply8(uint32_t type, const struct input_view *v, const uint32_t block[4],
                      struct four *f)
{
    const __m256i twice = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, -1, 0, -1, 1, -1, 1, -1, 2, -1, 2, -1, 3, -1, 3, -1));
    const __m256i upper = _mm256_add_epi8(twice, _mm256_set1_epi32(0x00040004));
    __m256i mins[2];
#pragma GCC unroll 2
    for (int pair = 0; pair < 2; pair++) {
        const int first = 2 * pair, second = first + 1;
        __m256i scales = scales_k4(f->b[first], f->b[second]);
        int32_t words[2][2][4]; /* [group / 4][block][group % 4], a word twice */
        _mm256_storeu_si256((void *)words[0], _mm256_shuffle_epi8(scales, twice));
        _mm256_storeu_si256((void *)words[1], _mm256_shuffle_epi8(scales, upper));
        __asm__("" : "+m"(words)); /* or the compiler takes them out of the registers */
        __m256i sum32 = _mm256_set_m128i(load128(v->sum32 + (size_t)block[second] * 8),
                                         load128(v->sum32 + (size_t)block[first] * 8));
        mins[pair] = _mm256_madd_epi16(_mm256_unpackhi_epi8(scales, _mm256_setzero_si256()), sum32);
#pragma GCC unroll 2
        for (int j = 0; j < 2; j++) {
            const int8_t *x = v->q + (size_t)block[first + j] * GROUP;
            __m256i q[8], sum = _mm256_setzero_si256();
            bytes256(type, f->b[first + j], q);
            for (int k = 0; k < 8; k++)
                sum = add_products(type, sum, q[k], x + 32 * k,
                                   _mm256_set1_epi32(words[k / 4][j][k % 4]));
            f->lanes[first + j] = sum;
        }
    }
    /* lower half: blocks 0 and 2, upper half: blocks 1 and 3 */
    __m256i low = _mm256_unpacklo_epi64(mins[0], mins[1]),
            high = _mm256_unpackhi_epi64(mins[0], mins[1]), m = _mm256_add_epi32(low, high);
    m = _mm256_add_epi32(m, _mm256_srli_epi64(m, 32));
    f->mins = _mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(_mm256_castsi256_si128(m)),
                                              _mm_castsi128_ps(_mm256_extracti128_si256(m, 1)),
                                              _MM_SHUFFLE(2, 0, 2, 0)));
    f->mins = _mm_shuffle_epi32(f->mins, _MM_SHUFFLE(3, 1, 2, 0));
}

INLINE struct four multiply(uint32_t type, const struct input_view *v, const uint8_t *row,
                            uint32_t at, uint32_t valid)
{
    struct four f = {.at = at, .valid = valid};
    uint32_t block[4];
    for (uint32_t j = 0; j < 4; j++) {
        block[j] = at + (j < valid ? j : valid - 1);
        f.b[j] = row + block[j] * block_bytes256(type);
    }
    prefetch_row(f.b[0], 4 * block_bytes256(type));
    if (groups256(type) == 8)
        multiply8(type, v, block, &f);
    else
        multiply16(type, v, block, &f);
    return f;
}

INLINE float add(uint32_t type, const struct input_view *v, const struct four *f, float sum)
{
    __m256 factors = factors256(type, f->b);
    __m128 term = _mm_mul_ps(_mm_cvtepi32_ps(sum4(f->lanes)), _mm256_castps256_ps128(factors));
    if (has_mins256(type))
        term = _mm_sub_ps(term,
                          _mm_mul_ps(_mm_cvtepi32_ps(f->mins), _mm256_extractf128_ps(factors, 1)));
    if (f->valid == 4) {
        term = _mm_mul_ps(term, _mm_loadu_ps(v->scale + f->at));
        return sum + term[0] + term[1] + term[2] + term[3];
    }
    for (uint32_t j = 0; j < f->valid; j++)
        sum += term[j] * v->scale[f->at + j];
    return sum;
}

/* With 8 groups, what follows the products of four blocks stands behind those of the next four, so
 * that its long chain of small operations does not hold them up; with 16 the registers are too few.
 */
INLINE void one_token(uint32_t type, const struct kernels_product *p, const uint8_t *w,
                      uint32_t row_begin, uint32_t row_end)
{
    const struct input_view v = input_view(KERNELS_INT8_256, p->input, 1, p->n_in, NULL);
    for (uint32_t row = row_begin; row < row_end; row++, w += p->row_bytes) {
        float sum = 0;
        uint32_t at = 0;
        if (groups256(type) == 16)
            for (; at + 4 <= v.n_groups; at += 4) {
                struct four now = multiply(type, &v, w, at, 4);
                sum = add(type, &v, &now, sum);
            }
        else if (v.n_groups >= 4) {
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

void rows256_avx2(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                  uint32_t row_end)
{
    switch (p->type) {
    case QUANT_Q2_K:
        one_token(QUANT_Q2_K, p, w, row_begin, row_end);
        break;
    case QUANT_Q3_K:
        one_token(QUANT_Q3_K, p, w, row_begin, row_end);
        break;
    case QUANT_Q4_K:
        one_token(QUANT_Q4_K, p, w, row_begin, row_end);
        break;
    case QUANT_Q5_K:
        one_token(QUANT_Q5_K, p, w, row_begin, row_end);
        break;
    case QUANT_Q6_K:
        one_token(QUANT_Q6_K, p, w, row_begin, row_end);
        break;
    case QUANT_IQ3_XXS:
        one_token(QUANT_IQ3_XXS, p, w, row_begin, row_end);
        break;
    case QUANT_IQ3_S:
        one_token(QUANT_IQ3_S, p, w, row_begin, row_end);
        break;
    default:
        assert(p->type == QUANT_IQ4_XS);
        one_token(QUANT_IQ4_XS, p, w, row_begin, row_end);
    }
}
