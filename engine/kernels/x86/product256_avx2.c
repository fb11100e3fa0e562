/*
 * product256_avx2: products with weights in blocks of 256, the float order of generic.h.
 *
 * One token in streams: one block of each of 8 rows at a time; in the end a lane is a row. More:
 * one block of up to 16 rows is unpacked once and goes against four tokens at a time (lane t is
 * token t).
 */
#include "kernels/x86/blocks256_avx2.h"

#include <assert.h>

#define ROWS_AT_ONCE 16

/* Lane j: the sum of the lanes of v[j]; with 8 groups only the lower four are used. */
INLINE __m128i sum_mins(uint32_t type, const __m256i v[4])
{
    return groups256(type) == 16 ? sum4(v) : _mm256_castsi256_si128(sum4_halves(v));
}

/* ---- one token, streams ---- */

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
    __m256 factors = factors256(type, same);
    out->d = _mm256_cvtss_f32(factors);
    out->dmin = _mm_cvtss_f32(_mm256_extractf128_ps(factors, 1));
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
        in_streams(type, 1, p, w, row_begin, row_end, streams);
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
    case QUANT_IQ3_XXS:
        product(QUANT_IQ3_XXS, p, w, row_begin, row_end, scratch);
        break;
    case QUANT_IQ3_S:
        product(QUANT_IQ3_S, p, w, row_begin, row_end, scratch);
        break;
    default:
        assert(p->type == QUANT_IQ4_XS);
        product(QUANT_IQ4_XS, p, w, row_begin, row_end, scratch);
    }
}
