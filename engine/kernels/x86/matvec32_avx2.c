/*
 * matvec32_avx2: products of one token with weights in blocks of 32, the float order of generic.h.
 *
 * Streams: four blocks of each of 8 rows at a time; in the end a lane is a row. Rows: a row at a
 * time, eight blocks in eight registers.
 */
#include "kernels/x86/simd_avx2.h"

#include <assert.h>

INLINE bool is_signed32(uint32_t type)
{
    return type == QUANT_Q8_0 || type == QUANT_IQ4_NL;
}

/* 16 in each byte whose bit of `bits` is set */
INLINE __m256i fifth_bits(int32_t bits)
{
    const __m256i byte_of =
        _mm256_set_epi64x(0x0303030303030303, 0x0202020202020202, 0x0101010101010101, 0);
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(bits), byte_of);
    __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit);
    return _mm256_and_si256(set, _mm256_set1_epi8(16));
}

/* A block as bytes: signed types as they are, Q4_0 weight + 8, Q5_0 and MXFP4 weight + 16, with
 * mins
 * q */
INLINE __m256i bytes32(uint32_t type, const uint8_t *block)
{
    switch (type) {
    case QUANT_Q8_0:
        return load256(block + offsetof(struct block_q8_0, qs));
    case QUANT_Q4_0:
        return nibbles32(block + offsetof(struct block_q4_0, qs));
    case QUANT_Q4_1:
        return nibbles32(block + offsetof(struct block_q4_1, qs));
    case QUANT_Q5_0:
        return _mm256_or_si256(nibbles32(block + offsetof(struct block_q5_0, qs)),
                               fifth_bits(load32(block + offsetof(struct block_q5_0, qh))));
    case QUANT_Q5_1:
        return _mm256_or_si256(nibbles32(block + offsetof(struct block_q5_1, qs)),
                               fifth_bits(load32(block + offsetof(struct block_q5_1, qh))));
    case QUANT_MXFP4:
        return mxfp4_bytes(nibbles32(block + offsetof(struct block_mxfp4, qs)));
    default:
        return iq4_bytes(nibbles32(block + offsetof(struct block_iq4_nl, qs)));
    }
}

/* A block x 32 activations, in lanes of words or (signed types) int32 that sum to I. Unsigned
 * weights have at most five bits: eight products, at most 8 * 31 * 127, fit a word. */
INLINE __m256i products(uint32_t type, __m256i q, __m256i x)
{
    if (is_signed32(type))
        return _mm256_madd_epi16(signed_pair_products(q, x), _mm256_set1_epi16(1));
    return pair_products(q, x);
}

/* Lane j: I of block j of eight, from their products */
INLINE __m256i sums(uint32_t type, const __m256i v[8])
{
    if (is_signed32(type))
        return sums8(v);
    return add_halves(sum4_halves_of_words(v), sum4_halves_of_words(v + 4));
}

/* (I d + S m) scale of eight blocks */
INLINE __m256 terms(uint32_t type, __m256i sums, __m256 d, __m256 m, __m256i bias, __m256 scale)
{
    if (!is_signed32(type) && !has_mins32(type))
        sums = _mm256_add_epi32(sums, _mm256_srai_epi32(bias, zero_point_shift(type)));
    __m256 term = _mm256_mul_ps(_mm256_cvtepi32_ps(sums), d);
    if (has_mins32(type)) {
        __m256i sum_q = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_srai_epi32(bias, 7));
        term = _mm256_add_ps(term, _mm256_mul_ps(_mm256_cvtepi32_ps(sum_q), m));
    }
    return _mm256_mul_ps(term, scale);
}

/* ---- streams ---- */

/* The f-th four blocks of 8 rows onto their sums; the first row's are at w, the others `stride`
 * bytes apart */
