/* streamer: open, budget, access, run-time changes. See streamer.h and driver.h. */
#include "prefetch/streamer.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/probe.h"
#include "plan/budget.h"
#include "prefetch/driver.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* ---- loads, for the drivers ---- */

static void unit_evicted(void *ctx, uint32_t unit)
{
    struct streamer *s = ctx;
    const struct layout_unit *u = &s->layout->units[unit];
    s->evicted_now++;
    LB_PROBE1(evict, unit);
    if (!s->mapped) {
        frames_give(s->frames, unit);
        return;
    }
    for (uint32_t i = 0; i < u->n_extents; i++) {
        const struct layout_extent *x = &s->layout->extents[u->first_extent + i];
        storage_drop(s->storage, x->file_offset, x->bytes);
    }
}

struct loader_request streamer_begin_locked(struct streamer *s, const struct planner_step *step,
                                            bool prefetch)
{
    cache_begin_load(s->cache, step->unit, prefetch);
    if (!prefetch)
        s->outcomes[step->unit] = STREAMER_MISS;
    if (step->predicted)
        prediction_began(s->prediction, step->unit);
    struct loader_request request = {.unit = step->unit,
                                     .demand = !prefetch,
                                     .for_access = step->for_access,
                                     .request_ns = lb_now_ns()};
    if (!s->mapped) {
        frames_take(s->frames, step->unit);
        request.frames = frames_of(s->frames, step->unit);
    }
    s->loads[step->unit] = (struct unit_load){
        .request_ns = request.request_ns, .evicted = s->evicted_now, .prefetch = prefetch};
    s->evicted_now = 0;
    LB_PROBE2(load__start, step->unit, prefetch);
    s->n_loading++;
    s->n_prefetching += prefetch;
    s->counters.prefetches_started += prefetch;
    return request;
}

void streamer_end_locked(struct streamer *s, const struct loader_result *r)
{
    struct unit_load *load = &s->loads[r->unit];
    struct streamer_counters *c = &s->counters;
    LB_PROBE3(load__end, r->unit, r->bytes, r->error);
    s->n_loading--;
    s->n_prefetching -= load->prefetch;
    c->reads += r->reads;
    c->bytes_read += r->bytes;
    c->read_errors += r->read_errors;
    if (r->error) {
        cache_cancel_load(s->cache, r->unit);
        if (!s->mapped)
            frames_give(s->frames, r->unit);
        c->prefetches_cancelled += load->prefetch && r->error == ECANCELED;
        if (r->error != ECANCELED && load->prefetch) {
            c->prefetches_failed++;
            s->paused = true;
        } else if (r->error != ECANCELED) {
            s->broken = true;
            s->failure = *r;
        }
        return;
    }
    s->paused &= load->prefetch;
    cache_end_load(s->cache, r->unit);
    load->first_ns = r->first_ns;
    load->done_ns = r->done_ns;
    load->bytes = r->bytes;
    if (load->prefetch) {
        c->prefetches_completed++;
        c->prefetch_ns += r->done_ns - r->request_ns;
    }
    /* what the storage took for it: loads overlap, so from the end of the one before */
    int64_t begin = r->first_ns > s->served_ns ? r->first_ns : s->served_ns;
    planner_measured_load(&s->plan, (double)(r->done_ns - begin));
    if (r->done_ns > s->served_ns) {
        c->load_ns += r->done_ns - begin;
        s->served_ns = r->done_ns;
    }
}

bool streamer_plan_locked(struct streamer *s, struct loader_request *request)
{
    struct planner_step step;
    bool demand = planner_demands(&s->plan);
    struct planner_loads loads = {.demands = s->n_loading - s->n_prefetching,
                                  .prefetches = s->n_prefetching,
                                  .max_demands = s->max_demands,
                                  .max_prefetches = s->paused ? 0 : s->max_prefetches};
    if (s->broken || planner_has_enough(&s->plan, &loads) || !planner_next(&s->plan, &step))
        return false;
    *request = streamer_begin_locked(s, &step, !demand);
    return true;
}

enum lb_status streamer_load_error(const struct streamer *s, struct lb_error *err)
{
    const struct loader_result *r = &s->failure;
    return lb_fail(err, LB_ERR_IO, "layer %u, unit %u: reading %u bytes at offset %llu failed: %s",
                   s->layout->units[r->unit].layer, r->unit, r->error_bytes,
                   (unsigned long long)r->error_offset,
                   r->error == LOADER_SHORT ? "the file became shorter" : strerror(r->error));
}

