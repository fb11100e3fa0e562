/* virtual: event by event from completion to completion. See virtual.h. */
#include "plan/virtual.h"

#include "base/memory.h"
#include "plan/planner.h"
#include "plan/queue.h"

#include <assert.h>
#include <string.h>

struct pending { /* a load in flight, beside what queue.loads says of it */
    uint32_t unit;
    bool prefetch;
    uint64_t to_hand; /* bytes not handed over yet */
    double first;     /* when the first read was handed over */
};

struct flight { /* a read in flight */
    uint32_t load;
    double done;
};

struct moments { /* of a unit's last load */
    double begun, first, ready;
};

struct clockwork {
    const struct virtual_options *o;
    struct cache *cache;
    struct future *future;
    struct planner_state plan;
    struct prediction *prediction; /* or NULL */
    bool is_async, is_sync;
    uint32_t max_prefetches, max_demands;
    double now;
    /* device and queue */
    double device_free; /* when it has transferred all it was given */
    double served;      /* completion of the last load */
    struct queue queue;
    struct flight *flights; /* [queue.depth], ring in order of completion */
    uint32_t flight_head;
    struct pending *loads; /* [queue.max_loads] */
    uint32_t n_prefetching;
    double loads_since, load_time; /* integral of loads in flight over time */
    int worst;                     /* outcome of the current layer's units so far */
    uint8_t *outcomes;             /* [n_units] enum outcome of what is revealed */
    uint32_t *wanted;              /* [n_units] units of a layer that are to be used still */
    uint32_t *firsts;              /* [n_units] of these the first of each expert */
    uint64_t passes;               /* so far */
    struct moments *moments;       /* [n_units] where accesses are observed, else NULL */
    uint64_t evictions;            /* up to the last access observed */
    struct virtual_result sum;
};

enum outcome { HIT, PREFETCHED, LATE, MISS };

/* ---- loads and reads: the loader and the device ---- */

static void count_in_flight(struct clockwork *v)
{
    v->load_time += v->queue.n_loads * (v->now - v->loads_since);
    v->loads_since = v->now;
}

static void begin_load(struct clockwork *v, const struct planner_step *step, bool prefetch)
{
    count_in_flight(v);
    cache_begin_load(v->cache, step->unit, prefetch);
    if (!prefetch)
        v->outcomes[step->unit] = MISS;
    if (step->predicted)
        prediction_began(v->prediction, step->unit);
    uint32_t i = queue_add(&v->queue, !prefetch, step->for_access);
    v->loads[i] = (struct pending){
        .unit = step->unit, .prefetch = prefetch, .to_hand = v->o->units[step->unit].bytes};
    v->n_prefetching += prefetch;
    if (v->moments)
        v->moments[step->unit].begun = v->now;
    v->sum.loads++;
    v->sum.bytes += v->o->units[step->unit].bytes;
}

static void submit(struct clockwork *v)
{
    int64_t i;
    while ((i = queue_next(&v->queue)) >= 0) {
        struct pending *load = &v->loads[i];
        uint64_t bytes = load->to_hand < v->o->chunk_bytes ? load->to_hand : v->o->chunk_bytes;
        if (v->device_free < v->now)
            v->device_free = v->now;
        if (v->o->bandwidth > 0)
            v->device_free += (double)bytes / v->o->bandwidth * 1e9;
        if (load->to_hand == v->o->units[load->unit].bytes)
            load->first = v->now;
        load->to_hand -= bytes;
        v->flights[(v->flight_head + v->queue.in_flight) % v->queue.depth] =
            (struct flight){(uint32_t)i, v->device_free + v->o->latency_ns};
        queue_handed_over(&v->queue, (uint32_t)i, load->to_hand == 0);
    }
}

