/*
 * few32_avx512: rows of a type with blocks of 32 against a few tokens, up to eight.
 *
 * As a tile (see tile32_avx512.c), but no tile lies in memory: what is unpacked is multiplied with
 * all tokens at once. For each block of 16 rows:
 *   1. d, and m where there is one, as floats, a lane a row;
 *   2. sums I of weights x activations (vpdpbusd), from the share of the activations' bias on that
 *      takes away what made the weights unsigned;
 *   3. (I d + S m) scale, added up over four blocks and then to the sums of the rows: the order of
 *      generic.h.
 */
#include "kernels/x86/blocks32_avx512.h"
#include "kernels/x86/tile_avx512.h"
/* after the vectors that it is made of */
#include "kernels/x86/tile32_x86.h"

#include <assert.h>

/* The first 4 bytes of up to eight blocks of each row: d as a half, and m behind it where there is
 * one. One by one as in copy_halfs, but both together: with twice as many stores they would take
 * longer than the products of three tokens. */
INLINE void copy_heads(uint32_t type, struct tile_group rows, uint32_t n_blocks,
                       uint32_t out[8][LANES])
{
    for (uint32_t j = 0; j < n_blocks; j++)
        for (size_t i = 0; i < LANES; i++) {
            memcpy(&out[j][i], rows.at + i * rows.stride + j * block_bytes32(type), sizeof **out);
            __asm__("" : "+m"(out[j][i]));
        }
}

/* Blocks first..last-1 (up to four) of 16 rows x n tokens (a constant), from `cell` on */
INLINE void multiply(uint32_t type, const int n, struct tile_group rows, uint32_t heads[8][LANES],
                     uint32_t first, uint32_t last, const struct input_view *v, size_t cell,
                     struct tile_ahead ahead, __m512 sum[FEW_TOKENS])
{
    const int8_t *x = v->q + cell * GROUP;
    const int32_t *bias = v->bias + cell * 8;
    const float *scale = v->scale + cell * 8;
    __m512 four[FEW_TOKENS];
    for (int t = 0; t < n; t++)
        four[t] = _mm512_setzero_ps();
#pragma GCC unroll 1
    for (uint32_t j = first; j < last; j++) {
        __m512i part[FEW_TOKENS], q[8];
        tile_prefetch(ahead, j, 8);
        quads32(type, rows.at + j * block_bytes32(type) + nibbles_at32(type), rows.stride, q);
#pragma GCC unroll 8
        for (int t = 0; t < n; t++)
            part[t] = has_mins32(type) ? _mm512_setzero_si512()
                                       : _mm512_srai_epi32(_mm512_set1_epi32(bias[8 * t + (int)j]),
                                                           (unsigned)zero_point_shift(type));
#pragma GCC unroll 8
        for (int k = 0; k < 8; k++) {
#pragma GCC unroll 8
            for (int t = 0; t < n; t++)
                part[t] =
                    _mm512_dpbusd_epi32(part[t], q[k], broadcast32(x + GROUP * t + 32 * j + 4 * k));
        }
        const __m512i head = load512(heads[j]);
        const __m512 d = halfs_of(head), m = halfs_of(_mm512_srli_epi32(head, 16));
#pragma GCC unroll 8
        for (int t = 0; t < n; t++)
            four[t] = _mm512_add_ps(
                four[t], term32(type, part[t], d, m, bias[8 * t + (int)j], scale[8 * t + (int)j]));
    }
#pragma GCC unroll 8
    for (int t = 0; t < n; t++)
        sum[t] = _mm512_add_ps(sum[t], four[t]);
}

INLINE void tokens(uint32_t type, const int n, const struct kernels_product *p, const uint8_t *w,
                   uint32_t row_begin, uint32_t row_end)
{
    const struct input_view v = input_view(KERNELS_INT8_32, p->input, (uint32_t)n, p->n_in, NULL);
    const size_t bytes = 8 * block_bytes32(type);
    for (uint32_t row = row_begin; row < row_end; row += LANES, w += LANES * p->row_bytes) {
        const uint32_t n_rows = row_end - row < LANES ? row_end - row : LANES;
        uint8_t copy[LANES][GROUP_BYTES_MAX];
        uint32_t heads[8][LANES];
        __m512 sum[FEW_TOKENS];
        for (int t = 0; t < n; t++)
            sum[t] = _mm512_setzero_ps();
        for (uint32_t g = 0; g < v.n_groups; g++) {
            const uint32_t left = p->n_in / 32 - g * 8, n_blocks = left < 8 ? left : 8;
            const struct tile_ahead ahead = tile_ahead(p, w, LANES, g, bytes);
            struct tile_group group = {w + g * bytes, p->row_bytes};
            if (n_rows < LANES || n_blocks < 8)
                group = tile_copy(group, LANES, n_rows, n_blocks * block_bytes32(type), copy);
            copy_heads(type, group, n_blocks, heads);
#pragma GCC unroll 1
            for (uint32_t first = 0; first < n_blocks; first += 4)
                multiply(type, n, group, heads, first, n_blocks < first + 4 ? n_blocks : first + 4,
                         &v, (size_t)g * (size_t)n, ahead, sum);
        }
        for (int t = 0; t < n; t++)
            _mm512_mask_storeu_ps(p->y + (size_t)t * p->y_stride + row,
                                  (__mmask16)((1u << n_rows) - 1), sum[t]);
    }
}

/* A constant number of tokens */
#define TOKENS(n)                                                                                  \
    case n:                                                                                        \
        tokens(type, n, p, w, row_begin, row_end);                                                 \
        break;

INLINE void rows_of(uint32_t type, const struct kernels_product *p, const uint8_t *w,
                    uint32_t row_begin, uint32_t row_end)
{
    switch (p->n_tokens) {
        TOKENS(2)
        TOKENS(3)
        TOKENS(4)
        TOKENS(5)
        TOKENS(6)
        TOKENS(7)
        TOKENS(FEW_TOKENS)
    default:
        assert(false);
    }
}

EACH_TYPE32(FUNCTION_OF)

void few32_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                  uint32_t row_end)
{
    switch (p->type) {
        EACH_TYPE32(CASE_OF)
    default:
        assert(false);
    }
}