void streamer_run_loader(struct streamer *s)
{
    struct loader_result result;
    while (!loader_idle(s->loader)) {
        loader_submit(s->loader);
        loader_reap(s->loader, -1);
        while (loader_take(s->loader, &result))
            streamer_end_locked(s, &result);
    }
}

static bool is_kept(const struct streamer *s, uint32_t unit)
{
    return s->keep_always && s->layout->units[unit].part == 0;
}

/* ---- open and close ---- */

static const struct driver_ops *const drivers[] = {
    &driver_off,
    &driver_sync,
#if LB_ASYNC_PREFETCH
    &driver_async,
#endif
    &driver_resident,
};

static enum lb_status find_driver(const char *name, const struct driver_ops **driver,
                                  struct lb_error *err)
{
    for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++) {
        if (strcmp(drivers[i]->name, name) == 0) {
            *driver = drivers[i];
            return LB_OK;
        }
    }
    if (strcmp(name, "async") == 0)
        return lb_fail(err, LB_ERR_UNSUPPORTED,
                       "prefetch async: this build has no async driver (ASYNC_PREFETCH=0)");
    return lb_fail(err, LB_ERR_INPUT, "prefetch '%s': expected off, sync, async or resident", name);
}

static void set_distance(struct streamer *s)
{
    s->plan.window = s->driver->looks_ahead ? budget_distance(s->layout, s->distance) : 0;
    s->plan.scheduler = s->driver->at_once ? planner_scheduler("fixed") : s->scheduler;
}

/* On error the streamer goes on without prefetch. */
static enum lb_status start_driver(struct streamer *s, const struct driver_ops *driver,
                                   struct lb_error *err)
{
    s->driver = driver;
    set_distance(s);
    enum lb_status status = driver->start ? driver->start(s, err) : LB_OK;
    if (status != LB_OK) {
        s->driver = &driver_off;
        set_distance(s);
    }
    return status;
}

void streamer_stop(struct streamer *s)
{
    if (s->driver->stop)
        s->driver->stop(s);
}

/* Loads those of the first `end` units that fit, or that are to be kept. */
static enum lb_status load_first(struct streamer *s, const struct streamer_options *o, uint32_t end,
                                 bool kept_only, struct lb_error *err)
{
    uint64_t done = 0;
    streamer_stop(s);
    pthread_mutex_lock(&s->mu);
    for (uint32_t i = 0; i < end && !s->broken; i++) {
        if (kept_only && !is_kept(s, i))
            continue;
        struct planner_step step = {.unit = i, .for_access = s->plan.position + i};
        if (cache_unit(s->cache, i)->state != CACHE_ABSENT || !cache_fits(s->cache, i))
            continue;
        struct loader_request request = streamer_begin_locked(s, &step, false);
        loader_add(s->loader, &request);
        if (s->n_loading > s->max_prefetches)
            streamer_run_loader(s);
        done += s->layout->units[i].bytes;
        if (o->loaded)
            o->loaded(o->loaded_ctx, done, s->layout->bytes);
    }
    streamer_run_loader(s);
    enum lb_status status = s->broken ? streamer_load_error(s, err) : LB_OK;
    for (uint32_t i = 0; i < end && kept_only && status == LB_OK; i++)
        if (is_kept(s, i))
            cache_pin(s->cache, i);
    s->broken = false;
    pthread_mutex_unlock(&s->mu);
    enum lb_status started = start_driver(s, s->driver, err);
    return status == LB_OK ? started : status;
}

static void register_arena(struct streamer *s)
{
    size_t bytes;
    void *arena = frames_arena(s->frames, &bytes);
    storage_register_arena(s->storage, arena, bytes);
}

