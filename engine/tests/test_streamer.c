/*
 * streamer: every unit's bytes in every combination of settings, outcome counts against the
 * planner alone, identities, faults at every read, changes at run time, start and stop.
 * A watchdog ends the program when something hangs.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "plan/budget.h"
#include "plan/virtual.h"
#include "prefetch/driver.h"
#include "prefetch/streamer.h"
#include "tests/check.h"
#include "tests/settings.h"
#include "tests/temporary.h"

#include <sys/stat.h>
#include <unistd.h>

enum { MOST_LAYERS = 12, TENSORS = 3, EXPERTS = 9, MOST_TENSORS = 6 * (2 + 3 * EXPERTS) };
enum { MOST_PIECES = 6 * 4 * (1 + EXPERTS) }; /* units of a mixture */

/* ---- a model file of random bytes ---- */

struct model {
    char path[TEMPORARY_PATH];
    uint8_t *bytes; /* what the file holds */
    uint64_t size;
    uint32_t n_layers, n_tensors;
    struct layout_tensor tensors[MOST_TENSORS];
};

/* The file of the tensors, which end at `at`. */
static void write_model(struct model *m, uint64_t at, struct lb_random *r)
{
    m->size = at + 17;
    m->bytes = lb_calloc(m->size, 1);
    for (uint64_t i = 0; i < m->size; i++)
        m->bytes[i] = (uint8_t)lb_random_next(r);
    int fd = temporary_file(m->path);
    CHECK(write(fd, m->bytes, m->size) == (ssize_t)m->size);
    close(fd);
}

static void make_model(struct model *m, uint32_t n_layers, bool equal, uint64_t seed)
{
    struct lb_random r = {seed};
    uint64_t at = 96;
    m->n_layers = n_layers;
    m->n_tensors = n_layers * TENSORS;
    for (uint32_t i = 0; i < m->n_tensors; i++) {
        struct layout_tensor *t = &m->tensors[i];
        *t = (struct layout_tensor){.layer = i / TENSORS, .file_offset = at};
        t->row_bytes = i % TENSORS == 1 ? 512 : 144;
        t->n_rows = i % TENSORS == 0 ? 1 : equal ? 60 : 20 + lb_random_below(&r, 130);
        at += t->row_bytes * t->n_rows;
    }
    write_model(m, at, &r);
}

/* A mixture: in each layer two tensors always needed, then gate, up and down of all experts, whose
 * slices are given expert by expert. Each part takes two frames of 8 KiB. */
static void make_mixture(struct model *m, uint32_t n_layers, uint64_t seed)
{
    struct lb_random r = {seed};
    uint64_t at = 96;
    uint32_t n = 0;
    m->n_layers = n_layers;
    for (uint32_t layer = 0; layer < n_layers; layer++) {
        for (uint32_t k = 0; k < 2; k++, at += 40 * 144)
            m->tensors[n++] = (struct layout_tensor){layer, 0, at, 144, 40};
        for (uint32_t e = 0; e < EXPERTS; e++)
            for (uint32_t k = 0; k < 3; k++)
                m->tensors[n++] =
                    (struct layout_tensor){layer, 1 + e, at + (k * EXPERTS + e) * 8 * 512, 512, 8};
        at += 3 * EXPERTS * 8 * 512;
    }
    m->n_tensors = n;
    write_model(m, at, &r);
}

static void free_model(struct model *m)
{
    unlink(m->path);
    lb_free(m->bytes);
}

/* ---- a streamer over it ---- */

struct setting {
    const char *storage;
    uint64_t unit_bytes;
    struct streamer_options o;
    struct storage_device device; /* all 0: not emulated */
    struct storage_fault fault;   /* nth 0: none */
};

struct rig {
    const struct model *m;
    struct layout *layout;
    struct storage *storage;
    struct streamer *s;
    uint32_t next; /* unit */
    bool blocking; /* off, sync */
    struct streamer_counters expected;
    uint64_t wrong; /* runs whose bytes were not the file's */
};

static struct streamer_options options(const char *prefetch, const char *replacement,
                                       uint32_t cache_layers)
{
    return (struct streamer_options){.prefetch = prefetch,
                                     .replacement = replacement,
                                     .scheduler = "aggressive",
                                     .protect = true,
                                     .prefetch_distance = 2,
                                     .cache_layers = cache_layers,
                                     .queue_depth = 8,
                                     .chunk_bytes = 4096};
}

static enum lb_status open_rig(struct rig *rig, const struct model *m, const struct setting *x,
                               struct lb_error *err)
{
    char notice[200];
    struct storage_options so = {.queue_depth = x->o.queue_depth, .io_threads = 2};
    *rig = (struct rig){.m = m,
                        .blocking = strcmp(x->o.prefetch, "off") == 0 ||
                                    strcmp(x->o.prefetch, "sync") == 0};
    enum lb_status s = storage_open(settings_storage(x->storage, m->path), m->path, &so, notice,
                                    sizeof notice, &rig->storage, err);
    if (s == LB_OK && x->fault.nth)
        s = storage_inject(rig->storage, &x->fault, &rig->storage, err);
    if (s == LB_OK && (x->device.bandwidth > 0 || x->device.latency_ns))
        s = storage_shape(rig->storage, &x->device, &rig->storage, err);
    if (s != LB_OK)
        return s;
    struct layout_options lo = {.unit_bytes = x->unit_bytes,
                                .frame_bytes = 8192,
                                .align = storage_align(rig->storage),
                                .file_bytes = m->size};
    s = layout_build(m->tensors, m->n_tensors, &lo, &rig->layout, err);
    return s == LB_OK ? streamer_open(rig->layout, rig->storage, &x->o, &rig->s, err) : s;
}

static void close_rig(struct rig *rig)
{
    streamer_close(rig->s);
    storage_close(rig->storage);
    layout_free(rig->layout);
}

