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
 *
 * In a mixture of experts the second line is a sum over the experts that a router chose for the
 * token. A layer's weights come in parts: part 0 is needed in every pass, part 1 + e is expert e.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include "base/pool.h"
#include "base/status.h"
#include "gguf/gguf.h"
#include "kernels/kernels.h"

#include <stdbool.h>
#include <stdint.h>

/* How a router's logits become scores. */
enum model_gating {
    MODEL_SOFTMAX,          /* over all experts */
    MODEL_SIGMOID,          /* each for itself */
    MODEL_SOFTMAX_OF_CHOSEN /* the choice is by logits; the softmax over those chosen */
};

enum model_activation {
    MODEL_SWIGLU,        /* silu(gate) * up */
    MODEL_SWIGLU_CLAMPED /* of gpt-oss: g = min(gate, 7), u = clamp(up, -7, 7):
                          * g * sigmoid(1.702 g) * (u + 1) */
};

/* The experts of a layer; 0 experts: a dense model. */
struct model_experts {
    uint32_t count, used;         /* experts in a layer; chosen for a token */
    uint32_t n_ff, n_shared;      /* width of one; of the shared expert, 0: none */
    uint32_t dense_layers;        /* so many layers at the beginning have none */
    uint32_t groups, groups_used; /* the choice is among the experts of the best groups; 1: all */
    enum model_gating gating;
    bool normalised; /* weights divided by their sum */
    float scale;     /* of the weights */
};

/* Multi-head latent attention (DeepSeek V2); kv_rank 0: another kind. */
struct model_latent {
    uint32_t q_rank;         /* 0: queries come straight from the input */
    uint32_t kv_rank;        /* length of the latent that all heads share */
    uint32_t n_nope, n_rope; /* of a head's query and key: without and with position */
    uint32_t n_value;        /* of a head's value */
};

struct model_config {
    const char *architecture; /* "llama", "qwen2", ... */
    const char *name;         /* general.name or "" */
    uint32_t n_layers, n_embd, n_heads, n_kv_heads, n_vocab;
    uint32_t n_skipped; /* layers beyond n_layers that predict further tokens and are not run */
    uint32_t head_dim;  /* of keys in the cache (latent attention: latent and shared rope key) */
    uint32_t n_ff;      /* of dense layers (where there are none: of an expert) */
    uint32_t context_train;  /* context length the model was trained for */
    uint32_t sliding_window; /* 0: none */
    bool window_alternates;  /* it holds in layers 0, 2, 4, ... */
    float attention_scale;   /* on scores: 1/sqrt(length of a key) as a rule */
    struct model_experts experts;
    struct model_latent latent;
    enum model_activation swiglu;
    float rms_eps;
    float rope_base, rope_scale; /* rope_scale: factor on positions, 1 as a rule */
    /* Pairs up to rope_kept are left as they are, from rope_slowed on rope_scale acts in full, and
     * between them in part (YaRN); -1 and 0 where it acts on all alike. */
    float rope_kept, rope_slowed;
    float rope_magnitude; /* length of what was turned, 1 as a rule */
    uint32_t rope_dims;
    bool rope_neox;      /* rotate halves (qwen) instead of neighbouring pairs (llama) */
    bool tied_embedding; /* no output.weight: the head uses the embedding */
    char note[256];      /* one line about a key that tensors contradict, or "" */
};

/* A tensor as the forward pass uses it. Vectors (norms, biases) have one row. */
struct model_tensor {
    const char *name; /* as in the file, "blk.3.attn_q.weight" */
    int layer;        /* -1: resident (embedding, output norm, head, rope factors) */
    uint32_t type, n_in, n_rows;
    uint64_t row_bytes, file_offset;
    uint64_t bytes; /* n_rows x row_bytes */
    /* 0: a tensor of part 0. Else of so many experts: the n_rows of expert e, part 1 + e, begin
     * e * expert_stride bytes further. */
    uint32_t experts;
    uint64_t expert_stride;
};

struct model;

/* Checks that every tensor is there with the expected shape and a supported type.
 * LB_ERR_UNSUPPORTED names an architecture or tensor type that is not supported. `file` must
 * outlive the model. */
enum lb_status model_open(const struct gguf_file *file, struct model **model, struct lb_error *err);
void model_close(struct model *model);
const struct model_config *model_config(const struct model *model);

/* All tensors of one layer in the order in which the forward pass needs them (layer -1: the
 * resident ones), those of experts at the end. The ids used below are indices into this list.
 * Layers may differ. */
const struct model_tensor *model_tensors(const struct model *model, int layer, uint32_t *count);
/* The same order by name alone, for those who have no model: tensors of a layer come in the order
 * of their ranks; *of_experts: it holds a slice for each expert, outermost. False: no tensor of a
 * layer that a supported architecture has. */
