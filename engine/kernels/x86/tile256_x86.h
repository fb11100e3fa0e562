/*
 * tile256_x86: tiles of rows with blocks of 256, see tile_x86.h. A set that includes it has
 * bytes256 and scales of a block, and brings unpack_scales and what multiplies.
 */
#ifndef KERNELS_TILE256_X86_H
#define KERNELS_TILE256_X86_H

#include "kernels/x86/tile_x86.h"

struct tile256 {
    _Alignas(64) uint8_t w[64][2][4 * LANES]; /* [4 elements][half][row, element] */
    int32_t scale[16][2][LANES];              /* [group][half][row] */
    int16_t min[8][2][2 * LANES];             /* [2 groups][half][row, group]: mins, or
                                                 -offset * scale */
    float d[2][LANES], dmin[2][LANES];
};
_Static_assert(sizeof(struct tile256) <= TILE_BYTES, "the tile fits its scratch");

/* Scales, mins, d and dmin of LANES blocks */
INLINE void unpack_scales(uint32_t type, const uint8_t *const b[LANES], int half,
                          struct tile256 *tile);

/* A group of the tile x all tokens, from `cell` on, onto sums[n_tokens][TILE_ROWS] */
typedef void all_tokens_fn(const struct tile256 *tile, const struct input_view *v, size_t cell,
                           struct tile_ahead ahead, float *sums);

/* Four elements of each of LANES rows: number `quad` of the 64 of a group */
INLINE void put(struct tile256 *tile, int half, int quad, vec v)
{
    store_vec(tile->w[quad][half], v);
}

/* 16 bytes of nibbles of each row, number i of the 8 of a block */
INLINE void unpack_nibbles(uint32_t type, struct tile256 *tile, int half, int i, const vec c[4],
                           const vec high[16])
{
    for (int m = 0; m < 4; m++) {
        vec low = low_nibbles(c[m]), upper = high_nibbles(c[m]);
        if (type == QUANT_IQ4_XS) { /* elements j and j + 16 of 32 */
            put(tile, half, 8 * i + m, iq4_bytes(low));
            put(tile, half, 8 * i + 4 + m, iq4_bytes(upper));
        } else if (type == QUANT_Q6_K) { /* j and j + 64 of 128 */
            const int of32 = 4 * (i % 2) + m, at = i / 4 * 32 + i % 4 / 2 * 8 + of32;
            const vec bits = high[i / 4 * 8 + of32];
            put(tile, half, at, or_pair_of_bits(low, bits, i % 4 / 2));
            put(tile, half, at + 16, or_pair_of_bits(upper, bits, i % 4 / 2 + 2));
        } else { /* j and j + 32 of 64 */
            const int of32 = 4 * (i % 2) + m, at = i / 2 * 16 + of32;
            if (type == QUANT_Q5_K) {
                low |= one_bit(high[of32], i / 2 * 2, 4);
                upper |= one_bit(high[of32], i / 2 * 2 + 1, 4);
            }
            put(tile, half, at, low);
            put(tile, half, at + 8, upper);
        }
    }
}

/* 16 bytes of pairs of bits, number i of the 4 of a block: elements j, j + 32, ... of 128 */
INLINE void unpack_pairs(uint32_t type, struct tile256 *tile, int half, int i, const vec c[4],
                         const vec high[16])
{
    for (int m = 0; m < 4; m++)
        for (int s = 0; s < 4; s++) {
            const int of32 = 4 * (i % 2) + m, group = i / 2 * 4 + s;
            vec v = pair_of_bits(c[m], s, 0);
            if (type == QUANT_Q3_K)
                v |= one_bit(high[of32], group, 2);
            put(tile, half, 8 * group + of32, v);
        }
}

