/* tune_search: every combination of settings under the virtual clock, and the best of them. */
#include "predict/tune.h"

#include "common/array.h"
#include "result/floor.h"

#include <stdlib.h>
#include <string.h>

enum { WARMUP = 8, PASSES = 12 };
/* of a mixture: half of what was recorded fills the cache */
enum { ROUTED_WARMUP = 32, ROUTED_PASSES = 32 };

enum { BY_EXPERT = 2 }; /* of unit_bytes */

#define AS_GOOD 1.005 /* times the best prediction: no difference */
/* Compared is not how fast settings are when every thread wakes up at once, but when the one that
 * keeps the storage busy comes this much later: settings that leave it next to nothing to do in
 * advance are ahead on paper only. */
#define REACTION_NS 500000
/* Smaller pieces, and more of them, cost more bookkeeping and reads than they save. */
#define PIECES_PER_LAYER 16

/* In order of preference: what stands first is taken where it makes no difference. */
static const uint64_t unit_sizes[] = {0,       32 << 20, 16 << 20, 8 << 20, 4 << 20,
                                      2 << 20, 1 << 20,  1 << 19,  1 << 18, 1 << 17};
static const uint32_t queue_depths[] = {32, 16, 8};
/* of schedulers that heed the distance as such */
static const uint32_t distances[] = {1, 2, 4, 8};

/* layers ahead that experts are predicted */
static const uint32_t depths[] = {1, 2, 4};

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct candidate {
    struct settings settings;
    size_t path;
    double late_ns; /* a pass when the storage's thread is late */
};

struct search {
    const struct tune_facts *facts;
    struct candidate *list;
    size_t count;
};

/* The storage as the simulation knows it: a device, noticed late_ns after it is done. */
static enum lb_status predict(const struct tune_facts *f, const struct settings *settings,
                              size_t path, int64_t late_ns, struct sim_prediction *p,
                              struct lb_error *err)
{
    struct settings with_device = *settings;
    struct sim_times times = {.layer_ns = f->profile.layer_ns, .other_ns = f->profile.other_ns};
    struct sim_accesses accesses = {.routes = f->model.experts ? &f->routes : NULL};
    with_device.engine.device_bandwidth = f->paths[path].bandwidth;
    with_device.engine.device_latency_ns = (int64_t)f->paths[path].latency_ns + late_ns;
    const bool routed = f->model.experts > 0;
    return sim_predict(&f->model, &times, &accesses, &with_device, routed ? ROUTED_WARMUP : WARMUP,
                       routed ? ROUTED_PASSES : PASSES, p, err);
}

static enum lb_status try(struct search *s, const struct settings *settings, size_t path,
                          struct lb_error *err)
{
    struct lb_error too_small = LB_ERROR_INIT;
    struct sim_prediction late;
    if (predict(s->facts, settings, path, REACTION_NS, &late, &too_small) != LB_OK)
        return too_small.code == LB_ERR_INPUT /* the unit does not fit: no candidate */
                   ? LB_OK
                   : lb_fail(err, too_small.code, "%s", too_small.text);
    struct candidate *c = array_add(&s->list, &s->count, sizeof *c);
    if (c)
        *c = (struct candidate){*settings, path, late.pass_ns};
    return c ? LB_OK : lb_fail(err, LB_ERR_NOMEM, "search: out of memory");
}

/* The i-th choice of a kind, the default first. */
static bool choice_from_default(const char *kind, const char *usual, size_t i,
                                struct lb_choice *choice)
{
    size_t at = (size_t)lb_choice_find(kind, usual, choice);
    return lb_choice_at(kind, i == 0 ? at : i <= at ? i - 1 : i, choice);
}

/* Every scheduler, at its distances */
static enum lb_status try_schedulers(struct search *s, struct settings *settings, size_t path,
                                     struct lb_error *err)
{
    const struct lb_options usual = lb_options_default();
    enum lb_status status = LB_OK;
    struct lb_choice c;
    for (size_t i = 0; choice_from_default("scheduler", usual.scheduler, i, &c); i++) {
        settings->engine.scheduler = c.name;
        for (size_t k = 0; status == LB_OK && k < (c.by_distance ? COUNT(distances) : 1); k++) {
            settings->engine.prefetch_distance =
                c.by_distance ? distances[k] : usual.prefetch_distance;
            status = try(s, settings, path, err);
        }
    }
    return status;
}

