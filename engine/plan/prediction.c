/* prediction: see prediction.h. */
#include "plan/prediction.h"

#include "base/bits.h"
#include "base/memory.h"
#include "plan/predictor.h"

#include <assert.h>
#include <string.h>

struct prediction {
    const struct predictor *predictor;
    const struct plan_routes *routes;
    uint32_t depth, n_units, n_layers, n_words;
    uint32_t *first, *end; /* [n_layers] units that are not always needed */
    uint64_t *passes;      /* [n_layers] in which its need was revealed */
    uint32_t *last_need;   /* [n_layers] */
    uint64_t *needed;      /* a bit for each unit: when its layer was last */
    uint64_t *guessed;     /* [depth][n_words] a bit for each unit, of its layer's next turn */
    bool *has_guess;       /* [depth][n_layers] */
    int64_t *since_ns;     /* [n_units] of the turn's first guess; -1: none */
    uint64_t *begun;       /* a bit for each unit: loaded for the turn's prediction */
    struct prediction_score *scores; /* [depth][n_layers] */
    struct prediction_score *sums;   /* [depth] */
    uint32_t *units;                 /* [n_units] room for a guess */
    float *confidence;
    struct prediction_counters counters;
};

static const struct predictor *const list[] = {
#define ENTRY(name) &predict_##name,
    PLAN_PREDICTORS(ENTRY)
#undef ENTRY
};

const struct predictor *const *predictors(size_t *count)
{
    *count = sizeof list / sizeof *list;
    return list;
}

const struct predictor *predictor_find(const char *name)
{
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (strcmp(list[i]->name, name) == 0)
            return list[i];
    return NULL;
}

static void find_layers(struct prediction *p, const struct prediction_options *o)
{
    for (uint32_t i = 0; i < p->n_units; i++) {
        uint32_t layer = o->layer_of[i];
        p->since_ns[i] = -1;
        if (o->always[i])
            continue;
        if (p->end[layer] == 0)
            p->first[layer] = i;
        p->end[layer] = i + 1;
    }
}

enum lb_status prediction_open(const struct prediction_options *o, struct prediction **out,
                               struct lb_error *err)
{
    *out = NULL;
    if (o->depth == 0)
        return lb_fail(err, LB_ERR_INPUT, "predict_depth 0: expected at least 1");
    if (o->predictor->asks_routes && !o->routes)
        return lb_fail(err, LB_ERR_INPUT,
                       "predict '%s': expected a replay of recorded routes; a run does not know "
                       "them beforehand",
                       o->predictor->name);
    struct prediction *p = lb_calloc(1, sizeof *p);
    if (!p)
        return lb_fail(err, LB_ERR_NOMEM, "predictions: out of memory");
    p->predictor = o->predictor;
    p->routes = o->routes;
    p->depth = o->depth;
    p->n_units = o->n_units;
    p->n_layers = o->n_layers;
    p->n_words = o->n_units / 64 + 1;
    const size_t by_layer = (size_t)p->depth * p->n_layers;
    p->first = lb_calloc(p->n_layers, sizeof *p->first);
    p->end = lb_calloc(p->n_layers, sizeof *p->end);
    p->passes = lb_calloc(p->n_layers, sizeof *p->passes);
    p->last_need = lb_calloc(p->n_layers, sizeof *p->last_need);
    p->needed = lb_calloc(p->n_words, sizeof *p->needed);
    p->guessed = lb_calloc((size_t)p->depth * p->n_words, sizeof *p->guessed);
    p->has_guess = lb_calloc(by_layer, sizeof *p->has_guess);
    p->since_ns = lb_calloc(p->n_units, sizeof *p->since_ns);
    p->begun = lb_calloc(p->n_words, sizeof *p->begun);
    p->scores = lb_calloc(by_layer, sizeof *p->scores);
    p->sums = lb_calloc(p->depth, sizeof *p->sums);
    p->units = lb_calloc(p->n_units, sizeof *p->units);
    p->confidence = lb_calloc(p->n_units, sizeof *p->confidence);
    if (!p->first || !p->end || !p->passes || !p->last_need || !p->needed || !p->guessed ||
        !p->has_guess || !p->since_ns || !p->begun || !p->scores || !p->sums || !p->units ||
        !p->confidence) {
        prediction_close(p);
        return lb_fail(err, LB_ERR_NOMEM, "predictions: out of memory");
    }
    find_layers(p, o);
    *out = p;
    return LB_OK;
}

void prediction_close(struct prediction *p)
{
    if (!p)
        return;
    lb_free(p->first);
    lb_free(p->end);
    lb_free(p->passes);
    lb_free(p->last_need);
    lb_free(p->needed);
    lb_free(p->guessed);
    lb_free(p->has_guess);
    lb_free(p->since_ns);
    lb_free(p->begun);
    lb_free(p->scores);
    lb_free(p->sums);
    lb_free(p->units);
    lb_free(p->confidence);
    lb_free(p);
}

/* ---- the books ---- */

static uint64_t *guessed_at(const struct prediction *p, uint32_t depth)
{
    return p->guessed + (size_t)(depth - 1) * p->n_words;
}

static size_t index_of(const struct prediction *p, uint32_t layer, uint32_t depth)
{
    return (size_t)(depth - 1) * p->n_layers + layer;
}