INLINE __m256 add_four(uint32_t type, const struct input_view *v, const uint8_t *w, size_t stride,
                       const struct halfs32 *halfs, size_t f, __m256 sum)
{
    __m256 four = _mm256_setzero_ps();
#pragma GCC unroll 4
    for (size_t j = 0; j < 4; j++, w += block_bytes32(type)) {
        const size_t block = 4 * f + j;
        const __m256i x = load256(v->q + 32 * block);
        __m256i lanes[8];
        for (size_t i = 0; i < 8; i++)
            lanes[i] = products(type, bytes32(type, w + i * stride), x);
        __m256 m = has_mins32(type) ? _mm256_cvtph_ps(load128(halfs->m[j])) : _mm256_setzero_ps();
        four = _mm256_add_ps(
            four, terms(type, sums(type, lanes), scales32_of_eight(type, load128(halfs->d[j])), m,
                        _mm256_set1_epi32(v->bias[block]), _mm256_set1_ps(v->scale[block])));
    }
    return _mm256_add_ps(sum, four);
}

/* 8 rows, `apart` rows from each other. Blocks that a last four lacks are zeros in a copy. */
INLINE void streams(uint32_t type, const int n, const struct kernels_product *p, const uint8_t *w,
                    size_t apart, float *y)
{
    const struct input_view v = input_view(KERNELS_INT8_32, p->input, 1, p->n_in, NULL);
    const size_t bytes = 4 * block_bytes32(type), stride = apart * p->row_bytes;
    const size_t n_whole = p->n_in / 128, rest = p->n_in % 128 / 32;
    struct halfs32 halfs[2];
    __m256 sum = _mm256_setzero_ps();
    (void)n; /* is 1 */
    if (n_whole > 0)
        copy_halfs32(type, w, stride, &halfs[0]);
    for (size_t f = 0; f < n_whole; f++, w += bytes) {
        look_ahead32(type, w, stride, f, n_whole, halfs);
        sum = add_four(type, &v, w, stride, &halfs[f % 2], f, sum);
    }
    if (rest) {
        struct rest32 copy = copy_rest32(type, w, stride, rest);
        copy_halfs32(type, copy.blocks[0], sizeof copy.blocks[0], &halfs[0]);
        sum = add_four(type, &v, copy.blocks[0], sizeof copy.blocks[0], &halfs[0], n_whole, sum);
    }
    store_rows(y, apart, sum);
}

/* ---- rows ---- */

/* The halfs at `offset` of eight blocks that follow each other */
INLINE __m128i halfs_of_eight(uint32_t type, const uint8_t *blocks, size_t offset)
{
    const size_t n = block_bytes32(type);
    const uint8_t *b = blocks + offset;
    return _mm_setr_epi16(load16(b), load16(b + n), load16(b + 2 * n), load16(b + 3 * n),
                          load16(b + 4 * n), load16(b + 5 * n), load16(b + 6 * n),
                          load16(b + 7 * n));
}

/* Eight blocks, unpacked */
struct eight {
    __m256i q[8];
    __m256 d, m;
};

INLINE struct eight unpack(uint32_t type, const uint8_t *blocks)
{
    struct eight e = {.d = scales32_of_eight(type, halfs_of_eight(type, blocks, 0)),
                      .m = _mm256_setzero_ps()};
    if (has_mins32(type))
        e.m = _mm256_cvtph_ps(halfs_of_eight(type, blocks, 2));
    for (int j = 0; j < 8; j++)
        e.q[j] = bytes32(type, blocks + (size_t)j * block_bytes32(type));
    return e;
}

/* Eight blocks x one token: I of each */
INLINE __m256i products_of_eight(uint32_t type, const struct eight *e, const struct input_view *v,
                                 size_t cell)
{
    __m256i lanes[8];
    for (int j = 0; j < 8; j++)
        lanes[j] = products(type, e->q[j], load256(v->q + cell * GROUP + 32 * j));
    return sums(type, lanes);
}

