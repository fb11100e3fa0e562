/*
 * synth_look: what the rows of a synthetic model's matrices look like.
 *
 * Dense models: deviates, no more. In a mixture the hidden state has three kinds of elements:
 *
 *   [0, 32)    common: the same number in every token's embedding, which nothing else comes near.
 *              A router reads the popularity of its experts from it, and queries and keys agree
 *              through it in pairs that rotary positions turn at the right speeds, so that
 *              attention looks at the last few tokens, whatever they are.
 *   [32, 256)  slow: 0 in embeddings; attention alone writes here, and so it holds averages over
 *              the last tokens
 *   the rest   fast: the embedding, and what feed-forward parts add
 *
 * Norms keep the first two away from where they are not meant to be; routers read each kind with
 * weights that give the logits of synth_routing.h. What layers add is scaled by 1 / sqrt(layers),
 * so that the size of the hidden state, which routers have to reckon with, is known beforehand.
 */
#ifndef SYNTH_LOOK_H
#define SYNTH_LOOK_H

#include "synth/synth.h"

enum { SYNTH_COMMON = 32, SYNTH_SLOW_END = 256 };

/* A row: its first SYNTH_SLOW_END elements apart from the rest if `split`. */
struct synth_look {
    double deviation;
    int split;
    double common; /* value of the first SYNTH_COMMON */
    double slow;   /* deviation of the others up to SYNTH_SLOW_END */
};

/* What all rows of a model rest on. */
struct synth_looks {
    const struct synth_shape *shape;
    double share;               /* of the kernel (synth_kernel) */
    double agreed;              /* size of the elements in which queries and keys agree, and the */
    double qk_norm;             /* mean of the weights of a norm that they go through */
    unsigned char agrees[1024]; /* by element of the turned part of a query or key */
};
/* LB_ERR_INPUT: a shape that has no room for all this. */
enum lb_status synth_looks_of(const struct synth_shape *shape, struct synth_looks *looks,
                              struct lb_error *err);

/* Of row `row` of a matrix (of all its slices). */
struct synth_look synth_look_of(const struct synth_looks *looks, const struct synth_tensor *tensor,
                                uint64_t row);
/* Whether all rows of a matrix look alike. */
int synth_looks_alike(const struct synth_looks *looks, const struct synth_tensor *tensor);
/* Element i of a vector, by a normal deviate. */
double synth_vector_element(const struct synth_looks *looks, const struct synth_tensor *tensor,
                            uint64_t i, double deviate);

/* Of a layer's router: what element i of the row of an expert is, by its popularity (see
 * synth_popularity) and a normal deviate: common * popularity, slow * deviate, fast * deviate. */
struct synth_router_look {
    double common, slow, fast;
};
struct synth_router_look synth_router_look_of(const struct synth_shape *shape,
                                              const struct synth_routing *routing, uint32_t layer);

#endif
