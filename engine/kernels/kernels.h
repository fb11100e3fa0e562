/*
 * kernels: the arithmetic of a forward pass, as one ops table per instruction set.
 *
 * generic.c is the specification; generic.h gives its order of operations. A set is the best for
 * its processors: kernels_avx2.c, kernels_avx512.c, kernels_neon.c hold the tables.
 *
 * What a result depends on:
 *   - quantised weights: activations are rounded to int8 (prepare), integer sums inside a block
 *     are exact, floats are added in one order. All sets give the same bits.
 *   - float weights, attention, rms_norm, swiglu: the order of sums is that of the set. Between
 *     sets results differ by rounding; tests/test_kernels*.c state and check the bounds.
 *   - never on threads, row ranges, tiles or the number of tokens: a token gives the same bits
 *     in a prompt and alone.
 * An infinity or a NaN among the activations gives NaN.
 */
#ifndef KERNELS_KERNELS_H
#define KERNELS_KERNELS_H

#include "base/status.h"
#include "quant/quant.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How activations are stored for a product with weights of some type. */
enum kernels_format {
    KERNELS_FLOAT,   /* float32, for F32, F16, BF16 */
    KERNELS_INT8_32, /* int8, one scale (and sum) per 32: types with blocks of 32 */
    KERNELS_INT8_256 /* int8, one scale per 256, sums of 16 and 32: types with blocks of 256 */
};

enum kernels_format kernels_format_of(uint32_t type);

/* In which order a product of one token (or a few) asks for its weights. The bits are the same;
 * which is faster is a property of the memory and changes with its state. */
enum kernels_order {
    KERNELS_ROWS,    /* one row after the other */
    KERNELS_STREAMS, /* several rows side by side, far from each other */
    N_KERNELS_ORDERS
};

/* "rows", "streams"; NULL for none of them */
const char *kernels_order_name(uint32_t order);
/* The order of that name; false: none has it. */
bool kernels_find_order(const char *name, enum kernels_order *order);

/* One product y = x * W^T. `input` is what ops->prepare made of x[n_tokens, n_in]. */
struct kernels_product {
    uint32_t type; /* enum quant_type of W */
    uint32_t n_in, n_tokens;
    size_t row_bytes;  /* of W */
    const void *input; /* format kernels_format_of(type) */
    float *y;          /* y[t * y_stride + row] */
    size_t y_stride;
    enum kernels_order order;
};

/* What keys and values are stored as. Q8_0: each row in blocks of 32 (quant/blocks.h), the last one
 * filled up with zeros. */
enum kernels_kv { KERNELS_KV_F32, KERNELS_KV_F16, KERNELS_KV_Q8_0, N_KERNELS_KV };

/* "f32", "f16", "q8_0" */
const char *kernels_kv_name(enum kernels_kv kv);
/* The type of that name; false: none has it. */
bool kernels_find_kv(const char *name, enum kernels_kv *kv);
/* Of one head and position */
size_t kernels_kv_row_bytes(enum kernels_kv kv, uint32_t head_dim);

/* Causal attention of one sequence, one layer. Keys and values are stored
 * [n_kv_heads][capacity][row] in the type kv; rows 0..pos0+n_tokens-1 are valid. */
struct kernels_attention {
    const float *q; /* q[t * q_stride + head * head_dim + i] */
    size_t q_stride;
    const void *k, *v;
    enum kernels_kv kv;
    uint32_t capacity, head_dim, n_heads, n_kv_heads;
    uint32_t pos0, n_tokens; /* token t stands at position pos0 + t and sees 0..pos0+t */
    uint32_t window;         /* sliding window: sees the last `window` positions; 0 = all */
    float scale;             /* 1/sqrt(head_dim) as a rule */
    const float *sinks;      /* [n_heads] one more score each, that has no value; NULL: none */
    float *out;              /* out[t * out_stride + head * head_dim + i] */
    size_t out_stride;
};

struct kernels_ops {
    const char *name;  /* "generic", "avx2", "avx512", "neon" */
    const char *about; /* one line for `layerbench list` */
    bool (*available)(void);
    /* Products with weights of this type of up to so many tokens heed their order; NULL: none does.
     * Ask kernels_heeds_order. */
    uint32_t (*order_tokens)(uint32_t type);

    /* input[tokens first..last-1] from x[t * x_stride + i], i < n_in; tokens may be shared
     * out over threads. `input` holds kernels_input_bytes(format, n_tokens, n_in), 64-aligned. */
    void (*prepare)(enum kernels_format format, const float *x, size_t x_stride, uint32_t n_in,
                    uint32_t n_tokens, uint32_t first, uint32_t last, void *input);
    /* Rows row_begin..row_end-1 of y; `w` is the address of row row_begin. Uses matrix-vector
     * code for few tokens and tiles for many. scratch: kernels_scratch_bytes(), 64-aligned. */
    void (*product)(const struct kernels_product *p, const void *w, uint32_t row_begin,
                    uint32_t row_end, void *scratch);
    /* n_heads heads from `head` on, which share their keys, tokens first..last-1: online softmax
     * over blocks of positions. */
    void (*attention)(const struct kernels_attention *a, uint32_t head, uint32_t n_heads,
                      uint32_t first, uint32_t last, void *scratch);
    /* y[i] = x[i] / sqrt(mean(x^2) + eps) * weight[i]; y may be x */
    void (*rms_norm)(const float *x, const float *weight, uint32_t n, float eps, float *y);
    /* y[i] = silu(gate[i]) * up[i]; y may be either */
    void (*swiglu)(const float *gate, const float *up, uint32_t n, float *y);
    /* The sum of the words of memory (8-aligned), read as fast as the set can: the roof of products
     * of one token. Bytes beyond whole 128 are left out. */
    uint64_t (*read)(const void *memory, size_t bytes);
};

/* The ops of the best available set, or of the set named by `tier` ("auto" or NULL, "generic",
 * "avx2", "avx512", "neon"): at most that one. LB_ERR_INPUT for an unknown name,
 * LB_ERR_UNSUPPORTED when the processor lacks it. The table is static: nothing to free. */
enum lb_status kernels_select(const char *tier, const struct kernels_ops **ops,
                              struct lb_error *err);

/* All sets compiled in, lowest first; *count of them. */
const struct kernels_ops *const *kernels_list(size_t *count);

/* Bytes of the prepared activations (multiple of 64). */
size_t kernels_input_bytes(enum kernels_format format, uint32_t n_tokens, uint32_t n_in);
/* Scratch per thread for product and attention with up to n_tokens tokens and this head size. */
size_t kernels_scratch_bytes(uint32_t n_tokens, uint32_t head_dim);

/* Whether such a product of the set heeds its order. */
bool kernels_heeds_order(const struct kernels_ops *ops, uint32_t type, uint32_t n_tokens);
/* Rows a thread should take at a time for this product (the unit of work sharing). */
uint32_t kernels_row_chunk(const struct kernels_ops *ops, const struct kernels_product *p);

#endif
