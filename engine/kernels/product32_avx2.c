/*
 * product32_avx2: products with weights in blocks of 32, the float order of generic.h.
 *
 * A row at a time, eight blocks in eight registers against one token after the other: for one token
 * that reads the weights strictly in order, for more it unpacks them once.
 */
#include "kernels/simd_avx2.h"

#include <assert.h>

INLINE size_t block_bytes32(uint32_t type)
{
    return type == QUANT_Q8_0 ? sizeof(struct block_q8_0) : sizeof(struct block_q4_0);
}

/* Eight blocks as bytes: Q8_0 as they are, Q4_0 weight + 8 */
INLINE void bytes32(uint32_t type, const uint8_t *blocks, __m256i q[8])
{
    for (int j = 0; j < 8; j++) {
        const uint8_t *qs = blocks + (size_t)j * block_bytes32(type) + 2;
        if (type == QUANT_Q8_0) {
            q[j] = load256(qs);
            continue;
        }
        __m128i both = load128(qs);
        q[j] =
            _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(both, 4), both), _mm256_set1_epi8(15));
    }
}

/* Products of 32 elements in eight lanes. Pairs fit int16: at most 2 * 128 * 127, as no
 * activation is -128. */
INLINE __m256i products(uint32_t type, __m256i q, const int8_t *x)
{
    __m256i a = load256(x),
            pairs = type == QUANT_Q8_0
                        ? _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(a, q))
                        : _mm256_maddubs_epi16(q, a);
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

INLINE __m256 scales32(uint32_t type, const uint8_t *blocks)
{
    const size_t n = block_bytes32(type);
    const uint8_t *b = blocks;
    return _mm256_cvtph_ps(_mm_setr_epi16(load16(b), load16(b + n), load16(b + 2 * n),
                                          load16(b + 3 * n), load16(b + 4 * n), load16(b + 5 * n),
                                          load16(b + 6 * n), load16(b + 7 * n)));
}

/* Eight blocks x one token onto sum */
INLINE float add_eight(uint32_t type, const __m256i q[8], __m256 d, const struct input_view *v,
                       size_t cell, float sum)
{
    const int8_t *x = v->q + cell * GROUP;
    __m256i two[4];
    for (int j = 0; j < 4; j++)
        two[j] = _mm256_hadd_epi32(products(type, q[2 * j], x + 64 * j),
                                   products(type, q[2 * j + 1], x + 64 * j + 32));
    __m256i low = _mm256_hadd_epi32(two[0], two[1]), high = _mm256_hadd_epi32(two[2], two[3]);
    __m256i total = _mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x20),
                                     _mm256_permute2x128_si256(low, high, 0x31));
    if (type == QUANT_Q4_0) /* the bias is that of weight + 128 */
        total = _mm256_add_epi32(total, _mm256_srai_epi32(load256(v->bias + cell * 8), 4));
    __m256 terms = _mm256_mul_ps(_mm256_cvtepi32_ps(total), d);
    terms = _mm256_mul_ps(terms, _mm256_loadu_ps(v->scale + cell * 8));
    /* each half: ((t0 + t1) + t2) + t3 */
    __m256 four = _mm256_add_ps(terms, _mm256_permute_ps(terms, 1));
    four = _mm256_add_ps(four, _mm256_permute_ps(terms, 2));
    four = _mm256_add_ps(four, _mm256_permute_ps(terms, 3));
    sum += _mm256_cvtss_f32(four);
    return sum + _mm_cvtss_f32(_mm256_extractf128_ps(four, 1));
}

INLINE void product(uint32_t type, const struct kernels_product *p, const uint8_t *w,
                    uint32_t row_begin, uint32_t row_end, float *sums)
{
    const struct input_view v = input_view(KERNELS_INT8_32, p->input, p->n_tokens, p->n_in, NULL);
    const size_t bytes = 8 * block_bytes32(type);
    for (uint32_t row = row_begin; row < row_end; row++, w += p->row_bytes) {
        memset(sums, 0, p->n_tokens * sizeof *sums);
        for (uint32_t g = 0; g < v.n_groups; g++) {
            const uint8_t *blocks = w + g * bytes;
            uint8_t copy[8 * sizeof(struct block_q8_0)];
            uint32_t left = p->n_in / 32 - g * 8;
            prefetch_ahead(blocks, bytes);
            if (left < 8) { /* those that are missing are zero in a copy */
                memset(copy, 0, sizeof copy);
                blocks = memcpy(copy, blocks, left * block_bytes32(type));
            }
            __m256i q[8];
            __m256 d = scales32(type, blocks);
            bytes32(type, blocks, q);
            for (uint32_t t = 0; t < p->n_tokens; t++)
                sums[t] = add_eight(type, q, d, &v, (size_t)g * p->n_tokens + t, sums[t]);
        }
        for (uint32_t t = 0; t < p->n_tokens; t++)
            p->y[t * p->y_stride + row] = sums[t];
    }
}

void product32_avx2(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                    uint32_t row_end, void *scratch)
{
    if (p->type == QUANT_Q8_0) {
        product(QUANT_Q8_0, p, w, row_begin, row_end, scratch_sums(scratch));
    } else {
        assert(p->type == QUANT_Q4_0);
        product(QUANT_Q4_0, p, w, row_begin, row_end, scratch_sums(scratch));
    }
}
