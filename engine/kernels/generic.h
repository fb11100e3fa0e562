/*
 * generic: the portable kernels. They are the specification of every operation; the
 * instruction sets call them for what they do not speed up.
 *
 * Order of float operations of a product with quantised weights, for each row and token, the
 * same in every set (no fused multiply-add), so that all sets give the same bits:
 *
 *   types with blocks of 256: sum over blocks, in order, of
 *       (I * d - M * dmin) * scale        (M and dmin only where the type has them)
 *       I = sum over groups of group scale * sum(w q), M = sum of group min * sum(q), exact
 *   types with blocks of 32: sum over each four blocks, in order, of the sum over the four, in
 *       order, of (I * d + S * m) * scale,  I = sum(w q) and S = sum(q) exact
 *
 * I, M and S are int32, converted to float with one rounding.
 */
#ifndef KERNELS_GENERIC_H
#define KERNELS_GENERIC_H

#include "kernels/kernels.h"

/* A block of 256 as integers: w = d * scale[i / 16] * q[i] - dmin * min[i / 16]. */
struct expanded256 {
    float d, dmin; /* dmin and min are 0 for types without them */
    int16_t scale[16], min[16];
    int8_t q[256];
};

/* A block of 32 as integers: w = d * q + m. */
struct expanded32 {
    float d, m;
    int8_t q[32];
};

/* The functions that expand one block of a type; NULL for types of another block size. */
typedef void (*expand256_fn)(const void *block, struct expanded256 *out);
typedef void (*expand32_fn)(const void *block, struct expanded32 *out);
expand256_fn expand256_of(uint32_t type);
expand32_fn expand32_of(uint32_t type);

void generic_prepare(enum kernels_format format, const float *x, size_t x_stride, uint32_t n_in,
                     uint32_t n_tokens, uint32_t first, uint32_t last, void *input);
void generic_product(const struct kernels_product *p, const void *w, uint32_t row_begin,
                     uint32_t row_end, void *scratch);
void generic_attention(const struct kernels_attention *a, uint32_t head, uint32_t n_heads,
                       uint32_t first, uint32_t last, void *scratch);
void generic_rms_norm(const float *x, const float *weight, uint32_t n, float eps, float *y);
void generic_swiglu(const float *gate, const float *up, uint32_t n, float *y);
uint64_t generic_read(const void *memory, size_t bytes);

/* The sets; those of another processor family are not compiled. */
extern const struct kernels_ops kernels_generic, kernels_avx2, kernels_avx512, kernels_neon;

#endif
