/*
 * synth: deterministic models with the shapes and tensor-type mix of real ones,
 * finite random weights and a usable vocabulary. For studies of speed, never of text.
 */
#ifndef SYNTH_H
#define SYNTH_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct synth_shape {
    const char *name; /* "llama-2-7b" */
    const char *architecture;
    uint32_t n_layers, n_embd, n_heads, n_kv_heads, head_dim, n_ff, n_vocab, context;
    float rope_base;
    int tied_embedding;
    float rms_eps;
    int rope_factors; /* has the frequency factors of Llama 3.1 */
};

/* All shapes, *count of them; and the names of all type mixes ("Q4_K_M", ...). */
const struct synth_shape *synth_shapes(size_t *count);
const char *const *synth_mixes(size_t *count);
/* NULL when unknown; the error lists what is known. */
const struct synth_shape *synth_find_shape(const char *name, struct lb_error *err);

/* ---- what a model of a shape and mix consists of ---- */

enum synth_role {
    SYNTH_EMBEDDING,
    SYNTH_HEAD,
    SYNTH_ATTN_Q,
    SYNTH_ATTN_K,
    SYNTH_ATTN_V,
    SYNTH_ATTN_OUTPUT,
    SYNTH_FFN_GATE,
    SYNTH_FFN_UP,
    SYNTH_FFN_DOWN,
    SYNTH_NORM,
    SYNTH_BIAS,
    SYNTH_ROPE_FACTORS,
};

struct synth_tensor {
    char name[40]; /* "blk.3.attn_q.weight" */
    enum synth_role role;
    int layer; /* -1: outside the layers */
    uint32_t n_dims, type;
    uint64_t ne[4]; /* ne[0] is the row length */
    uint64_t bytes;
};

/* The tensors in file order; *tensors is the caller's, to be freed with lb_free. Writes nothing, so
 * it also serves for models that no disk here could hold. LB_ERR_INPUT: unknown mix. */
enum lb_status synth_plan(const struct synth_shape *shape, const char *mix,
                          struct synth_tensor **tensors, size_t *count, struct lb_error *err);

/* ---- writing ---- */

struct synth_options {
    const char *shape, *mix;
    uint64_t seed;
    uint32_t n_layers; /* 0: as the shape says */
    /* called now and then with bytes done and in all; may be NULL */
    void (*progress)(void *ctx, uint64_t done, uint64_t total);
    void *progress_ctx;
};

/* Writes the model. The same options give the same bytes on every machine. */
enum lb_status synth_write(const struct synth_options *options, const char *path,
                           struct lb_error *err);

#endif