/* What was guessed of the layer, by one depth, against `needed`. */
static void judge(struct prediction *p, uint32_t layer, uint32_t depth, uint32_t n)
{
    uint64_t *guessed = guessed_at(p, depth);
    struct prediction_score now = {.needed = n};
    for (uint32_t i = p->first[layer]; i < p->end[layer]; i++) {
        if (!lb_has_bit(guessed, i))
            continue;
        now.guessed++;
        now.right += lb_has_bit(p->needed, i);
        lb_set_bit(guessed, i, false);
    }
    bool *has = &p->has_guess[index_of(p, layer, depth)];
    struct prediction_score *to[] = {&p->scores[index_of(p, layer, depth)], &p->sums[depth - 1]};
    for (int i = 0; *has && i < 2; i++) {
        to[i]->guessed += now.guessed;
        to[i]->right += now.right;
        to[i]->needed += now.needed;
    }
    *has = false;
}

void prediction_revealed(struct prediction *p, uint32_t layer, const uint32_t *units, uint32_t n,
                         const uint8_t *outcome_of, int64_t now_ns)
{
    for (uint32_t i = p->first[layer]; i < p->end[layer]; i++)
        lb_set_bit(p->needed, i, false);
    for (uint32_t i = 0; i < n; i++) {
        bool foreseen = p->since_ns[units[i]] >= 0;
        lb_set_bit(p->needed, units[i], true);
        if (outcome_of[units[i]] == 0)
            continue;
        p->counters.misses++;
        p->counters.foreseen += foreseen;
        p->counters.foreseen_ns += foreseen ? (double)(now_ns - p->since_ns[units[i]]) : 0;
    }
    p->last_need[layer] = n;
    p->passes[layer]++;
    for (uint32_t depth = 1; depth <= p->depth; depth++)
        judge(p, layer, depth, n);
    for (uint32_t i = p->first[layer]; i < p->end[layer]; i++) {
        p->counters.vain += lb_has_bit(p->begun, i) && !lb_has_bit(p->needed, i);
        lb_set_bit(p->begun, i, false);
        p->since_ns[i] = -1;
    }
}

void prediction_began(struct prediction *p, uint32_t unit)
{
    p->counters.loads++;
    lb_set_bit(p->begun, unit, true);
}

void prediction_break_off(struct prediction *p)
{
    memset(p->guessed, 0, (size_t)p->depth * p->n_words * sizeof *p->guessed);
    memset(p->has_guess, 0, (size_t)p->depth * p->n_layers * sizeof *p->has_guess);
    for (uint32_t i = 0; i < p->n_units; i++) {
        p->counters.vain += lb_has_bit(p->begun, i);
        p->since_ns[i] = -1;
    }
    memset(p->begun, 0, p->n_words * sizeof *p->begun);
}

void prediction_reset(struct prediction *p)
{
    memset(p->scores, 0, (size_t)p->depth * p->n_layers * sizeof *p->scores);
    p->counters = (struct prediction_counters){0};
}

/* ---- the guesses ---- */

/* Of what was guessed so far, one more right and one more wrong: never certain. */
static float precision(const struct prediction *p, uint32_t depth)
{
    const struct prediction_score *s = &p->sums[depth - 1];
    return ((float)s->right + 1) / ((float)s->guessed + 2);
}

static void take_guess(struct prediction *p, struct future *future, uint32_t layer, uint32_t depth,
                       const uint32_t *units, const float *confidence, uint32_t n, int64_t now_ns)
{
    for (uint32_t i = p->first[layer]; i < p->end[layer]; i++)
        future_forget(future, i);
    p->has_guess[index_of(p, layer, depth)] = true;
    for (uint32_t i = 0; i < n; i++) {
        assert(units[i] >= p->first[layer] && units[i] < p->end[layer]);
        float sure = confidence ? confidence[i] : precision(p, depth);
        lb_set_bit(guessed_at(p, depth), units[i], true);
        if (p->since_ns[units[i]] < 0)
            p->since_ns[units[i]] = now_ns;
        future_predict(future, &units[i], 1, sure);
    }
}

void prediction_guess(struct prediction *p, struct future *future, uint32_t layer, int64_t now_ns)
{
    for (uint32_t depth = 1; p->predictor->guess && depth <= p->depth; depth++) {
        uint32_t ahead = (layer + depth) % p->n_layers;
        struct predictor_view view = {.prediction = p,
                                      .future = future,
                                      .layer = ahead,
                                      .first = p->first[ahead],
                                      .end = p->end[ahead],
                                      .pass = p->passes[ahead],
                                      .precision = precision(p, depth)};
        if (depth >= p->n_layers || view.first == view.end)
            continue;
        uint32_t n = p->predictor->guess(&view, p->units, p->confidence);
        if (n > 0)
            take_guess(p, future, ahead, depth, p->units, p->confidence, n, now_ns);
    }
}

void prediction_told(struct prediction *p, struct future *future, uint32_t layer, uint32_t depth,
                     const uint32_t *units, uint32_t n, int64_t now_ns)
{
    if (p->predictor->asks_model && depth >= 1 && depth <= p->depth)
        take_guess(p, future, layer, depth, units, NULL, n, now_ns);
}

/* ---- what can be seen ---- */

bool prediction_was_needed(const struct prediction *p, uint32_t unit)
{
    return lb_has_bit(p->needed, unit);
}

uint32_t prediction_last_need(const struct prediction *p, uint32_t layer)
{
    return p->last_need[layer];
}

const struct plan_routes *prediction_routes(const struct prediction *p)
{
    return p->routes;
}

uint32_t prediction_depth(const struct prediction *p)
{
    return p->depth;
}

uint32_t prediction_layers(const struct prediction *p)
{
    return p->n_layers;
}

const char *prediction_name(const struct prediction *p)
{
    return p->predictor->name;
}

struct prediction_score prediction_score(const struct prediction *p, uint32_t layer, uint32_t depth)
{
    return p->scores[index_of(p, layer, depth)];
}

struct prediction_counters prediction_counters(const struct prediction *p)
{
    return p->counters;
}