/* All combinations for one storage and unit. */
static enum lb_status try_unit(struct search *s, struct settings settings, size_t path,
                               struct lb_error *err)
{
    const struct lb_options usual = lb_options_default();
    enum lb_status status = LB_OK;
    struct lb_choice c;
    /* how fast real storage is was measured at one depth: fewer reads at a time may be slower */
    bool emulated = settings.engine.device_bandwidth > 0;
    for (size_t q = 0; q < (emulated ? COUNT(queue_depths) : 1); q++)
        for (size_t r = 0; choice_from_default("replacement", usual.replacement, r, &c); r++) {
            if (emulated)
                settings.engine.queue_depth = queue_depths[q];
            settings.engine.replacement = c.name;
            if (status == LB_OK && c.tuned)
                status = try_schedulers(s, &settings, path, err);
        }
    return status;
}

/* Of a mixture: whether what every token needs stays, and which expert leaves. static asks for a
 * trace beforehand; random and mru are there to be compared with. */
static enum lb_status try_experts(struct search *s, struct settings settings, size_t path,
                                  struct lb_error *err)
{
    static const char *const kept[] = {"dense", "none"};
    const struct lb_options usual = lb_options_default();
    enum lb_status status = LB_OK;
    struct lb_choice c;
    for (size_t k = 0; k < COUNT(kept); k++)
        for (size_t r = 0; choice_from_default("replacement", usual.replacement, r, &c); r++) {
            settings.engine.resident = kept[k];
            settings.engine.replacement = c.name;
            if (status == LB_OK && strcmp(c.name, "static") != 0 && strcmp(c.name, "random") != 0 &&
                strcmp(c.name, "mru") != 0)
                status = try(s, &settings, path, err);
        }
    return status;
}

/* The best so far with each predictor that needs no weights, at its depths. */
static enum lb_status try_predictors(struct search *s, struct candidate best, struct lb_error *err)
{
    enum lb_status status = LB_OK;
    struct lb_choice c;
    for (size_t i = 0; lb_choice_at("predict", i, &c); i++)
        for (size_t k = 0; status == LB_OK && k < COUNT(depths); k++) {
            best.settings.engine.predict = c.name;
            best.settings.engine.predict_depth = depths[k];
            if (strcmp(c.name, "previous") == 0 || strcmp(c.name, "hot") == 0)
                status = try(s, &best.settings, best.path, err);
        }
    return status;
}

static enum lb_status try_all(struct search *s, const struct settings *given, struct lb_error *err)
{
    const struct tune_facts *f = s->facts;
    struct settings settings = *given;
    enum lb_status status = LB_OK;
    uint64_t layer = f->model.layer_bytes / f->model.n_layers; /* or an expert: what is divided */
    if (f->model.experts)
        layer /= f->routes.n_experts;
    settings.engine.cache_layers = 0;
    settings.engine.cache_bytes = f->cache_bytes;
    for (size_t p = 0; p < f->n_paths; p++) {
        settings.engine.storage = f->paths[p].storage;
        for (size_t u = 0; status == LB_OK && u < COUNT(unit_sizes); u++) {
            settings.engine.unit_bytes = u == 0 && f->model.experts ? BY_EXPERT : unit_sizes[u];
            if (unit_sizes[u] < layer && (u == 0 || unit_sizes[u] >= layer / PIECES_PER_LAYER))
                status = (f->model.experts ? try_experts : try_unit)(s, settings, p, err);
        }
    }
    return status;
}

/* How much more a pass over n tokens of each sequence computes than over one: in a straight line up
 * to the prompt that was profiled, and on. */
static double growth(const struct tune_facts *f, const struct settings *settings, uint32_t n)
{
    uint32_t prompt = settings->prompt_tokens < settings->engine.max_tokens
                          ? settings->prompt_tokens
                          : settings->engine.max_tokens;
    double slope = prompt > 1 ? (f->profile.prompt_factor - 1) / (prompt - 1) : 0;
    return 1 + (slope > 0 ? slope : 0) * (n - 1);
}

/* The chosen settings with drafts of each length, each token right with the settings' acceptance.
 */
