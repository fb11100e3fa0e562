/*
 * session: opens and closes what a forward pass needs: KV caches, workspace, profile.
 * Everything is allocated here, so that passes allocate nothing. The large blocks are mappings:
 * pages of the KV caches that no position has reached, and what only long prompts need, cost no
 * memory.
 */
#include "model/session.h"

#include "base/memory.h"

#include <assert.h>
#include <string.h>

#define ALIGN 64

/* Hands out aligned parts of one block; with base NULL it only adds up the sizes. */
struct arena {
    uint8_t *base;
    size_t used;
};

static void *take(struct arena *arena, size_t count, size_t size)
{
    void *part = arena->base ? arena->base + arena->used : NULL;
    arena->used += (count * size + ALIGN - 1) / ALIGN * ALIGN;
    return part;
}

static uint32_t most(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* Bit per format that some product with these roles, first..last, needs. */
static uint32_t formats_of(const struct model *model, int first, int last)
{
    uint32_t formats = 0;
    for (int role = first; role <= last; role++) {
        bool multiplied =
            binding_is_matrix(role) && (role != ROLE_TOKEN_EMBD || model->config.tied_embedding);
        uint32_t n = role < ROLE_FIRST_OF_LAYER ? 1 : model->config.n_layers;
        for (uint32_t layer = 0; multiplied && layer < n; layer++) {
            const struct model_tensor *t = binding_tensor(model, layer, (enum model_role)role);
            if (t)
                formats |= 1u << kernels_format_of(t->type);
        }
    }
    return formats;
}

/* n_ff of the widest gated feed-forward part, shared by all tokens or of experts */
static uint32_t widest_ffn(const struct model_config *c)
{
    uint32_t dense = c->experts.count == 0 || c->experts.dense_layers > 0 ? c->n_ff : 0;
    return most(dense, most(c->experts.n_shared, c->experts.n_ff));
}

/* Room for `rows` tokens in inputs of one format, however they are divided among experts. */
static void *take_input(struct arena *arena, int format, size_t rows, uint32_t width)
{
    return take(arena, rows, kernels_input_bytes((enum kernels_format)format, 1, width));
}

static void place_latent(struct model_session *s, struct arena *arena)
{
    const struct model_config *c = &s->model->config;
    const struct model_latent *l = &c->latent;
    struct session_latent *x = s->latent;
    size_t n = s->options.max_tokens;
    uint32_t formats = formats_of(s->model, ROLE_ATTN_K_B, ROLE_ATTN_V_B);
    x->q_low = take(arena, n * l->q_rank, sizeof *x->q_low);
    x->query =
        take(arena, n * c->n_heads * most(l->n_nope + l->n_rope, l->n_value), sizeof *x->query);
    x->row = take(arena, n * c->head_dim, sizeof *x->row);
    for (int f = 0; f < SESSION_FORMATS; f++)
        if (formats & (1u << f))
            x->head_input[f] = take_input(arena, f, n * c->n_heads, most(l->n_nope, l->kv_rank));
}

/* Whether chunks may go through a layer together. */
static bool is_chunked(const struct model_session *s)
{
    return s->options.most_tokens > s->options.max_tokens;
}

/* What experts need for each of n tokens, until the layer's last is done. */
static void place_slots(struct model_session *s, struct arena *arena, size_t n)
{
    const struct model_config *c = &s->model->config;
    struct session_experts *x = s->experts;
    const size_t slots = n * c->experts.used;
    x->chosen = take(arena, slots, sizeof *x->chosen);
    x->weight = take(arena, slots, sizeof *x->weight);
    x->slot = take(arena, slots, sizeof *x->slot);
    x->token = take(arena, slots, sizeof *x->token);
    x->out = take(arena, slots * c->n_embd, sizeof *x->out);
    x->shared = take(arena, c->experts.n_shared > 0 ? n * c->n_embd : 0, sizeof *x->shared);
}

/* What experts need beyond the layer's attention. */
static void place_experts(struct model_session *s, struct arena *arena)
{
    const struct model_config *c = &s->model->config;
    const struct model_experts *e = &c->experts;
    struct session_experts *x = s->experts;
    uint32_t formats = formats_of(s->model, ROLE_EXPERT_GATE, ROLE_EXPERT_UP);
    x->logits = take(arena, s->options.max_tokens * (size_t)e->count, sizeof *x->logits);
    x->gathered = take(arena, s->ffn_rows * (size_t)c->n_embd, sizeof *x->gathered);
    for (int f = 0; f < SESSION_FORMATS; f++)
        if (formats & (1u << f))
            x->input[f] = take_input(arena, f, s->ffn_rows, c->n_embd);
    if (!is_chunked(s))
        place_slots(s, arena, s->options.max_tokens);
}

static void place_ahead(struct model_session *s, struct arena *arena)
{
    const struct model_config *c = &s->model->config;
    const struct model_experts *e = &c->experts;
    struct session_ahead *a = s->ahead;
    size_t n = s->options.max_tokens;
    uint32_t formats = formats_of(s->model, ROLE_ROUTER, ROLE_ROUTER);
    a->norm = take(arena, c->n_embd, sizeof *a->norm);
    a->h = take(arena, n * c->n_embd, sizeof *a->h);
    for (int f = 0; f < SESSION_FORMATS; f++)
        if (formats & (1u << f))
            a->input.of[f] = take_input(arena, f, n, c->n_embd);
    a->logits = take(arena, n * e->count, sizeof *a->logits);
    a->bias = take(arena, e->count, sizeof *a->bias);
    a->choice = take(arena, e->count, sizeof *a->choice);
    a->room = take(arena, 2 * (size_t)e->count, sizeof *a->room);
    a->weight = take(arena, e->used, sizeof *a->weight);
    a->chosen = take(arena, e->used, sizeof *a->chosen);
    a->experts = take(arena, e->count, sizeof *a->experts);
    a->is_chosen = take(arena, e->count, sizeof *a->is_chosen);
}

/* What of the experts lives through a pass, or is small. */
static void place_choice(struct model_session *s, struct arena *arena)
{
    const struct model_config *c = &s->model->config;
    const struct model_experts *e = &c->experts;
    struct session_experts *x = s->experts;
    x->router_bias = take(arena, e->count, sizeof *x->router_bias);
    x->choice = take(arena, e->count, sizeof *x->choice);
    x->first = take(arena, e->count + 1, sizeof *x->first);
    x->needed = take(arena, e->count, sizeof *x->needed);
    x->shared_inp = take(arena, c->n_embd, sizeof *x->shared_inp);
    if (binding_tensor(s->model, c->n_layers - 1, ROLE_EXPERT_GATE_BIAS)) {
        x->gate_bias = take(arena, (size_t)e->count * e->n_ff, sizeof *x->gate_bias);
        x->up_bias = take(arena, (size_t)e->count * e->n_ff, sizeof *x->up_bias);
        x->down_bias = take(arena, (size_t)e->count * c->n_embd, sizeof *x->down_bias);
    }
}

/* q, k, v and attended are dead when the feed-forward part begins: gate and up, and what experts
 * need, take their place. */
static void place_phases(struct model_session *s, struct arena *arena)
{
    size_t n = s->options.max_tokens, n_ff = widest_ffn(&s->model->config);
    uint32_t formats = formats_of(s->model, 0, ROLE_COUNT - 1);
    struct arena ffn = *arena;
    s->q = take(arena, n * s->q_dim, sizeof *s->q);
    s->k = take(arena, s->latent ? 0 : n * s->kv_dim, sizeof *s->k);
    s->v = take(arena, s->latent ? 0 : n * s->kv_dim, sizeof *s->v);
    s->attended = take(arena, n * s->q_dim, sizeof *s->attended);
    if (s->latent)
        place_latent(s, arena);
    s->gate = take(&ffn, s->ffn_rows * n_ff, sizeof *s->gate);
    s->up = take(&ffn, s->ffn_rows * n_ff, sizeof *s->up);
    /* a dense layer's input is dead when that of its down product is made */
    memcpy(s->act, s->input.of, sizeof s->act);
    for (int f = 0; s->experts && f < SESSION_FORMATS; f++)
        s->act[f] = formats & (1u << f) ? take_input(&ffn, f, s->ffn_rows, (uint32_t)n_ff) : NULL;
    if (s->experts)
        place_experts(s, &ffn);
    if (ffn.used > arena->used)
        arena->used = ffn.used;
}

static uint32_t widest_input(const struct model_session *s)
{
    const struct model_config *c = &s->model->config;
    uint32_t widest = most(c->n_embd, most(s->out_dim, c->latent.q_rank));
    return s->experts ? widest : most(widest, c->n_ff);
}

/* Most parts of one job: q, k and v, each head's matrix, or gate and up of several experts. */
static uint32_t most_parts(const struct model_session *s)
{
    return most(2 * SESSION_TOGETHER, s->latent ? s->model->config.n_heads : 0);
}

/* Scratch of a thread: what the kernels want, or the router for its scores. */
static size_t scratch_bytes(const struct model_session *s)
{
    size_t bytes = kernels_scratch_bytes(s->options.max_tokens, s->model->config.head_dim);
    size_t router = 2 * (size_t)s->model->config.experts.count * sizeof(float);
    return ((bytes > router ? bytes : router) + ALIGN - 1) / ALIGN * ALIGN;
}

static void place(struct model_session *s, struct arena *arena)
{
    const struct model_config *c = &s->model->config;
    size_t n = s->options.max_tokens;
    uint32_t formats = formats_of(s->model, 0, ROLE_COUNT - 1), pairs = c->rope_dims / 2;
    if (!s->experts || !is_chunked(s))
        s->h = take(arena, n * c->n_embd, sizeof *s->h);
    for (int f = 0; f < SESSION_FORMATS; f++)
        if (formats & (1u << f))
            s->input.of[f] = take(arena, 1,
                                  kernels_input_bytes((enum kernels_format)f, s->options.max_tokens,
                                                      widest_input(s)));
    place_phases(s, arena);
    s->frequencies = take(arena, pairs, sizeof *s->frequencies);
    s->norm = take(arena, c->n_embd, sizeof *s->norm);
    s->q_bias = take(arena, s->q_dim, sizeof *s->q_bias);
    s->k_bias = take(arena, s->kv_dim, sizeof *s->k_bias);
    s->v_bias = take(arena, s->kv_dim, sizeof *s->v_bias);
    s->out_bias = take(arena, c->n_embd, sizeof *s->out_bias);
    s->q_norm = take(arena, most(s->q_dim, c->latent.q_rank), sizeof *s->q_norm);
    s->k_norm = take(arena, s->kv_dim, sizeof *s->k_norm);
    s->sinks = take(arena, c->n_heads, sizeof *s->sinks);
    if (s->experts)
        place_choice(s, arena);
    if (s->ahead)
        place_ahead(s, arena);
    s->parts = take(arena, most_parts(s), sizeof *s->parts);
    s->segments = take(arena, s->options.n_sequences, sizeof *s->segments);
    s->segment_of = take(arena, n, sizeof *s->segment_of);
    s->scratch_bytes = scratch_bytes(s);
    s->scratch = take(arena, (size_t)s->n_threads, s->scratch_bytes);
}

static void place_stream(struct model_session *s, struct arena *arena)
{
    const struct model_config *c = &s->model->config;
    const size_t n = s->options.most_tokens, pairs = c->rope_dims / 2;
    s->all.x = take(arena, n * c->n_embd, sizeof *s->all.x);
    s->all.cosine = take(arena, n * pairs, sizeof *s->all.cosine);
    s->all.sine = take(arena, n * pairs, sizeof *s->all.sine);
    s->all.position = take(arena, n, sizeof *s->all.position);
    s->all.kept = take(arena, n / s->options.max_tokens + 1, sizeof *s->all.kept);
    if (!s->experts || !is_chunked(s))
        return;
    s->all.h = take(arena, n * c->n_embd, sizeof *s->all.h);
    place_slots(s, arena, n);
}

static enum lb_status map_blocks(struct model_session *s, struct lb_error *err)
{
    const struct model_config *c = &s->model->config;
    const struct model_session_options *o = &s->options;
    s->kv_row = kernels_kv_row_bytes(o->kv, c->head_dim);
    s->kv_half = ((size_t)c->n_kv_heads * o->context * s->kv_row + ALIGN - 1) / ALIGN * ALIGN;
    s->kv_sequence = s->latent ? s->kv_half : 2 * s->kv_half;
    double kv_bytes = (double)s->kv_sequence * c->n_layers * o->n_sequences;
    if (kv_bytes > 0x1p46)
        return lb_fail(err, LB_ERR_INPUT,
                       "KV cache: %u positions for %u sequences take %.0f bytes: expected fewer",
                       o->context, o->n_sequences, kv_bytes);
    s->kv_bytes = s->kv_sequence * c->n_layers * o->n_sequences;
    struct arena arena = {NULL, 0};
    place(s, &arena);
    s->workspace_bytes = arena.used;
    s->kv = lb_map_sparse(s->kv_bytes);
    if (!s->kv)
        return lb_fail(err, LB_ERR_NOMEM, "KV cache: no memory for %zu bytes", s->kv_bytes);
    s->workspace = lb_map(s->workspace_bytes);
    if (!s->workspace)
        return lb_fail(err, LB_ERR_NOMEM, "workspace: no memory for %zu bytes", s->workspace_bytes);
    arena = (struct arena){s->workspace, 0};
    place(s, &arena);
    arena = (struct arena){NULL, 0};
    place_stream(s, &arena);
    s->stream_bytes = arena.used;
    s->stream = lb_map_sparse(s->stream_bytes); /* long prompts are the exception */
    if (!s->stream)
        return lb_fail(err, LB_ERR_NOMEM, "workspace: no memory for %zu bytes", s->stream_bytes);
    arena = (struct arena){s->stream, 0};
    place_stream(s, &arena);
    return LB_OK;
}

/* The parts of the session that only some kinds of models have. */
static enum lb_status open_kinds(struct model_session *s, struct lb_error *err)
{
    const struct model_config *c = &s->model->config;
    s->q_dim = c->n_heads * c->head_dim;
    s->kv_dim = c->n_kv_heads * c->head_dim;
    s->out_dim = c->latent.kv_rank > 0 ? c->n_heads * c->latent.n_value : s->q_dim;
    s->ffn_rows = most(s->options.max_tokens, c->experts.used);
    if (c->latent.kv_rank > 0)
        s->latent = lb_calloc(1, sizeof *s->latent);
    if (c->experts.count > 0)
        s->experts = lb_calloc(1, sizeof *s->experts);
    const bool ahead = c->experts.count > 0 && (s->options.ahead || s->options.ahead_of_itself);
    if (ahead)
        s->ahead = lb_calloc(1, sizeof *s->ahead);
    if ((c->latent.kv_rank > 0 && !s->latent) || (c->experts.count > 0 && !s->experts) ||
        (ahead && !s->ahead))
        return lb_fail(err, LB_ERR_NOMEM, "session: out of memory");
    return LB_OK;
}

static enum lb_status check_options(const struct model_session_options *o, struct lb_error *err)
{
    if (o->n_sequences == 0)
        return lb_fail(err, LB_ERR_INPUT, "sequences: 0: expected at least 1");
    if (o->context == 0)
        return lb_fail(err, LB_ERR_INPUT, "context: 0: expected at least 1");
    if (o->max_tokens == 0)
        return lb_fail(err, LB_ERR_INPUT, "tokens in a pass: 0: expected at least 1");
    return LB_OK;
}

enum lb_status model_session_open(const struct model *model, struct lb_pool *pool,
                                  const struct kernels_ops *ops,
                                  const struct model_session_options *options,
                                  struct model_session **out, struct lb_error *err)
{
    *out = NULL;
    enum lb_status status = check_options(options, err);
    if (status != LB_OK)
        return status;
    struct model_session *s = lb_alloc_aligned(sizeof *s, _Alignof(struct model_session));
    if (!s)
        return lb_fail(err, LB_ERR_NOMEM, "session: out of memory");
    memset(s, 0, sizeof *s);
    s->model = model;
    s->pool = pool;
    s->ops = ops;
    s->options = *options;
    if (s->options.most_tokens < s->options.max_tokens)
        s->options.most_tokens = s->options.max_tokens;
    s->n_threads = lb_pool_threads(pool);
    status = open_kinds(s, err);
    if (status == LB_OK)
        status = map_blocks(s, err);
    if (status != LB_OK)
        goto fail;
    s->length = lb_calloc(options->n_sequences, sizeof *s->length);
    if (!s->length) {
        status = lb_fail(err, LB_ERR_NOMEM, "session: out of memory");
        goto fail;
    }
    if (options->profile)
        status = profile_open(s, err);
    if (status != LB_OK)
        goto fail;
    *out = s;
    return LB_OK;
fail:
    model_session_close(s);
    return status;
}

void model_session_close(struct model_session *session)
{
    if (!session)
        return;
    lb_unmap(session->kv, session->kv_bytes);
    lb_unmap(session->workspace, session->workspace_bytes);
    lb_unmap(session->stream, session->stream_bytes);
    lb_free(session->length);
    lb_free(session->latent);
    lb_free(session->experts);
    lb_free(session->ahead);
    lb_free(session->profile);
    lb_free(session);
}

void model_session_truncate(struct model_session *session, uint32_t sequence, uint32_t position)
{
    assert(sequence < session->options.n_sequences);
    if (position < session->length[sequence])
        session->length[sequence] = position;
}

struct model_orders model_session_orders(const struct model_session *session)
{
    struct model_orders orders = {.changes = session->orders.changes};
    memcpy(orders.products, session->orders.products, sizeof orders.products);
    return orders;
}

uint32_t model_session_length(const struct model_session *session, uint32_t sequence)
{
    assert(sequence < session->options.n_sequences);
    return session->length[sequence];
}

uint64_t model_session_kv_bytes(const struct model_session *session)
{
    return session->kv_bytes;
}

uint64_t model_session_work_bytes(const struct model_session *session)
{
    return session->workspace_bytes + session->stream_bytes;
}

uint8_t *session_keys(const struct model_session *s, uint32_t layer, uint32_t sequence)
{
    return s->kv + ((size_t)layer * s->options.n_sequences + sequence) * s->kv_sequence;
}

static void work_main(void *ctx, int thread, int n_threads)
{
    struct model_session *s = ctx;
    uint32_t first, last;
    (void)n_threads;
    while (lb_share_next(&s->share, thread, &first, &last))
        s->work(s, first, last, s->scratch + (size_t)thread * s->scratch_bytes);
}

void session_share(struct model_session *s, uint32_t n, uint32_t chunk, session_work_fn work)
{
    if (n <= chunk || s->n_threads == 1) {
        if (n > 0)
            work(s, 0, n, s->scratch);
        return;
    }
    s->work = work;
    lb_share_reset(&s->share, n, chunk, s->n_threads);
    lb_pool_run(s->pool, work_main, s);
}
