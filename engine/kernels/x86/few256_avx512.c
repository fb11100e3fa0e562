/*
 * few256_avx512: rows of a type with blocks of 256 against a few tokens, from two to eight.
 *
 * As a tile (see tile256_x86.h) with four neighbouring elements of each of 16 rows to a lane, but
 * no tile lies in memory: what is unpacked is multiplied with all tokens at once.
 * For each block of the rows:
 *   1. scales and mins as bytes, those of a row in its lane; d and dmin as floats;
 *   2. strip by strip of 32 elements: sums of weights x activations (vpdpbusd), times the scale;
 *   3. M, or what an offset of the weights adds too much, from the sums of the activations;
 *   4. (I d - M dmin) scale, added to the sums of the rows: the order of generic.h.
 */
#include "kernels/x86/tile256_avx512.h"

#include <assert.h>

typedef void load_scales_fn(const uint8_t *at, size_t stride, struct scales256 *s);

/* One block of 16 rows x n tokens (a constant), from `cell` on */
INLINE void multiply(uint32_t type, const int n, load_scales_fn *scales, struct tile_group rows,
                     const struct input_view *v, size_t cell, struct tile_ahead ahead,
                     __m512 sum[FEW_TOKENS])
{
    const int n_groups = groups256(type), in_group = 64 / n_groups;
    const int8_t *x = v->q + cell * GROUP;
    const int16_t *group_sums = n_groups == 8 ? v->sum32 + cell * 8 : v->sum16 + cell * 16;
    struct scales256 s;
    struct chunk c;
    __m512i total[FEW_TOKENS], part[FEW_TOKENS];
    scales(rows.at, rows.stride, &s);
    for (int t = 0; t < n; t++)
        total[t] = _mm512_setzero_si512();
    load_high(type, rows.at, rows.stride, 0, &c);
#pragma GCC unroll 1
    for (int k = 0; k < 8 / strips_in_chunk(type); k++) {
        load_chunk(type, rows.at, rows.stride, k, &c);
#pragma GCC unroll 4
        for (int i = 0; i < strips_in_chunk(type); i++) {
            const int strip = strip_number(type, k, i);
            tile_prefetch(ahead, (uint32_t)strip, 8);
#pragma GCC unroll 8
            for (int m = 0; m < 8; m++) {
                const __m512i four = quad(type, &c, i, m);
#pragma GCC unroll 8
                for (int t = 0; t < n; t++) {
                    if (m % in_group == 0)
                        part[t] = _mm512_setzero_si512();
                    part[t] = _mm512_dpbusd_epi32(part[t], four,
                                                  broadcast32(x + GROUP * t + 32 * strip + 4 * m));
                    if (m % in_group == in_group - 1)
                        total[t] = _mm512_add_epi32(
                            total[t],
                            _mm512_mullo_epi32(part[t], s.scale[(8 * strip + m) / in_group]));
                }
            }
        }
    }
#pragma GCC unroll 8
    for (int t = 0; t < n; t++)
        sum[t] = _mm512_add_ps(sum[t], terms(type, total[t], &s, group_sums + n_groups * t,
                                             v->scale[cell + (size_t)t]));
}

INLINE void tokens(uint32_t type, const int n, load_scales_fn *scales,
                   const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                   uint32_t row_end)
{
    const struct input_view v = input_view(KERNELS_INT8_256, p->input, (uint32_t)n, p->n_in, NULL);
    const size_t bytes = block_bytes256(type);
    for (uint32_t row = row_begin; row < row_end; row += LANES, w += LANES * p->row_bytes) {
        const uint32_t n_rows = row_end - row < LANES ? row_end - row : LANES;
        uint8_t copy[LANES][GROUP_BYTES_MAX];
        __m512 sum[FEW_TOKENS];
        for (int t = 0; t < n; t++)
            sum[t] = _mm512_setzero_ps();
        for (uint32_t g = 0; g < v.n_groups; g++) {
            struct tile_group group = {w + g * bytes, p->row_bytes};
            if (n_rows < LANES)
                group = tile_copy(group, LANES, n_rows, bytes, copy);
            multiply(type, n, scales, group, &v, (size_t)g * (size_t)n,
                     tile_ahead(p, w, LANES, g, bytes), sum);
        }
        for (int t = 0; t < n; t++)
            _mm512_mask_storeu_ps(p->y + (size_t)t * p->y_stride + row,
                                  (__mmask16)((1u << n_rows) - 1), sum[t]);
    }
}

/* A constant number of tokens; types for which so many are not few need no code for them. */
#define TOKENS(name, type, n)                                                                      \
    case n:                                                                                        \
        if (n <= few_tokens(type))                                                                 \
            tokens(type, n, name##_scales, p, w, row_begin, row_end);                              \
        break;

#define ROWS(name, type)                                                                           \
    static __attribute__((noinline)) void name##_scales(const uint8_t *at, size_t stride,          \
                                                        struct scales256 *s)                       \
    {                                                                                              \
        load_scales(type, at, stride, s);                                                          \
    }                                                                                              \
    static __attribute__((noinline)) void name(const struct kernels_product *p, const uint8_t *w,  \
                                               uint32_t row_begin, uint32_t row_end)               \
    {                                                                                              \
        switch (p->n_tokens) {                                                                     \
            TOKENS(name, type, 2)                                                                  \
            TOKENS(name, type, 3)                                                                  \
            TOKENS(name, type, 4)                                                                  \
            TOKENS(name, type, 5)                                                                  \
            TOKENS(name, type, 6)                                                                  \
            TOKENS(name, type, 7)                                                                  \
            TOKENS(name, type, FEW_TOKENS)                                                         \
        default:                                                                                   \
            assert(false);                                                                         \
        }                                                                                          \
    }

ROWS(q2_k, QUANT_Q2_K)
ROWS(q3_k, QUANT_Q3_K)
ROWS(q4_k, QUANT_Q4_K)
ROWS(q5_k, QUANT_Q5_K)
ROWS(q6_k, QUANT_Q6_K)
ROWS(iq4_xs, QUANT_IQ4_XS)

void few256_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                   uint32_t row_end)
{
    switch (p->type) {
    case QUANT_Q2_K:
        q2_k(p, w, row_begin, row_end);
        break;
    case QUANT_Q3_K:
        q3_k(p, w, row_begin, row_end);
        break;
    case QUANT_Q4_K:
        q4_k(p, w, row_begin, row_end);
        break;
    case QUANT_Q5_K:
        q5_k(p, w, row_begin, row_end);
        break;
    case QUANT_Q6_K:
        q6_k(p, w, row_begin, row_end);
        break;
    default:
        assert(p->type == QUANT_IQ4_XS);
        iq4_xs(p, w, row_begin, row_end);
    }
}
