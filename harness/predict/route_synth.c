/* route_synth: routes as they are run or drawn, as a trace. */
#include "base/clock.h"
#include "base/random.h"
#include "predict/route_trace.h"

#include <stdlib.h>

struct routes {
    struct lb_route *list;
    size_t n, room;
    uint32_t sequence;
    const struct route_drawing *how;
    bool failed; /* out of memory */
};

static enum lb_status no_memory(struct lb_error *err)
{
    return lb_fail(err, LB_ERR_NOMEM, "routes: out of memory");
}

static int compare(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

static int by_pass(const void *a, const void *b)
{
    const struct lb_route *x = a, *y = b;
    int order = compare(x->pass, y->pass);
    order = order ? order : compare(x->layer, y->layer);
    order = order ? order : compare(x->sequence, y->sequence);
    order = order ? order : compare(x->position, y->position);
    return order ? order : compare(x->place, y->place);
}

enum lb_status route_trace_of(struct lb_route *list, size_t n, struct route_trace *t,
                              struct lb_error *err)
{
    *t = (struct route_trace){0};
    qsort(list, n, sizeof *list, by_pass);
    for (size_t i = 0; i < n; i++) {
        t->n_layers = list[i].layer >= t->n_layers ? list[i].layer + 1u : t->n_layers;
        t->n_experts = list[i].expert >= t->n_experts ? list[i].expert + 1 : t->n_experts;
    }
    bool *seen = calloc((size_t)t->n_layers * t->n_experts + 1, sizeof *seen);
    t->accesses = malloc((n + 1) * sizeof *t->accesses);
    t->lines = malloc((n + 1) * sizeof *t->lines);
    if (!seen || !t->accesses || !t->lines) {
        free(seen);
        return no_memory(err);
    }
    for (size_t i = 0, first = 0; i < n; i++) {
        uint32_t object = list[i].layer * t->n_experts + list[i].expert;
        t->accesses[i] = object;
        t->n_objects += !seen[object];
        seen[object] = true;
        if (list[i].place == 0)
            t->lines[t->n_lines++] =
                (struct route_line){.pass = list[i].pass, .first = i, .layer = list[i].layer};
        t->lines[t->n_lines - 1].n++;
        first = list[first].pass == list[i].pass ? first : i;
        if (i - first + 1 > t->largest_demand)
            t->largest_demand = (uint32_t)(i - first + 1);
    }
    t->length = n;
    free(seen);
    return LB_OK;
}

/* ---- drawn ---- */

static void add(struct routes *r, const struct lb_route *first, const uint32_t *experts, uint32_t n)
{
    if (r->n + n > r->room) {
        size_t room = 2 * (r->n + n);
        struct lb_route *list = r->failed ? NULL : realloc(r->list, room * sizeof *list);
        r->failed = !list;
        if (!list)
            return;
        r->list = list;
        r->room = room;
    }
    for (uint32_t i = 0; i < n; i++) {
        r->list[r->n] = *first;
        r->list[r->n].place = (uint16_t)i;
        r->list[r->n++].expert = experts[i];
    }
}

/* The token's experts go to every pass that it is part of. */
static void take(void *ctx, uint32_t token, uint32_t layer, const uint32_t *experts, uint32_t n)
{
    struct routes *r = ctx;
    const struct route_drawing *how = r->how;
    struct lb_route route = {.sequence = r->sequence, .position = token, .layer = (uint16_t)layer};
    const uint32_t before = how->prompt > 0 ? 1 : 0;
    if (token < how->prompt) {
        add(r, &route, experts, n);
        return;
    }
    const uint32_t at = token - how->prompt;
    uint32_t pass = at < how->tokens ? 0 : (uint32_t)((at - how->tokens + 1) / how->yield);
    for (; pass < how->passes && (uint32_t)(pass * how->yield) <= at; pass++)
        if ((uint32_t)(pass * how->yield) + how->tokens > at) {
            route.pass = before + pass;
            add(r, &route, experts, n);
        }
}

enum lb_status route_trace_draw(const struct lb_synth *synth, const struct route_drawing *how,
                                struct route_trace *trace, struct lb_error *err)
{
    struct routes r = {.how = how};
    const uint32_t n = how->prompt + (uint32_t)(how->passes * how->yield) + how->tokens;
    enum lb_status status = LB_OK;
    *trace = (struct route_trace){0};
    for (; status == LB_OK && r.sequence < how->sequences; r.sequence++)
        status = lb_synth_routes(synth, r.sequence, n, take, &r, err);
    if (status == LB_OK)
        status = r.failed ? no_memory(err) : route_trace_of(r.list, r.n, trace, err);
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
    for (size_t i = 0; i < r.n; i++)
        r.list[i].pass = r.list[i].position; /* token by token, whatever they were run in */
    if (status == LB_OK)
        status = route_trace_of(r.list, r.n, trace, err);
    lb_engine_close(engine);
    free(r.list);
    return status;
}

/* ---- decoded ---- */

static int32_t likeliest(const float *logits, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        best = logits[i] > logits[best] ? i : best;
    return (int32_t)best;
}

static enum lb_status decode(struct lb_engine *engine, uint32_t batch, uint32_t n_passes,
                             struct routes *r, struct lb_error *err)
{
    enum { PROMPT = 8, LEAST = 8 };
    const int64_t long_enough = 10000000000; /* ns */
    const uint32_t n_vocab = lb_engine_model(engine).n_vocab;
    struct lb_random random = {1};
    int32_t prompt[PROMPT], *tokens = malloc(batch * sizeof *tokens);
    float *logits = malloc((size_t)batch * n_vocab * sizeof *logits);
    enum lb_status status = tokens && logits ? LB_OK : no_memory(err);
    for (uint32_t s = 0; status == LB_OK && s < batch; s++) {
        for (uint32_t i = 0; i < PROMPT; i++)
            prompt[i] = (int32_t)lb_random_below(&random, n_vocab);
        status = lb_engine_prefill(engine, s, prompt, PROMPT, false, logits, err);
        tokens[s] = likeliest(logits, n_vocab);
    }
    (void)lb_engine_drain_routes(engine, r->list, r->room); /* the prompts' */
    const int64_t start = lb_now_ns();
    for (uint32_t i = 0; status == LB_OK && i < n_passes; i++) {
        if (i >= LEAST && lb_now_ns() - start > long_enough)
            break;
        status = lb_engine_decode(engine, tokens, batch, logits, err);
        for (uint32_t s = 0; status == LB_OK && s < batch; s++)
            tokens[s] = likeliest(logits + (size_t)s * n_vocab, n_vocab);
    }
    r->n = status == LB_OK ? lb_engine_drain_routes(engine, r->list, r->room) : 0;
    free(tokens);
    free(logits);
    return status;
}

enum lb_status route_trace_decode(const struct lb_options *options, uint32_t n_passes,
                                  struct route_trace *trace, struct lb_error *err)
{
    enum { RECORDS = 1 << 20 };
    struct lb_options o = *options;
    struct routes r = {.list = malloc(RECORDS * sizeof *r.list), .room = RECORDS};
    struct lb_engine *engine = NULL;
    *trace = (struct route_trace){0};
    o.route_log_capacity = RECORDS;
    enum lb_status status = r.list ? lb_engine_open(&o, &engine, err) : no_memory(err);
    if (status == LB_OK)
        status = decode(engine, o.batch, n_passes, &r, err);
    if (status == LB_OK)
        status = route_trace_of(r.list, r.n, trace, err);
    lb_engine_close(engine);
    free(r.list);
    return status;
}
