/*
 * synth: deterministic models with the shapes and tensor-type mix of real ones,
 * finite random weights and a usable vocabulary. For studies of speed, never of text.
 */
#ifndef MODEL_SYNTH_H
#define MODEL_SYNTH_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct synth_shape {
    const char *name; /* "llama-2-7b" */
    const char *architecture;
    uint32_t n_layers, n_embd, n_heads, n_kv_heads, head_dim, n_ff, n_vocab, context;
    float rope_base;
    int tied_embedding;
};

/* All shapes, *count of them; and the names of all type mixes ("Q4_K_M", ...). */
const struct synth_shape *synth_shapes(size_t *count);
const char *const *synth_mixes(size_t *count);

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