bool model_tensor_order(const char *name, uint32_t *layer, uint32_t *rank, bool *of_experts);

/* Tensors of the layer that has most. */
uint32_t model_most_tensors(const struct model *model);
/* Whether session options `ahead` ask for the tensor to be kept in memory. */
bool model_is_kept(const struct model *model, int layer, uint32_t id);

/* ---- weights: how the forward pass gets them ---- */

/* Rows first..last-1 of a tensor, contiguous in memory at `data`. */
struct model_run {
    const void *data;
    uint32_t first, last;
};

struct model_weights {
    void *ctx;
    /* Makes rows from `row` on of tensor `id` in `part` of `layer` available: *runs are n_runs >= 1
     * runs in row order, without gaps, the first beginning at `row`; they may end before the tensor
     * does, then the caller asks again from there. Blocks until they are there. What a call returns
     * stays valid until the next call or the release, except for layer -1, which stays, and for
     * experts taken together. Called from one thread: the layers in order; in each the tensors of
     * part 0 in order and whole, then those of the experts that were taken; layer -1 before the
     * first layer and after the last, any tensor and row of it. A pass of several chunks (see
     * model_session_options) does all that anew in a layer for each chunk, before its release.
     * An error ends the pass: nothing more is asked for or released. */
    enum lb_status (*acquire)(void *ctx, int layer, uint32_t part, uint32_t id, uint32_t row,
                              const struct model_run **runs, uint32_t *n_runs,
                              struct lb_error *err);
    /* Optional. Rows 0 to the last of tensor `id`, later in the layer than what acquire returned
     * last, if they are there now and stay valid as long as that does: then true, and the tensor is
     * not asked for again. The pass merges products that follow each other this way. */
    bool (*peek)(void *ctx, int layer, uint32_t part, uint32_t id, const struct model_run **runs,
                 uint32_t *n_runs);
    /* Optional. The router has chosen: of this layer these experts are needed, ascending, each
     * once; perhaps none. Called once for each layer that has experts, as soon as it is known; does
     * not block. */
    void (*need)(void *ctx, int layer, const uint32_t *experts, uint32_t n);
    /* Optional; else the pass takes one after the other, ascending. Which of the needed experts
     * not taken yet to compute next: 1 <= *n <= max of them. Those of the call before are given
     * back. One alone may come in runs, its tensors in order; of several all rows are there at
     * once, and stay until they are given back. */
    enum lb_status (*take)(void *ctx, int layer, uint32_t *experts, uint32_t max, uint32_t *n,
                           struct lb_error *err);
    /* Optional, asked for by session options `ahead`: a tensor of part 0 of a layer, all of it,
     * kept in memory apart from the layer; NULL: there is none such. */
    const void *(*kept)(void *ctx, int layer, uint32_t id);
    /* Optional, the same: the router of `layer`, depth layers after the one whose need was told
     * last, would choose these experts, ascending, each once, if its input were as this layer's.
     * Depth 0 is told before the need of that layer itself. Does not block. */
    void (*predict)(void *ctx, int layer, uint32_t depth, const uint32_t *experts, uint32_t n);
    /* The forward pass is done with the layer (0 or more). */
    void (*release)(void *ctx, int layer);
};

/* ---- a session: KV caches and workspace ---- */

/* What the router of a layer chose for a token. */
struct model_route {
    uint32_t layer, sequence, position;
    uint32_t n;              /* experts chosen, in the router's order: */
    const uint32_t *experts; /* [n], */
    const float *weights;    /* [n] */
};

struct model_session_options {
    uint32_t n_sequences; /* independent KV caches, at least 1 */
    uint32_t context;     /* positions each */
    uint32_t max_tokens;  /* most tokens computed at a time */
    /* Most tokens in one forward call; 0: max_tokens. More than max_tokens, all of one sequence, go
     * through each layer in chunks, one after the other. */
    uint32_t most_tokens;
    enum kernels_kv kv;
    bool profile; /* time every operation (model_profile_*); products are not merged then */
    /* of products that heed one; N_KERNELS_ORDERS: the fastest, found while running */
    enum kernels_order order;
    /* told of every choice, token by token as soon as a layer's are made; NULL: nobody */
    void (*routed)(void *ctx, const struct model_route *route);
    void *routed_ctx;
    /* layers ahead of each whose routers are asked what they would choose (struct model_weights,
     * kept and predict); 0: none */
    uint32_t ahead;
    bool ahead_of_itself; /* also the layer's own router on its own input: it chooses just so */
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
 * than most_tokens, more than max_tokens of several sequences (LB_ERR_INPUT); activations, router
 * outputs or logits that are not finite numbers (LB_ERR_STATE); whatever acquire returned, after
 * which the KV caches hold what they held before the call. */
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

/* Sums since open; *count entries that live until close. */
const struct model_profile_entry *model_profile(const struct model_session *session, size_t *count);

#endif
