/*
 * session: what the files of the forward pass share: caches, workspace, the state of the
 * pass that is under way, and the work they hand to each other. Internal to the room.
 */
#ifndef MODEL_SESSION_H
#define MODEL_SESSION_H

#include "model/binding.h"
#include "model/order.h"

#include <stddef.h>

#define SESSION_FORMATS 3 /* number of enum kernels_format */

/* Operations of the profile. Those up to OP_FFN_DOWN occur in each layer. */
enum model_op {
    OP_ACQUIRE, /* waiting for weights, and copying small vectors */
    OP_RMS_NORM,
    OP_ATTN_Q,
    OP_ATTN_K,
    OP_ATTN_V,
    OP_ROPE,
    OP_ATTENTION,
    OP_PREPARE,
    OP_ATTN_OUTPUT,
    OP_FFN_GATE,
    OP_FFN_UP,
    OP_SWIGLU,
    OP_FFN_DOWN,
    OP_EMBED,
    OP_ROPE_ANGLES,
    OP_OUTPUT_NORM,
    OP_HEAD,
    OP_COUNT,
    OP_FIRST_OUTSIDE = OP_EMBED
};

/* Consecutive tokens of one sequence in the current pass. */
struct session_segment {
    uint32_t sequence;
    uint32_t first, n_tokens; /* in the batch */
    uint32_t pos0;            /* position of its first token */
};

/* Rows at hand of a product under way: row `first` of the tensor is item `base` of the job. */
struct session_part {
    struct kernels_product kernel;
    const struct model_run *runs;
    uint32_t base, first;
};
#define SESSION_PARTS 3 /* q, k, v */

struct model_session;

/* Items first..last-1 of the job; `scratch` is the thread's. */
typedef void (*session_work_fn)(struct model_session *session, uint32_t first, uint32_t last,
                                void *scratch);

struct model_session {
    /* work sharing; first because of its alignment */
    struct lb_share share;
    session_work_fn work;

    /* fixed after open */
    const struct model *model;
    struct lb_pool *pool;
    const struct kernels_ops *ops;
    struct model_session_options options;
    int n_threads;
    uint32_t q_dim, kv_dim; /* heads x head_dim */

    /* KV caches: [layer][sequence][keys, values][n_kv_heads][context][head_dim] */
    uint8_t *kv;
    size_t kv_bytes, kv_half; /* all of it; keys of one sequence in one layer */
    size_t kv_element;
    uint32_t *length; /* [n_sequences] positions held */

    /* workspace: one mapping, all of it for max_tokens tokens */
    uint8_t *workspace;
    size_t workspace_bytes;
    float *x;                     /* [token][n_embd] the residual stream */
    float *h;                     /* [token][n_embd] its norm, then what the sub-layer adds */
    float *q, *k, *v, *attended;  /* [token][q_dim or kv_dim] */
    float *gate, *up;             /* [token][n_ff], in the place of q, k, v, attended */
    void *input[SESSION_FORMATS]; /* activations for products, by format; NULL: not needed */
    float *cosine, *sine;         /* [token][rope_dims / 2] */
    float *frequencies;           /* [rope_dims / 2] factors from the file */
    float *norm;                  /* [n_embd] */
    float *q_bias, *k_bias, *v_bias, *q_norm, *k_norm;
    struct session_segment *segments;
    uint32_t *position;   /* [token] */
    uint32_t *segment_of; /* [token] */
    uint8_t *scratch;     /* [thread][scratch_bytes] */
    size_t scratch_bytes;

    /* the pass under way */
    const struct model_weights *weights;
    struct lb_error *err;
    uint32_t layer;
    uint32_t n_tokens, n_segments;
    uint32_t formats;        /* of the next products: bit per enum kernels_format */
    bool residual;           /* h is still to be added to x */
    const float *to_prepare; /* [token][prepare_width] */
    uint32_t prepare_width;
    struct session_part parts[SESSION_PARTS]; /* products of the job under way */
    uint32_t n_parts;
    struct order_chooser orders;

    /* profile, or NULL */
    struct model_profile_entry *profile;
    size_t n_profile;
    int64_t mark_ns; /* everything before is accounted for */
};

/* ---- session.c ---- */

/* Keys (values follow kv_half bytes later) of a sequence in a layer. */
uint8_t *session_keys(const struct model_session *s, uint32_t layer, uint32_t sequence);
/* Runs work over items 0..n-1, in chunks, on all threads; on the caller alone where one chunk
 * holds them all. */
void session_share(struct model_session *s, uint32_t n, uint32_t chunk, session_work_fn work);

/* ---- product.c: everything that asks for weights ---- */

/* out[token * stride + row] = sum over i of W[row][i] * input[token][i], for the tensor of `role`
 * in the current layer and the input prepared last; and the bias that goes with it, copied. */
struct product_request {
    enum model_role role;
    enum model_op op;
    float *out;
    size_t stride;
    enum model_role bias_role; /* where `bias` is not NULL */
    float *bias;               /* left alone where the model has none */
};
/* Formats in which these products want their input: a bit per kernels_format. */
uint32_t product_formats(const struct model_session *s, const struct product_request *requests,
                         int n);
/* At most SESSION_PARTS requests. Acquires all rows even when there are no tokens, so that every
 * pass makes the same accesses. */
enum lb_status products(struct model_session *s, const struct product_request *requests, int n);
/* Copies a vector (norm, bias) to `out` as floats; leaves `out` alone where the model has none. */
enum lb_status product_vector(struct model_session *s, enum model_role role, float *out);
/* x[i] = embedding of tokens[i] */
enum lb_status product_embed(struct model_session *s, const int32_t *tokens);

/* ---- stages.c: everything between two products ---- */

/* cosine and sine of every token's position */
enum lb_status stage_angles(struct model_session *s);
/* x += h (if pending); h = rms_norm(x) * norm; input = h */
void stage_norm(struct model_session *s, enum model_op op);
/* q, k: bias, norm per head, rotation; keys and values into the cache */
void stage_rope(struct model_session *s);
/* attended = attention(q, cache) */
void stage_attention(struct model_session *s);
/* input = x[token][width] */
void stage_prepare(struct model_session *s, const float *x, uint32_t width);
/* input = silu(gate) * up */
void stage_swiglu(struct model_session *s);

/* ---- profile.c ---- */

enum lb_status profile_open(struct model_session *s, struct lb_error *err);
/* The time since the last mark was this op of the current layer. */
void profile_lap(struct model_session *s, enum model_op op);
void profile_work(struct model_session *s, enum model_op op, uint64_t bytes, double flops);

#endif