static void end_load(struct clockwork *v, uint32_t index)
{
    count_in_flight(v);
    const struct pending *load = &v->loads[index];
    cache_end_load(v->cache, load->unit);
    v->n_prefetching -= load->prefetch;
    if (v->moments) {
        v->moments[load->unit].first = load->first;
        v->moments[load->unit].ready = v->now;
    }
    planner_measured_load(&v->plan, v->now - (load->first > v->served ? load->first : v->served));
    v->served = v->now;
    queue_take_out(&v->queue, index);
}

/* Begins a load of what is revealed, or else a prefetch. */
static bool plan_one(struct clockwork *v)
{
    struct planner_step step;
    bool demand = planner_demands(&v->plan);
    struct planner_loads loads = {.demands = v->queue.n_loads - v->n_prefetching,
                                  .prefetches = v->n_prefetching,
                                  .max_demands = v->max_demands,
                                  .max_prefetches = v->max_prefetches};
    if (planner_has_enough(&v->plan, &loads) || !planner_next(&v->plan, &step))
        return false;
    begin_load(v, &step, !demand);
    return true;
}

/* All of what is revealed at once. */
static void plan_demands(struct clockwork *v)
{
    while (planner_demands(&v->plan) && plan_one(v))
        ;
}

/* The I/O thread's turn: hands over what it can and plans while there is room. */
static void pump(struct clockwork *v)
{
    submit(v);
    while (v->is_async && queue_has_room(&v->queue) && plan_one(v)) {
        plan_demands(v);
        submit(v);
    }
}

/* The position has moved: an eager scheduler gets all its loads begun at once. */
static void moved(struct clockwork *v)
{
    if (v->is_async && v->plan.scheduler->eager)
        while (plan_one(v))
            ;
    pump(v);
}

/* The next completion, which lies at or after now. */
static void complete_one(struct clockwork *v)
{
    assert(v->queue.in_flight > 0);
    struct flight f = v->flights[v->flight_head];
    v->flight_head = (v->flight_head + 1) % v->queue.depth;
    v->now = f.done > v->now ? f.done : v->now;
    queue_completed(&v->queue, f.load);
    if (queue_has_ended(&v->queue, f.load))
        end_load(v, f.load);
    pump(v);
}

/* ---- the computation ---- */

/* A completion at the very end comes after it, so that the unit that was in use may leave. */
static void compute(struct clockwork *v, double ns)
{
    double end = v->now + ns;
    while (v->queue.in_flight > 0 && v->flights[v->flight_head].done < end)
        complete_one(v);
    v->now = end;
    v->sum.compute_ns += ns;
}

static void demand(struct clockwork *v, uint32_t unit)
{
    while (!planner_make_room(&v->plan, unit, v->queue.n_loads == 0))
        complete_one(v);
    /* what was waited for may have been planned meanwhile */
    if (cache_unit(v->cache, unit)->state != CACHE_ABSENT)
        return;
    begin_load(v, &(struct planner_step){.unit = unit, .for_access = v->plan.position}, false);
    submit(v);
}

static void read_ahead(struct clockwork *v)
{
    bool any;
    do {
        for (any = false; plan_one(v); any = true)
            ;
        submit(v);
        while (v->queue.n_loads > 0)
            complete_one(v);
    } while (any);
}

static enum outcome outcome_now(const struct cache_unit *u)
{
    return u->state == CACHE_ABSENT    ? MISS
           : u->state == CACHE_LOADING ? LATE
           : u->fresh                  ? PREFETCHED
                                       : HIT;
}

static void count_access(struct clockwork *v, enum outcome outcome)
{
    v->sum.accesses++;
    v->sum.hits += outcome == HIT;
    v->sum.prefetched += outcome == PREFETCHED;
    v->sum.late += outcome == LATE;
    v->sum.misses += outcome == MISS;
    v->worst = (int)outcome > v->worst ? (int)outcome : v->worst;
}

static void count_layer(struct clockwork *v)
{
    struct virtual_layers *l = &v->sum.layers;
    l->accesses++;
    l->hits += v->worst == HIT;
    l->prefetched += v->worst == PREFETCHED;
    l->late += v->worst == LATE;
    l->misses += v->worst == MISS;
    v->worst = HIT;
}

