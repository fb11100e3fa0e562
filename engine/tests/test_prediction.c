/*
 * test_prediction: guesses of experts: what routers say ahead of their layer, the books of the
 * predictors against an independent count, and that a guess displaces nothing likelier.
 */
#include "made_model.h"
#include "plan/planner.h"
#include "plan/predictor.h"
#include "whole_model.h"

/* ---- gate-ahead ---- */

#define MOST_DEPTH 3

struct asked {
    struct whole_model whole;
    uint32_t own[WHOLE_MOST], n_own; /* what the layer's own router was said to choose */
    bool own_told;
    uint64_t needs, right[MOST_DEPTH + 1], guessed[MOST_DEPTH + 1];
    bool guess[MOST_DEPTH + 1][16][WHOLE_MOST]; /* by depth and layer */
};

static const void *kept(void *ctx, int layer, uint32_t id)
{
    struct asked *a = ctx;
    uint32_t n;
    const struct model_tensor *t = &model_tensors(a->whole.model, layer, &n)[id];
    CHECK(model_is_kept(a->whole.model, layer, id), "layer %d: %s", layer, t->name);
    return a->whole.bytes + t->file_offset;
}

static void predict(void *ctx, int layer, uint32_t depth, const uint32_t *experts, uint32_t n)
{
    struct asked *a = ctx;
    CHECK(depth <= MOST_DEPTH && n > 0);
    for (uint32_t i = 0; i < n; i++) {
        CHECK(i == 0 || experts[i] > experts[i - 1], "experts ascend");
        a->guess[depth][layer][experts[i]] = true;
        a->guessed[depth]++;
    }
    CHECK(layer == a->whole.layer + (int)depth, "layer %d, depth %u", layer, depth);
    if (depth > 0)
        return;
    memcpy(a->own, experts, n * sizeof *experts);
    a->n_own = n;
    a->own_told = true;
}

static void need(void *ctx, int layer, const uint32_t *experts, uint32_t n)
{
    struct asked *a = ctx;
    whole_need(&a->whole, layer, experts, n);
    if (n == 0)
        return;
    CHECK(a->own_told && a->n_own == n && memcmp(a->own, experts, n * sizeof *experts) == 0,
          "layer %d: on its own input the router chooses otherwise", layer);
    a->own_told = false;
    a->needs += n;
    for (uint32_t depth = 0; depth <= MOST_DEPTH; depth++) {
        for (uint32_t i = 0; i < n; i++)
            a->right[depth] += a->guess[depth][layer][experts[i]];
        memset(a->guess[depth][layer], 0, sizeof a->guess[depth][layer]);
    }
}

static enum lb_status acquire(void *ctx, int layer, uint32_t part, uint32_t id, uint32_t row,
                              const struct model_run **runs, uint32_t *n, struct lb_error *err)
{
    return whole_acquire(&((struct asked *)ctx)->whole, layer, part, id, row, runs, n, err);
}

static enum lb_status take(void *ctx, int layer, uint32_t *experts, uint32_t max, uint32_t *n,
                           struct lb_error *err)
{
    return whole_take(&((struct asked *)ctx)->whole, layer, experts, max, n, err);
}

static void release(void *ctx, int layer)
{
    whole_release(&((struct asked *)ctx)->whole, layer);
}

/* On its own input a router says what it chooses, in every architecture, for one token and many;
 * guesses of other layers change no bit of the result. */
