/*
 * forward: one pass over all layers.
 *
 *   tokens -> x -> [ x -> attention -> + x -> feed-forward -> + x ] per layer
 *     -> norm -> head -> logits
 *
 * A layer's two halves are one of each: attention.c or latent.c, feed_forward.c or experts.c.
 *
 * A pass of more tokens than the workspace holds goes in chunks: all of them through a layer, then
 * the next layer, so that weights are asked for once a pass. Between layers a chunk is its x alone.
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
    for (uint32_t t = first; t < last; t++)
        s->all.position[t] = held + (t - first);
    for (uint32_t t = first; t < last && t < s->options.max_tokens; t++)
        s->segment_of[t] = s->n_segments;
    s->segments[s->n_segments++] =
        (struct session_segment){.sequence = sequence, .first = first, .n_tokens = n, .pos0 = held};
    return LB_OK;
}

static enum lb_status begin(struct model_session *s, const struct model_batch *batch)
{
    if (batch->n_tokens == 0 || batch->n_tokens > s->options.most_tokens)
        return lb_fail(s->err, LB_ERR_INPUT, "%u tokens in a pass: expected 1 to %u",
                       batch->n_tokens, s->options.most_tokens);
    for (uint32_t i = 0; i < batch->n_tokens; i++)
        if (batch->tokens[i] < 0 || (uint32_t)batch->tokens[i] >= s->model->config.n_vocab)
            return lb_fail(s->err, LB_ERR_INPUT, "token %u: id %d: expected 0 to %u", i,
                           batch->tokens[i], s->model->config.n_vocab - 1);
    s->n_segments = 0;
    s->residual = false;
    atomic_store_explicit(&s->no_numbers, false, memory_order_relaxed);
    s->mark_ns = s->profile ? lb_now_ns() : 0;
    for (uint32_t t = 0; t < batch->n_tokens; t += s->segments[s->n_segments - 1].n_tokens) {
        enum lb_status status = add_segment(s, batch, t);
        if (status != LB_OK)
            return status;
    }
    if (batch->n_tokens > s->options.max_tokens && s->n_segments > 1)
        return lb_fail(s->err, LB_ERR_INPUT,
                       "%u tokens of %u sequences in a pass: expected at most %u, or one sequence",
                       batch->n_tokens, s->n_segments, s->options.max_tokens);
    return LB_OK;
}

/* ---- chunks ---- */

static uint32_t chunks_of(const struct model_session *s, const struct model_batch *batch)
{
    return (batch->n_tokens + s->options.max_tokens - 1) / s->options.max_tokens;
}

/* From here on the tokens are those of one chunk; *first of them in the batch. */
static uint32_t select_chunk(struct model_session *s, const struct model_batch *batch,
                             uint32_t chunk)
{
    const struct model_config *c = &s->model->config;
    const uint32_t first = chunk * s->options.max_tokens, left = batch->n_tokens - first;
    const size_t pairs = c->rope_dims / 2;
    s->n_tokens = left < s->options.max_tokens ? left : s->options.max_tokens;
    s->input.n_tokens = s->n_tokens;
    s->x = s->all.x + (size_t)first * c->n_embd;
    s->h = s->all.h ? s->all.h + (size_t)first * c->n_embd : s->h;
    s->cosine = s->all.cosine + first * pairs;
    s->sine = s->all.sine + first * pairs;
    s->position = s->all.position + first;
    if (s->experts)
        s->experts->base = first;
    if (chunks_of(s, batch) > 1) { /* one sequence */
        s->segments[0].n_tokens = s->n_tokens;
        s->segments[0].pos0 = s->length[s->segments[0].sequence] + first;
    }
    return first;
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

static enum lb_status embed(struct model_session *s, const struct model_batch *batch)
{
    enum lb_status status = LB_OK;
    for (uint32_t i = 0; status == LB_OK && i < chunks_of(s, batch); i++) {
        uint32_t first = select_chunk(s, batch, i);
        status = product_embed(s, batch->tokens + first);
        if (status == LB_OK)
            status = stage_angles(s);
    }
    return status;
}

/* The experts of a layer, over all chunks: each is asked for once. */
static enum lb_status layer_of_experts(struct model_session *s, const struct model_batch *batch)
{
    enum lb_status status = LB_OK;
    const uint32_t n = chunks_of(s, batch);
    for (uint32_t i = 0; status == LB_OK && i < n; i++) {
        uint32_t first = select_chunk(s, batch, i);
        status = attention(s, batch->want ? batch->want + first : NULL);
        if (status == LB_OK)
            status = experts_choose(s);
        s->residual = false; /* its h waits for the experts */
        s->all.kept[i] = s->n_tokens;
    }
    if (status == LB_OK)
        status = experts_run(s, s->all.kept, n);
    for (uint32_t i = 0; status == LB_OK && i < n; i++) {
        select_chunk(s, batch, i);
        s->n_tokens = s->input.n_tokens = s->all.kept[i];
        experts_sum(s);
        s->residual = true;
        stage_settle(s);
    }
    return status == LB_OK ? check_numbers(s) : status;
}

/* One layer, over all chunks. */
static enum lb_status layer(struct model_session *s, const struct model_batch *batch)
{
    enum lb_status status = LB_OK;
    const uint32_t n = chunks_of(s, batch);
    for (uint32_t i = 0; status == LB_OK && i < n; i++) {
        uint32_t first = select_chunk(s, batch, i);
        status = attention(s, batch->want ? batch->want + first : NULL);
        if (status == LB_OK)
            status = feed_forward(s);
        if (status == LB_OK)
            status = check_numbers(s);
        if (n > 1)
            stage_settle(s);
        s->all.kept[i] = s->n_tokens; /* in the last layer: those wanted */
    }
    return status;
}

static enum lb_status heads(struct model_session *s, const struct model_batch *batch, float *logits)
{
    enum lb_status status = LB_OK;
    for (uint32_t i = 0; status == LB_OK && i < chunks_of(s, batch); i++) {
        select_chunk(s, batch, i);
        s->n_tokens = s->input.n_tokens = s->all.kept[i];
        s->residual &= chunks_of(s, batch) == 1; /* else it was settled */
        status = head(s, logits);
        logits = logits ? logits + (size_t)s->n_tokens * s->model->config.n_vocab : NULL;
    }
    return status;
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
        status = embed(s, batch);
    for (; status == LB_OK && s->layer < s->model->config.n_layers; s->layer++) {
        bool together = chunks_of(s, batch) > 1 && binding_id(s->model, s->layer, ROLE_ROUTER) >= 0;
        status = together ? layer_of_experts(s, batch) : layer(s, batch);
        if (status == LB_OK)
            weights->release(weights->ctx, (int)s->layer);
    }
    if (status == LB_OK)
        status = heads(s, batch, logits);
    if (status == LB_OK)
        for (uint32_t t = 0; t < batch->n_tokens; t++)
            s->length[batch->sequences[t]]++;
    return status;
}
