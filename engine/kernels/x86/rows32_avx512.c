/*
 * rows32_avx512: the order "rows" of products with blocks of 32 against one token or two.
 *
 * One row after the other, eight blocks at a time: the weights as unsigned bytes x
 * int8 activations (vpdpbusd), the eight sums I in one vector, (I d + S m) scale, added up by
 * fours and then to the row's sum: the order of generic.h.
 */
#include "kernels/x86/blocks32_avx512.h"

#include <assert.h>

/* The halfs at `offset` of eight blocks that follow each other */
INLINE __m128i halfs_of_eight(uint32_t type, const uint8_t *blocks, size_t offset)
{
    const size_t bytes = block_bytes32(type);
    if (type == QUANT_MXFP4) { /* the same, at odd addresses; the upper bytes are ignored */
        const __m128i at = _mm_setr_epi16(0, 17, 34, 51, 64, 64 + 17, 64 + 34, 64 + 51);
        return _mm512_castsi512_si128(_mm512_permutex2var_epi8(
            load512(blocks), _mm512_castsi128_si512(at), load512(blocks + 4 * bytes)));
    }
    if (is_paired32(type)) { /* those of four blocks lie within 64 bytes */
        const short n = (short)(bytes / 2), at = (short)(offset / 2);
        const __m128i words = _mm_setr_epi16(
            at, (short)(n + at), (short)(2 * n + at), (short)(3 * n + at), (short)(32 + at),
            (short)(32 + n + at), (short)(32 + 2 * n + at), (short)(32 + 3 * n + at));
        return _mm512_castsi512_si128(_mm512_permutex2var_epi16(
            load512(blocks), _mm512_castsi128_si512(words), load512(blocks + 4 * bytes)));
    }
    const uint8_t *b = blocks + offset;
    __m128i v = _mm_cvtsi32_si128((uint16_t)load16(b));
    v = _mm_insert_epi16(v, load16(b + bytes), 1);
    v = _mm_insert_epi16(v, load16(b + 2 * bytes), 2);
    v = _mm_insert_epi16(v, load16(b + 3 * bytes), 3);
    v = _mm_insert_epi16(v, load16(b + 4 * bytes), 4);
    v = _mm_insert_epi16(v, load16(b + 5 * bytes), 5);
    v = _mm_insert_epi16(v, load16(b + 6 * bytes), 6);
    return _mm_insert_epi16(v, load16(b + 7 * bytes), 7);
}

/* Lane j: the sum of half j (0 lower, 1 upper of v[0], then v[1], ...) */
INLINE __m256i sum8(const __m512i v[4])
{
    __m512i a =
        _mm512_add_epi32(_mm512_unpacklo_epi32(v[0], v[1]), _mm512_unpackhi_epi32(v[0], v[1]));
    __m512i b =
        _mm512_add_epi32(_mm512_unpacklo_epi32(v[2], v[3]), _mm512_unpackhi_epi32(v[2], v[3]));
    __m512i c = _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    /* lanes of 128: lower half twice, upper half twice; each 0, 2, 4, 6 and 1, 3, 5, 7 */
    const __m512i first = _mm512_castsi256_si512(_mm256_setr_epi32(0, 8, 1, 9, 2, 10, 3, 11));
    const __m512i second = _mm512_castsi256_si512(_mm256_setr_epi32(4, 12, 5, 13, 6, 14, 7, 15));
    return _mm256_add_epi32(_mm512_castsi512_si256(_mm512_permutexvar_epi32(first, c)),
                            _mm512_castsi512_si256(_mm512_permutexvar_epi32(second, c)));
}

/* Eight blocks of a row on their way to the sums of n tokens. */
struct eight {
    __m256i products[MATVEC_TOKENS]; /* I */
    __m256 d, m;
    uint32_t g;
};

/* Lanes that sum to I: of blocks 2 i and 2 i + 1 in the halves of vector i; of four blocks in the
 * quarters of a vector where the type is paired. */
INLINE void products(uint32_t type, const __m512i q[4], const struct input_view *v, size_t cell,
                     __m512i lanes[4])
{
    const __m512i zero = _mm512_setzero_si512();
    if (is_paired32(type)) {
        const int8_t *x = v->paired + cell * GROUP;
        for (int i = 0; i < 2; i++)
            lanes[i] =
                _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(zero, q[2 * i], load512(x + 128 * i)),
                                    q[2 * i + 1], load512(x + 128 * i + 64));
        return;
    }
    for (int i = 0; i < 4; i++)
        lanes[i] = _mm512_dpbusd_epi32(zero, q[i], load512(v->q + cell * GROUP + 64 * i));
}

INLINE __m256i eight_sums(uint32_t type, const __m512i lanes[4])
{
    if (!is_paired32(type))
        return sum8(lanes);
    /* quarter i: blocks i and i + 4 alternate */
    __m512i two = _mm512_add_epi32(_mm512_unpacklo_epi32(lanes[0], lanes[1]),
                                   _mm512_unpackhi_epi32(lanes[0], lanes[1]));
    two = _mm512_add_epi32(two, _mm512_shuffle_epi32(two, _MM_PERM_BADC));
    const __m512i in_order = _mm512_castsi256_si512(_mm256_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13));
    return _mm512_castsi512_si256(_mm512_permutexvar_epi32(in_order, two));
}