static void own_input(const char *architecture)
{
    struct made_model made = made_mixture(architecture);
    static struct asked a;
    struct lb_error err = LB_ERROR_INIT;
    made.n_layers = 5;
    made.type = QUANT_F32;
    const char *path = made_path(architecture);
    made_write(&made, path);
    a = (struct asked){.needs = 0};
    if (!whole_open(&a.whole, path))
        return;
    const struct model_weights weights = {.ctx = &a,
                                          .acquire = acquire,
                                          .need = need,
                                          .take = take,
                                          .kept = kept,
                                          .predict = predict,
                                          .release = release};
    enum { TOKENS = 9 };
    const uint32_t n_vocab = model_config(a.whole.model)->n_vocab;
    float *logits = calloc((size_t)2 * TOKENS * n_vocab, sizeof *logits);
    static const int32_t tokens[TOKENS] = {3, 14, 15, 9, 26, 5, 35, 8, 9};
    uint32_t sequences[TOKENS] = {0};
    bool want[TOKENS];
    memset(want, true, sizeof want);
    for (int asks = 0; asks < 2; asks++) {
        struct whole_session s;
        struct model_session_options options = {.n_sequences = 1,
                                                .context = 32,
                                                .max_tokens = 8,
                                                .kv = KERNELS_KV_F32,
                                                .order = KERNELS_ROWS,
                                                .ahead = asks ? MOST_DEPTH : 0,
                                                .ahead_of_itself = true};
        if (!whole_session_open(&s, &a.whole, NULL, 2, options))
            break;
        for (uint32_t at = 0, n = 1; at < TOKENS; at += n, n = 8) {
            struct model_batch batch = {n, tokens + at, sequences, want};
            CHECK(model_forward(s.session, &weights, &batch,
                                logits + ((size_t)asks * TOKENS + at) * n_vocab, &err) == LB_OK,
                  "%s: %s", architecture, err.text);
        }
        whole_session_close(&s);
    }
    CHECK(memcmp(logits, logits + (size_t)TOKENS * n_vocab,
                 (size_t)TOKENS * n_vocab * sizeof *logits) == 0,
          "%s: predictions change logits", architecture);
    CHECK(a.needs > 0 && a.right[0] == a.needs && a.guessed[0] == a.needs, "%s: %llu of %llu right",
          architecture, (unsigned long long)a.right[0], (unsigned long long)a.needs);
    CHECK(a.guessed[1] > a.guessed[2] && a.guessed[2] > a.guessed[3] && a.guessed[3] > 0 &&
              a.right[1] > 0 && a.right[1] < a.guessed[1],
          "%s: %llu %llu %llu guessed, %llu right", architecture, (unsigned long long)a.guessed[1],
          (unsigned long long)a.guessed[2], (unsigned long long)a.guessed[3],
          (unsigned long long)a.right[1]);
    free(logits);
    whole_close(&a.whole);
    unlink(path);
}

/* ---- the books ---- */

enum { LAYERS = 4, PER_LAYER = 9, UNITS = LAYERS * PER_LAYER, PASSES = 200, MOST_NEEDED = 3 };

struct books {
    struct future *future;
    struct prediction *prediction;
    uint64_t position;
    uint8_t outcomes[UNITS];
    uint32_t units[PASSES * LAYERS * MOST_NEEDED];
    uint64_t first[PASSES * LAYERS + 1];
};

static void open_books(struct books *b, const char *name, uint32_t depth, struct lb_random *r)
{
    uint32_t layer_of[UNITS];
    bool always[UNITS];
    struct lb_error err = LB_ERROR_INIT;
    *b = (struct books){.position = 0};
    for (uint32_t i = 0; i < UNITS; i++) {
        layer_of[i] = i / PER_LAYER;
        always[i] = i % PER_LAYER == 0;
        b->outcomes[i] = (uint8_t)(i % 4);
    }
    for (uint32_t i = 0, n = 0; i < PASSES * LAYERS; i++) {
        uint32_t unit = (i % LAYERS) * PER_LAYER + 1 + lb_random_below(r, 3);
        for (uint32_t k = 1 + lb_random_below(r, MOST_NEEDED); k > 0; k--, unit += 2)
            b->units[n++] = unit;
        b->first[i + 1] = n;
    }
    static struct plan_routes routes;
    routes = (struct plan_routes){b->units, b->first, PASSES, LAYERS};
    struct prediction_options o = {.predictor = predictor_find(name),
                                   .depth = depth,
                                   .n_units = UNITS,
                                   .n_layers = LAYERS,
                                   .layer_of = layer_of,
                                   .always = always,
                                   .routes = &routes};
    CHECK(future_open_cycle(UNITS, always, &b->future, &err) == LB_OK, "%s", err.text);
    CHECK(prediction_open(&o, &b->prediction, &err) == LB_OK, "%s", err.text);
}

static void close_books(struct books *b)
{
    prediction_close(b->prediction);
    future_close(b->future);
}

/* A layer: its need is revealed at time i, the next ones are guessed, and it is used. */
static void go_on(struct books *b, uint64_t i)
{
    uint32_t layer = (uint32_t)(i % LAYERS), n = (uint32_t)(b->first[i + 1] - b->first[i]);
    const uint32_t *units = b->units + b->first[i];
    b->position = future_reach(b->future, layer * PER_LAYER, b->position);
    b->position = future_reveal(b->future, units, n, b->position);
    prediction_revealed(b->prediction, layer, units, n, b->outcomes, (int64_t)i);
    prediction_guess(b->prediction, b->future, layer, (int64_t)i);
    b->position = future_used(b->future, layer * PER_LAYER, b->position);
    for (uint32_t k = 0; k < n; k++)
        b->position = future_used(b->future, units[k], b->position);
}

static uint32_t in_common(const struct books *b, uint64_t i, uint64_t j)
{
    uint32_t n = 0;
    for (uint64_t x = b->first[i]; x < b->first[i + 1]; x++)
        for (uint64_t y = b->first[j]; y < b->first[j + 1]; y++)
            n += b->units[x] == b->units[y];
    return n;
}