static enum lb_status try_drafts(const struct tune_facts *f, const struct candidate *best,
                                 struct tune_choice *choice, struct lb_error *err)
{
    double *layer_ns = malloc(f->model.n_layers * sizeof *layer_ns);
    struct settings s = best->settings;
    struct sim_prediction p;
    enum lb_status status = layer_ns ? LB_OK : lb_fail(err, LB_ERR_NOMEM, "search: out of memory");
    choice->draft_tokens = 0;
    choice->drafting = choice->prediction;
    s.engine.speculation.speculate = "replay";
    s.engine.device_bandwidth = f->paths[best->path].bandwidth;
    s.engine.device_latency_ns = (int64_t)f->paths[best->path].latency_ns;
    for (uint32_t k = 1; status == LB_OK && k <= LB_DRAFT_MOST; k++) {
        const double factor = growth(f, &best->settings, 1 + k);
        struct sim_times times = {.layer_ns = layer_ns, .other_ns = f->profile.other_ns * factor};
        struct sim_accesses accesses = {.order = NULL};
        for (uint32_t i = 0; i < f->model.n_layers; i++)
            layer_ns[i] = f->profile.layer_ns[i] * factor;
        s.engine.speculation.draft_tokens = k;
        status = sim_predict(&f->model, &times, &accesses, &s, WARMUP, PASSES, &p, err);
        if (status == LB_OK && p.tokens_per_s > AS_GOOD * choice->drafting.tokens_per_s) {
            choice->drafting = p;
            choice->draft_tokens = k;
        }
    }
    free(layer_ns);
    return status;
}

/* The first that is as good as the best. */
static const struct candidate *best_of(const struct search *s)
{
    const struct candidate *best = NULL, *c;
    for (c = s->list; c < s->list + s->count; c++)
        if (!best || c->late_ns < best->late_ns)
            best = c;
    for (c = s->list; c < s->list + s->count; c++)
        if (c->late_ns <= AS_GOOD * best->late_ns)
            return c;
    return best;
}

static double floor_ns(const struct tune_facts *f, const struct tune_choice *c)
{
    if (f->model.experts)
        return c->prediction.floor_ns;
    double needed = (double)f->model.layer_bytes;
    return floor_of(c->prediction.compute_ns, needed, floor_least(needed, (double)f->cache_bytes),
                    c->bandwidth)
        .ns;
}

/* Everything fits: nothing to search. */
static enum lb_status all_resident(const struct tune_facts *f, const struct settings *settings,
                                   struct tune_choice *choice, struct lb_error *err)
{
    choice->settings = *settings;
    choice->settings.engine.prefetch = "resident";
    choice->settings.engine.storage = f->paths[0].storage;
    choice->bandwidth = f->paths[0].bandwidth;
    choice->n_considered = 1;
    enum lb_status status = predict(f, &choice->settings, 0, 0, &choice->prediction, err);
    choice->floor_ns = floor_ns(f, choice);
    return status;
}

enum lb_status tune_search(const struct tune_facts *facts, const struct settings *settings,
                           struct tune_choice *choice, struct lb_error *err)
{
    struct search search = {.facts = facts};
    struct settings usual = *settings;
    *choice = (struct tune_choice){.n_considered = 0};
    usual.engine.cache_layers = 0;
    usual.engine.cache_bytes = facts->cache_bytes;
    usual.engine.storage = facts->paths[0].storage;
    /* may not fit, where units smaller than a layer do */
    bool known = predict(facts, &usual, 0, 0, &choice->usual, NULL) == LB_OK;
    if (known && choice->usual.bytes == 0)
        return all_resident(facts, settings, choice, err);
    enum lb_status status = try_all(&search, settings, err);
    const struct candidate *best = status == LB_OK ? best_of(&search) : NULL;
    if (best && facts->model.experts) {
        status = try_predictors(&search, *best, err);
        best = best_of(&search);
    }
    if (best && status == LB_OK) {
        choice->settings = best->settings;
        status = predict(facts, &best->settings, best->path, 0, &choice->prediction, err);
        choice->bandwidth = facts->paths[best->path].bandwidth;
        choice->n_considered = (uint32_t)search.count;
        choice->floor_ns = floor_ns(facts, choice);
        /* of a mixture, routes of single tokens do not say what several of a pass need */
        if (status == LB_OK && !facts->model.experts &&
            strcmp(settings->engine.speculation.speculate, "off") == 0)
            status = try_drafts(facts, best, choice, err);
    } else if (status == LB_OK) {
        status = lb_fail(err, LB_ERR_INPUT, "--memory: no unit fits into the cache it leaves");
    }
    free(search.list);
    return status;
}