/* Blocks 8 g to 8 g + 7 of a row x n tokens (a constant) */
INLINE struct eight multiply(uint32_t type, const int n, const uint8_t *blocks,
                             const struct input_view *v, uint32_t g)
{
    struct eight e = {.d = scales32_of_eight(type, halfs_of_eight(type, blocks, 0)), .g = g};
    __m512i q[4];
    if (has_mins32(type))
        e.m = _mm256_cvtph_ps(halfs_of_eight(type, blocks, 2));
    for (size_t i = 0; i < 2; i++) {
        const uint8_t *four = blocks + 4 * i * block_bytes32(type);
        if (is_paired32(type))
            bytes32_paired(type, four, &q[2 * i]);
        else
            bytes32(type, four, &q[2 * i]);
    }
    for (int t = 0; t < n; t++) {
        __m512i lanes[4];
        products(type, q, v, (size_t)g * (size_t)n + (size_t)t, lanes);
        e.products[t] = eight_sums(type, lanes);
    }
    return e;
}

INLINE float add(uint32_t type, const int n, const struct eight *e, const struct input_view *v,
                 int token, float sum)
{
    const size_t cell = (size_t)e->g * (size_t)n + (size_t)token;
    __m256i sums = e->products[token];
    __m256i bias = _mm256_loadu_si256((const void *)(v->bias + cell * 8));
    __m256 terms;
    if (has_mins32(type)) {
        __m256i sum_q = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_srai_epi32(bias, 7));
        terms = _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(sums), e->d),
                              _mm256_mul_ps(_mm256_cvtepi32_ps(sum_q), e->m));
    } else {
        sums = _mm256_add_epi32(sums, _mm256_srai_epi32(bias, zero_point_shift(type)));
        terms = _mm256_mul_ps(_mm256_cvtepi32_ps(sums), e->d);
    }
    terms = _mm256_mul_ps(terms, _mm256_loadu_ps(v->scale + cell * 8));
    /* each half: ((t0 + t1) + t2) + t3 */
    __m256 four = _mm256_add_ps(terms, _mm256_permute_ps(terms, 1));
    four = _mm256_add_ps(four, _mm256_permute_ps(terms, 2));
    four = _mm256_add_ps(four, _mm256_permute_ps(terms, 3));
    sum += _mm256_cvtss_f32(four);
    return sum + _mm_cvtss_f32(_mm256_extractf128_ps(four, 1));
}

/* The sums of n tokens over a row. A last group of less than eight blocks is filled up with zeros
 * in a copy. With one token, what follows the products of eight blocks stands behind the products
 * of the next eight, so that its long chain of small operations does not hold them up. */
INLINE void row(uint32_t type, const int n, const uint8_t *w, uint32_t n_in,
                const struct input_view *v, float sum[MATVEC_TOKENS])
{
    const size_t bytes = 8 * block_bytes32(type);
    const uint32_t n_whole = n_in / GROUP, rest = n_in % GROUP / 32;
    struct eight before;
    for (uint32_t g = 0; g < n_whole; g++) {
        if (g % groups_of_lines32(type) == 0)
            prefetch_row(w + g * bytes, groups_of_lines32(type) * bytes);
        struct eight now = multiply(type, n, w + g * bytes, v, g);
        for (int t = 0; t < n; t++)
            if (n > 1 || g > 0)
                sum[t] = add(type, n, n > 1 ? &now : &before, v, t, sum[t]);
        before = now;
    }
    if (n == 1 && n_whole > 0)
        sum[0] = add(type, 1, &before, v, 0, sum[0]);
    if (rest) {
        uint8_t copy[8 * sizeof(struct block_q8_0)] = {0};
        memcpy(copy, w + n_whole * bytes, rest * block_bytes32(type));
        struct eight e = multiply(type, n, copy, v, n_whole);
        for (int t = 0; t < n; t++)
            sum[t] = add(type, n, &e, v, t, sum[t]);
    }
}

INLINE void tokens(uint32_t type, const int n, const struct kernels_product *p, const uint8_t *w,
                   uint32_t row_begin, uint32_t row_end)
{
    const struct input_view v = input_view(KERNELS_INT8_32, p->input, (uint32_t)n, p->n_in, NULL);
    for (uint32_t i = row_begin; i < row_end; i++, w += p->row_bytes) {
        float sum[MATVEC_TOKENS] = {0};
        row(type, n, w, p->n_in, &v, sum);
        for (int t = 0; t < n; t++)
            p->y[(size_t)t * p->y_stride + i] = sum[t];
    }
}

INLINE void rows(uint32_t type, const struct kernels_product *p, const uint8_t *w,
                 uint32_t row_begin, uint32_t row_end)
{
    assert(p->n_tokens <= tokens_in_rows(type));
    if (p->n_tokens == 1)
        tokens(type, 1, p, w, row_begin, row_end);
    else if (tokens_in_rows(type) == MATVEC_TOKENS)
        tokens(type, MATVEC_TOKENS, p, w, row_begin, row_end);
}

void rows32_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                   uint32_t row_end)
{
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
    case QUANT_MXFP4:
        rows(QUANT_MXFP4, p, w, row_begin, row_end);
        break;
    default:
        assert(p->type == QUANT_IQ4_NL);
        rows(QUANT_IQ4_NL, p, w, row_begin, row_end);
    }
}
