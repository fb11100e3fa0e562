/*
 * quant: the tensor types, their block layouts and the reference (de)quantisation.
 *
 * A row of n elements is n / block_elements blocks; rows are contiguous. The ids
 * are those of the GGUF format. Dequantisation here is the definition of what a
 * type means (plain C, one block after the other); kernels may be faster, not other.
 */
#ifndef QUANT_QUANT_H
#define QUANT_QUANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum quant_type {
    QUANT_F32 = 0,
    QUANT_F16 = 1,
    QUANT_Q4_0 = 2,
    QUANT_Q4_1 = 3,
    QUANT_Q5_0 = 6,
    QUANT_Q5_1 = 7,
    QUANT_Q8_0 = 8,
    QUANT_Q2_K = 10,
    QUANT_Q3_K = 11,
    QUANT_Q4_K = 12,
    QUANT_Q5_K = 13,
    QUANT_Q6_K = 14,
    QUANT_IQ2_XXS = 16,
    QUANT_IQ2_XS = 17,
    QUANT_IQ3_XXS = 18,
    QUANT_IQ1_S = 19,
    QUANT_IQ4_NL = 20,
    QUANT_IQ3_S = 21,
    QUANT_IQ2_S = 22,
    QUANT_IQ4_XS = 23,
    QUANT_IQ1_M = 29,
    QUANT_BF16 = 30,
    QUANT_TQ1_0 = 34,
    QUANT_TQ2_0 = 35,
    QUANT_MXFP4 = 39,
    QUANT_TYPE_LIMIT = 40, /* ids are below this; some are unused */
};

struct quant_info {
    const char *name;        /* "Q4_K", as GGUF tools print it */
    uint32_t block_elements; /* 1, 32 or 256 */
    uint32_t block_bytes;
    /* y[n] = the n values of the blocks; n a multiple of block_elements */
    void (*dequantize)(const void *blocks, float *y, size_t n);
    /* blocks = nearest representation of x[n]; need not be the best possible fit */
    void (*quantize)(const float *x, void *blocks, size_t n);
};

/* NULL for an id that is unknown or not supported. */
const struct quant_info *quant_info(uint32_t type);

/* Id of a type by name ("Q4_K"), or -1. */
int quant_type_by_name(const char *name);

/* Bytes of a row of n elements; 0 when the type is unknown or n is not whole blocks. */
size_t quant_row_bytes(uint32_t type, uint64_t n);

/* Bytes of a tensor of ne[0] x ne[1] x ne[2] x ne[3] (ne[0] is the row length);
 * false when the type is unknown, ne[0] is not whole blocks, or the size overflows.
 * Fits gguf_open's size callback. */
bool quant_tensor_bytes(uint32_t type, const uint64_t ne[4], uint64_t *bytes);

/* IEEE half and bfloat16, round to nearest even. */
float quant_half_to_float(uint16_t h);
uint16_t quant_float_to_half(float x);
float quant_bfloat_to_float(uint16_t h);
uint16_t quant_float_to_bfloat(float x);

#endif
