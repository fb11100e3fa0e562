/*
 * tile32_x86: tiles of rows with blocks of 32, see tile_x86.h. A set that includes it brings what
 * multiplies.
 */
#ifndef KERNELS_TILE32_X86_H
#define KERNELS_TILE32_X86_H

#include "kernels/x86/tile_x86.h"

struct tile32 {
    _Alignas(64) uint8_t w[64][2][4 * LANES]; /* [4 elements][half][row, element] */
    float d[8][ROWS_AT_ONCE], m[8][ROWS_AT_ONCE];
};
_Static_assert(sizeof(struct tile32) <= TILE_BYTES, "the tile fits its scratch");

/* Blocks first..last-1 of a tile (up to four) x all tokens, from `cell` on, onto
 * sums[n_tokens][TILE_ROWS] */
struct blocks32 {
    const struct tile32 *tile;
    uint32_t first, last;
    int zero_shift; /* see zero_point_shift */
};
typedef void all_tokens_fn(const struct blocks32 *b, const struct input_view *v, size_t cell,
                           struct tile_ahead ahead, float *sums);

/* The columns of the halfs at `offset` of each block, as floats */
INLINE void unpack_halfs(uint32_t type, struct tile_group g, size_t offset,
                         float out[8][ROWS_AT_ONCE])
{
    uint16_t halfs[8][ROWS_AT_ONCE];
    for (size_t i = 0; i < ROWS_AT_ONCE; i++)
        for (size_t j = 0; j < 8; j++)
            memcpy(&halfs[j][i], g.at + i * g.stride + j * block_bytes32(type) + offset, 2);
    for (int j = 0; j < 8; j++)
        for (int half = 0; half < 2; half++)
            store_scales32(type, halfs[j] + LANES * half, out[j] + LANES * half);
}

/* A block of LANES rows, whose elements begin at qs: four neighbouring ones of each row to a lane,
 * as unsigned bytes (see zero_point_shift) */
INLINE void quads32(uint32_t type, const uint8_t *qs, size_t stride, vec q[8])
{
    vec c[4], fifth[4];
    columns(qs, stride, c);
    if (type == QUANT_Q8_0)
        columns(qs + 16, stride, q + 4);
    if (type == QUANT_Q5_0 || type == QUANT_Q5_1)
        columns(qs - 4, stride, fifth);
#pragma GCC unroll 4
    for (int m = 0; m < 4; m++) {
        q[m] = type == QUANT_Q8_0 ? int8_bytes(c[m]) : low_nibbles(c[m]);
        q[m + 4] = type == QUANT_Q8_0 ? int8_bytes(q[m + 4]) : high_nibbles(c[m]);
    }
#pragma GCC unroll 8
    for (int k = 0; k < 8; k++) {
        if (type == QUANT_Q5_0 || type == QUANT_Q5_1)
            q[k] = or_fifth_bits(q[k], fifth[0], k);
        if (type == QUANT_IQ4_NL)
            q[k] = iq4_bytes(q[k]);
        if (type == QUANT_MXFP4)
            q[k] = mxfp4_bytes(q[k]);
    }
}

/* Block j of LANES rows, which begin at w */
INLINE void unpack_block(uint32_t type, const uint8_t *w, size_t stride, int half, int j,
                         struct tile32 *tile)
{
    vec q[8];
    quads32(type, w + (size_t)j * block_bytes32(type) + nibbles_at32(type), stride, q);
    for (int k = 0; k < 8; k++)
        store_vec(tile->w[8 * j + k][half], q[k]);
}

INLINE void unpack(uint32_t type, struct tile_group g, struct tile32 *tile)
{
    for (int half = 0; half < 2; half++)
        for (int j = 0; j < 8; j++)
            unpack_block(type, g.at + (size_t)(LANES * half) * g.stride, g.stride, half, j, tile);
    unpack_halfs(type, g, 0, tile->d);
    if (has_mins32(type))
        unpack_halfs(type, g, 2, tile->m);
}

INLINE void rows(uint32_t type, const struct kernels_product *p, const uint8_t *w,
                 uint32_t row_begin, uint32_t row_end, void *scratch, all_tokens_fn *tokens)
{
    const struct input_view v = input_view(KERNELS_INT8_32, p->input, p->n_tokens, p->n_in, NULL);
    const size_t bytes = 8 * block_bytes32(type);
    struct tile32 *tile = scratch_tile(scratch);
    float *sums = scratch_sums(scratch);
    for (uint32_t row = row_begin; row < row_end;
         row += ROWS_AT_ONCE, w += ROWS_AT_ONCE * p->row_bytes) {
        const uint32_t n_rows = row_end - row < ROWS_AT_ONCE ? row_end - row : ROWS_AT_ONCE;
        uint8_t copy[ROWS_AT_ONCE][GROUP_BYTES_MAX];
        memset(sums, 0, (size_t)p->n_tokens * TILE_ROWS * sizeof *sums);
        for (uint32_t g = 0; g < v.n_groups; g++) {
            const uint32_t left = p->n_in / 32 - g * 8, n_blocks = left < 8 ? left : 8;
            struct tile_group group = {w + g * bytes, p->row_bytes};
            if (n_rows < ROWS_AT_ONCE || n_blocks < 8)
                group =
                    tile_copy(group, ROWS_AT_ONCE, n_rows, n_blocks * block_bytes32(type), copy);
            unpack(type, group, tile);
            for (uint32_t first = 0; first < n_blocks; first += 4) {
                const struct blocks32 b = {tile, first, n_blocks < first + 4 ? n_blocks : first + 4,
                                           zero_point_shift(type)};
                tokens(&b, &v, (size_t)g * p->n_tokens, tile_ahead(p, w, ROWS_AT_ONCE, g, bytes),
                       sums);
            }
        }
        tile_store(p, sums, row, n_rows);
    }
}

#endif