static void check_sane(struct rig *rig, const char *what)
{
    struct lb_error err = LB_ERROR_INIT;
    pthread_mutex_lock(&rig->s->mu);
    CHECK(cache_sane(rig->s->cache, &err), "%s: %s", what, err.text);
    uint32_t loading = 0, prefetching = 0;
    for (uint32_t i = 0; i < rig->layout->n_units; i++) {
        bool is_loading = cache_unit(rig->s->cache, i)->state == CACHE_LOADING;
        loading += is_loading;
        prefetching += is_loading && rig->s->loads[i].prefetch;
    }
    CHECK(loading == rig->s->n_loading && prefetching == rig->s->n_prefetching, "%s", what);
    CHECK(prefetching <= rig->s->max_prefetches, "%s", what);
    pthread_mutex_unlock(&rig->s->mu);
}

static uint64_t wrong_runs(const struct rig *rig, uint32_t unit, const uint8_t *const *frames)
{
    const struct layout_unit *u = &rig->layout->units[unit];
    const uint8_t *map = storage_map(rig->storage);
    uint64_t wrong = 0;
    for (uint32_t i = 0; i < u->n_runs; i++) {
        const struct layout_run *run = &rig->layout->runs[u->first_run + i];
        const struct layout_tensor *t = &rig->m->tensors[run->tensor];
        uint64_t at = t->file_offset + run->first * t->row_bytes;
        const uint8_t *data = map ? map + at : frames[run->frame] + run->frame_offset;
        wrong += memcmp(data, rig->m->bytes + at, (run->last - run->first) * t->row_bytes) != 0;
    }
    return wrong;
}

/* Holds the record of an access against what it may be, and its bytes against the file's. */
static void record(struct rig *rig, uint32_t unit, const uint8_t *const *frames,
                   const struct streamer_access *a)
{
    struct streamer_counters *e = &rig->expected;
    const struct layout_unit *u = &rig->layout->units[unit];
    bool waited = a->outcome == STREAMER_LATE || a->outcome == STREAMER_MISS;
    rig->wrong += wrong_runs(rig, unit, frames);
    CHECK(a->unit == unit && a->layer == u->layer && a->part == u->part &&
          a->position == e->accesses);
    CHECK(a->wait_ns >= 0 && a->queue_ns >= 0 && a->read_ns >= 0 && a->reveal_ns <= a->need_ns);
    CHECK(!waited || a->ready_ns >= a->reveal_ns);
    CHECK(!waited || a->wait_ns >= a->ready_ns - a->need_ns);
    CHECK(a->outcome != STREAMER_HIT || (a->bytes == 0 && a->ready_ns == a->need_ns));
    CHECK(a->outcome == STREAMER_HIT || a->bytes == u->read_bytes);
    e->accesses++;
    e->hits += a->outcome == STREAMER_HIT;
    e->prefetched += a->outcome == STREAMER_PREFETCHED;
    e->late += a->outcome == STREAMER_LATE;
    e->misses += a->outcome == STREAMER_MISS;
    e->bytes_read += a->bytes;
}

/* One access in order. compute_ns: spun while the unit is held. */
static enum lb_status step(struct rig *rig, int64_t compute_ns, struct lb_error *err)
{
    const uint8_t *const *frames;
    struct streamer_access a;
    uint32_t unit = rig->next;
    uint64_t reads = streamer_counters(rig->s).reads;
    enum lb_status s = streamer_acquire(rig->s, unit, &frames, &a, err);
    if (s != LB_OK)
        return s;
    /* Reading ahead inside an access makes it wait, whatever the unit's own outcome. */
    CHECK(!rig->blocking || streamer_counters(rig->s).reads == reads || a.wait_ns > 0);
    record(rig, unit, frames, &a);
    for (int64_t end = lb_now_ns() + compute_ns; lb_now_ns() < end;)
        ;
    streamer_release(rig->s, unit);
    rig->next = (unit + 1) % rig->layout->n_units;
    return LB_OK;
}

static void check_counters(struct rig *rig, const char *what)
{
    struct streamer_counters c = streamer_counters(rig->s), *e = &rig->expected;
    CHECK(c.accesses == e->accesses && c.hits == e->hits && c.prefetched == e->prefetched &&
              c.late == e->late && c.misses == e->misses,
          "%s", what);
    CHECK(c.hits + c.prefetched + c.late + c.misses == c.accesses, "%s", what);
    CHECK(c.prefetches_used == c.prefetched + c.late, "%s", what);
    CHECK(c.prefetches_completed >= c.prefetches_used + c.wasted, "%s", what);
    CHECK(c.prefetches_completed <= c.prefetches_used + c.wasted + c.units_cached, "%s", what);
    CHECK(c.prefetches_started >=
              c.prefetches_completed + c.prefetches_cancelled + c.prefetches_failed,
          "%s", what);
    CHECK(c.bytes_read >= e->bytes_read, "%s", what);
    CHECK(c.frames_cached <= c.frames_capacity, "%s", what);
}

/* Everything that runs has ended: what was started is accounted for to the last. */
static void check_settled(struct rig *rig, const char *what)
{
    streamer_stop(rig->s);
    struct streamer_counters c = streamer_counters(rig->s);
    CHECK(c.prefetches_started ==
              c.prefetches_completed + c.prefetches_cancelled + c.prefetches_failed,
          "%s", what);
    uint64_t unused = 0;
    for (uint32_t i = 0; i < rig->layout->n_units; i++)
        unused += cache_unit(rig->s->cache, i)->fresh;
    CHECK(c.prefetches_completed == c.prefetches_used + c.wasted + unused, "%s", what);
    check_sane(rig, what);
    check_counters(rig, what);
}

/* ---- outcome counts of off and sync, by cache and planner alone ---- */