/* The weights of LANES rows; types whose elements come from tables first as bytes, row by row */
INLINE void unpack_rows(uint32_t type, const uint8_t *w, size_t stride, int half,
                        struct tile256 *tile)
{
    vec c[4], high[16];
    const bool pairs = type == QUANT_Q2_K || type == QUANT_Q3_K;
    if (type == QUANT_IQ3_XXS || type == QUANT_IQ3_S) {
        _Alignas(64) uint8_t bytes[LANES][256];
        for (size_t i = 0; i < LANES; i++) {
            vec q[256 / sizeof(vec)];
            bytes256(type, w + i * stride, q);
            memcpy(bytes[i], q, sizeof q);
        }
        for (int i = 0; i < 16; i++) {
            columns(bytes[0] + 16 * i, sizeof bytes[0], c);
            for (int m = 0; m < 4; m++)
                put(tile, half, 4 * i + m, c[m]);
        }
        return;
    }
    const size_t high_at = type == QUANT_Q5_K   ? offsetof(struct block_q5_k, qh)
                           : type == QUANT_Q6_K ? offsetof(struct block_q6_k, qh)
                                                : offsetof(struct block_q3_k, hmask);
    const int n_high = type == QUANT_Q6_K ? 4 : type == QUANT_Q5_K || type == QUANT_Q3_K ? 2 : 0;
    const size_t qs_at = type == QUANT_Q2_K   ? offsetof(struct block_q2_k, qs)
                         : type == QUANT_Q3_K ? offsetof(struct block_q3_k, qs)
                         : type == QUANT_Q4_K ? offsetof(struct block_q4_k, qs)
                         : type == QUANT_Q5_K ? offsetof(struct block_q5_k, qs)
                         : type == QUANT_Q6_K ? offsetof(struct block_q6_k, ql)
                                              : offsetof(struct block_iq4_xs, qs);
    for (int i = 0; i < n_high; i++)
        columns(w + high_at + 16 * i, stride, high + 4 * i);
    for (int i = 0; i < (pairs ? 4 : 8); i++) {
        columns(w + qs_at + 16 * i, stride, c);
        if (pairs)
            unpack_pairs(type, tile, half, i, c, high);
        else
            unpack_nibbles(type, tile, half, i, c, high);
    }
}

INLINE void unpack(uint32_t type, struct tile_group g, struct tile256 *tile)
{
    for (int half = 0; half < 2; half++) {
        const uint8_t *b[LANES], *w = g.at + (size_t)(LANES * half) * g.stride;
        for (size_t i = 0; i < LANES; i++)
            b[i] = w + i * g.stride;
        unpack_rows(type, w, g.stride, half, tile);
        unpack_scales(type, b, half, tile);
    }
}

INLINE void rows(uint32_t type, const struct kernels_product *p, const uint8_t *w,
                 uint32_t row_begin, uint32_t row_end, void *scratch, all_tokens_fn *tokens)
{
    const struct input_view v = input_view(KERNELS_INT8_256, p->input, p->n_tokens, p->n_in, NULL);
    const size_t bytes = block_bytes256(type);
    struct tile256 *tile = scratch_tile(scratch);
    float *sums = scratch_sums(scratch);
    for (uint32_t row = row_begin; row < row_end;
         row += ROWS_AT_ONCE, w += ROWS_AT_ONCE * p->row_bytes) {
        const uint32_t n_rows = row_end - row < ROWS_AT_ONCE ? row_end - row : ROWS_AT_ONCE;
        uint8_t copy[ROWS_AT_ONCE][GROUP_BYTES_MAX];
        memset(sums, 0, (size_t)p->n_tokens * TILE_ROWS * sizeof *sums);
        for (uint32_t g = 0; g < v.n_groups; g++) {
            struct tile_group group = {w + g * bytes, p->row_bytes};
            if (n_rows < ROWS_AT_ONCE)
                group = tile_copy(group, n_rows, bytes, copy);
            unpack(type, group, tile);
            tokens(tile, &v, (size_t)g * p->n_tokens, tile_ahead(p, w, g, bytes), sums);
        }
        tile_store(p, sums, row, n_rows);
    }
}

#endif
