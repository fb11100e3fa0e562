/*
 * planner: what each scheduler asks for on small cyclic scans, and the rules (soonest first, no
 * harm, protection, nothing pinned or in flight leaves) under random operations.
 */
#include "base/random.h"
#include "plan/planner.h"
#include "tests/check.h"

static struct cache *open_cache(const char *replacement, uint32_t n, uint32_t c)
{
    struct lb_error err = LB_ERROR_INIT;
    struct cache *cache;
    struct cache_options o = {.replacement = replacement, .max_units = c, .seed = 1};
    CHECK(cache_open(&o, n, NULL, &cache, &err) == LB_OK, "%s", err.text);
    return cache;
}

static struct future *cycle(uint32_t n)
{
    struct future *f;
    CHECK(future_open_cycle(n, NULL, &f, NULL) == LB_OK);
    return f;
}

/* Makes exactly the units of `text` ("#": resident, ".": absent, "L": in flight, "p": pinned). */
static void set_units(struct cache *cache, const char *text)
{
    for (uint32_t i = 0; text[i]; i++) {
        if (text[i] == '.')
            continue;
        cache_begin_load(cache, i, false);
        if (text[i] != 'L')
            cache_end_load(cache, i);
        if (text[i] == 'p')
            cache_pin(cache, i);
    }
}

static bool is_in(const struct cache *cache, const char *text)
{
    bool same = true;
    for (uint32_t i = 0; text[i]; i++)
        same &= (text[i] == '.') == (cache_unit(cache, i)->state == CACHE_ABSENT);
    return same;
}

struct plan {
    const char *scheduler, *replacement, *units; /* before */
    uint32_t slots, position, distance;
    bool protect;
    double c, t;
    int64_t access;    /* expected, -1: nothing */
    const char *after; /* what is held then, without the unit to load */
};

static void check_plan(const struct plan *p)
{
    uint32_t n = (uint32_t)strlen(p->units);
    struct cache *cache = open_cache(p->replacement, n, p->slots);
    struct future *future = cycle(n);
    set_units(cache, p->units);
    struct planner_state state = {.cache = cache,
                                  .future = future,
                                  .position = p->position,
                                  .window = p->distance,
                                  .protect = p->protect,
                                  .compute_ns = p->c,
                                  .load_ns = p->t,
                                  .scheduler = planner_scheduler(p->scheduler)};
    struct planner_step step;
    bool found = planner_next(&state, &step);
    CHECK(found == (p->access >= 0), "%s %s", p->scheduler, p->units);
    if (found) {
        CHECK(step.for_access == (uint64_t)p->access && step.unit == step.for_access % n &&
                  cache_fits(cache, step.unit),
              "%s %s: %llu", p->scheduler, p->units, (unsigned long long)step.for_access);
    }
    CHECK(is_in(cache, found ? p->after : p->units), "%s %s", p->scheduler, p->units);
    future_close(future);
    cache_close(cache);
}