/* `previous` guesses, from its second pass on, what the layer needed in the pass before. */
static void count_previous(uint32_t depth)
{
    struct lb_random r = {7 + depth};
    struct books b;
    open_books(&b, "previous", depth, &r);
    struct prediction_score expected[LAYERS] = {{0}};
    uint64_t misses = 0, foreseen = 0;
    double ahead = 0;
    for (uint64_t i = 0; i < PASSES * LAYERS; i++) {
        go_on(&b, i);
        for (uint64_t k = b.first[i]; k < b.first[i + 1]; k++)
            misses += b.outcomes[b.units[k]] > 0;
        if (i < LAYERS)
            continue;
        struct prediction_score *e = &expected[i % LAYERS];
        e->guessed += b.first[i - LAYERS + 1] - b.first[i - LAYERS];
        e->needed += b.first[i + 1] - b.first[i];
        e->right += in_common(&b, i - LAYERS, i);
        for (uint64_t k = b.first[i - LAYERS]; k < b.first[i - LAYERS + 1]; k++)
            for (uint64_t j = b.first[i]; j < b.first[i + 1]; j++)
                if (b.units[k] == b.units[j] && b.outcomes[b.units[k]] > 0) {
                    foreseen++;
                    ahead += depth;
                }
    }
    for (uint32_t d = 1; d <= depth; d++)
        for (uint32_t layer = 0; layer < LAYERS; layer++) {
            struct prediction_score s = prediction_score(b.prediction, layer, d);
            const struct prediction_score *e = &expected[layer];
            CHECK(s.guessed == e->guessed && s.right == e->right && s.needed == e->needed,
                  "depth %u, layer %u: %llu of %llu right, counted %llu of %llu", d, layer,
                  (unsigned long long)s.right, (unsigned long long)s.guessed,
                  (unsigned long long)e->right, (unsigned long long)e->guessed);
        }
    struct prediction_counters c = prediction_counters(b.prediction);
    CHECK(c.misses == misses && c.foreseen == foreseen && c.foreseen_ns == ahead,
          "%llu of %llu misses foreseen, counted %llu of %llu", (unsigned long long)c.foreseen,
          (unsigned long long)c.misses, (unsigned long long)foreseen, (unsigned long long)misses);
    close_books(&b);
}

/* The truth is right each time; and `hot` is, where the same experts are needed each time. */
static void always_right(void)
{
    static const char *const names[] = {"clairvoyant", "hot"};
    for (int k = 0; k < 2; k++) {
        struct lb_random r = {3};
        struct books b;
        open_books(&b, names[k], 2, &r);
        for (uint64_t i = 0; i < PASSES * LAYERS; i++) {
            if (k == 1 && i >= LAYERS) {
                uint64_t n = b.first[i - LAYERS + 1] - b.first[i - LAYERS];
                b.first[i + 1] = b.first[i] + n;
                memcpy(b.units + b.first[i], b.units + b.first[i - LAYERS], n * sizeof *b.units);
            }
            go_on(&b, i);
        }
        for (uint32_t i = 0; i < 2 * LAYERS; i++) {
            struct prediction_score s = prediction_score(b.prediction, i % LAYERS, 1 + i / LAYERS);
            CHECK(s.guessed >= PASSES - 1 && s.right == s.guessed && s.needed == s.guessed,
                  "%s, layer %u: %llu of %llu right, %llu needed", names[k], i % LAYERS,
                  (unsigned long long)s.right, (unsigned long long)s.guessed,
                  (unsigned long long)s.needed);
        }
        close_books(&b);
    }
}

/* Loads begun for a guess count until their layer's turn, and as vain where they are not needed. */
static void vain(void)
{
    struct lb_random r = {5};
    struct books b;
    open_books(&b, "previous", 1, &r);
    uint64_t in_vain = 0;
    for (uint64_t i = 0; i + 1 < PASSES * LAYERS; i++) {
        uint32_t unit = (uint32_t)((i + 1) % LAYERS) * PER_LAYER + 1 + lb_random_below(&r, 7);
        bool needed = false;
        go_on(&b, i);
        prediction_began(b.prediction, unit);
        for (uint64_t k = b.first[i + 1]; k < b.first[i + 2]; k++)
            needed |= b.units[k] == unit;
        if (i + 2 < PASSES * LAYERS)
            in_vain += !needed;
    }
    struct prediction_counters c = prediction_counters(b.prediction);
    CHECK(c.loads == PASSES * LAYERS - 1 && c.vain == in_vain, "%llu of %llu in vain, counted %llu",
          (unsigned long long)c.vain, (unsigned long long)c.loads, (unsigned long long)in_vain);
    close_books(&b);
}

/* ---- what a guess may displace ---- */

struct leaving {
    uint32_t units[UNITS], n;
};

