/*
 * session: what the files of the forward pass share: caches, workspace, the state of the
 * pass that is under way, and the work they hand to each other. Internal to the room.
 */
#ifndef MODEL_SESSION_H
#define MODEL_SESSION_H

#include "model/binding.h"
#include "model/order.h"

#include <stdatomic.h>
#include <stddef.h>

#define SESSION_FORMATS 3 /* number of enum kernels_format */

/* Operations of the profile. Those before OP_FIRST_OUTSIDE occur in layers. */
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
    OP_ATTN_Q_A, /* latent attention */
    OP_ATTN_Q_B,
    OP_ATTN_KV_A,
    OP_ATTN_K_B,
    OP_ATTN_V_B,
    OP_FFN_GATE,
    OP_FFN_UP,
    OP_SWIGLU,
    OP_FFN_DOWN,
    OP_ROUTER, /* experts */
    OP_GATE_AHEAD,
    OP_SHARED_GATE,
    OP_SHARED_UP,
    OP_SHARED_DOWN,
    OP_EXPERT_GATE,
    OP_EXPERT_UP,
    OP_EXPERT_DOWN,
    OP_EXPERT_SUM,
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

/* Activations prepared for products, by format; NULL: that format is not needed. */
struct session_input {
    uint32_t n_tokens;
    void *of[SESSION_FORMATS];
};

/* Rows at hand of a product under way: row `first` of the tensor is item `base` of the job, and row
 * `origin` is row 0 of what the kernel writes. */
struct session_part {
    struct kernels_product kernel;
    const struct model_run *runs;
    uint32_t base, first, origin;
};

/* One gated feed-forward part over some tokens: y = down(swiglu(gate x, up x)). */
struct session_ffn {
    uint32_t part;                     /* whose weights: 0, or 1 + expert */
    const struct session_input *input; /* x */
    uint32_t first;                    /* its rows of gate and up begin here */
    const float *gate_bias, *up_bias;  /* [n_ff], NULL: none */
    struct session_input act;          /* between up and down */
    float *out;                        /* [token][n_embd] */
};
#define SESSION_TOGETHER 16 /* experts that are computed in one job, at most */

/* Which tensors a gated feed-forward part consists of. */
struct session_ffn_kind {
    enum model_role gate, up, down;
    enum model_op gate_op, up_op, down_op;
};

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
    uint32_t out_dim;       /* heads x length of a value: what the output projection takes */
    uint32_t ffn_rows;      /* rows of gate and up: tokens of a pass, or of experts in one job */

    /* KV caches: [layer][sequence][keys, values][n_kv_heads][context][head_dim]. Latent attention
     * has keys alone: their beginning is what values are made of. */
    uint8_t *kv;
    size_t kv_bytes, kv_half; /* all of it; keys of one sequence in one layer */
    size_t kv_sequence;       /* one sequence in one layer: keys and values */
    size_t kv_row;            /* of one head and position */
    uint32_t *length;         /* [n_sequences] positions held */

    /* what lives through a pass, for most_tokens tokens: one mapping; chunks have a part of it
     * each. kept: [chunk] tokens that are wanted */
    uint8_t *stream;
    size_t stream_bytes;
    struct session_stream {
        float *x, *cosine, *sine;
        float *h; /* of mixtures whose chunks go through a layer together; else NULL */
        uint32_t *position, *kept;
    } all;

    /* workspace: one mapping, all of it for max_tokens tokens: those of a chunk */
    uint8_t *workspace;
    size_t workspace_bytes;
    float *x;                    /* [token][n_embd] the residual stream, in `all` */
    float *h;                    /* [token][n_embd] its norm, then what the sub-layer adds */
    float *q, *k, *v, *attended; /* [token][q_dim or kv_dim] */
    float *gate, *up;            /* [row][n_ff], in the place of q, k, v, attended */
    struct session_input input;  /* activations of the pass's tokens */
    void *act[SESSION_FORMATS];  /* those between up and down, one expert's after the other's */
    float *cosine, *sine;        /* [token][rope_dims / 2], in `all` */
    float *frequencies;          /* [rope_dims / 2] factors from the file */
    float *norm;                 /* [n_embd] */
    float *q_bias, *k_bias, *v_bias, *out_bias, *q_norm, *k_norm, *sinks;
    struct session_latent *latent;   /* NULL: grouped-query attention */
    struct session_ahead *ahead;     /* NULL: nothing is predicted */
    struct session_experts *experts; /* NULL: a dense model */
    struct session_segment *segments;
    uint32_t *position;   /* [token], in `all` */
    uint32_t *segment_of; /* [token] */
    uint8_t *scratch;     /* [thread][scratch_bytes] */
    size_t scratch_bytes;

    /* the pass under way */
    const struct model_weights *weights;
    struct lb_error *err;
    uint32_t layer;
    uint32_t n_tokens, n_segments;
    uint32_t formats;        /* of the next products: bit per enum kernels_format */
    _Atomic bool no_numbers; /* an activation was NaN, infinite or beyond what a norm can square */
    bool residual;           /* h is still to be added to x */
    const float *to_prepare; /* [token][prepare_width] */
    uint32_t prepare_width;
    struct session_part *parts; /* products of the job under way */
    uint32_t n_parts;
    struct session_ffn *ffn; /* under way */
    uint32_t n_ffn, ffn_width;
    struct order_chooser orders;

    /* profile, or NULL */
    struct model_profile_entry *profile;
    size_t n_profile;
    int64_t mark_ns; /* everything before is accounted for */
};

