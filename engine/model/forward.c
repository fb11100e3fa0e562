/*
 * forward: one pass over all layers.
 *
 *   tokens -> x -> [ x -> attention -> + x -> feed-forward -> + x ] per layer
 *     -> norm -> head -> logits
 *
 * A layer's two halves are one of each: attention.c or latent.c, feed_forward.c or experts.c.
 *
 * In the last layer only the wanted tokens go on once their attention is done. The
 * lengths of the KV caches move at the very end: a pass that breaks off leaves
 * them as they were, and what it wrote beyond them is overwritten by the next.
 */
#include "base/clock.h"
#include "model/session.h"

#include <float.h>
#include <string.h>

/* The tokens of one sequence stand together: one segment each. */
static enum lb_status add_segment(struct model_session *s, const struct model_batch *batch,
                                  uint32_t first)
{
    uint32_t sequence = batch->sequences[first], last = first + 1;
    while (last < batch->n_tokens && batch->sequences[last] == sequence)
        last++;
    if (sequence >= s->options.n_sequences)
        return lb_fail(s->err, LB_ERR_INPUT, "token %u: sequence %u: expected 0 to %u", first,
                       sequence, s->options.n_sequences - 1);
    for (uint32_t i = 0; i < s->n_segments; i++)
        if (s->segments[i].sequence == sequence)
            return lb_fail(s->err, LB_ERR_INPUT,
                           "token %u: sequence %u stands apart from its earlier tokens", first,
                           sequence);
    uint32_t held = s->length[sequence], n = last - first;
    if (n > s->options.context - held)
        return lb_fail(s->err, LB_ERR_INPUT,
                       "sequence %u: context full: %u positions held, %u more asked for, room for "
                       "%u",
                       sequence, held, n, s->options.context);
    for (uint32_t t = first; t < last; t++) {
        s->position[t] = held + (t - first);
        s->segment_of[t] = s->n_segments;
    }
    s->segments[s->n_segments++] =
        (struct session_segment){.sequence = sequence, .first = first, .n_tokens = n, .pos0 = held};
    return LB_OK;
}

static enum lb_status begin(struct model_session *s, const struct model_batch *batch)
{
    if (batch->n_tokens == 0 || batch->n_tokens > s->options.max_tokens)
        return lb_fail(s->err, LB_ERR_INPUT, "%u tokens in a pass: expected 1 to %u",
                       batch->n_tokens, s->options.max_tokens);
    for (uint32_t i = 0; i < batch->n_tokens; i++)
        if (batch->tokens[i] < 0 || (uint32_t)batch->tokens[i] >= s->model->config.n_vocab)
            return lb_fail(s->err, LB_ERR_INPUT, "token %u: id %d: expected 0 to %u", i,
                           batch->tokens[i], s->model->config.n_vocab - 1);
    s->n_tokens = s->input.n_tokens = batch->n_tokens;
    s->n_segments = 0;
    s->residual = false;
    atomic_store_explicit(&s->no_numbers, false, memory_order_relaxed);
    s->mark_ns = s->profile ? lb_now_ns() : 0;
    for (uint32_t t = 0; t < batch->n_tokens; t += s->segments[s->n_segments - 1].n_tokens) {
        enum lb_status status = add_segment(s, batch, t);
        if (status != LB_OK)
            return status;
    }
    return LB_OK;
}

void forward_keep_wanted(struct model_session *s, const bool *want)
{
    uint32_t kept = 0, n_embd = s->model->config.n_embd;
    for (uint32_t t = 0; t < s->n_tokens; t++) {
        if (!want || !want[t])
            continue;
        if (kept < t) {
            memcpy(s->x + (size_t)kept * n_embd, s->x + (size_t)t * n_embd, n_embd * sizeof *s->x);
            memcpy(s->attended + (size_t)kept * s->q_dim, s->attended + (size_t)t * s->q_dim,
                   s->q_dim * sizeof *s->attended);
            s->position[kept] = s->position[t];
            s->segment_of[kept] = s->segment_of[t];
        }
        kept++;
    }
    s->n_tokens = s->input.n_tokens = kept;
}

enum lb_status forward_norm(struct model_session *s, enum model_role role, enum model_op op,
                            const struct product_request *next, int n_next)
{
    enum lb_status status = product_vector(s, role, s->norm);
    if (status != LB_OK)
        return status;
    profile_lap(s, op == OP_RMS_NORM ? OP_ACQUIRE : op);
    s->formats = product_formats(s, next, n_next);
    stage_norm(s, op);
    return LB_OK;
}

static enum lb_status check_numbers(struct model_session *s)
{
    if (!atomic_load_explicit(&s->no_numbers, memory_order_relaxed))
        return LB_OK;
    return lb_fail(s->err, LB_ERR_STATE,
                   "layer %u: activations are not numbers (NaN or infinite), nor would the logits "
                   "be: the model file is damaged",
                   s->layer);
}

static enum lb_status check_logits(struct model_session *s, const float *logits)
{
    stage_check(s, logits, (size_t)s->n_tokens * s->model->config.n_vocab, FLT_MAX);
    if (!atomic_load_explicit(&s->no_numbers, memory_order_relaxed))
        return LB_OK;
    return lb_fail(s->err, LB_ERR_STATE,
                   "the logits are not numbers (NaN or infinite): the model file is damaged");
}

static enum lb_status head(struct model_session *s, float *logits)
{
    const enum model_role role = s->model->config.tied_embedding ? ROLE_TOKEN_EMBD : ROLE_OUTPUT;
    const struct product_request request = {
        .role = role, .op = OP_HEAD, .out = logits, .stride = s->model->config.n_vocab};
    if (s->n_tokens == 0)
        return LB_OK;
    enum lb_status status = forward_norm(s, ROLE_OUTPUT_NORM, OP_OUTPUT_NORM, &request, 1);
    if (status == LB_OK)
        status = products(s, &request, 1);
    return status == LB_OK ? check_logits(s, logits) : status;
}

static enum lb_status attention(struct model_session *s, const bool *want)
{
    return s->latent ? latent_attention(s, want) : grouped_attention(s, want);
}

static enum lb_status feed_forward(struct model_session *s)
{
    return binding_id(s->model, s->layer, ROLE_ROUTER) >= 0 ? expert_feed_forward(s)
                                                            : dense_feed_forward(s);
}

enum lb_status model_forward(struct model_session *session, const struct model_weights *weights,
                             const struct model_batch *batch, float *logits, struct lb_error *err)
{
    struct model_session *s = session;
    s->weights = weights;
    s->err = err;
    s->layer = 0;
    enum lb_status status = begin(s, batch);
    if (status == LB_OK)
        status = product_embed(s, batch->tokens);
    if (status == LB_OK)
        status = stage_angles(s);
    for (; status == LB_OK && s->layer < s->model->config.n_layers; s->layer++) {
        status = attention(s, batch->want);
        if (status == LB_OK)
            status = feed_forward(s);
        if (status == LB_OK)
            status = check_numbers(s);
        if (status == LB_OK)
            weights->release(weights->ctx, (int)s->layer);
    }
    if (status == LB_OK)
        status = head(s, logits);
    for (uint32_t i = 0; status == LB_OK && i < s->n_segments; i++)
        s->length[s->segments[i].sequence] += s->segments[i].n_tokens;
    return status;
}