static void urge(struct clockwork *v, uint32_t unit)
{
    for (uint32_t i = 0; i < v->queue.max_loads; i++)
        if (v->loads[i].unit == unit && v->queue.loads[i].taken)
            queue_urge(&v->queue, i);
}

/* The place of the first of the units in a state, or n. */
static uint32_t first_in(const struct clockwork *v, const uint32_t *units, uint32_t n,
                         enum cache_state state)
{
    uint32_t i = 0;
    while (i < n && cache_unit(v->cache, units[i])->state != state)
        i++;
    return i;
}

/* Waits until one of the units is there; returns its place. */
static uint32_t bring_any(struct clockwork *v, const uint32_t *units, uint32_t n)
{
    uint32_t found;
    while ((found = first_in(v, units, n, CACHE_RESIDENT)) == n) {
        if (first_in(v, units, n, CACHE_LOADING) == n)
            demand(v, units[0]);
        for (uint32_t i = 0; i < n; i++)
            if (cache_unit(v->cache, units[i])->state == CACHE_LOADING)
                urge(v, units[i]);
        while (first_in(v, units, n, CACHE_RESIDENT) == n &&
               first_in(v, units, n, CACHE_LOADING) < n)
            complete_one(v);
    }
    return found;
}

/* What is revealed is judged, and the next layers are predicted. */
static void predict(struct clockwork *v, uint32_t layer, const uint32_t *units, uint32_t n)
{
    if (!v->prediction)
        return;
    prediction_revealed(v->prediction, layer, units, n, v->outcomes, (int64_t)v->now);
    prediction_guess(v->prediction, v->future, layer, (int64_t)v->now);
}

/* A layer's router has chosen: what is there is decided now, loads begin. */
static void reveal(struct clockwork *v, uint32_t layer, const uint32_t *units, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        v->outcomes[units[i]] = (uint8_t)outcome_now(cache_unit(v->cache, units[i]));
    v->plan.position = future_reveal(v->future, units, n, v->plan.position);
    predict(v, layer, units, n);
    if (!v->is_async)
        return;
    for (uint32_t i = 0; i < n; i++)
        if (cache_unit(v->cache, units[i])->state == CACHE_LOADING)
            urge(v, units[i]);
    plan_demands(v);
    pump(v);
}

static void observe(struct clockwork *v, uint32_t unit, enum outcome outcome, double need,
                    double wait, double compute_ns)
{
    const struct moments *m = &v->moments[unit];
    struct cache_counters counters = cache_counters(v->cache);
    struct virtual_access access = {.pass = v->passes,
                                    .unit = unit,
                                    .outcome = (int)outcome,
                                    .need = need,
                                    .ready = need,
                                    .wait = wait,
                                    .compute = compute_ns,
                                    .evicted = (uint32_t)(counters.evictions - v->evictions)};
    for (uint32_t i = 0; i < v->o->n_units; i++)
        access.held_units += cache_unit(v->cache, i)->state != CACHE_ABSENT;
    if (outcome != HIT) {
        access.ready = m->ready;
        access.queue = m->first - m->begun;
        access.read = m->ready - m->first;
        access.bytes = v->o->units[unit].bytes;
    }
    v->evictions = counters.evictions;
    v->o->observe(v->o->ctx, &access);
}

/* Uses one of the units and returns its place; once it is used, `revealed` is known (NULL: nothing
 * more). */
