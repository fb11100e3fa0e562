/*
 * session: opens and closes what a forward pass needs: KV caches, workspace, profile.
 * Everything is allocated here, so that passes allocate nothing. Both large blocks are
 * mappings: pages of the KV caches that no position has reached cost no memory.
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

/* Bit per format that some product of the model needs. */
static uint32_t formats_of_model(const struct model *model)
{
    uint32_t formats = 0;
    for (int role = 0; role < ROLE_COUNT; role++) {
        bool multiplied =
            binding_is_matrix(role) && (role != ROLE_TOKEN_EMBD || model->config.tied_embedding);
        uint32_t n = role < ROLE_FIRST_OF_LAYER ? 1 : model->config.n_layers;
        for (uint32_t layer = 0; multiplied && model->id[role] >= 0 && layer < n; layer++)
            formats |= 1u << kernels_format_of(binding_tensor(model, layer, role)->type);
    }
    return formats;
}

static uint32_t widest_input(const struct model_session *s)
{
    const struct model_config *c = &s->model->config;
    uint32_t widest = c->n_embd > c->n_ff ? c->n_embd : c->n_ff;
    return s->q_dim > widest ? s->q_dim : widest;
}

/* q, k, v and attended are dead when the feed-forward part begins: gate and up take their place. */
static void place_phases(struct model_session *s, struct arena *arena)
{
    size_t n = s->options.max_tokens, n_ff = s->model->config.n_ff;
    struct arena ffn = *arena;
    s->q = take(arena, n * s->q_dim, sizeof *s->q);
    s->k = take(arena, n * s->kv_dim, sizeof *s->k);
    s->v = take(arena, n * s->kv_dim, sizeof *s->v);
    s->attended = take(arena, n * s->q_dim, sizeof *s->attended);
    s->gate = take(&ffn, n * n_ff, sizeof *s->gate);
    s->up = take(&ffn, n * n_ff, sizeof *s->up);
    if (ffn.used > arena->used)
        arena->used = ffn.used;
}

static void place(struct model_session *s, struct arena *arena)
{
    const struct model_config *c = &s->model->config;
    size_t n = s->options.max_tokens;
    uint32_t formats = formats_of_model(s->model), pairs = c->rope_dims / 2;
    s->x = take(arena, n * c->n_embd, sizeof *s->x);
    s->h = take(arena, n * c->n_embd, sizeof *s->h);
    place_phases(s, arena);
    for (int f = 0; f < SESSION_FORMATS; f++)
        if (formats & (1u << f))
            s->input[f] = take(arena, 1,
                               kernels_input_bytes((enum kernels_format)f, s->options.max_tokens,
                                                   widest_input(s)));
    s->cosine = take(arena, n * pairs, sizeof *s->cosine);
    s->sine = take(arena, n * pairs, sizeof *s->sine);
    s->frequencies = take(arena, pairs, sizeof *s->frequencies);
    s->norm = take(arena, c->n_embd, sizeof *s->norm);
    s->q_bias = take(arena, s->q_dim, sizeof *s->q_bias);
    s->k_bias = take(arena, s->kv_dim, sizeof *s->k_bias);
    s->v_bias = take(arena, s->kv_dim, sizeof *s->v_bias);
    s->q_norm = take(arena, c->head_dim, sizeof *s->q_norm);
    s->k_norm = take(arena, c->head_dim, sizeof *s->k_norm);
    s->segments = take(arena, s->options.n_sequences, sizeof *s->segments);
    s->position = take(arena, n, sizeof *s->position);
    s->segment_of = take(arena, n, sizeof *s->segment_of);
    s->scratch_bytes =
        (kernels_scratch_bytes(s->options.max_tokens, c->head_dim) + ALIGN - 1) / ALIGN * ALIGN;
    s->scratch = take(arena, (size_t)s->n_threads, s->scratch_bytes);
}

static enum lb_status map_blocks(struct model_session *s, struct lb_error *err)
{
    const struct model_config *c = &s->model->config;
    const struct model_session_options *o = &s->options;
    s->kv_element = o->kv == KERNELS_KV_F16 ? 2 : 4;
    s->kv_half = ((size_t)s->kv_dim * o->context * s->kv_element + ALIGN - 1) / ALIGN * ALIGN;
    double kv_bytes = 2.0 * (double)s->kv_half * c->n_layers * o->n_sequences;
    if (kv_bytes > 0x1p46)
        return lb_fail(err, LB_ERR_INPUT,
                       "KV cache: %u positions for %u sequences take %.0f bytes: expected fewer",
                       o->context, o->n_sequences, kv_bytes);
    s->kv_bytes = 2 * s->kv_half * c->n_layers * o->n_sequences;
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
    s->n_threads = lb_pool_threads(pool);
    s->q_dim = model->config.n_heads * model->config.head_dim;
    s->kv_dim = model->config.n_kv_heads * model->config.head_dim;
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
    lb_free(session->length);
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
    return session->workspace_bytes;
}

uint8_t *session_keys(const struct model_session *s, uint32_t layer, uint32_t sequence)
{
    return s->kv + ((size_t)layer * s->options.n_sequences + sequence) * 2 * s->kv_half;
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
