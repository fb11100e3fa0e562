/*
 * kernels_layout: where things lie in the two buffers that callers of this room hold
 * without looking inside: the prepared activations and the scratch of a thread. Every
 * instruction set uses the same layout, and makes the same bits of it.
 *
 * Activations are cut into groups of 256 elements, the last one filled up with zeros; all
 * tokens of one group lie together, because a matrix-matrix tile takes one group of a few
 * rows against all tokens.
 *
 *   KERNELS_FLOAT      x     float [n_tokens][stride], stride = n_in rounded up to 32
 *   KERNELS_INT8_32    q     int8  [n_groups][n_tokens][256]
 *                      paired                                  q in another order, see pair_up
 *                      scale float [n_groups][n_tokens][8]     one per 32 elements
 *                      bias  int32 [n_groups][n_tokens][8]     -128 * sum of 32 q
 *   KERNELS_INT8_256   q     int8  [n_groups][n_tokens][256]
 *                      paired
 *                      scale float [n_groups][n_tokens]
 *                      sum16 int16 [n_groups][n_tokens][16]    sums of 16 q
 *                      sum32 int16 [n_groups][n_tokens][8]
 *
 * x[i] is about scale * q[i] with |q| <= 127. The bias is what an unsigned weight w + 128
 * adds too much: sum((w + 128) q) + bias = sum(w q).
 */
#ifndef KERNELS_KERNELS_LAYOUT_H
#define KERNELS_KERNELS_LAYOUT_H

#include "kernels/kernels.h"

#include <string.h>

#define GROUP          256 /* elements that share one step of a product */
#define TILE_ROWS      32  /* rows of a matrix-matrix tile */
#define POSITION_BLOCK 64 /* positions that attention takes at a time, from multiples of it */
#define TILE_BYTES     (24 * 1024) /* room for unpacked weights or sums: see the sets */

/* Blocks whose largest magnitude is below this count as zero, so that 127 / magnitude stays
 * finite. */
#define SMALLEST_MAGNITUDE 0x1p-100f

struct input_view {
    uint32_t n_groups, n_tokens;
    int8_t *q, *paired;
    float *scale;
    int32_t *bias;
    int16_t *sum16, *sum32;
};

static inline size_t round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static inline uint32_t input_groups(uint32_t n_in)
{
    return n_in / GROUP + (n_in % GROUP != 0);
}

static inline size_t input_float_stride(uint32_t n_in)
{
    return round_up(n_in, 32);
}

/* The parts of an int8 input; *bytes (may be NULL) gets its whole size. */
static inline struct input_view input_view(enum kernels_format format, const void *input,
                                           uint32_t n_tokens, uint32_t n_in, size_t *bytes)
{
    size_t cells = (size_t)input_groups(n_in) * n_tokens;
    size_t paired_at = cells * GROUP, scale_at = 2 * paired_at;
    struct input_view v = {.n_groups = input_groups(n_in), .n_tokens = n_tokens};
    const uintptr_t base = (uintptr_t)input; /* no pointer: who asks for bytes alone has none */
    v.q = (int8_t *)base;
    v.paired = (int8_t *)(base + paired_at);
    v.scale = (float *)(base + scale_at);
    if (format == KERNELS_INT8_32) {
        size_t bias_at = scale_at + cells * 8 * sizeof(float);
        v.bias = (int32_t *)(base + bias_at);
        if (bytes)
            *bytes = round_up(bias_at + cells * 8 * sizeof(int32_t), 64);
        return v;
    }
    size_t sum16_at = round_up(scale_at + cells * sizeof(float), 64);
    size_t sum32_at = sum16_at + cells * 16 * sizeof(int16_t);
    v.sum16 = (int16_t *)(base + sum16_at);
    v.sum32 = (int16_t *)(base + sum32_at);
    if (bytes)
        *bytes = round_up(sum32_at + cells * 8 * sizeof(int16_t), 64);
    return v;
}

/* A group's q in the order in which the nibbles of 64 bytes of weights come: for each 128 elements
 * those that go with the 64 low nibbles, then those that go with the high ones. A byte of Q4_K
 * holds elements i and i + 32 of 64, a byte of Q4_0 elements i and i + 16 of 32. */
static inline void pair_up(enum kernels_format format, const int8_t q[GROUP], int8_t paired[GROUP])
{
    const int n = format == KERNELS_INT8_256 ? 32 : 16;
    for (int i = 0; i < GROUP / n; i++) {
        int of128 = i / (128 / n), pair = i % (128 / n) / 2;
        memcpy(paired + 128 * of128 + 64 * (i % 2) + n * pair, q + n * i, (size_t)n);
    }
}

/* ---- scratch of one thread: [tile][sums of each token] or what attention needs ---- */

static inline void *scratch_tile(void *scratch)
{
    return scratch;
}

/* float [n_tokens][TILE_ROWS] */
static inline float *scratch_sums(void *scratch)
{
    return (float *)((char *)scratch + TILE_BYTES);
}

#define TOKEN_TILE 4 /* tokens that attention takes at a time */

/* Attention: float scores[TOKEN_TILE][POSITION_BLOCK], then one row of a cache. */
static inline size_t attention_scratch_bytes(uint32_t head_dim)
{
    return (TOKEN_TILE * POSITION_BLOCK + round_up(head_dim, 32)) * sizeof(float);
}

#endif