static enum lb_status open_cache(struct streamer *s, const struct streamer_options *o,
                                 const struct budget *budget, struct lb_error *err)
{
    uint32_t *frames_of_unit = lb_calloc(s->n_units, sizeof *frames_of_unit);
    uint32_t *layer_of = lb_calloc(s->n_units, sizeof *layer_of);
    s->loads = lb_calloc(s->n_units, sizeof *s->loads);
    s->outcomes = lb_calloc(s->n_units, sizeof *s->outcomes);
    if (!frames_of_unit || !layer_of || !s->loads || !s->outcomes) {
        lb_free(frames_of_unit);
        lb_free(layer_of);
        return lb_fail(err, LB_ERR_NOMEM, "streamer: out of memory");
    }
    for (uint32_t i = 0; i < s->n_units; i++) {
        frames_of_unit[i] = s->layout->units[i].n_frames;
        layer_of[i] = s->layout->units[i].layer;
    }
    struct cache_options options = {.replacement = o->replacement,
                                    .half_life = o->half_life,
                                    .group_of = o->by_layer ? layer_of : NULL,
                                    .n_groups = s->layout->n_layers,
                                    .max_units = budget->units,
                                    .max_frames = budget->frames,
                                    .seed = o->seed,
                                    .evicted = unit_evicted,
                                    .ctx = s};
    enum lb_status status = cache_open(&options, s->n_units, frames_of_unit, &s->cache, err);
    lb_free(frames_of_unit);
    lb_free(layer_of);
    if (status != LB_OK || s->mapped)
        return status;
    status = frames_open(s->layout, budget->frames, &s->frames, err);
    if (status == LB_OK)
        register_arena(s);
    return status;
}

static enum lb_status check_options(const struct streamer_options *o, struct streamer *s,
                                    const struct driver_ops **driver, struct lb_error *err)
{
    enum lb_status status = find_driver(o->prefetch, driver, err);
    if (status != LB_OK)
        return status;
    s->scheduler = planner_scheduler(o->scheduler);
    if (!s->scheduler)
        return lb_fail(err, LB_ERR_INPUT,
                       "scheduler '%s': expected fixed, horizon, aggressive, conservative or "
                       "forestall",
                       o->scheduler);
    if (o->queue_depth == 0)
        return lb_fail(err, LB_ERR_INPUT, "queue_depth 0: expected at least 1");
    if (o->chunk_bytes < STORAGE_ALIGN)
        return lb_fail(err, LB_ERR_INPUT, "chunk_bytes %u: expected at least %u", o->chunk_bytes,
                       STORAGE_ALIGN);
    return LB_OK;
}

/* Where units are needed only if a router says so. */
static enum lb_status open_prediction(struct streamer *s, const struct streamer_options *o,
                                      const bool *always, struct lb_error *err)
{
    const struct predictor *predictor = predictor_find(o->predict ? o->predict : "off");
    if (!predictor)
        return lb_fail(err, LB_ERR_INPUT, "predict '%s': expected off, previous, hot or gate-ahead",
                       o->predict);
    const bool guesses = predictor->guess || predictor->asks_model;
    if (!predictor->asks_routes && (!guesses || s->max_demands == 0))
        return LB_OK;
    uint32_t *layer_of = lb_calloc(s->n_units, sizeof *layer_of);
    if (!layer_of)
        return lb_fail(err, LB_ERR_NOMEM, "streamer: out of memory");
    for (uint32_t i = 0; i < s->n_units; i++)
        layer_of[i] = s->layout->units[i].layer;
    struct prediction_options po = {.predictor = predictor,
                                    .depth = o->predict_depth,
                                    .n_units = s->n_units,
                                    .n_layers = s->layout->n_layers,
                                    .layer_of = layer_of,
                                    .always = always};
    enum lb_status status = prediction_open(&po, &s->prediction, err);
    lb_free(layer_of);
    return status;
}

static enum lb_status open_future(struct streamer *s, const struct streamer_options *o,
                                  struct lb_error *err)
{
    bool *always = lb_calloc(s->n_units, sizeof *always);
    if (!always)
        return lb_fail(err, LB_ERR_NOMEM, "streamer: out of memory");
    bool all = true;
    for (uint32_t i = 0; i < s->n_units; i++)
        all &= always[i] = s->layout->units[i].part == 0;
    s->max_demands = all ? 0 : s->max_demands;
    enum lb_status status = future_open_cycle(s->n_units, always, &s->future, err);
    if (status == LB_OK)
        status = open_prediction(s, o, always, err);
    lb_free(always);
    return status;
}

/* What is kept needs room, and beside it the largest of the other units. */
static enum lb_status check_kept(const struct streamer *s, const struct budget *budget,
                                 struct lb_error *err)
{
    uint64_t kept = 0, largest = 0;
    for (uint32_t i = 0; i < s->n_units; i++) {
        uint64_t frames = s->layout->units[i].n_frames;
        if (is_kept(s, i))
            kept += frames;
        else if (frames > largest)
            largest = frames;
    }
    if (!s->keep_always || budget->frames >= kept + largest)
        return LB_OK;
    return lb_fail(err, LB_ERR_INPUT,
                   "cache of %llu bytes: expected at least %llu, for what every pass needs and one "
                   "unit more",
                   (unsigned long long)budget->frames * s->layout->frame_bytes,
                   (unsigned long long)(kept + largest) * s->layout->frame_bytes);
}

