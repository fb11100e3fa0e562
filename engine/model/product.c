/*
 * product: everything that asks for weights. A product's rows arrive as runs, some or
 * all of them at a time; the rows at hand are shared out over the threads in one job,
 * wherever the runs begin and end.
 */
#include "model/session.h"

#include "quant/quant.h"

#include <assert.h>
#include <string.h>

static const struct model_tensor *tensor_of(const struct model_session *s, enum model_role role)
{
    return binding_tensor(s->model, s->layer, role);
}

static enum lb_status acquire(struct model_session *s, enum model_role role, uint32_t row,
                              const struct model_run **runs, uint32_t *n_runs)
{
    const struct model_tensor *t = tensor_of(s, role);
    enum lb_status status = s->weights->acquire(
        s->weights->ctx, t->layer, (uint32_t)s->model->id[role], row, runs, n_runs, s->err);
    assert(status != LB_OK || (*n_runs > 0 && (*runs)[0].first == row && (*runs)[0].last > row &&
                               (*runs)[*n_runs - 1].last <= t->n_rows));
    return status;
}

uint32_t product_formats(const struct model_session *s, const enum model_role *roles, int n)
{
    uint32_t formats = 0;
    for (int i = 0; i < n; i++)
        formats |= 1u << kernels_format_of(tensor_of(s, roles[i])->type);
    return formats;
}

/* Items are rows, counted from the first one at hand. */
static void product_rows(struct model_session *s, uint32_t first, uint32_t last, void *scratch)
{
    const struct session_product *p = &s->product;
    const struct model_run *run = p->runs;
    first += run->first;
    last += run->first;
    while (first < last) {
        while (run->last <= first)
            run++;
        uint32_t end = last < run->last ? last : run->last;
        const uint8_t *data = run->data;
        s->ops->product(&p->kernel, data + (first - run->first) * p->kernel.row_bytes, first, end,
                        scratch);
        first = end;
    }
}

enum lb_status product(struct model_session *s, enum model_role role, enum model_op op, float *out,
                       size_t stride)
{
    const struct model_tensor *t = tensor_of(s, role);
    struct session_product *p = &s->product;
    p->kernel = (struct kernels_product){.type = t->type,
                                         .n_in = t->n_in,
                                         .n_tokens = s->n_tokens,
                                         .row_bytes = t->row_bytes,
                                         .input = s->input[kernels_format_of(t->type)],
                                         .y = out,
                                         .y_stride = stride};
    enum model_op acquiring = op < OP_FIRST_OUTSIDE ? OP_ACQUIRE : op;
    for (uint32_t row = 0; row < t->n_rows;) {
        enum lb_status status = acquire(s, role, row, &p->runs, &p->n_runs);
        if (status != LB_OK)
            return status;
        profile_lap(s, acquiring);
        uint32_t last = p->runs[p->n_runs - 1].last;
        if (s->n_tokens > 0)
            session_share(s, last - row, kernels_row_chunk(&p->kernel), product_rows);
        row = last;
        profile_lap(s, op);
    }
    profile_work(s, op, s->n_tokens > 0 ? t->bytes : 0, 2.0 * t->n_in * t->n_rows * s->n_tokens);
    return LB_OK;
}

enum lb_status product_vector(struct model_session *s, enum model_role role, float *out)
{
    const struct model_tensor *t = tensor_of(s, role);
    const struct model_run *run;
    uint32_t n_runs;
    if (!t)
        return LB_OK;
    enum lb_status status = acquire(s, role, 0, &run, &n_runs);
    if (status == LB_OK)
        quant_info(t->type)->dequantize(run->data, out, t->n_in);
    return status;
}

enum lb_status product_embed(struct model_session *s, const int32_t *tokens)
{
    const struct model_tensor *t = tensor_of(s, ROLE_TOKEN_EMBD);
    for (uint32_t i = 0; i < s->n_tokens; i++) {
        const struct model_run *run;
        uint32_t n_runs;
        enum lb_status status = acquire(s, ROLE_TOKEN_EMBD, (uint32_t)tokens[i], &run, &n_runs);
        if (status != LB_OK)
            return status;
        quant_info(t->type)->dequantize(run->data, s->x + (size_t)i * t->n_in, t->n_in);
    }
    profile_lap(s, OP_EMBED);
    profile_work(s, OP_EMBED, s->n_tokens * t->row_bytes, 0);
    return LB_OK;
}
