/*
 * profile: where a pass's time goes. Every stretch of a pass is given to exactly one
 * operation at its end, so that the sums are the whole pass.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "model/session.h"

static const char *const names[OP_COUNT] = {
    [OP_ACQUIRE] = "acquire",
    [OP_RMS_NORM] = "rms_norm",
    [OP_ATTN_Q] = "attn_q",
    [OP_ATTN_K] = "attn_k",
    [OP_ATTN_V] = "attn_v",
    [OP_ROPE] = "rope",
    [OP_ATTENTION] = "attention",
    [OP_PREPARE] = "prepare",
    [OP_ATTN_OUTPUT] = "attn_output",
    [OP_ATTN_Q_A] = "attn_q_a",
    [OP_ATTN_Q_B] = "attn_q_b",
    [OP_ATTN_KV_A] = "attn_kv_a",
    [OP_ATTN_K_B] = "attn_k_b",
    [OP_ATTN_V_B] = "attn_v_b",
    [OP_FFN_GATE] = "ffn_gate",
    [OP_FFN_UP] = "ffn_up",
    [OP_SWIGLU] = "swiglu",
    [OP_FFN_DOWN] = "ffn_down",
    [OP_ROUTER] = "router",
    [OP_GATE_AHEAD] = "gate_ahead",
    [OP_SHARED_GATE] = "shared_gate",
    [OP_SHARED_UP] = "shared_up",
    [OP_SHARED_DOWN] = "shared_down",
    [OP_EXPERT_GATE] = "expert_gate",
    [OP_EXPERT_UP] = "expert_up",
    [OP_EXPERT_DOWN] = "expert_down",
    [OP_EXPERT_SUM] = "expert_sum",
    [OP_EMBED] = "embed",
    [OP_ROPE_ANGLES] = "rope_angles",
    [OP_OUTPUT_NORM] = "output_norm",
    [OP_HEAD] = "head",
};

/* [layer][ops of a layer], then those outside */
static struct model_profile_entry *entry(struct model_session *s, enum model_op op)
{
    uint32_t n_layers = s->model->config.n_layers;
    if (op < OP_FIRST_OUTSIDE)
        return &s->profile[(size_t)s->layer * OP_FIRST_OUTSIDE + op];
    return &s->profile[(size_t)n_layers * OP_FIRST_OUTSIDE + (op - OP_FIRST_OUTSIDE)];
}

enum lb_status profile_open(struct model_session *s, struct lb_error *err)
{
    uint32_t n_layers = s->model->config.n_layers;
    s->n_profile = (size_t)n_layers * OP_FIRST_OUTSIDE + (OP_COUNT - OP_FIRST_OUTSIDE);
    s->profile = lb_calloc(s->n_profile, sizeof *s->profile);
    if (!s->profile)
        return lb_fail(err, LB_ERR_NOMEM, "profile: out of memory");
    for (s->layer = 0; s->layer < n_layers; s->layer++)
        for (int op = 0; op < OP_FIRST_OUTSIDE; op++)
            *entry(s, (enum model_op)op) =
                (struct model_profile_entry){.op = names[op], .layer = (int)s->layer};
    for (int op = OP_FIRST_OUTSIDE; op < OP_COUNT; op++)
        *entry(s, (enum model_op)op) = (struct model_profile_entry){.op = names[op], .layer = -1};
    return LB_OK;
}

void profile_lap(struct model_session *s, enum model_op op)
{
    if (!s->profile)
        return;
    int64_t now = lb_now_ns();
    struct model_profile_entry *e = entry(s, op);
    e->calls++;
    e->ns += (uint64_t)(now - s->mark_ns);
    s->mark_ns = now;
}

void profile_work(struct model_session *s, enum model_op op, uint64_t bytes, double flops)
{
    if (!s->profile)
        return;
    struct model_profile_entry *e = entry(s, op);
    e->bytes += bytes;
    e->flops += flops;
}

const struct model_profile_entry *model_profile(const struct model_session *session, size_t *count)
{
    *count = session->n_profile;
    return session->profile;
}