static struct streamer_counters predict(const struct rig *rig, const struct setting *x,
                                        uint32_t passes)
{
    struct lb_error err = LB_ERROR_INIT;
    const struct layout *l = rig->layout;
    struct streamer_counters c = {0}, now = streamer_counters(rig->s);
    uint32_t *frames = lb_calloc(l->n_units, sizeof *frames);
    for (uint32_t i = 0; i < l->n_units; i++)
        frames[i] = l->units[i].n_frames;
    struct cache_options co = {.replacement = x->o.replacement,
                               .max_units = cache_max_units(rig->s->cache),
                               .max_frames = now.frames_capacity,
                               .seed = x->o.seed};
    struct planner_state state = {.protect = x->o.protect};
    CHECK(cache_open(&co, l->n_units, frames, &state.cache, &err) == LB_OK, "%s", err.text);
    CHECK(future_open_cycle(l->n_units, NULL, &state.future, &err) == LB_OK);
    state.scheduler = planner_scheduler("fixed");
    if (strcmp(x->o.prefetch, "sync") == 0)
        state.window = x->o.prefetch_distance * l->n_units / l->n_layers;
    if (state.window >= l->n_units)
        state.window = l->n_units - 1;
    for (; state.position < (uint64_t)passes * l->n_units; state.position++) {
        uint32_t unit = (uint32_t)(state.position % l->n_units);
        const struct cache_unit *u = cache_unit(state.cache, unit);
        c.hits += u->state == CACHE_RESIDENT && !u->fresh;
        c.prefetched += u->fresh;
        if (u->state == CACHE_ABSENT) {
            c.misses++;
            CHECK(planner_make_room(&state, unit, false));
            cache_begin_load(state.cache, unit, false);
            cache_end_load(state.cache, unit);
        }
        cache_pin(state.cache, unit);
        struct planner_step step;
        while (state.window > 0 && planner_next(&state, &step)) {
            cache_begin_load(state.cache, step.unit, true);
            cache_end_load(state.cache, step.unit);
        }
        cache_unpin(state.cache, unit);
    }
    future_close(state.future);
    cache_close(state.cache);
    lb_free(frames);
    return c;
}

/* ---- the tests ---- */

static const char *const prefetches[] = {"off", "sync", LB_ASYNC_PREFETCH ? "async" : "sync",
                                         "resident"};
static const char *const storages[] = {"memory", "pread", "direct", "mmap"};

static struct setting random_setting(struct lb_random *r, const struct model *m)
{
    static const uint64_t units[] = {LAYOUT_UNIT_LAYER, LAYOUT_UNIT_TENSOR, 8192, 30000};
    size_t n_policies, n_schedulers;
    const struct cache_policy *const *policies = cache_policies(&n_policies);
    const struct planner_scheduler *const *schedulers = planner_schedulers(&n_schedulers);
    struct setting x = {.storage = storages[lb_random_below(r, 4)],
                        .unit_bytes = units[lb_random_below(r, 4)]};
    x.o = options(prefetches[lb_random_below(r, 12) ? lb_random_below(r, 3) : 3],
                  policies[lb_random_below(r, (uint32_t)n_policies)]->name,
                  1 + lb_random_below(r, m->n_layers + 1));
    x.o.scheduler = schedulers[lb_random_below(r, (uint32_t)n_schedulers)]->name;
    x.o.protect = lb_random_below(r, 2);
    x.o.prefetch_distance = lb_random_below(r, m->n_layers + 2);
    x.o.max_loads = lb_random_below(r, 2) ? 0 : 1 + lb_random_below(r, 4);
    x.o.queue_depth = 1 + lb_random_below(r, 12);
    x.o.chunk_bytes = 4096u << lb_random_below(r, 5);
    x.o.seed = lb_random_next(r);
    if (lb_random_below(r, 3) == 0) {
        x.o.cache_bytes = 200000 + lb_random_below(r, 400000);
        x.o.cache_layers = 0;
    }
    if (lb_random_below(r, 3) == 0) {
        x.device.bandwidth = 5e8;
        x.device.latency_ns = lb_random_below(r, 50000);
    }
    return x;
}

static void random_settings(uint64_t seed, int rounds)
{
    struct lb_random r = {seed};
    struct model m;
    for (int round = 0; round < rounds; round++) {
        if (round % 40 == 0) {
            if (round)
                free_model(&m);
            make_model(&m, 2 + lb_random_below(&r, MOST_LAYERS - 1), round % 80 == 0, seed + 1);
        }
        struct setting x = random_setting(&r, &m);
        struct lb_error err = LB_ERROR_INIT;
        struct rig rig;
        char what[160];
        snprintf(what, sizeof what, "seed %llu round %d: %s %s %s %s unit %llu C=%u d=%u",
                 (unsigned long long)seed, round, x.storage, x.o.prefetch, x.o.replacement,
                 x.o.scheduler, (unsigned long long)x.unit_bytes, x.o.cache_layers,
                 x.o.prefetch_distance);
        enum lb_status s = open_rig(&rig, &m, &x, &err);
        CHECK(s == LB_OK, "%s: %s", what, err.text);
        const uint32_t passes = 4;
        for (uint32_t i = 0; s == LB_OK && i < passes * rig.layout->n_units; i++) {
            s = step(&rig, lb_random_below(&r, 20000), &err);
            CHECK(s == LB_OK, "%s: %s", what, err.text);
            check_sane(&rig, what);
        }
        if (s == LB_OK) {
            CHECK(rig.wrong == 0, "%s: %llu runs of wrong bytes", what,
                  (unsigned long long)rig.wrong);
            check_counters(&rig, what);
            struct streamer_counters e = rig.expected;
            if (strcmp(x.o.prefetch, "resident") == 0) {
                CHECK(e.hits == e.accesses, "%s", what);
            } else if (strcmp(x.o.prefetch, "async") != 0) {
                struct streamer_counters p = predict(&rig, &x, passes);
                CHECK(e.hits == p.hits && e.prefetched == p.prefetched && e.misses == p.misses &&
                          e.late == 0,
                      "%s: %llu hits, %llu prefetched, %llu misses; predicted %llu, %llu, %llu",
                      what, (unsigned long long)e.hits, (unsigned long long)e.prefetched,
                      (unsigned long long)e.misses, (unsigned long long)p.hits,
                      (unsigned long long)p.prefetched, (unsigned long long)p.misses);
            }
            check_settled(&rig, what);
        }
        close_rig(&rig);
    }
    free_model(&m);
}

