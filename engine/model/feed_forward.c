/*
 * feed_forward: the gated feed-forward part, dense or of experts.
 *
 *   x -> norm -> gate, up -> swiglu -> down -> h
 *
 * Several parts that are held together run as one: the products of all gates and ups are one job,
 * those of all downs another.
 */
#include "model/session.h"

/* The inputs between up and down lie one after the other in session.act. */
static void place_acts(struct model_session *s, uint32_t width)
{
    for (int f = 0; f < SESSION_FORMATS; f++) {
        uint8_t *at = s->act[f];
        for (uint32_t i = 0; at && i < s->n_ffn; i++) {
            s->ffn[i].act.of[f] = at;
            at += kernels_input_bytes((enum kernels_format)f, s->ffn[i].act.n_tokens, width);
        }
    }
}

enum lb_status feed_forward_run(struct model_session *s, const struct session_ffn_kind *kind,
                                uint32_t width, struct session_ffn *ffn, uint32_t n)
{
    struct product_request project[2 * SESSION_TOGETHER], add[SESSION_TOGETHER];
    const uint32_t n_embd = s->model->config.n_embd;
    for (uint32_t i = 0; i < n; i++) {
        const size_t at = (size_t)ffn[i].first * width;
        struct product_request r = {.part = ffn[i].part, .stride = width, .input = ffn[i].input};
        project[2 * i] = project[2 * i + 1] = r;
        project[2 * i].role = kind->gate;
        project[2 * i].op = kind->gate_op;
        project[2 * i].out = s->gate + at;
        project[2 * i + 1].role = kind->up;
        project[2 * i + 1].op = kind->up_op;
        project[2 * i + 1].out = s->up + at;
        ffn[i].act.n_tokens = ffn[i].input->n_tokens;
        add[i] = (struct product_request){.role = kind->down,
                                          .op = kind->down_op,
                                          .out = ffn[i].out,
                                          .stride = n_embd,
                                          .part = ffn[i].part,
                                          .input = &ffn[i].act};
    }
    s->ffn = ffn;
    s->n_ffn = n;
    s->ffn_width = width;
    place_acts(s, width);
    enum lb_status status = products(s, project, 2 * (int)n);
    if (status != LB_OK)
        return status;
    s->formats = product_formats(s, add, 1);
    stage_swiglu(s);
    return products(s, add, (int)n);
}

enum lb_status feed_forward_whole(struct model_session *s, const struct session_ffn_kind *kind,
                                  uint32_t width, float *out)
{
    struct session_ffn ffn = {.input = &s->input, .out = out};
    return feed_forward_run(s, kind, width, &ffn, 1);
}

enum lb_status dense_feed_forward(struct model_session *s)
{
    static const struct session_ffn_kind dense = {ROLE_FFN_GATE, ROLE_FFN_UP, ROLE_FFN_DOWN,
                                                  OP_FFN_GATE,   OP_FFN_UP,   OP_FFN_DOWN};
    const struct product_request next[] = {{.role = ROLE_FFN_GATE}, {.role = ROLE_FFN_UP}};
    enum lb_status status = forward_norm(s, ROLE_FFN_NORM, OP_RMS_NORM, next, 2);
    return status == LB_OK ? feed_forward_whole(s, &dense, s->model->config.n_ff, s->h) : status;
}
