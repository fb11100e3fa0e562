/*
 * tile256_x86: tiles of rows with blocks of 256, see tile_x86.h. A set that includes it has
 * bytes256 and scales of a block, and brings unpack_scales and what multiplies.
 */
#ifndef KERNELS_TILE256_X86_H
#define KERNELS_TILE256_X86_H

#include "kernels/x86/tile_x86.h"

/* Of one block of LANES rows; a lane is a row. */
struct scales256 {
    vec scale[16]; /* [group] as 32-bit numbers */
    vec min[8];    /* [2 groups] as pairs of words: mins, or -offset * scale */
    float d[LANES], dmin[LANES];
};

struct tile256 {
    _Alignas(64) uint8_t w[64][2][4 * LANES]; /* [4 elements][half][row, element] */
    struct scales256 of[2];                   /* [half] */
};
_Static_assert(sizeof(struct tile256) <= TILE_BYTES, "the tile fits its scratch");

/* Of the blocks at w, `stride` bytes apart */
INLINE void load_scales(uint32_t type, const uint8_t *w, size_t stride, struct scales256 *s);

/* A group of the tile x all tokens, from `cell` on, onto sums[n_tokens][TILE_ROWS] */
typedef void all_tokens_fn(const struct tile256 *tile, const struct input_view *v, size_t cell,
                           struct tile_ahead ahead, float *sums);

/* A block's elements come in 8 strips of 32, which share the 32 bytes of a chunk: two of them the
 * nibbles, four the pairs of bits, one the bytes of types whose elements come from tables. */
INLINE int strips_in_chunk(uint32_t type)
{
    switch (type) {
    case QUANT_Q2_K:
    case QUANT_Q3_K:
        return 4;
    case QUANT_IQ3_XXS:
    case QUANT_IQ3_S:
        return 1;
    default:
        return 2;
    }
}

/* Which of the 8 is strip i of a chunk */
INLINE int strip_number(uint32_t type, int chunk, int i)
{
    return type == QUANT_Q6_K ? chunk / 2 * 4 + chunk % 2 + 2 * i
                              : strips_in_chunk(type) * chunk + i;
}

/* 32 bytes of each of LANES rows that make strips, and where other bits of the same elements stand,
 * as columns */
struct chunk {
    vec low[8], high[8];
};

INLINE size_t low_at256(uint32_t type)
{
    switch (type) {
    case QUANT_Q2_K:
        return offsetof(struct block_q2_k, qs);
    case QUANT_Q3_K:
        return offsetof(struct block_q3_k, qs);
    case QUANT_Q4_K:
        return offsetof(struct block_q4_k, qs);
    case QUANT_Q5_K:
        return offsetof(struct block_q5_k, qs);
    case QUANT_Q6_K:
        return offsetof(struct block_q6_k, ql);
    default:
        return offsetof(struct block_iq4_xs, qs);
    }
}

/* Bits of high that belong to the strips of a chunk */
INLINE int high_bits(uint32_t type)
{
    return type == QUANT_Q3_K ? 4 : type == QUANT_Q5_K || type == QUANT_Q6_K ? 2 : 0;
}

/* The high bits of chunk k and of those that follow it: all of a block, of Q6_K half of it */
INLINE void load_high(uint32_t type, const uint8_t *w, size_t stride, int k, struct chunk *c)
{
    const uint8_t *high = w + 16 * k +
                          (type == QUANT_Q5_K   ? offsetof(struct block_q5_k, qh)
                           : type == QUANT_Q6_K ? offsetof(struct block_q6_k, qh)
                                                : offsetof(struct block_q3_k, hmask));
    if (high_bits(type) == 0)
        return;
    columns(high, stride, c->high);
    columns(high + 16, stride, c->high + 4);
}

/* Chunk k, after load_high of 0 and the chunks before it. What begins at w and is `stride` bytes
 * apart are blocks, or their elements as bytes where the type has tables. High bits of the chunk
 * come to be the lowest. */
INLINE void load_chunk(uint32_t type, const uint8_t *w, size_t stride, int k, struct chunk *c)
{
    const uint8_t *low = w + (strips_in_chunk(type) == 1 ? 0 : low_at256(type)) + 32 * k;
    columns(low, stride, c->low);
    columns(low + 16, stride, c->low + 4);
    if (k == 0 || high_bits(type) == 0)
        return;
    if (type == QUANT_Q6_K && k == 2)
        load_high(type, w, stride, k, c);
    else
#pragma GCC unroll 8
        for (int m = 0; m < 8; m++)
            c->high[m] = shift_down(c->high[m], high_bits(type));
}

/* Four elements of each row: number m of the 8 of strip i of a chunk */
INLINE vec quad(uint32_t type, const struct chunk *c, int i, int m)
{
    vec v;
    switch (type) {
    case QUANT_Q2_K:
        return pair_of_bits(c->low[m], i, 0);
    case QUANT_Q3_K:
        return pair_of_bits(c->low[m], i, 0) | one_bit(c->high[m], i, 2);
    case QUANT_IQ3_XXS:
    case QUANT_IQ3_S:
        return c->low[m];
    case QUANT_IQ4_XS: /* 16 bytes to a strip */
        return iq4_bytes(m < 4 ? low_nibbles(c->low[4 * i + m])
                               : high_nibbles(c->low[4 * i + m - 4]));
    default:
        v = i ? high_nibbles(c->low[m]) : low_nibbles(c->low[m]);
    }
    if (type == QUANT_Q5_K)
        v |= one_bit(c->high[m], i, 4);
    if (type == QUANT_Q6_K)
        v = or_pair_of_bits(v, c->high[m], 2 * i);
    return v;
}

/* Blocks of types whose elements come from tables, as bytes */
INLINE void table_bytes(uint32_t type, const uint8_t *w, size_t stride, uint8_t bytes[LANES][256])
{
    for (size_t i = 0; i < LANES; i++) {
        vec q[256 / sizeof(vec)];
        bytes256(type, w + i * stride, q);
        memcpy(bytes[i], q, sizeof q);
    }
}

INLINE void unpack_rows(uint32_t type, const uint8_t *w, size_t stride, int half,
                        struct tile256 *tile)
{
    _Alignas(64) uint8_t bytes[LANES][256];
    struct chunk c;
    if (strips_in_chunk(type) == 1) {
        table_bytes(type, w, stride, bytes);
        w = bytes[0];
        stride = sizeof bytes[0];
    }
    load_high(type, w, stride, 0, &c);
#pragma GCC unroll 8
    for (int k = 0; k < 8 / strips_in_chunk(type); k++) {
        load_chunk(type, w, stride, k, &c);
#pragma GCC unroll 4
        for (int i = 0; i < strips_in_chunk(type); i++)
#pragma GCC unroll 8
            for (int m = 0; m < 8; m++)
                store_vec(tile->w[8 * strip_number(type, k, i) + m][half], quad(type, &c, i, m));
    }
}

INLINE void unpack(uint32_t type, struct tile_group g, struct tile256 *tile)
{
    for (int half = 0; half < 2; half++) {
        const uint8_t *w = g.at + (size_t)(LANES * half) * g.stride;
        unpack_rows(type, w, g.stride, half, tile);
        load_scales(type, w, g.stride, &tile->of[half]);
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
                group = tile_copy(group, ROWS_AT_ONCE, n_rows, bytes, copy);
            unpack(type, group, tile);
            tokens(tile, &v, (size_t)g * p->n_tokens, tile_ahead(p, w, ROWS_AT_ONCE, g, bytes),
                   sums);
        }
        tile_store(p, sums, row, n_rows);
    }
}

#endif
