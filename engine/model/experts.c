/*
 * experts: the feed-forward part as a mixture of experts.
 *
 *   x -> norm -> router -> chosen experts, weights     (the need of the layer is known from here
 * on)
 *     -> shared expert                                 (while experts load)
 *     -> gather the tokens of each expert -> gate, up -> swiglu -> down -> slots
 *     -> sum over a token's slots, in the router's order -> h
 *
 * Every expert serves all tokens that chose it, once a pass, in whatever order experts are there;
 * each writes slots of its own. So neither the order nor what was cached changes a bit; nor does it
 * whether the chunks of a prompt come to an expert one by one or together.
 */
#include "model/router.h"
#include "model/session.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const struct session_ffn_kind routed = {ROLE_EXPERT_GATE, ROLE_EXPERT_UP, ROLE_EXPERT_DOWN,
                                               OP_EXPERT_GATE,   OP_EXPERT_UP,   OP_EXPERT_DOWN};
static const struct session_ffn_kind shared = {ROLE_SHARED_GATE, ROLE_SHARED_UP, ROLE_SHARED_DOWN,
                                               OP_SHARED_GATE,   OP_SHARED_UP,   OP_SHARED_DOWN};

static bool has(const struct model_session *s, enum model_role role)
{
    return binding_id(s->model, s->layer, role) >= 0;
}

static const struct model_experts *experts_of(const struct model_session *s)
{
    return &s->model->config.experts;
}

/* ---- the choice ---- */

#define NO_NUMBER UINT32_MAX /* in place of an expert */

static void route_tokens(struct model_session *s, uint32_t first, uint32_t last, void *scratch)
{
    const struct model_experts *e = experts_of(s);
    struct session_experts *x = s->experts;
    for (uint32_t t = first; t < last; t++) {
        float *logits = x->logits + (size_t)t * e->count;
        uint32_t *chosen = x->chosen + (size_t)(x->base + t) * e->used;
        for (uint32_t i = 0; has(s, ROLE_ROUTER_BIAS) && i < e->count; i++)
            logits[i] += x->router_bias[i];
        if (!router_choose(e, logits, has(s, ROLE_CHOICE_BIAS) ? x->choice : NULL, scratch, chosen,
                           x->weight + (size_t)(x->base + t) * e->used))
            *chosen = NO_NUMBER;
    }
}

static enum lb_status check_numbers(struct model_session *s)
{
    for (uint32_t t = 0; t < s->n_tokens; t++)
        if (s->experts->chosen[(size_t)(s->experts->base + t) * experts_of(s)->used] == NO_NUMBER)
            return lb_fail(s->err, LB_ERR_STATE,
                           "layer %u: the router gives no finite number for the token at position "
                           "%u: expected finite scores (weights or activations are damaged)",
                           s->layer, s->position[t]);
    return LB_OK;
}

/* Slots by expert, then by token (a counting sort); experts that have any are needed. */
static void assign_slots(struct model_session *s, const uint32_t *kept, uint32_t n_chunks)
{
    const struct model_experts *e = experts_of(s);
    struct session_experts *x = s->experts;
    const uint32_t stride = s->options.max_tokens * e->used; /* choices of a full chunk */
    memset(x->first, 0, (e->count + 1) * sizeof *x->first);
    for (uint32_t chunk = 0; chunk < n_chunks; chunk++)
        for (uint32_t i = 0; i < kept[chunk] * e->used; i++)
            x->first[x->chosen[chunk * stride + i] + 1]++;
    x->one = n_chunks == 1 && kept[0] == 1;
    x->n_needed = 0;
    for (uint32_t i = 0; i < e->count; i++) {
        if (x->first[i + 1] > 0)
            x->needed[x->n_needed++] = i;
        x->first[i + 1] += x->first[i];
    }
    const uint32_t n_slots = x->first[e->count];
    /* backwards: first[i + 1] comes down to first[i] */
    for (uint32_t chunk = n_chunks; chunk-- > 0;)
        for (uint32_t i = chunk * stride + kept[chunk] * e->used; i-- > chunk * stride;) {
            x->slot[i] = --x->first[x->chosen[i] + 1];
            x->token[x->slot[i]] = i / e->used;
        }
    memmove(x->first, x->first + 1, e->count * sizeof *x->first);
    x->first[e->count] = n_slots;
}