/* Everything but the driver; room for all layers with `all`. */
static enum lb_status assemble(struct streamer *s, const struct streamer_options *o, bool all,
                               struct lb_error *err)
{
    struct budget budget;
    enum lb_status status = budget_find(s->layout, all ? s->layout->n_layers : o->cache_layers,
                                        o->cache_bytes, &budget, err);
    if (status != LB_OK)
        return status;
    status = check_kept(s, &budget, err);
    if (status != LB_OK)
        return status;
    s->max_prefetches = o->max_loads ? o->max_loads : o->queue_depth;
    s->max_demands = o->queue_depth;
    status = open_future(s, o, err);
    struct loader_options options = {.max_loads = s->max_prefetches + s->max_demands + 1,
                                     .queue_depth = o->queue_depth,
                                     .chunk_bytes = o->chunk_bytes};
    if (status == LB_OK)
        status = open_cache(s, o, &budget, err);
    if (status == LB_OK)
        status = loader_open(s->layout, s->storage, &options, &s->loader, err);
    s->distance = o->prefetch_distance;
    s->plan = (struct planner_state){.cache = s->cache, .future = s->future, .protect = o->protect};
    return status;
}

enum lb_status streamer_open(const struct layout *layout, struct storage *storage,
                             const struct streamer_options *options, struct streamer **out,
                             struct lb_error *err)
{
    *out = NULL;
    struct streamer *s = lb_calloc(1, sizeof *s);
    if (!s)
        return lb_fail(err, LB_ERR_NOMEM, "streamer: out of memory");
    s->layout = layout;
    s->storage = storage;
    s->mapped = storage_map(storage) != NULL;
    s->n_units = layout->n_units;
    s->keep_always = options->keep_always;
    pthread_mutex_init(&s->mu, NULL);
    s->driver = &driver_off;
    const struct driver_ops *driver = NULL;
    enum lb_status status = check_options(options, s, &driver, err);
    if (status == LB_OK)
        status = assemble(s, options, driver == &driver_resident, err);
    if (status == LB_OK)
        status = start_driver(s, driver, err);
    if (status == LB_OK && options->keep_always)
        status = load_first(s, options, s->n_units, true, err);
    if (status == LB_OK && driver == &driver_resident)
        status = load_first(s, options, s->n_units, false, err);
    if (status != LB_OK) {
        streamer_close(s);
        return status;
    }
    *out = s;
    return LB_OK;
}

void streamer_close(struct streamer *streamer)
{
    if (!streamer)
        return;
    streamer_stop(streamer);
    loader_close(streamer->loader);
    cache_close(streamer->cache);
    future_close(streamer->future);
    prediction_close(streamer->prediction);
    frames_close(streamer->frames);
    lb_free(streamer->loads);
    lb_free(streamer->outcomes);
    pthread_mutex_destroy(&streamer->mu);
    lb_free(streamer);
}

/* ---- accesses ---- */

static void count_access(struct streamer *s, uint32_t unit, enum streamer_outcome outcome)
{
    struct streamer_counters *c = &s->counters;
    c->accesses++;
    c->hits += outcome == STREAMER_HIT;
    c->prefetched += outcome == STREAMER_PREFETCHED;
    c->late += outcome == STREAMER_LATE;
    c->misses += outcome == STREAMER_MISS;
    c->prefetches_used += cache_unit(s->cache, unit)->fresh;
}

/* What the access was like but for its waiting. */
static void describe(const struct streamer *s, uint32_t unit, enum streamer_outcome outcome,
                     struct streamer_access *a)
{
    a->unit = unit;
    a->layer = s->layout->units[unit].layer;
    a->part = s->layout->units[unit].part;
    a->position = s->counters.accesses;
    a->outcome = outcome;
    a->ready_ns = a->need_ns;
    a->wait_ns = a->queue_ns = a->read_ns = 0;
    a->bytes = 0;
    a->evicted = 0;
    if (outcome == STREAMER_HIT)
        return;
    const struct unit_load *load = &s->loads[unit];
    bool waited = outcome == STREAMER_LATE || outcome == STREAMER_MISS;
    a->ready_ns = waited && load->done_ns < a->reveal_ns ? a->reveal_ns : load->done_ns;
    a->queue_ns = load->first_ns - load->request_ns;
    a->read_ns = load->done_ns - load->first_ns;
    a->bytes = load->bytes;
    a->evicted = load->evicted;
}