static uint32_t access_any(struct clockwork *v, const uint32_t *units, uint32_t n,
                           double compute_ns, double factor, const uint32_t *revealed,
                           uint32_t n_revealed)
{
    double need = v->now;
    bool is_revealed = future_is_revealed(v->future, units[0]);
    v->plan.position = future_reach(v->future, units[0], v->plan.position);
    enum outcome outcome = outcome_now(cache_unit(v->cache, units[0]));
    uint32_t which = bring_any(v, units, n), unit = units[which];
    outcome = is_revealed ? (enum outcome)v->outcomes[unit] : outcome;
    count_access(v, outcome);
    if (compute_ns < 0)
        compute_ns = factor * v->o->units[unit].compute_ns;
    cache_pin(v->cache, unit);
    if (v->is_sync)
        read_ahead(v);
    double wait = v->now - need;
    v->sum.wait_ns += wait;
    moved(v);
    compute(v, compute_ns);
    if (v->moments)
        observe(v, unit, outcome, need, wait, compute_ns);
    planner_measured_compute(&v->plan, compute_ns);
    if (revealed)
        reveal(v, v->o->units[unit].layer, revealed, n_revealed);
    cache_unpin(v->cache, unit);
    v->plan.position = future_used(v->future, unit, v->plan.position);
    moved(v);
    return which;
}

/* The units that the layer's router chooses in this pass. */
static uint32_t route(const struct clockwork *v, uint32_t layer)
{
    const struct plan_routes *routes = v->o->routes;
    uint64_t at = v->passes % routes->n_passes * routes->n_layers + layer;
    uint32_t n = (uint32_t)(routes->first[at + 1] - routes->first[at]);
    memcpy(v->wanted, routes->units + routes->first[at], n * sizeof *v->wanted);
    return n;
}

/* Uses the units of wanted[0..n-1]: an expert that is there, or the first that comes, piece by
 * piece. */
static void use_wanted(struct clockwork *v, uint32_t n, double factor)
{
    const struct virtual_unit *units = v->o->units;
    while (n > 0) {
        uint32_t n_firsts = 0, first = 0, end;
        for (uint32_t i = 0; i < n; i++)
            if (i == 0 || units[v->wanted[i]].part != units[v->wanted[i - 1]].part)
                v->firsts[n_firsts++] = v->wanted[i];
        uint32_t chosen = v->firsts[access_any(v, v->firsts, n_firsts, -1, factor, NULL, 0)];
        while (v->wanted[first] != chosen)
            first++;
        for (end = first + 1; end < n && units[v->wanted[end]].part == units[chosen].part; end++)
            access_any(v, &v->wanted[end], 1, -1, factor, NULL, 0);
        memmove(v->wanted + first, v->wanted + end, (n - end) * sizeof *v->wanted);
        n -= end - first;
    }
}

/* A pass of a mixture: units of part 0 in order; the last one of a layer holds its router. */
static void run_routed(struct clockwork *v, double factor)
{
    const struct virtual_unit *units = v->o->units;
    for (uint32_t i = 0; i < v->o->n_units; i++) {
        uint32_t n = 0, next = i + 1;
        if (units[i].part > 0)
            continue;
        bool ends_layer = next == v->o->n_units || units[next].layer != units[i].layer;
        bool routed = !ends_layer && units[next].part > 0;
        if (routed)
            n = route(v, units[i].layer);
        access_any(v, &i, 1, -1, factor, routed ? v->wanted : NULL, n);
        use_wanted(v, n, factor);
        if (ends_layer || routed)
            count_layer(v);
    }
}

static void run_pass(struct clockwork *v, double factor)
{
    const struct virtual_options *o = v->o;
    uint64_t length = future_length(v->future);
    for (uint64_t i = 0; !o->routes && i < length; i++) {
        uint32_t unit = future_at(v->future, i), next = unit;
        if (!o->order)
            next = (unit + 1) % o->n_units;
        access_any(v, &unit, 1, o->compute_of ? factor * o->compute_of[i] : -1, factor, NULL, 0);
        if (o->order || next == 0 || o->units[next - 1].layer != o->units[next].layer)
            count_layer(v);
    }
    if (o->routes)
        run_routed(v, factor);
    v->passes++;
    if (o->other_ns > 0)
        compute(v, o->other_ns);
}

/* Counts from here on. */
static void reset(struct clockwork *v, struct cache_counters *before, double *start)
{
    count_in_flight(v);
    v->sum = (struct virtual_result){0};
    if (v->prediction)
        prediction_reset(v->prediction);
    v->load_time = 0;
    *before = cache_counters(v->cache);
    *start = v->now;
}

