/* replay: see replay.h. */
#include "plan/replay.h"

#include "base/memory.h"
#include "cache/cache.h"

/* Policies that do not ask the future get one in which nothing is known: that costs nothing. */
static enum lb_status open_future(const struct replay_options *o, const struct cache *cache,
                                  struct future **future, struct lb_error *err)
{
    if (cache_asks_future(cache))
        return future_open_sequence(o->n_units, o->accesses, o->length, false, future, err);
    bool *always = lb_calloc(o->n_units, sizeof *always);
    enum lb_status status = always ? future_open_cycle(o->n_units, always, future, err)
                                   : lb_fail(err, LB_ERR_NOMEM, "replay: out of memory");
    lb_free(always);
    return status;
}

static enum lb_status check(const struct replay_options *o, struct lb_error *err)
{
    if (o->length == 0)
        return lb_fail(err, LB_ERR_INPUT, "trace: expected at least one access");
    if (o->slots == 0)
        return lb_fail(err, LB_ERR_INPUT, "cache of 0 slots: expected at least 1");
    for (uint64_t i = 0; i < o->length; i++)
        if (o->accesses[i] >= o->n_units)
            return lb_fail(err, LB_ERR_INPUT, "access %llu: unit %u: expected less than %u",
                           (unsigned long long)i, o->accesses[i], o->n_units);
    return LB_OK;
}

/* Frames of so many units of mean size, of those that there are; the largest fits. */
static uint64_t budget_of(const struct replay_options *o)
{
    uint64_t frames = 0, n = 0, largest = 1;
    for (uint32_t i = 0; i < o->n_units; i++) {
        frames += o->frames_of[i];
        n += o->frames_of[i] > 0;
        largest = o->frames_of[i] > largest ? o->frames_of[i] : largest;
    }
    uint64_t budget = n > 0 ? (uint64_t)((double)frames / (double)n * o->slots) : 0;
    return budget > largest ? budget : largest;
}

enum lb_status replay_run(const struct replay_options *options, struct replay_result *result,
                          struct lb_error *err)
{
    struct cache *cache = NULL;
    struct future *future = NULL;
    struct cache_options co = {.replacement = options->replacement,
                               .max_units = options->slots,
                               .seed = options->seed,
                               .half_life = options->half_life,
                               .heat = options->heat};
    *result = (struct replay_result){0};
    enum lb_status status = check(options, err);
    if (status == LB_OK && options->frames_of) {
        co.max_units = 0;
        co.max_frames = budget_of(options);
    }
    if (status == LB_OK)
        status = cache_open(&co, options->n_units, options->frames_of, &cache, err);
    if (status == LB_OK)
        status = open_future(options, cache, &future, err);
    struct cache_choice choice = {.cache = cache, .future = future};
    bool moves = status == LB_OK && !future_is_cycle(future);
    for (uint64_t i = 0; status == LB_OK && i < options->length; i++) {
        uint32_t unit = options->accesses[i];
        choice.position = choice.for_access = moves ? i : 0;
        const uint32_t frames = options->frames_of ? options->frames_of[unit] : 1;
        result->all += frames;
        if (cache_unit(cache, unit)->state == CACHE_RESIDENT) {
            result->hits++;
        } else {
            result->misses++;
            result->missed += frames;
            (void)cache_make_room(cache, &choice, unit); /* nothing is pinned: there is room */
            cache_begin_load(cache, unit, false);
            cache_end_load(cache, unit);
        }
        cache_pin(cache, unit);
        cache_unpin(cache, unit);
    }
    future_close(future);
    cache_close(cache);
    return status;
}