/* ---- mixtures of experts ---- */

/* An account of its own for `off`: what each policy keeps of units of equal size. */
struct account {
    bool by_layer; /* `slots` for each layer; else for all */
    bool fifo, held[MOST_PIECES], wanted[MOST_PIECES];
    uint64_t since[MOST_PIECES], clock, hits, misses;
    uint32_t n_held[MOST_LAYERS], slots;
};

static void account_use(struct account *a, uint32_t unit)
{
    a->hits += a->held[unit];
    a->misses += !a->held[unit];
    if (a->slots == 0) /* it is not kept */
        return;
    uint32_t layer = a->by_layer ? unit / (1 + EXPERTS) : 0; /* a unit a part */
    if (!a->held[unit] && a->n_held[layer]++ == a->slots) {
        int64_t oldest = -1;
        for (uint32_t i = 0; i < MOST_PIECES; i++)
            if (a->held[i] && !a->wanted[i] && (!a->by_layer || i / (1 + EXPERTS) == layer) &&
                (oldest < 0 || a->since[i] < a->since[oldest]))
                oldest = i;
        a->held[oldest] = false;
        a->n_held[layer]--;
    }
    if (!a->held[unit] || !a->fifo)
        a->since[unit] = ++a->clock;
    a->held[unit] = true;
    a->wanted[unit] = false;
}

/* The units of `chosen` experts of a layer, by a route that favours the first ones. */
static uint32_t choose_experts(const struct layout *l, uint32_t layer, uint32_t chosen,
                               struct lb_random *r, uint32_t *units)
{
    bool taken[EXPERTS] = {false};
    uint32_t n = 0, count;
    while (chosen > 0) {
        uint32_t e = lb_random_below(r, 1 + lb_random_below(r, EXPERTS));
        if (taken[e])
            continue;
        taken[e] = true;
        chosen--;
        uint32_t first = layout_part(l, layer, 1 + e, &count);
        for (uint32_t i = 0; i < count; i++)
            units[n++] = first + i;
    }
    return n;
}

/* The routes of a run, as the simulation takes them. */
enum { ROUTE_PASSES = 30, MOST_ROUTES = ROUTE_PASSES * 6 };
struct recorded {
    uint32_t units[MOST_ROUTES * 4 * EXPERTS], n;
    uint64_t first[MOST_ROUTES + 1];
};

struct held {
    uint32_t units[4], n;
};

static void let_go(struct rig *rig, struct held *held, uint32_t i)
{
    streamer_release(rig->s, held->units[i]);
    held->units[i] = held->units[--held->n];
}

/* A layer of a pass: part 0 in order, then what the router chose, up to `pins` units at a time. */
static enum lb_status route_layer(struct rig *rig, uint32_t layer, uint32_t chosen, uint32_t pins,
                                  bool guess, struct lb_random *r, struct account *account,
                                  struct recorded *recorded, struct lb_error *err)
{
    uint32_t units[MOST_PIECES], count, which, n;
    const uint8_t *const *frames;
    struct streamer_access a;
    struct held held = {.n = 0};
    uint32_t first = layout_part(rig->layout, layer, 0, &count);
    enum lb_status s = LB_OK;
    for (uint32_t i = 0; i < count && s == LB_OK; i++) {
        if ((s = streamer_acquire(rig->s, first + i, &frames, &a, err)) != LB_OK)
            return s;
        record(rig, first + i, frames, &a);
        account_use(account, first + i);
        if (i + 1 < count) /* the router's is still in use as it reveals */
            streamer_release(rig->s, first + i);
    }
    n = choose_experts(rig->layout, layer, chosen, r, units);
    for (uint32_t i = 0; i < n; i++) {
        account->wanted[units[i]] = true;
        recorded->units[recorded->n++] = units[i];
    }
    streamer_need(rig->s, units, n);
    streamer_release(rig->s, first + count - 1);
    uint32_t next = (layer + 1) % rig->m->n_layers, guessed[MOST_PIECES];
    if (guess && next != layer) {
        uint32_t k = choose_experts(rig->layout, next, chosen, r, guessed);
        streamer_predict(rig->s, next, 1, guessed, k);
    }
    while (n > 0 && s == LB_OK) {
        s = streamer_acquire_any(rig->s, units, n, &which, &frames, &a, err);
        if (s != LB_OK)
            break;
        record(rig, units[which], frames, &a);
        account_use(account, units[which]);
        held.units[held.n++] = units[which];
        memmove(units + which, units + which + 1, (n - which - 1) * sizeof *units);
        n--;
        while (held.n == pins || (held.n > 0 && lb_random_below(r, 3) == 0))
            let_go(rig, &held, lb_random_below(r, held.n));
    }
    while (held.n > 0)
        let_go(rig, &held, lb_random_below(r, held.n));
    return s;
}