/* Of latent attention; the query that meets the cache is session.q, [token][head][latent, rope]. */
struct session_latent {
    float *q_low;                      /* [token][q_rank] */
    float *query;                      /* [token][head][nope, rope] */
    float *row;                        /* [token][kv_rank + rope]: of the cache */
    void *head_input[SESSION_FORMATS]; /* [head][an input of all tokens] */
    uint32_t head_width;               /* of these inputs now */
};

/* Of a layer's experts. Their rows of work stand by expert, then by token: slots. Tokens are those
 * of the pass: where several chunks go through the layer together, of all of them. */
struct session_experts {
    float *logits;               /* [token][count] */
    float *router_bias, *choice; /* [count] biases on logits, and on scores for the choice */
    uint32_t *chosen;            /* [token][used] experts, in the router's order */
    float *weight;               /* [token][used] */
    uint32_t *slot;              /* [token][used] */
    uint32_t *token;             /* [slot] */
    uint32_t *first;             /* [count + 1] first slot of an expert */
    uint32_t *needed, n_needed;  /* [count] experts that some token chose, ascending */
    uint32_t base;               /* token of the pass that the chunk at hand begins with */
    bool one;                    /* token in the pass: the input of all is its input */
    uint32_t at;                 /* needed experts before this one are done, where none are taken */
    float *gathered;             /* [row][n_embd] input of the experts in one job */
    void *input[SESSION_FORMATS]; /* the same, prepared */
    float *out;                   /* [slot][n_embd] */
    float *shared;                /* [token][n_embd] of the shared expert */
    float *shared_inp;            /* [n_embd] its gate's weights */
    float *gate_bias, *up_bias;   /* [count][n_ff] */
    float *down_bias;             /* [count][n_embd] */
    struct session_ffn job[SESSION_TOGETHER];
    struct session_input job_input[SESSION_TOGETHER];
    uint32_t job_slot[SESSION_TOGETHER]; /* its first */
};

/* Of a later layer's router, asked with this layer's input. */
struct session_ahead {
    float *norm;                /* [n_embd] weights */
    float *h;                   /* [token][n_embd] x, with that layer's norm */
    struct session_input input; /* the same, prepared */
    float *logits;              /* [token][count] */
    float *bias, *choice;       /* [count] on logits, and on scores for the choice */
    float *room, *weight;       /* [2 x count], [used] of router_choose */
    uint32_t *chosen, *experts; /* [used] of a token; [count] of all, ascending */
    bool *is_chosen;            /* [count] */
};

/* ---- session.c ---- */

/* Keys (values follow kv_half bytes later) of a sequence in a layer. */
uint8_t *session_keys(const struct model_session *s, uint32_t layer, uint32_t sequence);
/* Runs work over items 0..n-1, in chunks, on all threads; on the caller alone where one chunk
 * holds them all. */
void session_share(struct model_session *s, uint32_t n, uint32_t chunk, session_work_fn work);

/* ---- product.c: everything that asks for weights ---- */

/* out[token * stride + row] = sum over i of W[row][i] * input[token][i], for the tensor of `role`
 * in the current layer; and the bias that goes with it, copied. */
struct product_request {
    enum model_role role;
    enum model_op op;
    float *out;
    size_t stride;
    enum model_role bias_role;         /* where `bias` is not NULL */
    float *bias;                       /* left alone where the model has none */
    uint32_t part;                     /* whose rows: 0, or 1 + expert */
    const struct session_input *input; /* NULL: of the pass's tokens */
};
/* Formats in which these products want their input: a bit per kernels_format. */
uint32_t product_formats(const struct model_session *s, const struct product_request *requests,
                         int n);
/* Acquires all rows even when there are no tokens, so that every pass makes the same accesses.
 * Products that are at hand together are one job; as many as session.parts has room for. */
enum lb_status products(struct model_session *s, const struct product_request *requests, int n);
/* The tensor holds a matrix for each head, one after the other:
 * out[token * stride + head * head_stride + row], from the head's own input (session_latent). */