static void plans(void)
{
    static const struct plan list[] = {
        /* the first missing unit within the distance; a free slot needs no victim */
        {"fixed", "belady", "p#......", 4, 0, 1, true, 1, 1, -1, ""},
        {"fixed", "belady", "p#......", 4, 0, 2, true, 1, 1, 2, "p#......"},
        {"aggressive", "belady", "p#L.....", 4, 0, 3, true, 1, 1, 3, "p#L....."},
        /* furthest next use leaves: the unit used just before */
        {"aggressive", "belady", "###p....", 4, 3, 2, true, 1, 1, 4, "##.p...."},
        /* the unit that is waited for comes first */
        {"aggressive", "belady", "####....", 4, 4, 2, true, 1, 1, 4, "###....."},
        /* around the end of the pass */
        {"aggressive", "belady", "....###p", 4, 7, 2, true, 1, 1, 8, "....##.p"},
        {"aggressive", "belady", "#....##p", 4, 15, 2, true, 1, 1, 17, "#....#.p"},
        /* do no harm: all that could leave is needed before the unit to fetch */
        {"aggressive", "belady", "p##.....", 3, 0, 7, false, 1, 1, -1, ""},
        {"aggressive", "lru", "p##.....", 3, 0, 7, false, 1, 1, -1, ""},
        {"aggressive", "fifo", "p##.....", 3, 0, 7, true, 1, 1, -1, ""},
        /* protection: lru names unit 1, which is needed in the window */
        {"fixed", "lru", ".#.p..#.", 3, 3, 7, false, 1, 1, 4, "...p..#."},
        {"fixed", "lru", ".#..p.##", 4, 4, 6, true, 1, 1, 5, "....p.##"},
        {"fixed", "fifo", "#.#p....", 3, 3, 5, true, 1, 1, 4, "..#p...."},
        /* what is in flight or pinned stays */
        {"fixed", "belady", ".LLp....", 3, 3, 2, true, 1, 1, -1, ""},
        {"fixed", "belady", ".#pp....", 3, 3, 2, true, 1, 1, 4, "..pp...."},
        /* one slot: nothing can be fetched beside the unit in use */
        {"fixed", "belady", "p...", 1, 0, 3, true, 1, 1, -1, ""},
        {"fixed", "belady", "#...", 1, 1, 3, true, 1, 1, 1, "...."},
        /* horizon: ceil(t / c) accesses ahead, whatever the distance; the distance when unknown */
        {"horizon", "belady", "p##.....", 4, 0, 9, true, 2, 4, -1, ""},
        {"horizon", "belady", "p##.....", 4, 0, 1, true, 2, 5, 3, "p##....."},
        {"horizon", "belady", "p##.....", 4, 0, 3, true, 0, 0, 3, "p##....."},
        {"horizon", "belady", "p##.....", 4, 0, 2, true, 0, 0, -1, ""},
        /* forestall: one missing unit far away can wait, a row of them cannot */
        {"forestall", "belady", "p#####.#", 8, 0, 1, true, 2, 4, -1, ""},
        {"forestall", "belady", "p#####..", 8, 0, 1, true, 2, 7, 6, "p#####.."},
        {"forestall", "belady", "p##.####", 8, 0, 1, true, 2, 4, -1, ""},
        {"forestall", "belady", "p##.####", 8, 0, 1, true, 2, 5, 3, "p##.####"},
        /* aggressive: within the distance always, beyond it as forestall */
        {"aggressive", "belady", "p##.####", 8, 0, 2, true, 2, 4, -1, ""},
        {"aggressive", "belady", "p##.####", 8, 0, 3, true, 2, 4, 3, "p##.####"},
        {"aggressive", "belady", "p##.####", 8, 0, 2, true, 2, 5, 3, "p##.####"},
        /* no distance: nothing for fixed, what stalls demand for aggressive */
        {"fixed", "belady", "p.######", 8, 0, 0, true, 2, 4, -1, ""},
        {"aggressive", "belady", "p.######", 8, 0, 0, true, 2, 4, 1, "p.######"},
        /* conservative: only once the optimum's victim, the unit before, has been used */
        {"conservative", "belady", "##p.....", 3, 2, 9, true, 1, 1, -1, ""},
        {"conservative", "belady", "###.....", 3, 1, 9, true, 1, 1, -1, ""},
        {"conservative", "belady", "###.....", 3, 3, 9, true, 1, 1, 3, "##......"},
        {"conservative", "belady", "##p.....", 4, 2, 9, true, 1, 1, 3, "##p....."},
        {"conservative", "belady", "########", 8, 2, 9, true, 1, 1, -1, ""},
        /* pins: a prefetch that finds the streaming slot in use displaces a unit of the set */
        {"fixed", "pin-first", "##.p....", 3, 3, 1, true, 1, 1, 4, "#..p...."},
        {"fixed", "pin-first", "##..#p..", 4, 5, 1, true, 1, 1, 6, "##...p.."},
        {"fixed", "pin-spread", "...##p.#", 4, 5, 1, true, 1, 1, 6, "...#.p.#"},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        check_plan(&list[i]);
    size_t n;
    const struct planner_scheduler *const *schedulers = planner_schedulers(&n);
    CHECK(n > 0 && !planner_scheduler("soon"));
    for (size_t i = 0; i < n; i++)
        CHECK(planner_scheduler(schedulers[i]->name) == schedulers[i], "%s", schedulers[i]->name);
}

/* Demand loads: protection yields when nothing else is left, pins and loads in flight do not. */
static void demand(void)
{
    struct planner_state state = {.future = cycle(8), .position = 0, .window = 3, .protect = true};
    state.scheduler = planner_scheduler("fixed");
    state.cache = open_cache("lru", 8, 3);
    set_units(state.cache, ".#...#.#");
    CHECK(planner_make_room(&state, 0, false) && is_in(state.cache, ".#.....#"));
    cache_close(state.cache);
    state.cache = open_cache("lru", 8, 3);
    set_units(state.cache, ".##L....");
    CHECK(planner_make_room(&state, 0, false) && is_in(state.cache, "..##...."));
    cache_close(state.cache);
    state.cache = open_cache("lru", 8, 3);
    set_units(state.cache, ".pLL....");
    CHECK(!planner_make_room(&state, 0, false) && is_in(state.cache, ".###...."));
    cache_close(state.cache);
    future_close(state.future);
}

/* ---- rules under random operations ---- */

struct walk {
    struct cache *cache;
    struct future *future;
    uint64_t length;
    struct planner_state state;
    struct lb_random random;
    uint32_t loading[64], n_loading;
};

static uint64_t next_use(const struct walk *w, uint32_t unit, uint64_t from)
{
    uint64_t i = from;
    while (i < from + w->length && future_at(w->future, i) != unit)
        i++;
    return i < from + w->length ? i : FUTURE_NEVER;
}

static void finish_one(struct walk *w)
{
    uint32_t i = lb_random_below(&w->random, w->n_loading);
    cache_end_load(w->cache, w->loading[i]);
    w->loading[i] = w->loading[--w->n_loading];
}

static void begin(struct walk *w, uint32_t unit, bool prefetch)
{
    cache_begin_load(w->cache, unit, prefetch);
    w->loading[w->n_loading++] = unit;
}

/* One question to the planner, its answer held against the rules. */
static void ask(struct walk *w, const char *what)
{
    struct planner_step step;
    struct cache_unit before[64];
    uint32_t n = cache_n_units(w->cache);
    memcpy(before, cache_unit(w->cache, 0), n * sizeof *before);
    bool found = planner_next(&w->state, &step);
    uint64_t earliest = w->state.position;
    while (earliest < w->state.position + w->length &&
           before[future_at(w->future, earliest)].state != CACHE_ABSENT)
        earliest++;
    if (found)
        CHECK(step.for_access == earliest && cache_fits(w->cache, step.unit), "%s", what);
    uint32_t window = w->state.window < cache_max_units(w->cache) - 1
                          ? w->state.window
                          : cache_max_units(w->cache) - 1;
    for (uint32_t i = 0; i < n; i++) {
        if (cache_unit(w->cache, i)->state == before[i].state)
            continue;
        uint64_t next = next_use(w, i, w->state.position);
        CHECK(found && before[i].state == CACHE_RESIDENT && before[i].pins == 0, "%s", what);
        CHECK(next > step.for_access, "%s: harm", what);
        CHECK(!w->state.protect || window == 0 || next > w->state.position + window,
              "%s: protected unit left", what);
    }
    if (found)
        begin(w, step.unit, true);
}

static void access_next(struct walk *w, const char *what)
{
    uint32_t unit = future_at(w->future, w->state.position);
    if (cache_unit(w->cache, unit)->state == CACHE_ABSENT) {
        while (!planner_make_room(&w->state, unit, false)) {
            CHECK(w->n_loading > 0, "%s: no room and nothing in flight", what);
            if (w->n_loading == 0)
                return;
            finish_one(w);
        }
        begin(w, unit, false);
    }
    while (cache_unit(w->cache, unit)->state == CACHE_LOADING)
        finish_one(w);
    cache_pin(w->cache, unit);
    for (uint32_t i = lb_random_below(&w->random, 4); i > 0; i--)
        ask(w, what);
    while (w->n_loading > 0 && lb_random_below(&w->random, 2))
        finish_one(w);
    cache_unpin(w->cache, unit);
    w->state.position++;
    if (lb_random_below(&w->random, 2))
        ask(w, what);
}

static void random_walk(const char *scheduler, const char *replacement, uint64_t seed)
{
    struct walk w = {.random = {seed}};
    struct lb_random *r = &w.random;
    uint32_t n = 2 + lb_random_below(r, 30), order[64];
    uint32_t c = 1 + lb_random_below(r, n), length = n + lb_random_below(r, 30);
    for (uint32_t i = 0; i < length; i++)
        order[i] = i < n ? i : lb_random_below(r, n);
    bool natural = lb_random_below(r, 2);
    w.length = natural ? n : length;
    CHECK((natural ? future_open_cycle(n, NULL, &w.future, NULL)
                   : future_open_sequence(n, order, length, true, &w.future, NULL)) == LB_OK);
    w.cache = open_cache(replacement, n, c);
    w.state = (struct planner_state){.cache = w.cache,
                                     .future = w.future,
                                     .window = lb_random_below(r, n + 3),
                                     .protect = lb_random_below(r, 2),
                                     .compute_ns = 1 + lb_random_below(r, 100),
                                     .load_ns = 1 + lb_random_below(r, 100),
                                     .scheduler = planner_scheduler(scheduler)};
    char what[100];
    snprintf(what, sizeof what, "%s %s N=%u C=%u d=%u seed %llu", scheduler, replacement, n, c,
             w.state.window, (unsigned long long)seed);
    for (uint32_t i = 0; i < 6 * n; i++) {
        struct lb_error err = LB_ERROR_INIT;
        access_next(&w, what);
        CHECK(cache_sane(w.cache, &err), "%s: %s", what, err.text);
    }
    future_close(w.future);
    cache_close(w.cache);
}

/* A single outlier hardly shows in what the planner takes a pass's parts to last, a lasting change
 * does. */
static void estimates(void)
{
    struct planner_state state = {.compute_ns = 0};
    for (int i = 0; i < 20; i++)
        planner_measured_compute(&state, 1000);
    CHECK(state.compute_ns == 1000, "%g", state.compute_ns);
    planner_measured_compute(&state, 9000);
    CHECK(state.compute_ns > 1000 && state.compute_ns < 3000, "one outlier: %g", state.compute_ns);
    for (int i = 0; i < 40; i++)
        planner_measured_compute(&state, 9000);
    CHECK(state.compute_ns > 8500 && state.compute_ns <= 9000, "a change: %g", state.compute_ns);
}

int main(void)
{
    estimates();
    plans();
    demand();
    size_t n_schedulers, n_policies;
    const struct planner_scheduler *const *schedulers = planner_schedulers(&n_schedulers);
    const struct cache_policy *const *policies = cache_policies(&n_policies);
    for (size_t s = 0; s < n_schedulers; s++)
        for (size_t p = 0; p < n_policies; p++)
            for (uint64_t seed = 1; seed <= 20; seed++)
                random_walk(schedulers[s]->name, policies[p]->name, seed);
    return check_done();
}