/* The same routes under the virtual clock: where no thread races, the same counts. */
static void compare_with_simulation(struct rig *rig, const struct setting *x,
                                    const struct recorded *recorded, const char *what)
{
    const struct layout *l = rig->layout;
    struct virtual_unit units[MOST_PIECES];
    struct virtual_result v;
    struct prediction_score scores[3 * MOST_LAYERS];
    struct lb_error err = LB_ERROR_INIT;
    for (uint32_t i = 0; i < l->n_units; i++)
        units[i] = (struct virtual_unit){.bytes = l->units[i].read_bytes,
                                         .frames = l->units[i].n_frames,
                                         .compute_ns = 1000,
                                         .layer = l->units[i].layer,
                                         .part = l->units[i].part};
    struct plan_routes routes = {.units = recorded->units,
                                 .first = recorded->first,
                                 .n_passes = ROUTE_PASSES,
                                 .n_layers = l->n_layers};
    struct virtual_options o = {.units = units,
                                .n_units = l->n_units,
                                .routes = &routes,
                                .prefetch = x->o.prefetch,
                                .replacement = x->o.replacement,
                                .scheduler = x->o.scheduler,
                                .protect = x->o.protect,
                                .by_layer = x->o.by_layer,
                                .predict = x->o.predict,
                                .predict_depth = x->o.predict_depth,
                                .scores = scores,
                                .window = budget_distance(l, x->o.prefetch_distance),
                                .max_frames = streamer_counters(rig->s).frames_capacity,
                                .max_loads = x->o.max_loads,
                                .seed = x->o.seed,
                                .bandwidth = 1e9,
                                .queue_depth = x->o.queue_depth,
                                .chunk_bytes = x->o.chunk_bytes,
                                .passes = ROUTE_PASSES};
    CHECK(virtual_run(&o, &v, &err) == LB_OK, "%s: %s", what, err.text);
    const struct streamer_counters *e = &rig->expected;
    CHECK(v.accesses == e->accesses, "%s: %llu accesses, simulated %llu", what,
          (unsigned long long)e->accesses, (unsigned long long)v.accesses);
    CHECK(v.layers.accesses == (uint64_t)ROUTE_PASSES * l->n_layers, "%s", what);
    if (strcmp(x->o.prefetch, "off") == 0 || strcmp(x->o.prefetch, "sync") == 0)
        CHECK(v.hits == e->hits && v.prefetched == e->prefetched && v.late == e->late &&
                  v.misses == e->misses,
              "%s: %llu hits, %llu prefetched, %llu misses; simulated %llu, %llu, %llu", what,
              (unsigned long long)e->hits, (unsigned long long)e->prefetched,
              (unsigned long long)e->misses, (unsigned long long)v.hits,
              (unsigned long long)v.prefetched, (unsigned long long)v.misses);
    if (!streamer_prediction(rig->s) || strcmp(x->o.prefetch, "async") == 0 ||
        strcmp(x->o.prefetch, "resident") == 0)
        return;
    struct prediction_counters books = prediction_counters(streamer_prediction(rig->s));
    CHECK(books.misses == v.prediction.misses && books.foreseen == v.prediction.foreseen &&
              books.loads == v.prediction.loads && books.vain == v.prediction.vain,
          "%s: %llu of %llu misses foreseen, %llu loads, %llu in vain; simulated %llu of %llu, "
          "%llu, %llu",
          what, (unsigned long long)books.foreseen, (unsigned long long)books.misses,
          (unsigned long long)books.loads, (unsigned long long)books.vain,
          (unsigned long long)v.prediction.foreseen, (unsigned long long)v.prediction.misses,
          (unsigned long long)v.prediction.loads, (unsigned long long)v.prediction.vain);
    for (uint32_t i = 0; i < x->o.predict_depth * l->n_layers; i++) {
        struct prediction_score s =
            prediction_score(streamer_prediction(rig->s), i % l->n_layers, 1 + i / l->n_layers);
        CHECK(s.guessed == scores[i].guessed && s.right == scores[i].right &&
                  s.needed == scores[i].needed,
              "%s: layer %u", what, i % l->n_layers);
    }
}

/* Random routes in every setting: right bytes, sane, every access accounted for. With `off`, lru
 * and fifo the counts are those of the account. */
static void routes(uint64_t seed, int rounds)
{
    struct lb_random r = {seed};
    static const uint64_t units[] = {LAYOUT_UNIT_EXPERT, LAYOUT_UNIT_EXPERT, 8192, 16384};
    static const char *const predicts[] = {"off", "previous", "hot"};
    for (int round = 0; round < rounds; round++) {
        struct model m;
        make_mixture(&m, 1 + lb_random_below(&r, 6), seed);
        struct setting x = random_setting(&r, &m);
        bool exact = round % 3 == 0;
        uint32_t chosen = 1 + lb_random_below(&r, 6), pins = 1 + lb_random_below(&r, 3);
        x.unit_bytes = units[lb_random_below(&r, 4)];
        x.o.cache_layers = 0;
        uint32_t slots = 1 + lb_random_below(&r, 30); /* of an expert */
        if (exact) {
            x.o.prefetch = "off";
            x.o.replacement = round % 2 ? "lru" : "fifo";
            x.storage = round % 4 ? "memory" : "mmap"; /* two frames a unit: nothing to align */
            x.unit_bytes = LAYOUT_UNIT_EXPERT;
            pins = 1;
            slots = chosen + 1 + lb_random_below(&r, 30);
        } else if (slots < pins + 1) {
            slots = pins + 1;
        }
        x.o.by_layer = lb_random_below(&r, 3) == 0;
        x.o.predict = exact ? "off" : round % 2 ? "gate-ahead" : predicts[lb_random_below(&r, 3)];
        x.o.predict_depth = 1 + lb_random_below(&r, 3);
        x.o.cache_bytes = slots * (exact ? 2 : 3) * 8192;
        if (x.o.by_layer)
            x.o.cache_bytes *= m.n_layers;
        struct lb_error err = LB_ERROR_INIT;
        struct rig rig;
        struct account account = {.by_layer = x.o.by_layer,
                                  .fifo = strcmp(x.o.replacement, "fifo") == 0,
                                  .slots = exact ? slots : 0};
        char what[160];
        snprintf(what, sizeof what, "seed %llu round %d: %s %s %s %s %s unit %llu, %u of %u slots",
                 (unsigned long long)seed, round, x.storage, x.o.prefetch, x.o.replacement,
                 x.o.scheduler, x.o.predict, (unsigned long long)x.unit_bytes, chosen, slots);
        enum lb_status s = open_rig(&rig, &m, &x, &err);
        CHECK(s == LB_OK, "%s: %s", what, err.text);
        static struct recorded recorded;
        recorded.n = 0;
        bool simulated = pins == 1 && round % 2 == 0 && x.unit_bytes == LAYOUT_UNIT_EXPERT;
        for (uint32_t i = 0; i < ROUTE_PASSES * m.n_layers && s == LB_OK; i++) {
            s = route_layer(&rig, i % m.n_layers, chosen, pins, round % 2, &r, &account, &recorded,
                            &err);
            recorded.first[i + 1] = recorded.n;
            CHECK(s == LB_OK, "%s: %s", what, err.text);
            check_sane(&rig, what);
            if (i % m.n_layers == m.n_layers - 1 && lb_random_below(&r, 10) == 0 && !exact &&
                !simulated)
                streamer_rewind(rig.s);
        }
        CHECK(rig.wrong == 0, "%s: %llu runs of wrong bytes", what, (unsigned long long)rig.wrong);
        if (exact)
            CHECK(rig.expected.hits == account.hits && rig.expected.misses == account.misses,
                  "%s: %llu hits, counted %llu", what, (unsigned long long)rig.expected.hits,
                  (unsigned long long)account.hits);
        if (simulated)
            compare_with_simulation(&rig, &x, &recorded, what);
        check_settled(&rig, what);
        close_rig(&rig);
        free_model(&m);
    }
}

