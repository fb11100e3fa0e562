/* replay: see replay.h. */
#include "plan/replay.h"

#include "base/memory.h"
#include "cache/cache.h"

struct replay {
    struct cache *cache;
    struct future *future;
    bool told; /* the policy asks what is needed next; to others nothing is told */
    const uint32_t *frames_of;
    uint64_t position;
    struct replay_result result;
};

void replay_look_ahead(struct replay_access *block, size_t n, uint64_t before, uint64_t *next)
{
    for (size_t i = n; i-- > 0;) {
        const uint32_t unit = block[i].unit;
        uint64_t here = before + i + 1, ahead = next[unit] > 0 ? next[unit] - here : 0;
        block[i].ahead = ahead <= UINT32_MAX ? (uint32_t)ahead : 0;
        next[unit] = here;
    }
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

enum lb_status replay_open(const struct replay_options *options, struct replay **out,
                           struct lb_error *err)
{
    *out = NULL;
    if (options->slots == 0)
        return lb_fail(err, LB_ERR_INPUT, "cache of 0 slots: expected at least 1");
    struct cache_options co = {.replacement = options->replacement,
                               .max_units = options->frames_of ? 0 : options->slots,
                               .max_frames = options->frames_of ? budget_of(options) : 0,
                               .seed = options->seed,
                               .half_life = options->half_life,
                               .heat = options->heat};
    struct replay *r = lb_calloc(1, sizeof *r);
    if (!r)
        return lb_fail(err, LB_ERR_NOMEM, "replay: out of memory");
    r->frames_of = options->frames_of;
    enum lb_status status = cache_open(&co, options->n_units, options->frames_of, &r->cache, err);
    if (status == LB_OK)
        status = future_open_told(options->n_units, &r->future, err);
    if (status != LB_OK) {
        replay_close(r);
        return status;
    }
    r->told = cache_asks_future(r->cache);
    *out = r;
    return LB_OK;
}

void replay_close(struct replay *replay)
{
    if (!replay)
        return;
    future_close(replay->future);
    cache_close(replay->cache);
    lb_free(replay);
}

void replay_feed(struct replay *replay, const struct replay_access *accesses, size_t n)
{
    struct cache *cache = replay->cache;
    struct replay_result *result = &replay->result;
    struct cache_choice choice = {.cache = cache, .future = replay->future};
    for (size_t i = 0; i < n; i++) {
        const uint32_t unit = accesses[i].unit;
        const uint32_t frames = replay->frames_of ? replay->frames_of[unit] : 1;
        const uint64_t position = replay->position++;
        result->all += frames;
        if (cache_unit(cache, unit)->state == CACHE_RESIDENT) {
            result->hits++;
        } else {
            result->misses++;
            result->missed += frames;
            choice.position = choice.for_access = replay->told ? position : 0;
            (void)cache_make_room(cache, &choice, unit); /* nothing is pinned: there is room */
            cache_begin_load(cache, unit, false);
            cache_end_load(cache, unit);
        }
        if (replay->told)
            future_tell(replay->future, unit,
                        accesses[i].ahead > 0 ? position + accesses[i].ahead : FUTURE_NEVER);
        cache_pin(cache, unit);
        cache_unpin(cache, unit);
    }
}

struct replay_result replay_result(const struct replay *replay)
{
    return replay->result;
}

static enum lb_status check(const struct replay_options *o, const uint32_t *accesses,
                            uint64_t length, struct lb_error *err)
{
    if (length == 0)
        return lb_fail(err, LB_ERR_INPUT, "trace: expected at least one access");
    for (uint64_t i = 0; i < length; i++)
        if (accesses[i] >= o->n_units)
            return lb_fail(err, LB_ERR_INPUT, "access %llu: unit %u: expected less than %u",
                           (unsigned long long)i, accesses[i], o->n_units);
    return LB_OK;
}

enum lb_status replay_run(const struct replay_options *options, const uint32_t *accesses,
                          uint64_t length, struct replay_result *result, struct lb_error *err)
{
    struct replay *replay = NULL;
    struct replay_access *block = NULL;
    uint64_t *next = NULL;
    *result = (struct replay_result){0};
    enum lb_status status = check(options, accesses, length, err);
    if (status == LB_OK)
        status = replay_open(options, &replay, err);
    if (status == LB_OK) {
        block = lb_calloc(length, sizeof *block);
        next = lb_calloc(options->n_units, sizeof *next);
    }
    if (status == LB_OK && (!block || !next))
        status = lb_fail(err, LB_ERR_NOMEM, "replay: out of memory");
    if (status == LB_OK) {
        for (uint64_t i = 0; i < length; i++)
            block[i].unit = accesses[i];
        replay_look_ahead(block, length, 0, next);
        replay_feed(replay, block, length);
        *result = replay_result(replay);
    }
    lb_free(block);
    lb_free(next);
    replay_close(replay);
    return status;
}