/* The place in units[] of the first that is resident, or n. */
static uint32_t first_resident(const struct streamer *s, const uint32_t *units, uint32_t n)
{
    uint32_t i = 0;
    while (i < n && cache_unit(s->cache, units[i])->state != CACHE_RESIDENT)
        i++;
    return i;
}

void streamer_need(struct streamer *s, const uint32_t *units, uint32_t n)
{
    pthread_mutex_lock(&s->mu);
    s->revealed_ns = lb_now_ns();
    for (uint32_t i = 0; i < n; i++) {
        const struct cache_unit *u = cache_unit(s->cache, units[i]);
        assert(!future_is_revealed(s->future, units[i]));
        s->outcomes[units[i]] = u->state == CACHE_ABSENT    ? STREAMER_MISS
                                : u->state == CACHE_LOADING ? STREAMER_LATE
                                : u->fresh                  ? STREAMER_PREFETCHED
                                                            : STREAMER_HIT;
    }
    s->plan.position = future_reveal(s->future, units, n, s->plan.position);
    if (s->prediction) {
        uint32_t layer = s->layout->units[units[0]].layer;
        prediction_revealed(s->prediction, layer, units, n, s->outcomes, s->revealed_ns);
        prediction_guess(s->prediction, s->future, layer, s->revealed_ns);
    }
    if (s->driver->revealed_locked)
        s->driver->revealed_locked(s, units, n);
    pthread_mutex_unlock(&s->mu);
}

void streamer_predict(struct streamer *s, uint32_t layer, uint32_t depth, const uint32_t *units,
                      uint32_t n)
{
    if (!s->prediction)
        return;
    pthread_mutex_lock(&s->mu);
    prediction_told(s->prediction, s->future, layer, depth, units, n, lb_now_ns());
    if (s->driver->revealed_locked)
        s->driver->revealed_locked(s, NULL, 0);
    pthread_mutex_unlock(&s->mu);
}

const struct prediction *streamer_prediction(const struct streamer *s)
{
    return s->prediction;
}

/* Acquired and not released yet. */
static bool in_use(const struct streamer *s, uint32_t unit)
{
    return cache_unit(s->cache, unit)->pins > (is_kept(s, unit) ? 1 : 0);
}

/* Whether the units may be acquired now; then the position is theirs. */
static enum lb_status reach(struct streamer *s, const uint32_t *units, uint32_t n,
                            struct lb_error *err)
{
    for (uint32_t i = 0; i < n; i++) {
        bool revealed = future_is_revealed(s->future, units[i]);
        uint64_t at =
            revealed || n == 1 ? future_reach(s->future, units[i], s->plan.position) : FUTURE_NEVER;
        if (at == FUTURE_NEVER || in_use(s, units[i]))
            return lb_fail(err, LB_ERR_STATE, "unit %u: not needed now", units[i]);
        s->plan.position = at;
    }
    return LB_OK;
}

enum lb_status streamer_acquire_any(struct streamer *s, const uint32_t *units, uint32_t n,
                                    uint32_t *which, const uint8_t *const **frames,
                                    struct streamer_access *access, struct lb_error *err)
{
    access->need_ns = lb_now_ns();
    pthread_mutex_lock(&s->mu);
    enum lb_status status =
        s->broken
            ? lb_fail(err, LB_ERR_STATE, "unit %u: an earlier load failed; rewind first", units[0])
            : reach(s, units, n, err);
    if (status != LB_OK)
        goto done;
    *which = first_resident(s, units, n);
    bool waited = *which == n;
    if (waited) {
        status = s->driver->bring_locked(s, units, n, err);
        if (status != LB_OK)
            goto done;
        *which = first_resident(s, units, n);
    }
    uint32_t unit = units[*which];
    bool revealed = future_is_revealed(s->future, unit);
    enum streamer_outcome outcome = revealed ? (enum streamer_outcome)s->outcomes[unit]
                                    : waited
                                        ? s->loads[unit].prefetch ? STREAMER_LATE : STREAMER_MISS
                                    : cache_unit(s->cache, unit)->fresh ? STREAMER_PREFETCHED
                                                                        : STREAMER_HIT;
    access->reveal_ns = revealed ? s->revealed_ns : access->need_ns;
    describe(s, unit, outcome, access);
    count_access(s, unit, outcome);
    cache_pin(s->cache, unit);
    s->n_pinned++;
    uint64_t reads = s->counters.reads;
    if (s->driver->acquired_locked)
        s->driver->acquired_locked(s);
    waited |= access->ready_ns > access->need_ns; /* it came just then */
    waited |= s->driver->at_once && s->counters.reads != reads;
    s->working_since_ns = lb_now_ns();
    if (waited)
        access->wait_ns = s->working_since_ns - access->need_ns;
    access->held_bytes = cache_frames_held(s->cache) * s->layout->frame_bytes;
    LB_PROBE3(access, unit, outcome, access->wait_ns);
    *frames = s->mapped ? NULL : (const uint8_t *const *)frames_of(s->frames, unit);
done:
    pthread_mutex_unlock(&s->mu);
    return status;
}