/* The demand of a layer never evicts a part of itself, what is chosen is requested at once, and
 * what may not be acquired is refused. */
static void demands(const char *prefetch)
{
    struct model m;
    make_mixture(&m, 3, 8);
    struct setting x = {.storage = "memory", .unit_bytes = LAYOUT_UNIT_EXPERT};
    x.o = options(prefetch, "lru", 0);
    x.o.cache_bytes = 5 * 2 * 8192; /* part 0 and four experts */
    x.o.prefetch_distance = 0;
    x.o.scheduler = "fixed";
    struct rig rig;
    struct lb_error err = LB_ERROR_INIT;
    const uint8_t *const *frames;
    struct streamer_access a;
    uint32_t which;
    CHECK(open_rig(&rig, &m, &x, &err) == LB_OK, "%s", err.text);
    for (int round = 0; round < 40; round++) {
        uint32_t layer = (uint32_t)round % 3, units[4], first = layer * (1 + EXPERTS);
        CHECK(streamer_acquire(rig.s, first, &frames, &a, &err) == LB_OK, "%s", err.text);
        record(&rig, first, frames, &a);
        struct lb_error refused = LB_ERROR_INIT;
        CHECK(streamer_acquire(rig.s, first + 3, &frames, &a, &refused) == LB_ERR_STATE);
        CHECK(strstr(refused.text, "not needed now"), "%s", refused.text);
        for (uint32_t i = 0; i < 4; i++) /* two of the layer's last turn, two others */
            units[i] = first + 1 + ((uint32_t)round / 3 * 2 + i) % EXPERTS;
        streamer_need(rig.s, units, 4);
        refused.code = LB_OK;
        CHECK(streamer_acquire(rig.s, (first + 1 + EXPERTS) % (3 * (1 + EXPERTS)), &frames, &a,
                               &refused) == LB_ERR_STATE);
        streamer_release(rig.s, first);
        struct streamer_counters before = streamer_counters(rig.s);
        uint64_t misses = rig.expected.misses;
        for (uint32_t n = 4; n > 0; n--) { /* all held at the end: they fit */
            CHECK(streamer_acquire_any(rig.s, units, n, &which, &frames, &a, &err) == LB_OK, "%s",
                  err.text);
            record(&rig, units[which], frames, &a);
            uint32_t unit = units[which];
            memmove(units + which, units + which + 1, (n - which - 1) * sizeof *units);
            units[n - 1] = unit;
        }
        struct streamer_counters after = streamer_counters(rig.s);
        misses = rig.expected.misses - misses;
        CHECK(strcmp(prefetch, "off") != 0 || after.evictions - before.evictions <= misses);
        for (uint32_t i = 0; i < 4; i++)
            streamer_release(rig.s, units[i]);
    }
    /* each miss was one load: nothing that was revealed was evicted and loaded again */
    struct streamer_counters c = streamer_counters(rig.s);
    CHECK(c.bytes_read == rig.expected.bytes_read && rig.wrong == 0);
    check_settled(&rig, "demands");
    close_rig(&rig);
    free_model(&m);
}

/* What a right prediction brings is there when it is needed; sync, so that it is so each time. */
static void predictions(void)
{
    struct model m;
    make_mixture(&m, 2, 8);
    struct setting x = {.storage = "memory", .unit_bytes = LAYOUT_UNIT_EXPERT};
    x.o = options("sync", "belady", 0);
    x.o.cache_bytes = 7 * 2 * 8192; /* of 20 units */
    x.o.prefetch_distance = 1;
    x.o.predict = "gate-ahead";
    x.o.predict_depth = 1;
    struct rig rig;
    struct lb_error err = LB_ERROR_INIT;
    const uint8_t *const *frames;
    struct streamer_access a;
    uint64_t prefetched = 0;
    CHECK(open_rig(&rig, &m, &x, &err) == LB_OK, "%s", err.text);
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t layer = i % 2, first = layer * (1 + EXPERTS), other = (1 - layer) * (1 + EXPERTS);
        uint32_t units[2] = {first + 1 + i % EXPERTS, first + 1 + (i + 4) % EXPERTS};
        uint32_t next[2] = {other + 1 + (i + 1) % EXPERTS, other + 1 + (i + 5) % EXPERTS};
        CHECK(streamer_acquire(rig.s, first, &frames, &a, &err) == LB_OK, "%s", err.text);
        record(&rig, first, frames, &a);
        streamer_need(rig.s, units, 2);
        streamer_predict(rig.s, 1 - layer, 1, next, 2);
        streamer_release(rig.s, first);
        for (uint32_t k = 0; k < 2; k++) {
            CHECK(streamer_acquire(rig.s, units[k], &frames, &a, &err) == LB_OK, "%s", err.text);
            record(&rig, units[k], frames, &a);
            streamer_release(rig.s, units[k]);
            prefetched += a.outcome == STREAMER_PREFETCHED;
        }
    }
    CHECK(rig.wrong == 0 && rig.expected.misses <= 4, "%llu misses",
          (unsigned long long)rig.expected.misses);
    CHECK(prefetched >= 190, "%llu of 200 prefetched", (unsigned long long)prefetched);
    struct prediction_score score = prediction_score(streamer_prediction(rig.s), 0, 1);
    struct prediction_counters books = prediction_counters(streamer_prediction(rig.s));
    CHECK(score.guessed == 98 && score.right == 98 && score.needed == 98, "%llu of %llu right",
          (unsigned long long)score.right, (unsigned long long)score.guessed);
    CHECK(books.misses - books.foreseen <= 4 && books.loads >= 190 && books.vain == 0,
          "%llu misses, %llu foreseen, %llu loads, %llu in vain", (unsigned long long)books.misses,
          (unsigned long long)books.foreseen, (unsigned long long)books.loads,
          (unsigned long long)books.vain);
    check_settled(&rig, "predictions");
    close_rig(&rig);
    free_model(&m);
}

