/*
 * tile_avx512: what the matrix-matrix kernels share: 32 rows at a time against all tokens.
 *
 * One group of 256 elements of the 32 rows is unpacked once into a tile in the first-level cache,
 * with four neighbouring elements of 16 rows to a vector: vpdpbusd takes it against four
 * activations of a token, the same for all rows (one broadcast).
 */
#ifndef KERNELS_TILE_AVX512_H
#define KERNELS_TILE_AVX512_H

#include "kernels/x86/simd_avx512.h"

#define TOKENS_AT_ONCE 6 /* 24 sums in registers, 2 weights, a broadcast */

/* The rows of a tile; those past the end of a matrix repeat the last and are not stored. */
struct tile_rows {
    const uint8_t *at[TILE_ROWS];
    uint32_t valid;
};

INLINE struct tile_rows tile_rows(const struct kernels_product *p, const uint8_t *w,
                                  uint32_t n_rows)
{
    struct tile_rows r = {.valid = n_rows < TILE_ROWS ? n_rows : TILE_ROWS};
    for (uint32_t i = 0; i < TILE_ROWS; i++)
        r.at[i] = w + (i < r.valid ? i : r.valid - 1) * p->row_bytes;
    return r;
}

/* The next group of all rows, into the second-level cache. */
INLINE void tile_prefetch(const struct tile_rows *r, size_t offset, size_t bytes)
{
    for (uint32_t i = 0; i < TILE_ROWS; i++)
        for (size_t at = 0; at < bytes; at += 64)
            _mm_prefetch((const char *)r->at[i] + offset + at, _MM_HINT_T1);
}

/* y of the tile's rows, from sums[n_tokens][TILE_ROWS] */
INLINE void tile_store(const struct kernels_product *p, const float *sums, uint32_t row,
                       uint32_t n_rows)
{
    uint32_t mask = n_rows < TILE_ROWS ? (1u << n_rows) - 1 : 0xffffffffu;
    for (uint32_t t = 0; t < p->n_tokens; t++) {
        float *y = p->y + t * p->y_stride + row;
        _mm512_mask_storeu_ps(y, (__mmask16)mask, _mm512_load_ps(sums + t * TILE_ROWS));
        if (mask >> 16)
            _mm512_mask_storeu_ps(y + 16, (__mmask16)(mask >> 16),
                                  _mm512_load_ps(sums + t * TILE_ROWS + 16));
    }
}

/* A 16 x 16 matrix of 32-bit elements, rows to columns. */
INLINE void transpose16(__m512i r[16])
{
    __m512i t[16];
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 4; i++) {
        r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    /* r[4 i + c] holds, for rows 4 i to 4 i + 3, columns c, c + 4, c + 8, c + 12 in its lanes */
    for (int c = 0; c < 4; c++) {
        __m512i a = _mm512_shuffle_i32x4(r[c], r[c + 4], 0x88);
        __m512i b = _mm512_shuffle_i32x4(r[c], r[c + 4], 0xdd);
        __m512i d = _mm512_shuffle_i32x4(r[c + 8], r[c + 12], 0x88);
        __m512i e = _mm512_shuffle_i32x4(r[c + 8], r[c + 12], 0xdd);
        t[c] = _mm512_shuffle_i32x4(a, d, 0x88);
        t[c + 8] = _mm512_shuffle_i32x4(a, d, 0xdd);
        t[c + 4] = _mm512_shuffle_i32x4(b, e, 0x88);
        t[c + 12] = _mm512_shuffle_i32x4(b, e, 0xdd);
    }
    for (int i = 0; i < 16; i++)
        r[i] = t[i];
}

#endif
