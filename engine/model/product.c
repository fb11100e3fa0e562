/*
 * product: everything that asks for weights. A product's rows arrive as runs, some or
 * all of them at a time; the rows at hand are shared out over the threads in one job,
 * wherever the runs begin and end. Products of the same input that are at hand
 * together are one job: each job more costs its start, its end and a cold stream of rows.
 */
#include "model/session.h"

#include "base/clock.h"
#include "quant/quant.h"

#include <assert.h>

#define LEAST_ROWS 32 /* a tile of the matrix-matrix kernels */

static const struct model_tensor *tensor_of(const struct model_session *s, enum model_role role)
{
    return binding_tensor(s->model, s->layer, role);
}

static uint32_t id_of(const struct model_session *s, enum model_role role)
{
    return (uint32_t)binding_id(s->model, s->layer, role);
}

static enum lb_status acquire(struct model_session *s, enum model_role role, uint32_t part,
                              uint32_t row, const struct model_run **runs, uint32_t *n_runs)
{
    const struct model_tensor *t = tensor_of(s, role);
    enum lb_status status = s->weights->acquire(s->weights->ctx, t->layer, part, id_of(s, role),
                                                row, runs, n_runs, s->err);
    assert(status != LB_OK || (*n_runs > 0 && (*runs)[0].first == row && (*runs)[0].last > row &&
                               (*runs)[*n_runs - 1].last <= t->n_rows));
    return status;
}

uint32_t product_formats(const struct model_session *s, const struct product_request *requests,
                         int n)
{
    uint32_t formats = 0;
    for (int i = 0; i < n; i++)
        formats |= 1u << kernels_format_of(tensor_of(s, requests[i].role)->type);
    return formats;
}

/* Rows first..last-1 of one tensor, from the runs that hold them. */
static void part_rows(const struct model_session *s, const struct session_part *part,
                      uint32_t first, uint32_t last, void *scratch)
{
    const struct model_run *run = part->runs;
    while (first < last) {
        while (run->last <= first)
            run++;
        uint32_t end = last < run->last ? last : run->last;
        const uint8_t *data = run->data;
        s->ops->product(&part->kernel, data + (first - run->first) * part->kernel.row_bytes,
                        first - part->origin, end - part->origin, scratch);
        first = end;
    }
}

/* Items are the rows of all parts, one part after the other. */
static void product_rows(struct model_session *s, uint32_t first, uint32_t last, void *scratch)
{
    for (uint32_t i = 0; i < s->n_parts && first < last; i++) {
        const struct session_part *part = &s->parts[i];
        uint32_t end = i + 1 < s->n_parts && part[1].base < last ? part[1].base : last;
        if (first >= end)
            continue;
        part_rows(s, part, first - part->base + part->first, end - part->base + part->first,
                  scratch);
        first = end;
    }
}

static const struct session_input *input_of(const struct model_session *s,
                                            const struct product_request *r)
{
    return r->input ? r->input : &s->input;
}

/* Adds the rows of these runs to the job; returns the number of items it has now. */
static uint32_t add_part(struct model_session *s, const struct product_request *r, uint32_t base,
                         const struct model_run *runs, uint32_t n_runs)
{
    const struct model_tensor *t = tensor_of(s, r->role);
    const struct session_input *input = input_of(s, r);
    struct kernels_product kernel = {.type = t->type,
                                     .n_in = t->n_in,
                                     .n_tokens = input->n_tokens,
                                     .row_bytes = t->row_bytes,
                                     .input = input->of[kernels_format_of(t->type)],
                                     .y = r->out,
                                     .y_stride = r->stride};
    s->parts[s->n_parts++] =
        (struct session_part){.kernel = kernel, .runs = runs, .base = base, .first = runs->first};
    return base + runs[n_runs - 1].last - runs->first;
}

/* Rows to take at a time: what suits the kernel, less where that would leave threads idle. */
static uint32_t row_chunk(const struct model_session *s, uint32_t items)
{
    uint32_t best = kernels_row_chunk(s->ops, &s->parts[0].kernel);
    uint32_t fair = items / (4 * (uint32_t)s->n_threads) / LEAST_ROWS * LEAST_ROWS;
    return fair >= best ? best : fair > 0 ? fair : LEAST_ROWS;
}