/* Where the routes say which experts are needed; `always` and layers are those of the units. */
static enum lb_status open_prediction(struct clockwork *v, const uint32_t *layer_of,
                                      const bool *always, struct lb_error *err)
{
    const struct virtual_options *o = v->o;
    const struct predictor *predictor = predictor_find(o->predict ? o->predict : "off");
    if (!predictor)
        return lb_fail(err, LB_ERR_INPUT,
                       "predict '%s': expected off, previous, hot or clairvoyant", o->predict);
    if (predictor->asks_model && o->routes)
        return lb_fail(err, LB_ERR_INPUT,
                       "predict '%s': expected off, previous, hot or clairvoyant; a replay has no "
                       "weights of routers",
                       o->predict);
    if (!predictor->guess || !o->routes)
        return LB_OK;
    struct prediction_options po = {.predictor = predictor,
                                    .depth = o->predict_depth,
                                    .n_units = o->n_units,
                                    .n_layers = o->routes->n_layers,
                                    .layer_of = layer_of,
                                    .always = always,
                                    .routes = o->routes};
    return prediction_open(&po, &v->prediction, err);
}

static void tell_prediction(const struct clockwork *v, struct virtual_result *result)
{
    const struct prediction *p = v->prediction;
    if (!p)
        return;
    result->prediction = prediction_counters(p);
    for (uint32_t d = 1; v->o->scores && d <= prediction_depth(p); d++)
        for (uint32_t layer = 0; layer < prediction_layers(p); layer++)
            v->o->scores[(size_t)(d - 1) * prediction_layers(p) + layer] =
                prediction_score(p, layer, d);
}

static enum lb_status set_up(struct clockwork *v, struct lb_error *err)
{
    const struct virtual_options *o = v->o;
    bool resident = strcmp(o->prefetch, "resident") == 0;
    v->is_async = strcmp(o->prefetch, "async") == 0;
    v->is_sync = strcmp(o->prefetch, "sync") == 0;
    if (!resident && !v->is_async && !v->is_sync && strcmp(o->prefetch, "off") != 0)
        return lb_fail(err, LB_ERR_INPUT, "prefetch '%s': expected off, sync, async or resident",
                       o->prefetch);
    const struct planner_scheduler *scheduler =
        planner_scheduler(v->is_sync ? "fixed" : o->scheduler);
    if (!scheduler)
        return lb_fail(err, LB_ERR_INPUT,
                       "scheduler '%s': expected fixed, horizon, aggressive, conservative or "
                       "forestall",
                       o->scheduler);
    uint32_t *frames_of = lb_calloc(o->n_units, sizeof *frames_of);
    uint32_t *layer_of = lb_calloc(o->n_units, sizeof *layer_of), n_layers = 0;
    bool *always = lb_calloc(o->n_units, sizeof *always);
    v->max_demands = o->routes ? o->queue_depth : 0;
    uint32_t max_loads = v->max_prefetches + v->max_demands + 1;
    enum lb_status status = queue_open(&v->queue, max_loads, o->queue_depth, err);
    v->flights = lb_calloc(o->queue_depth, sizeof *v->flights);
    v->loads = lb_calloc(max_loads, sizeof *v->loads);
    v->outcomes = lb_calloc(o->n_units, sizeof *v->outcomes);
    v->wanted = lb_calloc(o->n_units, sizeof *v->wanted);
    v->firsts = lb_calloc(o->n_units, sizeof *v->firsts);
    v->moments = o->observe ? lb_calloc(o->n_units, sizeof *v->moments) : NULL;
    if (status != LB_OK || !frames_of || !layer_of || !always || !v->flights || !v->loads ||
        !v->outcomes || !v->wanted || !v->firsts || (o->observe && !v->moments)) {
        lb_free(frames_of);
        lb_free(layer_of);
        lb_free(always);
        return lb_fail(err, LB_ERR_NOMEM, "simulation: out of memory");
    }
    for (uint32_t i = 0; i < o->n_units; i++) {
        frames_of[i] = o->units[i].frames;
        layer_of[i] = o->units[i].layer;
        n_layers = layer_of[i] >= n_layers ? layer_of[i] + 1 : n_layers;
        always[i] = o->units[i].part == 0 || !o->routes;
    }
    struct cache_options co = {.replacement = o->replacement,
                               .half_life = o->half_life,
                               .group_of = o->by_layer ? layer_of : NULL,
                               .n_groups = n_layers,
                               .max_units = resident ? 0 : o->max_units,
                               .max_frames = resident ? 0 : o->max_frames,
                               .seed = o->seed};
    status = cache_open(&co, o->n_units, frames_of, &v->cache, err);
    if (status == LB_OK)
        status = open_prediction(v, layer_of, always, err);
    lb_free(frames_of);
    lb_free(layer_of);
    if (status == LB_OK)
        status = o->order
                     ? future_open_sequence(o->n_units, o->order, o->length, true, &v->future, err)
                     : future_open_cycle(o->n_units, always, &v->future, err);
    lb_free(always);
    v->plan = (struct planner_state){.cache = v->cache,
                                     .future = v->future,
                                     .window = v->is_async || v->is_sync ? o->window : 0,
                                     .protect = o->protect,
                                     .scheduler = scheduler};
    return status;
}

