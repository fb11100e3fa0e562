/* route_synth: routes of synthetic models, run or drawn, as a trace. */
#include "base/random.h"
#include "predict/route_trace.h"

#include <stdlib.h>

struct routes {
    struct lb_route *list;
    size_t n, room;
    bool failed; /* out of memory */
};

static enum lb_status no_memory(struct lb_error *err)
{
    return lb_fail(err, LB_ERR_NOMEM, "routes: out of memory");
}

static int by_token(const void *a, const void *b)
{
    const struct lb_route *x = a, *y = b;
    if (x->position != y->position)
        return x->position < y->position ? -1 : 1;
    if (x->layer != y->layer)
        return x->layer < y->layer ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

static enum lb_status make_trace(struct routes *r, struct route_trace *t, struct lb_error *err)
{
    const struct lb_route *list = r->list;
    qsort(r->list, r->n, sizeof *r->list, by_token);
    for (size_t i = 0; i < r->n; i++) {
        t->n_layers = list[i].layer >= t->n_layers ? list[i].layer + 1u : t->n_layers;
        t->n_experts = list[i].expert >= t->n_experts ? list[i].expert + 1 : t->n_experts;
    }
    bool *seen = calloc((size_t)t->n_layers * t->n_experts + 1, sizeof *seen);
    t->accesses = malloc((r->n + 1) * sizeof *t->accesses);
    t->lines = malloc((r->n + 1) * sizeof *t->lines);
    if (!seen || !t->accesses || !t->lines) {
        free(seen);
        return no_memory(err);
    }
    for (size_t i = 0, first = 0; i < r->n; i++) {
        uint32_t object = list[i].layer * t->n_experts + list[i].expert;
        t->accesses[i] = object;
        t->n_objects += !seen[object];
        seen[object] = true;
        if (list[i].place == 0)
            t->lines[t->n_lines++] =
                (struct route_line){.pass = list[i].position, .first = i, .layer = list[i].layer};
        t->lines[t->n_lines - 1].n++;
        first = list[first].position == list[i].position ? first : i;
        if (i - first + 1 > t->largest_demand)
            t->largest_demand = (uint32_t)(i - first + 1);
    }
    t->length = r->n;
    free(seen);
    return LB_OK;
}

/* ---- drawn ---- */

static void take(void *ctx, uint32_t token, uint32_t layer, const uint32_t *experts, uint32_t n)
{
    struct routes *r = ctx;
    if (r->n + n > r->room) {
        size_t room = 2 * (r->n + n);
        struct lb_route *list = r->failed ? NULL : realloc(r->list, room * sizeof *list);
        r->failed = !list;
        if (!list)
            return;
        r->list = list;
        r->room = room;
    }
    for (uint32_t i = 0; i < n; i++)
        r->list[r->n++] = (struct lb_route){.position = token,
                                            .layer = (uint16_t)layer,
                                            .place = (uint16_t)i,
                                            .expert = experts[i]};
}

enum lb_status route_trace_draw(const struct lb_synth *synth, uint32_t n_tokens,
                                struct route_trace *trace, struct lb_error *err)
{
    struct routes r = {0};
    *trace = (struct route_trace){0};
    enum lb_status status = lb_synth_routes(synth, n_tokens, take, &r, err);
    if (status == LB_OK)
        status = r.failed ? no_memory(err) : make_trace(&r, trace, err);
    free(r.list);
    return status;
}

/* ---- run ---- */

static enum lb_status prefill(struct lb_engine *engine, uint32_t n_tokens, struct routes *r,
                              struct lb_error *err)
{
    const uint32_t n_vocab = lb_engine_model(engine).n_vocab;
    struct lb_random random = {1};
    int32_t *tokens = malloc(n_tokens * sizeof *tokens);
    float *logits = malloc((size_t)n_tokens * n_vocab * sizeof *logits);
    enum lb_status status = tokens && logits ? LB_OK : no_memory(err);
    for (uint32_t i = 0; status == LB_OK && i < n_tokens; i++)
        tokens[i] = (int32_t)lb_random_below(&random, n_vocab);
    if (status == LB_OK) /* with logits of all, so that all go through the last layer's experts */
        status = lb_engine_prefill(engine, 0, tokens, n_tokens, true, logits, err);
    if (status == LB_OK)
        r->n = lb_engine_drain_routes(engine, r->list, r->room);
    free(tokens);
    free(logits);
    return status;
}

enum lb_status route_trace_run(const char *model_path, uint32_t n_tokens, struct route_trace *trace,
                               struct lb_error *err)
{
    enum { RECORDS = 1 << 20 };
    struct lb_options o = lb_options_default();
    struct routes r = {.list = malloc(RECORDS * sizeof *r.list), .room = RECORDS};
    struct lb_engine *engine = NULL;
    *trace = (struct route_trace){0};
    o.model_path = model_path;
    o.prefetch = "resident";
    o.context = n_tokens;
    o.route_log_capacity = RECORDS;
    enum lb_status status = r.list ? lb_engine_open(&o, &engine, err) : no_memory(err);
    if (status == LB_OK)
        status = prefill(engine, n_tokens, &r, err);
    if (status == LB_OK)
        status = make_trace(&r, trace, err);
    lb_engine_close(engine);
    free(r.list);
    return status;
}