/* Whether the order changes how fast the job is: some product heeds it, and all have as many
 * tokens. */
static bool heeds_order(const struct model_session *s)
{
    const uint32_t n_tokens = s->parts[0].kernel.n_tokens;
    bool any = false;
    for (uint32_t i = 0; i < s->n_parts; i++) {
        if (s->parts[i].kernel.n_tokens != n_tokens)
            return false;
        any |= kernels_heeds_order(s->ops, s->parts[i].kernel.type, n_tokens);
    }
    return any && n_tokens > 0;
}

static struct order_shape *shape_of_job(struct model_session *s, uint32_t items)
{
    uint32_t types = 0;
    for (uint32_t i = 0; i < s->n_parts; i++)
        types = types << 8 ^ s->parts[i].kernel.type;
    return order_shape_of(&s->orders, types, s->parts[0].kernel.n_in, s->parts[0].kernel.n_tokens,
                          items);
}

/* The job, its products in one order: the one asked for, or the fastest. */
static void run_in_order(struct model_session *s, uint32_t items)
{
    struct order_shape *shape =
        s->options.order == N_KERNELS_ORDERS ? shape_of_job(s, items) : NULL;
    enum kernels_order order = shape                                 ? order_next(shape)
                               : s->options.order < N_KERNELS_ORDERS ? s->options.order
                                                                     : KERNELS_ROWS;
    for (uint32_t i = 0; i < s->n_parts; i++)
        s->parts[i].kernel.order = order;
    int64_t begin_ns = shape ? lb_now_ns() : 0;
    session_share(s, items, row_chunk(s, items), product_rows);
    if (shape)
        order_took(&s->orders, shape, order, (double)(lb_now_ns() - begin_ns), items);
    else
        s->orders.products[order]++;
}

static void run_parts(struct model_session *s, uint32_t items)
{
    if (heeds_order(s))
        run_in_order(s, items);
    else if (s->parts[0].kernel.n_tokens > 0)
        session_share(s, items, row_chunk(s, items), product_rows);
    s->n_parts = 0;
}

/* The first product, and as many of the following as are at hand with it; *done of them. */
static enum lb_status merged_products(struct model_session *s, const struct product_request *r,
                                      int n, int *done)
{
    const struct model_tensor *t = tensor_of(s, r->role);
    const enum model_op acquiring = r->op < OP_FIRST_OUTSIDE ? OP_ACQUIRE : r->op;
    const uint32_t n_tokens = input_of(s, r)->n_tokens;
    *done = 1;
    for (uint32_t row = 0; row < t->n_rows;) {
        const struct model_run *runs;
        uint32_t n_runs;
        enum lb_status status = acquire(s, r->role, r->part, row, &runs, &n_runs);
        if (status != LB_OK)
            return status;
        uint32_t items = add_part(s, r, 0, runs, n_runs);
        row = runs[n_runs - 1].last;
        while (row == t->n_rows && *done < n && s->weights->peek && !s->profile &&
               s->weights->peek(s->weights->ctx, t->layer, r[*done].part, id_of(s, r[*done].role),
                                &runs, &n_runs))
            items = add_part(s, &r[(*done)++], items, runs, n_runs);
        profile_lap(s, acquiring);
        run_parts(s, items);
        profile_lap(s, r->op);
    }
    profile_work(s, r->op, n_tokens > 0 ? t->bytes : 0, 2.0 * t->n_in * t->n_rows * n_tokens);
    return LB_OK;
}

enum lb_status products(struct model_session *s, const struct product_request *requests, int n)
{
    enum lb_status status = LB_OK;
    for (int i = 0, done = 0; status == LB_OK && i < n; i += done) {
        status = merged_products(s, requests + i, n - i, &done);
        for (int j = i; status == LB_OK && j < i + done; j++)
            if (requests[j].bias)
                status = product_vector(s, requests[j].bias_role, requests[j].bias);
    }
    return status;
}