/* What every pass needs stays, and the largest of the other units has room beside it. */
static enum lb_status keep_always(struct clockwork *v, struct lb_error *err)
{
    const struct virtual_options *o = v->o;
    uint64_t kept = 0, largest = 0;
    for (uint32_t i = 0; i < o->n_units; i++) {
        kept += o->units[i].part == 0 ? o->units[i].frames : 0;
        if (o->units[i].part > 0 && o->units[i].frames > largest)
            largest = o->units[i].frames;
    }
    if (strcmp(o->prefetch, "resident") != 0 && o->max_frames > 0 && kept + largest > o->max_frames)
        return lb_fail(err, LB_ERR_INPUT,
                       "cache too small for what every pass needs and one unit more");
    for (uint32_t i = 0; i < o->n_units; i++)
        if (o->units[i].part == 0) {
            cache_begin_load(v->cache, i, false);
            cache_end_load(v->cache, i);
            cache_pin(v->cache, i);
        }
    return LB_OK;
}

enum lb_status virtual_run(const struct virtual_options *options, struct virtual_result *result,
                           struct lb_error *err)
{
    struct clockwork v = {.o = options};
    assert(options->queue_depth > 0 && options->chunk_bytes > 0 && options->passes > 0);
    v.max_prefetches = options->max_loads ? options->max_loads : options->queue_depth;
    enum lb_status status = set_up(&v, err);
    if (status == LB_OK && options->keep_always)
        status = keep_always(&v, err);
    if (status == LB_OK) {
        struct cache_counters before;
        double start;
        for (uint32_t i = 0; i < options->warmup; i++)
            run_pass(&v, i == 0 && options->warmup_compute > 0 ? options->warmup_compute : 1);
        reset(&v, &before, &start);
        for (uint32_t i = 0; i < options->passes; i++)
            run_pass(&v, 1);
        count_in_flight(&v);
        struct cache_counters after = cache_counters(v.cache);
        *result = v.sum;
        tell_prediction(&v, result);
        result->time_ns = v.now - start;
        result->in_flight = result->time_ns > 0 ? v.load_time / result->time_ns : 0;
        result->evictions = after.evictions - before.evictions;
        result->wasted = after.wasted - before.wasted;
        result->protected_evictions = after.protected_evictions - before.protected_evictions;
    }
    future_close(v.future);
    prediction_close(v.prediction);
    cache_close(v.cache);
    queue_close(&v.queue);
    lb_free(v.flights);
    lb_free(v.loads);
    lb_free(v.outcomes);
    lb_free(v.wanted);
    lb_free(v.firsts);
    lb_free(v.moments);
    return status;
}