enum lb_status product_heads(struct model_session *s, enum model_role role, enum model_op op,
                             float *out, size_t stride, size_t head_stride);
/* out[token][row] = W input, of a tensor that is all there; kernels take the order they like. */
void product_kept(struct model_session *s, const struct model_tensor *tensor, const void *data,
                  const struct session_input *input, float *out);
/* Copies a vector (norm, bias) to `out` as floats; leaves `out` alone where the model has none. */
enum lb_status product_vector(struct model_session *s, enum model_role role, float *out);
/* The same of the rows (out[row * n_in]) of a tensor of one row for each expert: of those needed.
 */
enum lb_status product_needed_rows(struct model_session *s, enum model_role role, float *out);
/* x[i] = embedding of tokens[i] */
enum lb_status product_embed(struct model_session *s, const int32_t *tokens);

/* ---- attention.c, latent.c: h = what attention adds to x ---- */

enum lb_status grouped_attention(struct model_session *s, const bool *want);
enum lb_status latent_attention(struct model_session *s, const bool *want);
/* attended = attention(q, cache), after the keys and values of these tokens came to the cache */
void attend_all(struct model_session *s);

/* ---- feed_forward.c, experts.c: h = what the feed-forward part adds to x ---- */

/* Runs n parts of a kind, that are held together, as one job; `width` is their n_ff. */
enum lb_status feed_forward_run(struct model_session *s, const struct session_ffn_kind *kind,
                                uint32_t width, struct session_ffn *ffn, uint32_t n);
/* One part over all tokens of the pass, with the tensors of part 0. */
enum lb_status feed_forward_whole(struct model_session *s, const struct session_ffn_kind *kind,
                                  uint32_t width, float *out);
enum lb_status dense_feed_forward(struct model_session *s);
enum lb_status expert_feed_forward(struct model_session *s);
/* The same where chunks go through the layer together: `choose` for each of them (and what all
 * tokens share), then `run` for all, each needed expert once; then `sum` for each. Chunk i, of
 * max_tokens, has kept[i] tokens. */
enum lb_status experts_choose(struct model_session *s);
enum lb_status experts_run(struct model_session *s, const uint32_t *kept, uint32_t n_chunks);
void experts_sum(struct model_session *s);

/* ---- gate_ahead.c ---- */

/* Asks the router of the layer `depth` further on what it would choose for x, and tells the
 * weights' source; after the norm of this layer's experts. */
void ahead_predict(struct model_session *s, uint32_t depth);

/* ---- forward.c ---- */

/* From here on only the wanted tokens are computed: their rows move together. */
void forward_keep_wanted(struct model_session *s, const bool *want);
/* x -> norm -> input, in every format that the next products need */
enum lb_status forward_norm(struct model_session *s, enum model_role role, enum model_op op,
                            const struct product_request *next, int n_next);

/* ---- stages.c: everything between two products ---- */

/* Tokens of `width` elements that make up a chunk worth handing out. */
uint32_t stage_chunk(uint32_t width);
/* cosine and sine of every token's position */
enum lb_status stage_angles(struct model_session *s);
/* Notes it for the whole pass (forward.c ends it) when a magnitude of x[n] is above `largest`,
 * which NaN and infinity always are. */
void stage_check(struct model_session *s, const float *x, size_t n, float largest);
/* Beyond it the sum of squares of a norm overflows, and its result is a plausible 0. */
#define STAGE_SQUARED 1e17f
/* Turns the first rope_dims elements of x by the angles of token t. */
void stage_rotate(const struct model_session *s, uint32_t t, float *x);
/* The cache's row of this token: cache[head][position][i] = x[i], i < head_dim */
void stage_store(struct model_session *s, uint32_t head, uint32_t t, const float *x, void *cache);
/* input = tokens first..last-1 of x[token][width], in the formats that the next products need */
void stage_prepare_tokens(struct model_session *s, const struct session_input *input,
                          const float *x, size_t stride, uint32_t width, uint32_t first,
                          uint32_t last);
/* x += h (if pending), the same sum as in the next norm: h is free then */
void stage_settle(struct model_session *s);
/* x += h (if pending); h = rms_norm(x) * norm; input = h */
void stage_norm(struct model_session *s, enum model_op op);
/* input = x[token][width] */
void stage_prepare(struct model_session *s, const float *x, uint32_t width);
/* The inputs of the layer's feed-forward parts under way: act = swiglu(gate, up) */
void stage_swiglu(struct model_session *s);

/* ---- profile.c ---- */

enum lb_status profile_open(struct model_session *s, struct lb_error *err);
/* The time since the last mark was this op of the current layer. */
void profile_lap(struct model_session *s, enum model_op op);
void profile_work(struct model_session *s, enum model_op op, uint64_t bytes, double flops);

#endif