static void left(void *ctx, uint32_t unit)
{
    struct leaving *l = ctx;
    l->units[l->n++] = unit;
}

/* With any policy: what leaves for a guess is neither revealed nor likelier, nor always needed. */
static void displaced(const char *policy)
{
    struct lb_random r = {11};
    struct books b;
    struct leaving leaving = {.n = 0};
    struct lb_error err = LB_ERROR_INIT;
    struct cache *cache;
    struct cache_options o = {
        .replacement = policy, .max_units = 14, .seed = 1, .evicted = left, .ctx = &leaving};
    uint64_t guesses = 0, evictions = 0;
    open_books(&b, "hot", 2, &r);
    CHECK(cache_open(&o, UNITS, NULL, &cache, &err) == LB_OK, "%s", err.text);
    struct planner_state plan = {.cache = cache,
                                 .future = b.future,
                                 .window = 2 * PER_LAYER,
                                 .scheduler = planner_scheduler("fixed")};
    for (uint64_t i = 0; i < PASSES * LAYERS; i++) {
        struct planner_step step;
        uint32_t layer = (uint32_t)(i % LAYERS), n = (uint32_t)(b.first[i + 1] - b.first[i]);
        const uint32_t *units = b.units + b.first[i];
        b.position = future_reach(b.future, layer * PER_LAYER, b.position);
        b.position = future_reveal(b.future, units, n, b.position);
        prediction_revealed(b.prediction, layer, units, n, b.outcomes, 0);
        prediction_guess(b.prediction, b.future, layer, 0);
        plan.position = b.position;
        for (leaving.n = 0; planner_next(&plan, &step); leaving.n = 0) {
            double likelihood = future_likelihood(b.future, step.unit);
            CHECK(step.predicted == (likelihood < 1), "%s: unit %u", policy, step.unit);
            for (uint32_t k = 0; step.predicted && k < leaving.n; k++)
                CHECK(!future_is_revealed(b.future, leaving.units[k]) &&
                          future_likelihood(b.future, leaving.units[k]) <= likelihood,
                      "%s: unit %u of %g leaves for unit %u of %g", policy, leaving.units[k],
                      future_likelihood(b.future, leaving.units[k]), step.unit, likelihood);
            guesses += step.predicted;
            evictions += step.predicted ? leaving.n : 0;
            cache_begin_load(cache, step.unit, true);
            cache_end_load(cache, step.unit);
        }
        b.position = future_used(b.future, layer * PER_LAYER, b.position);
        for (uint32_t k = 0; k < n; k++) {
            if (cache_unit(cache, units[k])->state == CACHE_RESIDENT) {
                cache_pin(cache, units[k]);
                cache_unpin(cache, units[k]);
            }
            b.position = future_used(b.future, units[k], b.position);
        }
    }
    CHECK(guesses > 100 && evictions > 100, "%s: %llu loads, %llu evictions for guesses", policy,
          (unsigned long long)guesses, (unsigned long long)evictions);
    cache_close(cache);
    close_books(&b);
}

static void refused(void)
{
    struct lb_error err = LB_ERROR_INIT;
    struct prediction *p;
    uint32_t layer_of[2] = {0, 0};
    bool always[2] = {true, false};
    struct prediction_options o = {.predictor = predictor_find("clairvoyant"),
                                   .depth = 1,
                                   .n_units = 2,
                                   .n_layers = 1,
                                   .layer_of = layer_of,
                                   .always = always};
    CHECK(prediction_open(&o, &p, &err) == LB_ERR_INPUT && !p);
    CHECK_TEXT(err.text, "predict 'clairvoyant': expected a replay of recorded routes; a run does "
                         "not know them beforehand");
    o.predictor = predictor_find("hot");
    o.depth = 0;
    err = (struct lb_error)LB_ERROR_INIT;
    CHECK(prediction_open(&o, &p, &err) == LB_ERR_INPUT && !p);
    CHECK_TEXT(err.text, "predict_depth 0: expected at least 1");
    CHECK(!predictor_find("nobody"));
}

int main(void)
{
    static const char *const architectures[] = {"llama",   "olmoe",   "qwen2moe", "qwen3moe",
                                                "glm4moe", "gpt-oss", "deepseek2"};
    for (size_t i = 0; i < sizeof architectures / sizeof *architectures; i++)
        own_input(architectures[i]);
    made_clean();
    for (uint32_t depth = 1; depth < LAYERS; depth++)
        count_previous(depth);
    always_right();
    vain();
    size_t n;
    const struct cache_policy *const *policies = cache_policies(&n);
    for (size_t i = 0; i < n; i++)
        if (strncmp(policies[i]->name, "pin", 3) != 0)
            displaced(policies[i]->name);
    refused();
    return check_done();
}