static void tell_routes(const struct model_session *s)
{
    const size_t used = experts_of(s)->used;
    for (uint32_t t = 0; s->options.routed && t < s->n_tokens; t++) {
        struct model_route route = {.layer = s->layer,
                                    .sequence = s->segments[s->segment_of[t]].sequence,
                                    .position = s->position[t],
                                    .n = (uint32_t)used,
                                    .experts = s->experts->chosen + (s->experts->base + t) * used,
                                    .weights = s->experts->weight + (s->experts->base + t) * used};
        s->options.routed(s->options.routed_ctx, &route);
    }
}

static enum lb_status choose(struct model_session *s)
{
    struct session_experts *x = s->experts;
    const uint32_t count = experts_of(s)->count;
    const struct product_request request = {.role = ROLE_ROUTER,
                                            .op = OP_ROUTER,
                                            .out = x->logits,
                                            .stride = count,
                                            .bias_role = ROLE_ROUTER_BIAS,
                                            .bias = x->router_bias};
    enum lb_status status = products(s, &request, 1);
    if (status == LB_OK)
        status = product_vector(s, ROLE_CHOICE_BIAS, x->choice);
    if (status != LB_OK)
        return status;
    session_share(s, s->n_tokens, stage_chunk(count * (8 + experts_of(s)->used)), route_tokens);
    return check_numbers(s);
}

/* From here on it is known what the layer needs. */
static void reveal(struct model_session *s, const uint32_t *kept, uint32_t n_chunks)
{
    struct session_experts *x = s->experts;
    assign_slots(s, kept, n_chunks);
    if (s->weights->need)
        s->weights->need(s->weights->ctx, (int)s->layer, x->needed, x->n_needed);
    profile_lap(s, OP_ROUTER);
}

static enum lb_status route(struct model_session *s)
{
    enum lb_status status = choose(s);
    if (status != LB_OK)
        return status;
    if (s->ahead && s->options.ahead_of_itself)
        ahead_predict(s, 0);
    reveal(s, &s->n_tokens, 1);
    tell_routes(s);
    profile_lap(s, OP_ROUTER);
    for (uint32_t depth = 1; s->ahead && depth <= s->options.ahead; depth++)
        ahead_predict(s, depth);
    return LB_OK;
}

/* ---- the experts ---- */

static uint32_t tokens_of(const struct session_experts *x, uint32_t expert)
{
    return x->first[expert + 1] - x->first[expert];
}

/* Items: the rows of the parts under way: a token's h each. */
static void gather_rows(struct model_session *s, uint32_t first, uint32_t last, void *scratch)
{
    const uint32_t n_embd = s->model->config.n_embd;
    const struct session_experts *x = s->experts;
    const float *h = s->all.h ? s->all.h : s->h;
    (void)scratch;
    for (uint32_t i = 0; i < s->n_ffn; i++) {
        const struct session_ffn *f = &s->ffn[i];
        uint32_t begin = first > f->first ? first - f->first : 0, n = f->input->n_tokens;
        uint32_t end = last > f->first ? last - f->first : 0;
        float *rows = x->gathered + (size_t)f->first * n_embd;
        end = end < n ? end : n;
        if (begin >= end)
            continue;
        for (uint32_t row = begin; row < end; row++)
            memcpy(rows + (size_t)row * n_embd, h + (size_t)x->token[x->job_slot[i] + row] * n_embd,
                   n_embd * sizeof *rows);
        stage_prepare_tokens(s, f->input, rows, n_embd, n_embd, begin, end);
    }
}