/* Eight terms onto sum */
INLINE float add_eight(uint32_t type, __m256i products, __m256 d, __m256 m,
                       const struct input_view *v, size_t cell, float sum)
{
    __m256 term = terms(type, products, d, m, load256(v->bias + cell * 8),
                        _mm256_loadu_ps(v->scale + cell * 8));
    /* each half: ((t0 + t1) + t2) + t3 */
    __m256 four = _mm256_add_ps(term, _mm256_permute_ps(term, 1));
    four = _mm256_add_ps(four, _mm256_permute_ps(term, 2));
    four = _mm256_add_ps(four, _mm256_permute_ps(term, 3));
    sum += _mm256_cvtss_f32(four);
    return sum + _mm_cvtss_f32(_mm256_extractf128_ps(four, 1));
}

/* Group g of a row, with zeros for blocks that are missing (in a copy) */
INLINE struct eight group(uint32_t type, const uint8_t *row, uint32_t n_in, uint32_t g)
{
    const size_t bytes = 8 * block_bytes32(type);
    const uint8_t *blocks = row + g * bytes;
    uint8_t copy[8 * sizeof(struct block_q8_0)];
    uint32_t left = n_in / 32 - g * 8;
    if (g % groups_of_lines32(type) == 0)
        prefetch_row(blocks, groups_of_lines32(type) * bytes);
    if (left < 8) {
        memset(copy, 0, sizeof copy);
        blocks = memcpy(copy, blocks, left * block_bytes32(type));
    }
    return unpack(type, blocks);
}

/* What follows the products of eight blocks stands behind those of the next eight, so that its long
 * chain of small operations does not hold them up. */
INLINE void in_rows(uint32_t type, const struct kernels_product *p, const uint8_t *w,
                    uint32_t row_begin, uint32_t row_end)
{
    const struct input_view v = input_view(KERNELS_INT8_32, p->input, 1, p->n_in, NULL);
    for (uint32_t row = row_begin; row < row_end; row++, w += p->row_bytes) {
        struct eight e = group(type, w, p->n_in, 0);
        __m256i products = products_of_eight(type, &e, &v, 0);
        __m256 d = e.d, m = e.m;
        float sum = 0;
        for (uint32_t g = 1; g < v.n_groups; g++) {
            e = group(type, w, p->n_in, g);
            __m256i next = products_of_eight(type, &e, &v, g);
            sum = add_eight(type, products, d, m, &v, g - 1, sum);
            products = next;
            d = e.d;
            m = e.m;
        }
        p->y[row] = add_eight(type, products, d, m, &v, v.n_groups - 1, sum);
    }
}

INLINE void product(uint32_t type, const struct kernels_product *p, const uint8_t *w,
                    uint32_t row_begin, uint32_t row_end)
{
    if (p->order == KERNELS_ROWS)
        in_rows(type, p, w, row_begin, row_end);
    else
        in_streams(type, 1, p, w, row_begin, row_end, streams);
}

void matvec32_avx2(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                   uint32_t row_end)
{
    switch (p->type) {
    case QUANT_Q4_0:
        product(QUANT_Q4_0, p, w, row_begin, row_end);
        break;
    case QUANT_Q4_1:
        product(QUANT_Q4_1, p, w, row_begin, row_end);
        break;
    case QUANT_Q5_0:
        product(QUANT_Q5_0, p, w, row_begin, row_end);
        break;
    case QUANT_Q5_1:
        product(QUANT_Q5_1, p, w, row_begin, row_end);
        break;
    case QUANT_Q8_0:
        product(QUANT_Q8_0, p, w, row_begin, row_end);
        break;
    case QUANT_MXFP4:
        product(QUANT_MXFP4, p, w, row_begin, row_end);
        break;
    default:
        assert(p->type == QUANT_IQ4_NL);
        product(QUANT_IQ4_NL, p, w, row_begin, row_end);
    }
}