/* Each kind of fault at each read: right bytes or a clear error; after a rewind it goes on. */
static void faults(const char *prefetch, enum storage_fault_kind kind, bool every)
{
    struct model m;
    make_model(&m, 4, true, 9);
    for (uint64_t nth = 1;; nth++) {
        struct setting x = {.storage = "memory", .unit_bytes = nth % 2 ? 16384 : LAYOUT_UNIT_LAYER};
        x.fault =
            (struct storage_fault){.kind = kind, .nth = nth, .every = every, .delay_ns = 2000000};
        x.o = options(prefetch, "belady", 2);
        x.o.chunk_bytes = 16384;
        struct rig rig;
        struct lb_error err = LB_ERROR_INIT;
        uint32_t failures = 0, accesses = 0;
        enum lb_status s = open_rig(&rig, &m, &x, &err);
        CHECK(s == LB_OK, "%s", err.text);
        while (accesses < 3 * rig.layout->n_units && failures < 3) {
            struct lb_error e = LB_ERROR_INIT;
            s = step(&rig, 0, &e);
            accesses++;
            if (s == LB_OK)
                continue;
            failures++;
            CHECK(s == LB_ERR_IO && strstr(e.text, "layer ") && strstr(e.text, "at offset ") &&
                      strstr(e.text,
                             kind == STORAGE_FAULT_SHORT ? "became shorter" : "Input/output error"),
                  "%s", e.text);
            e.code = LB_OK;
            CHECK(step(&rig, 0, &e) == LB_ERR_STATE);
            streamer_rewind(rig.s);
            rig.next = 0;
        }
        CHECK(rig.wrong == 0, "%s fault %d at read %llu", prefetch, kind, (unsigned long long)nth);
        CHECK(kind != STORAGE_FAULT_DELAY || failures == 0);
        CHECK(every || failures <= 1);
        struct streamer_counters c = streamer_counters(rig.s);
        bool reached =
            storage_counters(rig.storage).reads + storage_counters(rig.storage).errors >= nth;
        if (reached && !every && kind != STORAGE_FAULT_DELAY)
            CHECK(c.read_errors <= 1 && c.prefetches_failed + failures <= 1);
        check_settled(&rig, "faults");
        close_rig(&rig);
        if (!reached || nth > 60)
            break;
    }
    free_model(&m);
}

/* A prefetch that fails is not fatal: with the fault on prefetches only, no access fails. */
static void failed_prefetch(const char *prefetch)
{
    struct model m;
    make_model(&m, 6, true, 5);
    struct setting x = {.storage = "memory"};
    x.o = options(prefetch, "belady", 3);
    x.o.chunk_bytes = 65536; /* one or two reads a frame */
    /* the first load of unit 0 is a demand load; all later ones may be prefetches */
    x.fault = (struct storage_fault){.kind = STORAGE_FAULT_EIO, .nth = 14};
    struct rig rig;
    struct lb_error err = LB_ERROR_INIT;
    CHECK(open_rig(&rig, &m, &x, &err) == LB_OK, "%s", err.text);
    for (int i = 0; i < 30; i++)
        CHECK(step(&rig, 200000, &err) == LB_OK, "%s", err.text);
    struct streamer_counters c = streamer_counters(rig.s);
    CHECK(c.prefetches_failed == 1 && c.read_errors == 1 && rig.wrong == 0,
          "%s: %llu prefetches failed", prefetch, (unsigned long long)c.prefetches_failed);
    check_settled(&rig, "failed prefetch");
    close_rig(&rig);
    free_model(&m);
}

static void steady_state_allocates_nothing(const char *prefetch)
{
    struct model m;
    make_model(&m, 8, false, 2);
    struct setting x = {.storage = "pread", .unit_bytes = 16384};
    x.o = options(prefetch, "belady", 4);
    struct rig rig;
    struct lb_error err = LB_ERROR_INIT;
    CHECK(open_rig(&rig, &m, &x, &err) == LB_OK, "%s", err.text);
    for (uint32_t i = 0; i < rig.layout->n_units; i++)
        CHECK(step(&rig, 0, &err) == LB_OK, "%s", err.text);
    uint64_t before = lb_memory_allocations();
    for (uint32_t i = 0; i < 5 * rig.layout->n_units; i++)
        CHECK(step(&rig, 0, &err) == LB_OK, "%s", err.text);
    CHECK(lb_memory_allocations() == before);
    close_rig(&rig);
    free_model(&m);
}

