/*
 * gate_ahead: what later layers' routers would choose, on the input that this layer's experts get.
 *
 *   x (after this layer's attention) -> the later layer's norm -> its router -> its choice
 *
 * The residual stream changes little from layer to layer, so the choice is often the true one
 * (Eliseev and Mazur 2023). Needs the norms and routers of all layers in memory. It is a guess:
 * nothing that is computed depends on it.
 */
#include "model/router.h"
#include "model/session.h"

#include "quant/quant.h"

#include <string.h>

static const enum model_role kept[] = {ROLE_FFN_NORM, ROLE_ROUTER, ROLE_ROUTER_BIAS,
                                       ROLE_CHOICE_BIAS};

bool model_is_kept(const struct model *model, int layer, uint32_t id)
{
    if (layer < 0 || binding_id(model, (uint32_t)layer, ROLE_ROUTER) < 0)
        return false;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (binding_id(model, (uint32_t)layer, kept[i]) == (int)id)
            return true;
    return false;
}

/* The tensor of a role, all of it, or NULL; *tensor says what it is. */
static const void *find(const struct model_session *s, uint32_t layer, enum model_role role,
                        const struct model_tensor **tensor)
{
    *tensor = binding_tensor(s->model, layer, role);
    if (!*tensor)
        return NULL;
    return s->weights->kept(s->weights->ctx, (int)layer,
                            (uint32_t)binding_id(s->model, layer, role));
}

/* Whether there is such a vector; then it is in `out`. */
static bool copy(const struct model_session *s, uint32_t layer, enum model_role role, float *out)
{
    const struct model_tensor *t;
    const void *data = find(s, layer, role, &t);
    if (data)
        quant_info(t->type)->dequantize(data, out, t->n_in);
    return data != NULL;
}

/* Items: tokens. */
static void norm_tokens(struct model_session *s, uint32_t first, uint32_t last, void *scratch)
{
    const struct model_config *c = &s->model->config;
    struct session_ahead *a = s->ahead;
    (void)scratch;
    for (uint32_t t = first; t < last; t++)
        s->ops->rms_norm(s->x + (size_t)t * c->n_embd, a->norm, c->n_embd, c->rms_eps,
                         a->h + (size_t)t * c->n_embd);
    stage_prepare_tokens(s, &a->input, a->h, c->n_embd, c->n_embd, first, last);
}

/* The union of what the tokens' routers choose; returns its size. */
static uint32_t choose(struct model_session *s, bool has_bias, bool has_choice)
{
    const struct model_experts *e = &s->model->config.experts;
    struct session_ahead *a = s->ahead;
    memset(a->is_chosen, 0, e->count * sizeof *a->is_chosen);
    for (uint32_t t = 0; t < s->n_tokens; t++) {
        float *logits = a->logits + (size_t)t * e->count;
        for (uint32_t i = 0; has_bias && i < e->count; i++)
            logits[i] += a->bias[i];
        if (!router_choose(e, logits, has_choice ? a->choice : NULL, a->room, a->chosen, a->weight))
            continue;
        for (uint32_t k = 0; k < e->used; k++)
            a->is_chosen[a->chosen[k]] = true;
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < e->count; i++)
        if (a->is_chosen[i])
            a->experts[n++] = i;
    return n;
}

void ahead_predict(struct model_session *s, uint32_t depth)
{
    const struct model_config *c = &s->model->config;
    const uint32_t layer = s->layer + depth;
    const struct model_tensor *router;
    struct session_ahead *a = s->ahead;
    if (layer >= c->n_layers || s->n_tokens == 0 || !copy(s, layer, ROLE_FFN_NORM, a->norm))
        return;
    const void *data = find(s, layer, ROLE_ROUTER, &router);
    if (!data)
        return;
    const uint32_t formats = s->formats;
    a->input.n_tokens = s->n_tokens;
    s->formats = 1u << kernels_format_of(router->type);
    session_share(s, s->n_tokens, stage_chunk(c->n_embd), norm_tokens);
    product_kept(s, router, data, &a->input, a->logits);
    s->formats = formats;
    bool has_bias = copy(s, layer, ROLE_ROUTER_BIAS, a->bias);
    bool has_choice = copy(s, layer, ROLE_CHOICE_BIAS, a->choice);
    uint32_t n = choose(s, has_bias, has_choice);
    if (n > 0)
        s->weights->predict(s->weights->ctx, (int)layer, depth, a->experts, n);
    profile_lap(s, OP_GATE_AHEAD);
}