bool streamer_has_any(struct streamer *s, const uint32_t *units, uint32_t n)
{
    pthread_mutex_lock(&s->mu);
    bool has = !s->broken && first_resident(s, units, n) < n;
    pthread_mutex_unlock(&s->mu);
    return has;
}

enum lb_status streamer_acquire(struct streamer *s, uint32_t unit, const uint8_t *const **frames,
                                struct streamer_access *access, struct lb_error *err)
{
    uint32_t which;
    assert(unit < s->n_units);
    return streamer_acquire_any(s, &unit, 1, &which, frames, access, err);
}

void streamer_release(struct streamer *s, uint32_t unit)
{
    int64_t now = lb_now_ns();
    pthread_mutex_lock(&s->mu);
    planner_measured_compute(&s->plan, (double)(now - s->working_since_ns));
    s->working_since_ns = now;
    cache_unpin(s->cache, unit);
    s->n_pinned--;
    s->plan.position = future_used(s->future, unit, s->plan.position);
    if (s->driver->released_locked)
        s->driver->released_locked(s);
    pthread_mutex_unlock(&s->mu);
}

/* ---- at run time ---- */

void streamer_rewind(struct streamer *s)
{
    pthread_mutex_lock(&s->mu);
    for (uint32_t i = 0; s->n_pinned > 0 && i < s->n_units; i++) {
        for (; in_use(s, i); s->n_pinned--)
            cache_unpin(s->cache, i);
    }
    s->plan.position = future_break_off(s->future, s->plan.position);
    if (s->prediction)
        prediction_break_off(s->prediction);
    s->broken = false;
    if (s->driver->trim_locked)
        s->driver->trim_locked(s);
    pthread_mutex_unlock(&s->mu);
}

struct streamer_counters streamer_counters(struct streamer *s)
{
    pthread_mutex_lock(&s->mu);
    struct streamer_counters c = s->counters;
    struct cache_counters cache = cache_counters(s->cache);
    c.evictions = cache.evictions;
    c.wasted = cache.wasted;
    c.protected_evictions = cache.protected_evictions;
    c.units_cached = cache_units_held(s->cache);
    c.frames_cached = cache_frames_held(s->cache);
    c.frames_capacity = cache_max_frames(s->cache);
    c.frame_bytes = s->layout->frame_bytes;
    c.layers_capacity = (uint32_t)(c.frames_capacity * s->layout->n_layers / budget_all(s->layout));
    if (s->n_units == s->layout->n_layers && cache_max_units(s->cache) < c.layers_capacity)
        c.layers_capacity = cache_max_units(s->cache);
    pthread_mutex_unlock(&s->mu);
    return c;
}

uint64_t streamer_memory_bytes(const struct streamer *s)
{
    return cache_max_frames(s->cache) * s->layout->frame_bytes;
}

struct streamer_effective streamer_effective(struct streamer *s)
{
    pthread_mutex_lock(&s->mu);
    const bool ahead = s->driver->looks_ahead;
    const uint32_t most = s->layout->n_layers - 1;
    struct streamer_effective e = {
        .prefetch = s->driver->name,
        .replacement = s->driver == &driver_resident ? "none" : cache_policy_name(s->cache),
        .scheduler = ahead ? s->plan.scheduler->name : "none",
        .predict = s->prediction ? prediction_name(s->prediction) : "off",
        .predict_depth = s->prediction ? prediction_depth(s->prediction) : 0,
        .prefetch_distance = !ahead               ? 0
                             : s->distance < most ? s->distance
                                                  : most,
        .protect = ahead && s->plan.protect};
    pthread_mutex_unlock(&s->mu);
    return e;
}
