/*
 * binding: which tensors an architecture has, in which order the forward pass needs
 * them, and which shape each must have. Internal to the room; model.h is the
 * contract.
 */
#ifndef MODEL_BINDING_H
#define MODEL_BINDING_H

#include "model/architecture.h"
#include "model/model.h"

/* What a tensor is for. */
enum model_role {
    ROLE_TOKEN_EMBD,
    ROLE_ROPE_FREQS,
    ROLE_OUTPUT_NORM,
    ROLE_OUTPUT,
    /* of a layer */
    ROLE_ATTN_NORM,
    ROLE_ATTN_Q,
    ROLE_ATTN_Q_BIAS,
    ROLE_ATTN_K,
    ROLE_ATTN_K_BIAS,
    ROLE_ATTN_V,
    ROLE_ATTN_V_BIAS,
    ROLE_ATTN_Q_NORM,
    ROLE_ATTN_K_NORM,
    ROLE_ATTN_Q_A, /* latent attention */
    ROLE_ATTN_Q_A_NORM,
    ROLE_ATTN_Q_B,
    ROLE_ATTN_KV_A,
    ROLE_ATTN_KV_A_NORM,
    ROLE_ATTN_K_B,
    ROLE_ATTN_V_B,
    ROLE_ATTN_SINKS,
    ROLE_ATTN_OUTPUT,
    ROLE_ATTN_OUTPUT_BIAS,
    ROLE_FFN_NORM,
    ROLE_FFN_GATE,
    ROLE_FFN_UP,
    ROLE_FFN_DOWN,
    ROLE_ROUTER,
    ROLE_ROUTER_BIAS,
    ROLE_CHOICE_BIAS,
    ROLE_EXPERT_GATE_BIAS,
    ROLE_EXPERT_UP_BIAS,
    ROLE_EXPERT_DOWN_BIAS,
    ROLE_SHARED_INP,
    ROLE_SHARED_GATE,
    ROLE_SHARED_UP,
    ROLE_SHARED_DOWN,
    ROLE_EXPERT_GATE,
    ROLE_EXPERT_UP,
    ROLE_EXPERT_DOWN,
    ROLE_COUNT,
    ROLE_FIRST_OF_LAYER = ROLE_ATTN_NORM
};

/* The tensors of one layer, or those outside the layers. */
struct binding_list {
    int16_t id[ROLE_COUNT]; /* index in its list, -1: there is none */
    uint32_t n, first;      /* so many, from this one of the model's tensors on */
};

struct model {
    const struct gguf_file *file;
    struct model_config config;
    const struct model_architecture *architecture;
    struct binding_list *lists; /* [1 + n_layers]: those outside first */
    struct model_tensor *tensors;
};

/* Fills *config from the keys of the file and checks that it makes sense. */
enum lb_status config_read(const struct gguf_file *file, struct model_config *config,
                           const struct model_architecture **architecture, struct lb_error *err);

/* Whether the role's tensor is multiplied with; else it is copied out row by row. */
bool binding_is_matrix(enum model_role role);

/* Index in the list of model_tensors, -1: this layer has no such tensor; `layer` is ignored for
 * roles outside the layers. */
int binding_id(const struct model *model, uint32_t layer, enum model_role role);

/* NULL when there is none */
const struct model_tensor *binding_tensor(const struct model *model, uint32_t layer,
                                          enum model_role role);

#endif