/* Gives each part of the job its input: that of all tokens where it serves all, else of its own. */
static void gather(struct model_session *s, struct session_ffn *job, uint32_t n, uint32_t rows)
{
    struct session_experts *x = s->experts;
    size_t at[SESSION_FORMATS] = {0};
    if (x->one) {
        for (uint32_t i = 0; i < n; i++)
            job[i].input = &s->input;
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct session_input *input = &x->job_input[i];
        for (int f = 0; f < SESSION_FORMATS; f++) {
            input->of[f] = x->input[f] ? (uint8_t *)x->input[f] + at[f] : NULL;
            at[f] += kernels_input_bytes((enum kernels_format)f, input->n_tokens,
                                         s->model->config.n_embd);
        }
        job[i].input = input;
    }
    const struct product_request next[] = {{.role = ROLE_EXPERT_GATE}, {.role = ROLE_EXPERT_UP}};
    s->formats = product_formats(s, next, 2);
    s->ffn = job;
    s->n_ffn = n;
    session_share(s, rows, stage_chunk(s->model->config.n_embd), gather_rows);
    profile_lap(s, OP_PREPARE);
}

/* As many of the experts as fit one job, *done of them; of one that does not fit alone a part, from
 * its token *from on. */
static enum lb_status run_some(struct model_session *s, const uint32_t *experts, uint32_t n,
                               uint32_t *from, uint32_t *done)
{
    const struct model_config *c = &s->model->config;
    struct session_experts *x = s->experts;
    uint32_t rows = 0, jobs = 0;
    for (*done = 0; jobs < n && *done == jobs && rows < s->ffn_rows; jobs++) {
        const uint32_t expert = experts[jobs], slot = x->first[expert] + *from;
        const uint32_t left = tokens_of(x, expert) - *from, most = s->options.max_tokens;
        const uint32_t room = most < s->ffn_rows - rows ? most : s->ffn_rows - rows;
        if (left > room && jobs > 0)
            break;
        x->job_slot[jobs] = slot;
        x->job_input[jobs].n_tokens = left < room ? left : room;
        x->job[jobs] = (struct session_ffn){
            .part = 1 + expert,
            .first = rows,
            .gate_bias = has(s, ROLE_EXPERT_GATE_BIAS)
                             ? x->gate_bias + (size_t)expert * c->experts.n_ff
                             : NULL,
            .up_bias =
                has(s, ROLE_EXPERT_UP_BIAS) ? x->up_bias + (size_t)expert * c->experts.n_ff : NULL,
            .out = x->out + (size_t)slot * c->n_embd};
        rows += x->job_input[jobs].n_tokens;
        *from = left > room ? *from + room : 0;
        *done += left <= room;
    }
    gather(s, x->job, jobs, rows);
    return feed_forward_run(s, &routed, c->experts.n_ff, x->job, jobs);
}

/* Which experts to compute next; without a say of the weights' source, one after the other. */
static enum lb_status take(struct model_session *s, uint32_t taken[SESSION_TOGETHER], uint32_t *n)
{
    struct session_experts *x = s->experts;
    if (s->weights->take)
        return s->weights->take(s->weights->ctx, (int)s->layer, taken, SESSION_TOGETHER, n, s->err);
    taken[0] = x->needed[x->at];
    *n = 1;
    return LB_OK;
}

static enum lb_status run_needed(struct model_session *s)
{
    struct session_experts *x = s->experts;
    enum lb_status status = LB_OK;
    for (x->at = 0; status == LB_OK && x->at < x->n_needed;) {
        uint32_t taken[SESSION_TOGETHER], n = 0, done = 0;
        status = take(s, taken, &n);
        profile_lap(s, OP_ACQUIRE);
        for (uint32_t i = 0, from = 0; status == LB_OK && i < n; i += done)
            status = run_some(s, taken + i, n - i, &from, &done);
        x->at += n;
    }
    return status;
}

/* ---- the sum ---- */

/* The shared expert counts as much as its gate says (Qwen2-MoE), or fully. */
static float shared_weight(struct model_session *s, const float *h)
{
    float sum = 0;
    if (!has(s, ROLE_SHARED_INP))
        return 1;
    for (uint32_t i = 0; i < s->model->config.n_embd; i++)
        sum += h[i] * s->experts->shared_inp[i];
    stage_check(s, &sum, 1, FLT_MAX);
    return 1 / (1 + expf(-sum));
}

