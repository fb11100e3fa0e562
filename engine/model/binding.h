/*
 * binding: which tensors an architecture has, in which order the forward pass needs
 * them, and which shape each must have. Internal to the room; model.h is the
 * contract.
 */
#ifndef MODEL_BINDING_H
#define MODEL_BINDING_H

#include "model/model.h"

/* What a tensor is for. The order is the order of access, and so that of model_tensors. */
enum model_role {
    ROLE_TOKEN_EMBD,
    ROLE_ROPE_FREQS,
    ROLE_OUTPUT_NORM,
    ROLE_OUTPUT,
    ROLE_ATTN_NORM,
    ROLE_ATTN_Q,
    ROLE_ATTN_Q_BIAS,
    ROLE_ATTN_K,
    ROLE_ATTN_K_BIAS,
    ROLE_ATTN_V,
    ROLE_ATTN_V_BIAS,
    ROLE_ATTN_Q_NORM,
    ROLE_ATTN_K_NORM,
    ROLE_ATTN_OUTPUT,
    ROLE_FFN_NORM,
    ROLE_FFN_GATE,
    ROLE_FFN_UP,
    ROLE_FFN_DOWN,
    ROLE_COUNT,
    ROLE_FIRST_OF_LAYER = ROLE_ATTN_NORM
};

struct model {
    const struct gguf_file *file;
    struct model_config config;
    int id[ROLE_COUNT];           /* index in its list, -1: this model has none */
    uint32_t n_resident, n_layer; /* tensors outside the layers, tensors in each layer */
    struct model_tensor *tensors; /* the resident ones, then layer after layer */
};

/* Fills *config from the keys of the file and checks that it makes sense. */
enum lb_status config_read(const struct gguf_file *file, struct model_config *config,
                           struct lb_error *err);

/* Whether the role's tensor is a matrix; else it is a vector. */
bool binding_is_matrix(enum model_role role);

/* NULL when the model has no such tensor; `layer` is ignored for resident roles. */
const struct model_tensor *binding_tensor(const struct model *model, uint32_t layer,
                                          enum model_role role);

#endif