/* The error begins with the text. */
static void refuse(const struct model *m, struct streamer_options o, const char *text)
{
    struct lb_error err = LB_ERROR_INIT;
    struct rig rig = {.m = m};
    struct storage_options so = {.queue_depth = 4, .io_threads = 1};
    char notice[100];
    CHECK(storage_open("memory", m->path, &so, notice, sizeof notice, &rig.storage, &err) == LB_OK);
    struct layout_options lo = {.frame_bytes = 8192, .align = 1, .file_bytes = m->size};
    CHECK(layout_build(m->tensors, m->n_tensors, &lo, &rig.layout, &err) == LB_OK);
    CHECK(streamer_open(rig.layout, rig.storage, &o, &rig.s, &err) != LB_OK && !rig.s);
    CHECK(strncmp(err.text, text, strlen(text)) == 0, "'%s', not '%s'", err.text, text);
    close_rig(&rig);
}

static void refusals(void)
{
    struct model m;
    make_model(&m, 3, true, 1);
    refuse(&m, options("later", "lru", 2),
           "prefetch 'later': expected off, sync, async or resident");
    refuse(&m, options("off", "lru", 0), "cache of 0 bytes: expected at least one layer");
    refuse(&m, options("off", "best", 2), "replacement 'best': expected lru, fifo, ");
    struct streamer_options o = options("off", "lru", 1);
    o.scheduler = "soon";
    refuse(&m, o,
           "scheduler 'soon': expected fixed, horizon, aggressive, conservative or "
           "forestall");
    o = options("off", "lru", 1);
    o.chunk_bytes = 1000;
    refuse(&m, o, "chunk_bytes 1000: expected at least 4096");
    o = options("off", "lru", 1);
    o.queue_depth = 0;
    refuse(&m, o, "queue_depth 0: expected at least 1");
    if (!LB_ASYNC_PREFETCH)
        refuse(&m, options("async", "lru", 1),
               "prefetch async: this build has no async driver (ASYNC_PREFETCH=0)");
    free_model(&m);
}

static void out_of_memory(const char *prefetch)
{
    struct model m;
    make_model(&m, 3, true, 1);
    struct rig rig = {.m = &m};
    struct lb_error err = LB_ERROR_INIT;
    struct storage_options so = {.queue_depth = 4, .io_threads = 1};
    char notice[100];
    CHECK(storage_open("memory", m.path, &so, notice, sizeof notice, &rig.storage, &err) == LB_OK);
    struct layout_options lo = {.frame_bytes = 8192, .align = 1, .file_bytes = m.size};
    CHECK(layout_build(m.tensors, 9, &lo, &rig.layout, &err) == LB_OK);
    struct streamer_options o = options(prefetch, "lru", 2);
    for (uint64_t k = 1;; k++) {
        err.code = LB_OK;
        lb_memory_fail_at(k);
        enum lb_status s = streamer_open(rig.layout, rig.storage, &o, &rig.s, &err);
        lb_memory_fail_at(0);
        if (s == LB_OK) {
            CHECK(k > 10);
            break;
        }
        CHECK(s == LB_ERR_NOMEM && !rig.s, "%s", err.text);
    }
    for (int i = 0; i < 4; i++)
        CHECK(step(&rig, 0, &err) == LB_OK, "%s", err.text);
    CHECK(rig.wrong == 0);
    close_rig(&rig);
    free_model(&m);
}

/* What was still on its way when it was needed is late, however it was asked for: with loads of
 * 20 ms and nothing computed, prefetches cannot be in time but where this thread was held up. */
static void late_is_not_in_time(void)
{
    struct model m;
    struct rig rig;
    struct lb_error err = LB_ERROR_INIT;
    if (strcmp(prefetches[2], "async") != 0)
        return;
    make_model(&m, 6, true, 4);
    struct setting x = {.storage = "memory", .unit_bytes = LAYOUT_UNIT_LAYER};
    x.o = options("async", "lru", 3);
    x.device = (struct storage_device){.latency_ns = 20000000};
    CHECK(open_rig(&rig, &m, &x, &err) == LB_OK, "%s", err.text);
    for (int k = 0; k < 18; k++)
        CHECK(step(&rig, 0, &err) == LB_OK, "%s", err.text);
    CHECK(rig.expected.late > 0, "%llu prefetched, %llu missed, none late",
          (unsigned long long)rig.expected.prefetched, (unsigned long long)rig.expected.misses);
    close_rig(&rig);
    free_model(&m);
}

/* The thread is joined with reads in flight, whenever that is. */
static void start_and_stop(void)
{
    struct model m;
    make_model(&m, 6, true, 4);
    struct setting x = {.storage = "memory", .unit_bytes = 8192};
    x.o = options(prefetches[2], "belady", 3);
    x.device = (struct storage_device){.bandwidth = 1e9, .latency_ns = 100000};
    struct lb_random r = {21};
    for (int i = 0; i < 150; i++) {
        struct rig rig;
        struct lb_error err = LB_ERROR_INIT;
        CHECK(open_rig(&rig, &m, &x, &err) == LB_OK, "%s", err.text);
        for (uint32_t k = lb_random_below(&r, 8); k > 0; k--)
            CHECK(step(&rig, 0, &err) == LB_OK, "%s", err.text);
        close_rig(&rig);
    }
    free_model(&m);
}

int main(int argc, char **argv)
{
    int scale = argc > 1 ? atoi(argv[1]) : 1; /* more rounds for a long run */
    alarm((unsigned)(300 * scale));           /* a hang is a failure */
    refusals();
    random_settings(1, 240 * scale);
    routes(3, 240 * scale);
    for (int p = 0; p < 3; p++)
        demands(prefetches[p]);
    predictions();
    for (int p = 0; p < 3; p++) {
        for (int kind = STORAGE_FAULT_EIO; kind <= STORAGE_FAULT_DELAY; kind++)
            faults(prefetches[p], (enum storage_fault_kind)kind, false);
        faults(prefetches[p], STORAGE_FAULT_EIO, true);
        steady_state_allocates_nothing(prefetches[p]);
        out_of_memory(prefetches[p]);
    }
    failed_prefetch("sync");
    failed_prefetch(prefetches[2]);
    late_is_not_in_time();
    start_and_stop();
    return check_done();
}
