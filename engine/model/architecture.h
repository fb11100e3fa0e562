/*
 * architecture: what one GGUF architecture does differently from another, as a description; and the
 * names of neighbours that are not supported, with what they would need. Which tensors each has is
 * in the table of binding.c. Internal to the room.
 */
#ifndef MODEL_ARCHITECTURE_H
#define MODEL_ARCHITECTURE_H

#include "model/model.h"

/* Bits, so that a set of architectures is a number. */
enum architecture_bit {
    LLAMA = 1 << 0, /* with expert_count: Mixtral */
    QWEN2 = 1 << 1,
    QWEN3 = 1 << 2,
    QWEN2MOE = 1 << 3,
    QWEN3MOE = 1 << 4,
    OLMOE = 1 << 5,
    GLM4MOE = 1 << 6,
    DEEPSEEK2 = 1 << 7,
    GPT_OSS = 1 << 8,
    ALL_ARCHITECTURES = (1 << 9) - 1
};

struct model_architecture {
    const char *name;
    enum architecture_bit bit;
    bool rope_neox; /* rotate halves instead of neighbouring pairs */
    enum { EXPERTS_NEVER, EXPERTS_MAYBE, EXPERTS_ALWAYS } experts;
    enum model_gating gating; /* unless the file says another */
    bool normalised;          /* weights of the chosen experts are divided by their sum, unless
                               * the file says otherwise */
    bool latent;              /* multi-head latent attention */
    bool window_alternates;   /* the sliding window holds in every second layer, from the first */
    enum model_activation swiglu; /* between gate, up and down */
};

/* LB_ERR_UNSUPPORTED: says what a known neighbour would need, or which names are expected. */
enum lb_status architecture_find(const char *path, const char *name,
                                 const struct model_architecture **architecture,
                                 struct lb_error *err);

#endif
