/*
 * prepare: the loop over tokens and groups that prepares activations, around the quantisers of an
 * instruction set.
 */
#ifndef KERNELS_PREPARE_H
#define KERNELS_PREPARE_H

#include "kernels/kernels_layout.h"

/* 32 activations to int8 with their scale; bias: -128 * their sum */
typedef void quantize32_fn(const float *x, int8_t *q, float *scale, int32_t *bias);
/* 256 activations with one scale, and the sums of each 16 and each 32 */
typedef void quantize256_fn(const float *x, int8_t *q, float *scale, int16_t *sum16,
                            int16_t *sum32);

/* As kernels_ops.prepare; the quantisers are constants and inlined. */
static inline __attribute__((always_inline)) void
prepare_input(enum kernels_format format, const float *x, size_t x_stride, uint32_t n_in,
              uint32_t n_tokens, uint32_t first, uint32_t last, void *input,
              quantize32_fn *quantize32, quantize256_fn *quantize256)
{
    if (format == KERNELS_FLOAT) {
        size_t stride = input_float_stride(n_in);
        for (uint32_t t = first; t < last; t++) {
            float *out = (float *)input + t * stride;
            memcpy(out, x + t * x_stride, n_in * sizeof *x);
            memset(out + n_in, 0, (stride - n_in) * sizeof *x);
        }
        return;
    }
    struct input_view v = input_view(format, input, n_tokens, n_in, NULL);
    for (uint32_t t = first; t < last; t++)
        for (uint32_t g = 0; g < v.n_groups; g++) {
            const float *from = x + t * x_stride + (size_t)g * GROUP;
            size_t cell = (size_t)g * n_tokens + t;
            int8_t *q = v.q + cell * GROUP;
            if (format == KERNELS_INT8_256) {
                quantize256(from, q, v.scale + cell, v.sum16 + cell * 16, v.sum32 + cell * 8);
                pair_up(format, q, v.paired + cell * GROUP);
                continue;
            }
            uint32_t n_blocks = (n_in - g * GROUP) / 32;
            for (uint32_t j = 0; j < 8; j++) {
                if (j < n_blocks) {
                    quantize32(from + 32 * j, q + 32 * j, v.scale + cell * 8 + j,
                               v.bias + cell * 8 + j);
                    continue;
                }
                memset(q + 32 * j, 0, 32);
                v.scale[cell * 8 + j] = 0;
                v.bias[cell * 8 + j] = 0;
            }
            pair_up(format, q, v.paired + cell * GROUP);
        }
}

#endif
