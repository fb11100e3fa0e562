/*
 * synth: deterministic models with the shapes and tensor-type mix of real ones,
 * finite random weights and a usable vocabulary. For studies of speed, never of text.
 *
 * Routers of random weights choose nearly evenly, which no trained one does: in mixtures of experts
 * the weights are made so that routing has a given skew and persistence (synth_routing.h).
 */
#ifndef SYNTH_H
#define SYNTH_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* The experts of a layer; count 0: a dense model. */
struct synth_experts {
    uint32_t count, used, n_ff;
    uint32_t n_shared;     /* width of the shared expert; 0: none */
    uint32_t dense_layers; /* so many layers at the beginning have none */
    uint32_t groups, groups_used;
    int sigmoid, normalised; /* how scores become weights */
    float scale;             /* of the weights; 0: not said */
};

/* Multi-head latent attention; kv_rank 0: another kind. */
struct synth_latent {
    uint32_t q_rank, kv_rank, n_nope, n_rope, n_value; /* q_rank 0: queries from the input */
};

/* YaRN; factor 0: none. */
struct synth_yarn {
    float factor, log_multiplier; /* 0: not said */
    uint32_t context;             /* original */
};

struct synth_shape {
    const char *name; /* "llama-2-7b" */
    const char *architecture;
    uint32_t n_layers, n_embd, n_heads, n_kv_heads, head_dim, n_ff, n_vocab, context;
    float rope_base;
    int tied_embedding;
    float rms_eps;
    int rope_factors; /* has the frequency factors of Llama 3.1 */
    /* of mixtures of experts, 0 and NULL elsewhere */
    struct synth_experts experts;
    struct synth_latent latent;
    struct synth_yarn yarn;
    uint32_t rope_dims;      /* 0: head_dim */
    uint32_t sliding_window; /* 0: none */
    int head_norms;          /* norms of q and k where the architecture leaves it open */
    const char *mix;         /* that it usually comes in; NULL: SYNTH_MIX */
};

#define SYNTH_MIX "Q4_K_M"

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
    SYNTH_ATTN_Q_A,  /* latent attention: to the queries' low rank, */
    SYNTH_ATTN_Q_B,  /* from there to queries, */
    SYNTH_ATTN_KV_A, /* to latent and shared rope key, */
    SYNTH_ATTN_KV_B, /* from there to keys, to values */
    SYNTH_ATTN_OUTPUT,
    SYNTH_ATTN_NORM,
    SYNTH_QK_NORM,
    SYNTH_FFN_GATE,
    SYNTH_FFN_UP,
    SYNTH_FFN_DOWN,
    SYNTH_FFN_NORM,
    SYNTH_ROUTER,
    SYNTH_CHOICE_BIAS,
    SYNTH_NORM, /* any other */
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
 * it also serves for models that no disk here could hold. mix NULL: the shape's usual one.
 * LB_ERR_INPUT: unknown mix. */
enum lb_status synth_plan(const struct synth_shape *shape, const char *mix,
                          struct synth_tensor **tensors, size_t *count, struct lb_error *err);

/* ---- routing of mixtures ---- */

struct synth_routing {
    double skew;        /* exponent of Zipf's law for a layer's experts; 0: all alike */
    double persistence; /* 0 to 1: how much of a choice is the last few tokens' */
};

/* With which LRU keeps about as much of a model with 8 of 64 experts as is published of real ones:
 * 54% of the accesses in a quarter of the slots. */
extern const struct synth_routing synth_usual_routing;

/* What a file says of it, as F32. */
#define SYNTH_KEY_SKEW        "layerbench.synthetic_routing.skew"
#define SYNTH_KEY_PERSISTENCE "layerbench.synthetic_routing.persistence"

/* Tells what a model of the shape with this routing (NULL: the usual) chooses for n_tokens of a
 * sequence, without a model: token by token, of each the layers that have experts, best expert
 * first. LB_ERR_INPUT: no mixture, routing out of its bounds. */
typedef void (*synth_route_take)(void *ctx, uint32_t token, uint32_t layer, const uint32_t *experts,
                                 uint32_t n);
enum lb_status synth_routes(const struct synth_shape *shape, const struct synth_routing *routing,
                            uint64_t seed, uint32_t sequence, uint32_t n_tokens,
                            synth_route_take take, void *ctx, struct lb_error *err);

/* ---- writing ---- */

struct synth_options {
    const char *shape, *mix; /* mix NULL: the shape's usual one */
    uint64_t seed;
    uint32_t n_layers;                   /* 0: as the shape says */
    const struct synth_routing *routing; /* of a mixture; NULL: the usual */
    /* called now and then with bytes done and in all; may be NULL */
    void (*progress)(void *ctx, uint64_t done, uint64_t total);
    void *progress_ctx;
};

/* Writes the model. The same options give the same bytes on every machine. */
enum lb_status synth_write(const struct synth_options *options, const char *path,
                           struct lb_error *err);
/* Where the data would begin in the file: the header's size. `tensors` as planned for shape and
 * mix; options->shape and n_layers do not count. */
enum lb_status synth_header_bytes(const struct synth_shape *shape,
                                  const struct synth_options *options,
                                  struct synth_tensor *tensors, size_t n_tensors, uint64_t *bytes,
                                  struct lb_error *err);
/* The same of a shape that need not be one of those with a name. A mixture's embedding is longer
 * than 256. */
enum lb_status synth_write_shape(const struct synth_shape *shape,
                                 const struct synth_options *options, const char *path,
                                 struct lb_error *err);

#endif
