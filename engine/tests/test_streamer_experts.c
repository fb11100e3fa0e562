/*
 * streamer of mixtures of experts: routes at random in every setting against an account of their
 * own and the virtual clock, what the demand of a layer may evict, predictions. A watchdog ends the
 * program when something hangs.
 */
#include "plan/budget.h"
#include "plan/virtual.h"
#include "streamer_rig.h"

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

int main(int argc, char **argv)
{
    int scale = argc > 1 ? atoi(argv[1]) : 1; /* more rounds for a long run */
    alarm((unsigned)(300 * scale));           /* a hang is a failure */
    routes(3, 240 * scale);
    for (int p = 0; p < 3; p++)
        demands(prefetches[p]);
    predictions();
    return check_done();
}
