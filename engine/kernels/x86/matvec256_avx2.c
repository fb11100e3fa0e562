/*
 * matvec256_avx2: the order "streams" of products of one token with blocks of 256, the float order
 * of generic.h.
 *
 * One block of each of 8 rows at a time; in the end a lane is a row.
 */
#include "kernels/x86/blocks256_avx2.h"

#include <assert.h>

/* One block of each of 8 rows on their way to the sums */
struct column {
    __m256i products[8]; /* lanes sum to I of a row */
    __m256i mins[8]; /* ditto M; with 8 groups the halves of i sum to M of rows 2 i and 2 i + 1 */
};

/* A block of types with 16 groups x group `at` of the activations */
INLINE void multiply16(uint32_t type, const struct input_view *v, const uint8_t *block, size_t at,
                       __m256i *products, __m256i *min)
{
    __m256i q[8], scales = scales256(type, block), halves[2], sum = _mm256_setzero_si256();
    scale_halves(scales, halves);
    bytes256(type, block, q);
    for (int k = 0; k < 8; k++)
        sum =
            add_products(type, sum, q[k], v->q + at * GROUP + 32 * k, scale_words(type, halves, k));
    *min = min_products(type, mins256(type, block, scales), v, at);
    *products = offset256(type) ? _mm256_add_epi32(sum, *min) : sum;
}

/* Blocks of two rows with 8 groups: their scales are unpacked together, written to memory and
 * broadcast from there, which takes a load where a shuffle would take a unit that computes. */
INLINE void multiply8(uint32_t type, const struct input_view *v, const uint8_t *const b[2],
                      size_t at, __m256i products[2], __m256i *mins)
{
    const __m256i twice = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, -1, 0, -1, 1, -1, 1, -1, 2, -1, 2, -1, 3, -1, 3, -1));
    const __m256i upper = _mm256_add_epi8(twice, _mm256_set1_epi32(0x00040004));
    const __m256i sum32 = _mm256_broadcastsi128_si256(load128(v->sum32 + at * 8));
    __m256i scales = scales_k4(b[0], b[1]);
    int32_t words[2][2][4]; /* [group / 4][row][group % 4], a word twice */
    _mm256_storeu_si256((void *)words[0], _mm256_shuffle_epi8(scales, twice));
    _mm256_storeu_si256((void *)words[1], _mm256_shuffle_epi8(scales, upper));
    __asm__("" : "+m"(words)); /* or the compiler takes them out of the registers */
    *mins = _mm256_madd_epi16(_mm256_unpackhi_epi8(scales, _mm256_setzero_si256()), sum32);
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++) {
        __m256i q[8], sum = _mm256_setzero_si256();
        bytes256(type, b[j], q);
        for (int k = 0; k < 8; k++)
            sum = add_products(type, sum, q[k], v->q + at * GROUP + 32 * k,
                               _mm256_set1_epi32(words[k / 4][j][k % 4]));
        products[j] = sum;
    }
}

/* M of 8 rows */
INLINE __m256i sum_mins8(uint32_t type, const __m256i mins[8])
{
    if (groups256(type) == 16)
        return sums8(mins);
    return _mm256_permutevar8x32_epi32(sum4_halves(mins),
                                       _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

INLINE __m256 terms8(uint32_t type, const struct column *c, const struct halfs256 *h, float scale)
{
    __m256 term = _mm256_mul_ps(_mm256_cvtepi32_ps(sums8(c->products)),
                                scales256_of_eight(type, load128(h->d)));
    if (has_mins256(type))
        term = _mm256_sub_ps(term, _mm256_mul_ps(_mm256_cvtepi32_ps(sum_mins8(type, c->mins)),
                                                 _mm256_cvtph_ps(load128(h->dmin))));
    return _mm256_mul_ps(term, _mm256_set1_ps(scale));
}

/* 8 rows, `apart` rows from each other */
INLINE void streams(uint32_t type, const int n, const struct kernels_product *p, const uint8_t *w,
                    size_t apart, float *y)
{
    const struct input_view v = input_view(KERNELS_INT8_256, p->input, 1, p->n_in, NULL);
    const size_t bytes = block_bytes256(type), stride = apart * p->row_bytes;
    struct halfs256 halfs[2];
    __m256 sum = _mm256_setzero_ps();
    (void)n; /* is 1 */
    copy_halfs256(type, w, stride, &halfs[0]);
    for (size_t at = 0; at < v.n_groups; at++, w += bytes) {
        struct column c;
        if (at + 1 < v.n_groups)
            copy_halfs256(type, w + bytes, stride, &halfs[(at + 1) % 2]);
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; i++) {
            const uint8_t *const b[2] = {w + 2 * i * stride, w + (2 * i + 1) * stride};
            prefetch_ahead(b[0], bytes);
            prefetch_ahead(b[1], bytes);
            if (groups256(type) == 8)
                multiply8(type, &v, b, at, &c.products[2 * i], &c.mins[i]);
            else
                for (size_t j = 0; j < 2; j++)
                    multiply16(type, &v, b[j], at, &c.products[2 * i + j], &c.mins[2 * i + j]);
        }
        sum = _mm256_add_ps(sum, terms8(type, &c, &halfs[at % 2], v.scale[at]));
    }
    store_rows(y, apart, sum);
}

void matvec256_avx2(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                    uint32_t row_end)
{
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
