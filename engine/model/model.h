/*
 * model: architecture, weight binding, forward pass, KV cache.
 *
 * A model is bound from a GGUF header; it holds no weights. The forward pass asks
 * for them through `struct model_weights` when it needs them, layer by layer and
 * tensor by tensor in a fixed order, and never knows where they come from.
 *
 *   x = embed(token)
 *   layer: x += Wo attention(rope(Wq h), rope(Wk h), Wv h),  h = rms_norm(x)
 *          x += Wdown (silu(Wgate h) * Wup h),               h = rms_norm(x)
 *   logits = Whead rms_norm(x)
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include "base/pool.h"
#include "base/status.h"
#include "gguf/gguf.h"
#include "kernels/kernels.h"

#include <stdbool.h>
#include <stdint.h>

struct model_config {
    const char *architecture; /* "llama", "qwen2", "qwen3" */
    const char *name;         /* general.name or "" */
    uint32_t n_layers, n_embd, n_heads, n_kv_heads, head_dim, n_ff, n_vocab;
    uint32_t context_train;  /* context length the model was trained for */
    uint32_t sliding_window; /* 0: none */
    float rms_eps;
    float rope_base, rope_scale; /* rope_scale: factor on positions, 1 as a rule */
    /* Pairs up to rope_kept are left as they are, from rope_slowed on rope_scale acts in full, and
     * between them in part (YaRN); -1 and 0 where it acts on all alike. */
    float rope_kept, rope_slowed;
    float rope_magnitude; /* length of what was turned, 1 as a rule */
    uint32_t rope_dims;
    bool rope_neox;      /* rotate halves (qwen) instead of neighbouring pairs (llama) */
    bool tied_embedding; /* no output.weight: the head uses the embedding */
};

/* A tensor as the forward pass uses it. Vectors (norms, biases) have one row. */
struct model_tensor {
    const char *name; /* as in the file, "blk.3.attn_q.weight" */
    int layer;        /* -1: resident (embedding, output norm, head, rope factors) */
    uint32_t type, n_in, n_rows;
    uint64_t row_bytes, file_offset, bytes;
};

struct model;

/* Checks that every tensor is there with the expected shape and a supported type.
 * LB_ERR_UNSUPPORTED names an architecture or tensor type that is not supported. `file` must
 * outlive the model. */
enum lb_status model_open(const struct gguf_file *file, struct model **model, struct lb_error *err);
void model_close(struct model *model);
const struct model_config *model_config(const struct model *model);

/* All tensors of one layer in the order in which the forward pass needs them (layer -1: the
 * resident ones). The ids used below are indices into this list. */
const struct model_tensor *model_tensors(const struct model *model, int layer, uint32_t *count);
/* The same order by name alone, for those who have no model: tensors of a layer come in the order
 * of their ranks. False: no tensor of a layer that a supported architecture has. */
bool model_tensor_order(const char *name, uint32_t *layer, uint32_t *rank);

/* ---- weights: how the forward pass gets them ---- */

/* Rows first..last-1 of a tensor, contiguous in memory at `data`. */
struct model_run {
    const void *data;
    uint32_t first, last;
};

struct model_weights {
    void *ctx;
    /* Makes rows from `row` on of tensor `id` of `layer` available: *runs are n_runs >= 1 runs in
     * row order, without gaps, the first beginning at `row`; they may end before the tensor does,
     * then the caller asks again from there. Blocks until they are there. What a call returns
     * stays valid until the next call or the release, except for layer -1, which stays. Called
     * from one thread: the layers in order, in each the tensors of model_tensors in order and
     * whole; layer -1 before the first layer and after the last, any tensor and row of it.
     * An error ends the pass: nothing more is asked for or released. */
    enum lb_status (*acquire)(void *ctx, int layer, uint32_t id, uint32_t row,
                              const struct model_run **runs, uint32_t *n_runs,
                              struct lb_error *err);
    /* Optional. Rows 0 to the last of tensor `id`, later in the layer than what acquire returned
     * last, if they are there now and stay valid as long as that does: then true, and the tensor is
     * not asked for again. The pass merges products that follow each other this way. */
    bool (*peek)(void *ctx, int layer, uint32_t id, const struct model_run **runs,
                 uint32_t *n_runs);
    /* The forward pass is done with the layer (0 or more), all of whose tensors it had. */
    void (*release)(void *ctx, int layer);
};

/* ---- a session: KV caches and workspace ---- */

struct model_session_options {
    uint32_t n_sequences; /* independent KV caches, at least 1 */
    uint32_t context;     /* positions each */
    uint32_t max_tokens;  /* most tokens in one forward call */
    enum kernels_kv kv;
    bool profile; /* time every operation (model_profile_*); products are not merged then */
    /* of products that heed one; N_KERNELS_ORDERS: the fastest, found while running */
    enum kernels_order order;
};

struct model_session;

enum lb_status model_session_open(const struct model *model, struct lb_pool *pool,
                                  const struct kernels_ops *ops,
                                  const struct model_session_options *options,
                                  struct model_session **session, struct lb_error *err);
void model_session_close(struct model_session *session);
/* Forgets all positions of one sequence from `position` on (0: all). */
void model_session_truncate(struct model_session *session, uint32_t sequence, uint32_t position);
uint32_t model_session_length(const struct model_session *session, uint32_t sequence);
uint64_t model_session_kv_bytes(const struct model_session *session);
uint64_t model_session_work_bytes(const struct model_session *session);

/* The tokens of one pass. Tokens of one sequence stand together, in order; they are appended to
 * what the sequence holds. One prefill chunk: n tokens of one sequence. One decode step of a
 * batch: one token each of several. */
struct model_batch {
    uint32_t n_tokens;
    const int32_t *tokens;
    const uint32_t *sequences;
    const bool *want; /* which tokens' logits are wanted; NULL: none */
};

/* logits[k][n_vocab] for the k-th wanted token. Errors: token out of range, context full, more
 * than max_tokens (LB_ERR_INPUT); whatever acquire returned, after which the KV caches hold what
 * they held before the call. */
enum lb_status model_forward(struct model_session *session, const struct model_weights *weights,
                             const struct model_batch *batch, float *logits, struct lb_error *err);

/* Jobs of products by each order (of sets and numbers of tokens that heed one), and how often the
 * fastest of a shape changed. */
struct model_orders {
    uint64_t products[N_KERNELS_ORDERS], changes;
};
struct model_orders model_session_orders(const struct model_session *session);

/* ---- profile: where a pass's time goes ---- */

struct model_profile_entry {
    const char *op;            /* "attn_q", "attention", "ffn_down", "rms_norm", "head", ... */
    int layer;                 /* -1: outside the layers */
    uint64_t calls, ns, bytes; /* bytes of weights read */
    double flops;
};

/* Sums since open or the last reset; *count entries that live until close. */
const struct model_profile_entry *model_profile(const struct model_session *session, size_t *count);
void model_profile_reset(struct model_session *session);

#endif
