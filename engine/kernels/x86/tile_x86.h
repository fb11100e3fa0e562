/*
 * tile_x86: what the matrix-matrix kernels of both instruction sets share: where the rows of a tile
 * lie, and how memory is asked for them.
 *
 * A tile is ROWS_AT_ONCE rows against all tokens, a group of 256 elements at a time: unpacked once
 * into the first-level cache, with four neighbouring elements of each row to a lane, then
 * multiplied with the tokens, a few at a time. Sums are exact integers within a block, then floats
 * in the order of generic.h.
 */
#ifndef KERNELS_TILE_X86_H
#define KERNELS_TILE_X86_H

#include "kernels/x86/simd_x86.h"

#ifdef __AVX512F__
#define ROWS_AT_ONCE 32
#else
#define ROWS_AT_ONCE 16
#endif
#define LANES (ROWS_AT_ONCE / 2) /* of a vector: a lane is a row */

/* One group of the rows of a tile, `stride` bytes from one row to the next */
struct tile_group {
    const uint8_t *at;
    size_t stride;
};

/* The lines of the next tile that belong to a share of a group's work. Tiles use their rows side by
 * side, but memory is asked for one tile ahead, in plain address order and evenly all the time. */
struct tile_ahead {
    const uint8_t *at;
    uint32_t lines;
};

/* For group g of the n_rows rows that begin at w, groups of so many bytes */
INLINE struct tile_ahead tile_ahead(const struct kernels_product *p, const uint8_t *w,
                                    uint32_t n_rows, uint32_t g, size_t bytes)
{
    const size_t of_tile = n_rows * bytes;
    return (struct tile_ahead){w + n_rows * p->row_bytes + g * of_tile, (uint32_t)(of_tile / 64)};
}

/* What of it falls to parts begin..end-1 of n */
INLINE struct tile_ahead tile_ahead_part(struct tile_ahead a, uint32_t begin, uint32_t end,
                                         uint32_t n)
{
    const uint32_t first = a.lines * begin / n;
    return (struct tile_ahead){a.at + (size_t)first * 64, a.lines * end / n - first};
}

INLINE void tile_prefetch(struct tile_ahead a, uint32_t share, uint32_t n_shares)
{
    for (uint32_t i = a.lines * share / n_shares; i < a.lines * (share + 1) / n_shares; i++)
        _mm_prefetch((const char *)a.at + (size_t)i * 64, _MM_HINT_T1);
}

#define GROUP_BYTES_MAX (8 * sizeof(struct block_q8_0)) /* the largest group of 256 */

/* A copy of the first `bytes` of a group where `whole` rows are taken at once and there are n_rows
 * (the last stands in for those that lack), or for a group that lacks blocks. */
INLINE struct tile_group tile_copy(struct tile_group g, uint32_t whole, uint32_t n_rows,
                                   size_t bytes, uint8_t copy[][GROUP_BYTES_MAX])
{
    for (uint32_t i = 0; i < whole; i++)
        memcpy(copy[i], g.at + (i < n_rows ? i : n_rows - 1) * g.stride, bytes);
    return (struct tile_group){copy[0], GROUP_BYTES_MAX};
}

#endif