static void add_weighted(float *sum, float weight, const float *x, const float *bias, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        sum[i] += weight * (bias ? x[i] + bias[i] : x[i]);
}

static void sum_tokens(struct model_session *s, uint32_t first, uint32_t last, void *scratch)
{
    const uint32_t n = s->model->config.n_embd;
    const size_t used = experts_of(s)->used;
    const struct session_experts *x = s->experts;
    (void)scratch;
    for (uint32_t t = first; t < last; t++) {
        float *h = s->h + (size_t)t * n;
        const float weight_of_shared = has(s, ROLE_SHARED_DOWN) ? shared_weight(s, h) : 0;
        memset(h, 0, n * sizeof *h);
        for (size_t k = (x->base + t) * used; k < (x->base + t + 1) * used; k++)
            add_weighted(
                h, x->weight[k], x->out + (size_t)x->slot[k] * n,
                has(s, ROLE_EXPERT_DOWN_BIAS) ? x->down_bias + (size_t)x->chosen[k] * n : NULL, n);
        if (has(s, ROLE_SHARED_DOWN))
            add_weighted(h, weight_of_shared, x->shared + (x->base + (size_t)t) * n, NULL, n);
    }
}

/* ---- all of it ---- */

static enum lb_status shared_expert(struct model_session *s)
{
    enum lb_status status = product_vector(s, ROLE_SHARED_INP, s->experts->shared_inp);
    if (status != LB_OK || !has(s, ROLE_SHARED_DOWN))
        return status;
    float *out = s->experts->shared + (size_t)s->experts->base * s->model->config.n_embd;
    return feed_forward_whole(s, &shared, experts_of(s)->n_shared, out);
}

static enum lb_status norm(struct model_session *s)
{
    const struct product_request next[] = {{.role = ROLE_ROUTER},
                                           {.role = ROLE_EXPERT_GATE},
                                           {.role = ROLE_EXPERT_UP},
                                           {.role = ROLE_SHARED_GATE},
                                           {.role = ROLE_SHARED_UP}};
    return forward_norm(s, ROLE_FFN_NORM, OP_RMS_NORM, next, has(s, ROLE_SHARED_GATE) ? 5 : 3);
}

static enum lb_status biases(struct model_session *s)
{
    struct session_experts *x = s->experts;
    enum lb_status status = product_needed_rows(s, ROLE_EXPERT_GATE_BIAS, x->gate_bias);
    if (status == LB_OK)
        status = product_needed_rows(s, ROLE_EXPERT_UP_BIAS, x->up_bias);
    if (status == LB_OK)
        status = product_needed_rows(s, ROLE_EXPERT_DOWN_BIAS, x->down_bias);
    return status;
}

void experts_sum(struct model_session *s)
{
    session_share(s, s->n_tokens, stage_chunk(s->model->config.n_embd * experts_of(s)->used),
                  sum_tokens);
    profile_lap(s, OP_EXPERT_SUM);
}

enum lb_status expert_feed_forward(struct model_session *s)
{
    enum lb_status status = norm(s);
    if (status == LB_OK)
        status = route(s);
    if (status == LB_OK)
        status = biases(s);
    if (status == LB_OK)
        status = shared_expert(s);
    if (status == LB_OK)
        status = run_needed(s);
    if (status == LB_OK)
        experts_sum(s);
    return status;
}

enum lb_status experts_choose(struct model_session *s)
{
    enum lb_status status = norm(s);
    if (status == LB_OK)
        status = choose(s);
    if (status != LB_OK)
        return status;
    tell_routes(s);
    profile_lap(s, OP_ROUTER);
    return shared_expert(s);
}

enum lb_status experts_run(struct model_session *s, const uint32_t *kept, uint32_t n_chunks)
{
    reveal(s, kept, n_chunks);
    enum lb_status status = biases(s);
    return status == LB_OK ? run_needed(s) : status;
}
