/*
 * streamer: every unit's bytes in every combination of settings, outcome counts against the
 * planner alone, identities, faults at every read, failing allocations, start and stop.
 * Mixtures of experts: test_streamer_experts.c. A watchdog ends the program when something hangs.
 */
#include "plan/planner.h"
#include "streamer_rig.h"

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

/* Loads of which each waits for the one before it: that shows as time in the queue. */
static void queued_behind_another(void)
{
    struct model m;
    struct rig rig;
    struct lb_error err = LB_ERROR_INIT;
    const uint8_t *const *frames;
    struct streamer_access a;
    int64_t queued_ns = 0;
    make_model(&m, 6, true, 4);
    struct setting x = {.storage = "memory", .unit_bytes = LAYOUT_UNIT_LAYER};
    x.o = options("sync", "lru", 4);
    x.o.max_loads = 4;
    x.o.queue_depth = 1;
    x.device = (struct storage_device){.latency_ns = 2000000};
    CHECK(open_rig(&rig, &m, &x, &err) == LB_OK, "%s", err.text);
    for (uint32_t unit = 0; unit < 6; unit++) {
        CHECK(streamer_acquire(rig.s, unit, &frames, &a, &err) == LB_OK, "%s", err.text);
        streamer_release(rig.s, unit);
        queued_ns += a.queue_ns;
    }
    CHECK(queued_ns >= 2000000, "%lld ns", (long long)queued_ns);
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
    queued_behind_another();
    start_and_stop();
    return check_done();
}