void product_kept(struct model_session *s, const struct model_tensor *t, const void *data,
                  const struct session_input *input, float *out)
{
    const struct model_run run = {.data = data, .last = t->n_rows};
    const struct kernels_product kernel = {.type = t->type,
                                           .n_in = t->n_in,
                                           .n_tokens = input->n_tokens,
                                           .row_bytes = t->row_bytes,
                                           .input = input->of[kernels_format_of(t->type)],
                                           .y = out,
                                           .y_stride = t->n_rows};
    s->parts[s->n_parts++] = (struct session_part){.kernel = kernel, .runs = &run};
    run_parts(s, t->n_rows);
}

/* The rows at hand, cut where one head's end: a part of the job for each. */
static uint32_t add_heads(struct model_session *s, const struct product_request *r,
                          const struct model_run *runs, uint32_t n_runs, size_t head_stride)
{
    const struct model_tensor *t = tensor_of(s, r->role);
    const uint32_t rows = t->n_rows / s->model->config.n_heads;
    const enum kernels_format format = kernels_format_of(t->type);
    const size_t bytes = kernels_input_bytes(format, s->n_tokens, t->n_in);
    const uint32_t first = runs->first, last = runs[n_runs - 1].last;
    for (uint32_t row = first, head = first / rows; row < last; row = ++head * rows) {
        add_part(s, r, row - first, runs, n_runs);
        struct session_part *part = &s->parts[s->n_parts - 1];
        part->first = row;
        part->origin = head * rows;
        part->kernel.input = (uint8_t *)s->latent->head_input[format] + head * bytes;
        part->kernel.y = r->out + head * head_stride;
    }
    return last - first;
}

enum lb_status product_heads(struct model_session *s, enum model_role role, enum model_op op,
                             float *out, size_t stride, size_t head_stride)
{
    const struct model_tensor *t = tensor_of(s, role);
    const struct product_request r = {.role = role, .op = op, .out = out, .stride = stride};
    for (uint32_t row = 0; row < t->n_rows;) {
        const struct model_run *runs;
        uint32_t n_runs;
        enum lb_status status = acquire(s, role, 0, row, &runs, &n_runs);
        if (status != LB_OK)
            return status;
        profile_lap(s, OP_ACQUIRE);
        run_parts(s, add_heads(s, &r, runs, n_runs, head_stride));
        profile_lap(s, op);
        row = runs[n_runs - 1].last;
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
    enum lb_status status = acquire(s, role, 0, 0, &run, &n_runs);
    if (status == LB_OK)
        quant_info(t->type)->dequantize(run->data, out, t->n_in);
    return status;
}

enum lb_status product_needed_rows(struct model_session *s, enum model_role role, float *out)
{
    const struct model_tensor *t = tensor_of(s, role);
    const uint32_t *needed = s->experts->needed, *end = needed + s->experts->n_needed;
    for (uint32_t row = 0; t && row < t->n_rows;) {
        const struct model_run *runs;
        uint32_t n_runs;
        enum lb_status status = acquire(s, role, 0, row, &runs, &n_runs);
        if (status != LB_OK)
            return status;
        for (const struct model_run *run = runs; run < runs + n_runs; run++)
            for (; needed < end && *needed < run->last; needed++)
                quant_info(t->type)->dequantize((const uint8_t *)run->data +
                                                    (*needed - run->first) * t->row_bytes,
                                                out + (size_t)*needed * t->n_in, t->n_in);
        row = runs[n_runs - 1].last;
    }
    return LB_OK;
}

enum lb_status product_embed(struct model_session *s, const int32_t *tokens)
{
    const struct model_tensor *t = tensor_of(s, ROLE_TOKEN_EMBD);
    for (uint32_t i = 0; i < s->n_tokens; i++) {
        const struct model_run *run;
        uint32_t n_runs;
        enum lb_status status = acquire(s, ROLE_TOKEN_EMBD, 0, (uint32_t)tokens[i], &run, &n_runs);
        if (status != LB_OK)
            return status;
        quant_info(t->type)->dequantize(run->data, s->x + (size_t)i * t->n_in, t->n_in);
    }
    profile_lap(s, OP_EMBED);
    profile_work(s, OP_EMBED, s->n_tokens * t->row_bytes, 0);
    return LB_OK;
}
