/*
 * cache: exact hit counts of every policy on cyclic scans, the offline optimum by search,
 * and invariants after every step of random operations.
 */
#include "base/memory.h"
#include "base/random.h"
#include "cache/cache.h"
#include "tests/check.h"

/* ---- a policy that exists only here: it keeps a diary and evicts what was used least ---- */

struct diary {
    enum { AWAY, UNUSED, USED } is[40]; /* since it was loaded */
    uint32_t uses[40];
    uint32_t n_units;
};
static uint32_t diaries_open, diary_budget;

static void *diary_opened(const struct cache *cache)
{
    struct diary *d = lb_calloc(1, sizeof *d);
    if (d)
        d->n_units = cache_n_units(cache);
    diaries_open += d != NULL;
    return d;
}

static void diary_closed(void *state)
{
    lb_free(state);
    diaries_open--;
}

static void diary_resized(void *state, const struct cache *cache)
{
    (void)state;
    diary_budget = cache_max_units(cache);
}

static void diary_loaded(void *state, uint32_t unit)
{
    struct diary *d = state;
    CHECK(d->is[unit] == AWAY);
    d->is[unit] = UNUSED;
    d->uses[unit] = 0;
}

static void diary_used(void *state, uint32_t unit, bool first)
{
    struct diary *d = state;
    CHECK(d->is[unit] == (first ? UNUSED : USED));
    d->is[unit] = USED;
    d->uses[unit]++;
}

static void diary_evicted(void *state, uint32_t unit)
{
    struct diary *d = state;
    CHECK(d->is[unit] != AWAY);
    d->is[unit] = AWAY;
}

static int64_t diary_victim(void *state, const struct cache_choice *choice)
{
    const struct diary *d = state;
    int64_t least = -1;
    for (uint32_t i = 0; i < d->n_units; i++)
        if (cache_may_evict(choice, i) && (least < 0 || d->uses[i] < d->uses[least]))
            least = i;
    return least;
}

static const struct cache_policy policy_diary = {
    .name = "diary",
    .about = "used least; keeps a diary",
    .opened = diary_opened,
    .closed = diary_closed,
    .resized = diary_resized,
    .loaded = diary_loaded,
    .used = diary_used,
    .evicted = diary_evicted,
    .victim = diary_victim,
};

/* ---- */

static struct cache *open_cache(const char *replacement, uint32_t n, uint32_t c,
                                const uint32_t *frames_of, uint64_t max_frames)
{
    struct lb_error err = LB_ERROR_INIT;
    struct cache *cache;
    struct cache_options o = {
        .replacement = replacement, .max_units = c, .max_frames = max_frames, .seed = 5};
    o.policy = strcmp(replacement, "diary") == 0 ? &policy_diary : NULL;
    CHECK(cache_open(&o, n, frames_of, &cache, &err) == LB_OK, "%s", err.text);
    return cache;
}

static void sane(const struct cache *cache, const char *what)
{
    struct lb_error err = LB_ERROR_INIT;
    CHECK(cache_sane(cache, &err), "%s: %s", what, err.text);
}

/* One access without prefetch; whether it hit. */
static bool demand(struct cache *cache, struct future *future, uint64_t position)
{
    uint32_t unit = future_at(future, position);
    bool hit = cache_unit(cache, unit)->state == CACHE_RESIDENT;
    if (!hit) {
        struct cache_choice choice = {
            .cache = cache, .future = future, .position = position, .for_access = position};
        CHECK(cache_make_room(cache, &choice, unit));
        cache_begin_load(cache, unit, false);
        cache_end_load(cache, unit);
    }
    cache_pin(cache, unit);
    cache_unpin(cache, unit);
    return hit;
}

static uint64_t hits_of_passes(struct cache *cache, struct future *future, uint64_t *position,
                               uint32_t passes)
{
    uint64_t hits = 0;
    for (uint64_t i = 0; i < passes * future_length(future); i++)
        hits += demand(cache, future, (*position)++);
    return hits;
}

/* Hits over N-1 passes of a cyclic scan in steady state; -1: not known, at most the optimum's. */
static int64_t expected_hits(const char *policy, int64_t n, int64_t c)
{
    if (c == n)
        return n * (n - 1);
    if (strcmp(policy, "lru") == 0 || strcmp(policy, "fifo") == 0)
        return 0;
    if (strcmp(policy, "mru") == 0 || strcmp(policy, "belady") == 0)
        return n * (c - 1); /* N*(C-1)/(N-1) a pass */
    if (strncmp(policy, "pin-", 4) == 0)
        return (n - 1) * (c - 1); /* C-1 a pass */
    return -1;
}

static void counts_on_cyclic_scans(void)
{
    size_t n_policies;
    const struct cache_policy *const *policies = cache_policies(&n_policies);
    for (size_t p = 0; p < n_policies; p++) {
        const char *name = policies[p]->name;
        for (uint32_t n = 2; n <= 40; n++) {
            for (uint32_t c = 1; c <= n; c++) {
                struct cache *cache = open_cache(name, n, c, NULL, 0);
                struct future *s;
                CHECK(future_open_cycle(n, NULL, &s, NULL) == LB_OK);
                uint64_t position = 0;
                CHECK(hits_of_passes(cache, s, &position, 1) == 0);
                hits_of_passes(cache, s, &position, 3);
                uint64_t hits = hits_of_passes(cache, s, &position, n - 1);
                uint64_t most = (uint64_t)n * (c - 1);
                int64_t expected = expected_hits(name, n, c);
                if (expected < 0)
                    CHECK(hits <= most, "random N=%u C=%u: %llu hits of at most %llu", n, c,
                          (unsigned long long)hits, (unsigned long long)most);
                else
                    CHECK((int64_t)hits == expected, "%s N=%u C=%u: %llu hits, not %lld", name, n,
                          c, (unsigned long long)hits, (long long)expected);
                sane(cache, name);
                future_close(s);
                cache_close(cache);
            }
        }
    }
}

/* The least number of misses for a sequence from an empty cache, by search over all contents. */
static uint32_t fewest_misses(const uint32_t *order, uint32_t length, uint32_t n, uint32_t c)
{
    enum { SETS = 1 << 6 };
    uint32_t best[SETS], next[SETS];
    for (uint32_t s = 0; s < SETS; s++)
        best[s] = s == 0 ? 0 : UINT32_MAX / 2;
    for (uint32_t i = 0; i < length; i++) {
        uint32_t bit = 1u << order[i];
        for (uint32_t s = 0; s < SETS; s++)
            next[s] = UINT32_MAX / 2;
        for (uint32_t s = 0; s < 1u << n; s++) {
            if (s & bit) {
                next[s] = best[s] < next[s] ? best[s] : next[s];
                continue;
            }
            for (uint32_t out = 0; out <= n; out++) { /* out == n: nothing leaves */
                uint32_t to = (out < n ? s & ~(1u << out) : s) | bit;
                if ((uint32_t)__builtin_popcount(to) <= c && best[s] + 1 < next[to])
                    next[to] = best[s] + 1;
            }
        }
        memcpy(best, next, sizeof best);
    }
    uint32_t least = UINT32_MAX;
    for (uint32_t s = 0; s < SETS; s++)
        least = best[s] < least ? best[s] : least;
    return least;
}

/* Belady against the search, the others never better, on arbitrary sequences. */
static void optimum_by_search(void)
{
    struct lb_random r = {11};
    size_t n_policies;
    const struct cache_policy *const *policies = cache_policies(&n_policies);
    for (int round = 0; round < 300; round++) {
        uint32_t order[24], n = 2 + lb_random_below(&r, 5), c = 1 + lb_random_below(&r, n);
        uint32_t length = 1 + lb_random_below(&r, 24);
        for (uint32_t i = 0; i < length; i++)
            order[i] = lb_random_below(&r, n);
        uint32_t least = fewest_misses(order, length, n, c);
        for (size_t p = 0; p < n_policies; p++) {
            struct cache *cache = open_cache(policies[p]->name, n, c, NULL, 0);
            struct future *s;
            CHECK(future_open_sequence(n, order, length, false, &s, NULL) == LB_OK);
            uint32_t misses = 0;
            for (uint32_t i = 0; i < length; i++) {
                misses += !demand(cache, s, i);
                sane(cache, policies[p]->name);
            }
            if (strcmp(policies[p]->name, "belady") == 0)
                CHECK(misses == least, "seed 11, round %d: %u misses, not %u", round, misses,
                      least);
            else
                CHECK(misses >= least);
            future_close(s);
            cache_close(cache);
        }
    }
}

/* ---- random operations ---- */

struct model { /* an independent, slower account of the same state */
    enum cache_state state[40];
    uint32_t pins[40];
};

static void compare(const struct cache *cache, const struct model *m, uint32_t round)
{
    uint32_t n = cache_n_units(cache), held = 0, absent = n;
    for (uint32_t i = 0; i < n; i++) {
        CHECK(cache_unit(cache, i)->state == m->state[i] &&
                  cache_unit(cache, i)->pins == m->pins[i],
              "seed 17, round %u, unit %u", round, i);
        held += m->state[i] != CACHE_ABSENT;
        if (m->state[i] == CACHE_ABSENT && absent == n)
            absent = i;
    }
    CHECK(cache_units_held(cache) == held);
    CHECK(absent == n || !(cache_held(cache)[absent / 64] >> absent % 64 & 1));
}

static void load_random(struct cache *cache, struct model *m, const struct future *s,
                        struct lb_random *r, uint32_t unit)
{
    uint32_t n = cache_n_units(cache);
    struct cache_choice choice = {.cache = cache,
                                  .future = s,
                                  .position = lb_random_below(r, 1000),
                                  .window = lb_random_below(r, 4)};
    choice.for_access = future_next(s, unit, choice.position, NULL);
    bool fits = cache_fits(cache, unit), allowed[40];
    for (uint32_t i = 0; i < n; i++) {
        uint64_t next = future_next(s, i, choice.position, NULL);
        allowed[i] = m->state[i] == CACHE_RESIDENT && m->pins[i] == 0 && next > choice.for_access &&
                     (choice.window == 0 || next > choice.position + choice.window);
        CHECK(allowed[i] == cache_may_evict(&choice, i));
    }
    bool made = cache_make_room(cache, &choice, unit);
    uint32_t evicted = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (cache_unit(cache, i)->state == m->state[i])
            continue;
        CHECK(allowed[i] && cache_unit(cache, i)->state == CACHE_ABSENT);
        m->state[i] = CACHE_ABSENT;
        evicted++;
    }
    CHECK(made || (!fits && evicted == 0));
    CHECK(!fits || evicted == 0);
    if (made) {
        CHECK(cache_fits(cache, unit));
        cache_begin_load(cache, unit, lb_random_below(r, 2));
        m->state[unit] = CACHE_LOADING;
    }
}

static void random_step(struct cache *cache, struct model *m, const struct future *s,
                        struct lb_random *r)
{
    uint32_t unit = lb_random_below(r, cache_n_units(cache));
    if (m->state[unit] == CACHE_ABSENT) {
        load_random(cache, m, s, r, unit);
    } else if (m->state[unit] == CACHE_LOADING) {
        bool done = lb_random_below(r, 4);
        if (done)
            cache_end_load(cache, unit);
        else
            cache_cancel_load(cache, unit);
        m->state[unit] = done ? CACHE_RESIDENT : CACHE_ABSENT;
    } else if (m->pins[unit] && lb_random_below(r, 3)) {
        cache_unpin(cache, unit);
        m->pins[unit]--;
    } else if (m->pins[unit] || lb_random_below(r, 2)) {
        cache_pin(cache, unit);
        m->pins[unit]++;
    } else {
        cache_evict(cache, unit);
        m->state[unit] = CACHE_ABSENT;
    }
}

static void random_operations(void)
{
    struct lb_random r = {17};
    const struct cache_policy *policies[64];
    size_t n_policies;
    const struct cache_policy *const *list = cache_policies(&n_policies);
    memcpy(policies, list, n_policies * sizeof *policies);
    policies[n_policies++] = &policy_diary;
    for (uint32_t round = 0; round < 10 * n_policies; round++) {
        uint32_t n = 1 + lb_random_below(&r, 40), frames[40];
        for (uint32_t i = 0; i < n; i++)
            frames[i] = 1 + lb_random_below(&r, 5);
        struct cache *cache =
            open_cache(policies[round % n_policies]->name, n, lb_random_below(&r, n + 1),
                       round % 4 ? frames : NULL, 5 + lb_random_below(&r, 100));
        struct future *s;
        future_open_cycle(n, NULL, &s, NULL);
        struct model m = {0};
        for (int step = 0; step < 2000; step++) {
            random_step(cache, &m, s, &r);
            sane(cache, policies[round % n_policies]->name);
            compare(cache, &m, round);
            CHECK(!diaries_open || diary_budget == cache_max_units(cache));
        }
        future_close(s);
        cache_close(cache);
        CHECK(diaries_open == 0);
    }
}

/* One file and one line: a policy is its hooks and nothing else. With two slots unit 0,
 * used most, stays. */
static void policy_of_the_test(void)
{
    static const uint32_t order[] = {0, 0, 1, 2, 0, 3, 0, 1};
    struct cache *cache = open_cache("diary", 4, 2, NULL, 0);
    struct future *s;
    uint32_t hits = 0;
    CHECK(future_open_sequence(4, order, 8, false, &s, NULL) == LB_OK);
    for (uint64_t i = 0; i < 8; i++)
        hits += demand(cache, s, i);
    CHECK(hits == 3, "%u hits", hits);
    CHECK(cache_unit(cache, 0)->state == CACHE_RESIDENT);
    future_close(s);
    cache_close(cache);
    CHECK(diaries_open == 0);

    struct cache_policy broken = policy_diary;
    struct cache_options o = {.policy = &broken};
    struct lb_error err = LB_ERROR_INIT;
    broken.victim = NULL;
    CHECK(cache_open(&o, 4, NULL, &cache, &err) == LB_ERR_UNSUPPORTED && !cache);
    CHECK_TEXT(err.text, "replacement 'diary': no hook 'victim'");
    broken = policy_diary;
    broken.closed = NULL;
    err.code = LB_OK;
    CHECK(cache_open(&o, 4, NULL, &cache, &err) == LB_ERR_UNSUPPORTED && !cache);
    CHECK_TEXT(err.text, "replacement 'diary': no hook 'closed'");
    broken = (struct cache_policy){
        .name = "first", .about = "no state", .victim = policy_diary.victim, .closed = lb_free};
    err.code = LB_OK;
    CHECK(cache_open(&o, 4, NULL, &cache, &err) == LB_ERR_UNSUPPORTED && !cache);
    CHECK_TEXT(err.text, "replacement 'first': no hook 'opened'");
    CHECK(diaries_open == 0);
}

static void counters(void)
{
    struct cache *cache = open_cache("lru", 4, 2, NULL, 0);
    struct future *s;
    future_open_cycle(4, NULL, &s, NULL);
    cache_begin_load(cache, 1, true);
    cache_end_load(cache, 1);
    cache_begin_load(cache, 3, true);
    cache_end_load(cache, 3);
    /* lru names unit 1, which the window of position 0 protects: 3 leaves, unused */
    struct cache_choice choice = {.cache = cache, .future = s, .window = 2};
    CHECK(cache_make_room(cache, &choice, 0));
    CHECK(cache_unit(cache, 3)->state == CACHE_ABSENT);
    struct cache_counters c = cache_counters(cache);
    CHECK(c.evictions == 1 && c.wasted == 1 && c.protected_evictions == 1);
    cache_begin_load(cache, 0, true);
    cache_end_load(cache, 0);
    cache_pin(cache, 0);
    cache_unpin(cache, 0);
    cache_evict(cache, 0); /* used: not wasted */
    c = cache_counters(cache);
    CHECK(c.evictions == 2 && c.wasted == 1);
    future_close(s);
    cache_close(cache);
}

static void refusals(void)
{
    struct lb_error err = LB_ERROR_INIT;
    struct cache *cache;
    struct cache_options o = {.replacement = "clock"};
    CHECK(cache_open(&o, 4, NULL, &cache, &err) == LB_ERR_INPUT && !cache);
    size_t n_policies;
    const struct cache_policy *const *policies = cache_policies(&n_policies);
    CHECK(strncmp(err.text, "replacement 'clock': expected ", 30) == 0, "%s", err.text);
    for (size_t i = 0; i < n_policies; i++)
        CHECK(strstr(err.text, policies[i]->name), "%s: %s", policies[i]->name, err.text);
    err.code = LB_OK;
    uint32_t frames[] = {2, 9, 3};
    o = (struct cache_options){.replacement = "lru", .max_frames = 8};
    CHECK(cache_open(&o, 3, frames, &cache, &err) == LB_ERR_INPUT && !cache);
    CHECK_TEXT(err.text, "cache of 8 frames: expected at least 9, the size of one unit");
    o.max_frames = 9;
    for (uint64_t k = 1; k < 10; k++) {
        err.code = LB_OK;
        lb_memory_fail_at(k);
        enum lb_status status = cache_open(&o, 3, frames, &cache, &err);
        lb_memory_fail_at(0);
        CHECK(status == (k <= 5 ? LB_ERR_NOMEM : LB_OK) && !cache == (k <= 5));
        cache_close(cache);
    }
}

int main(void)
{
    counts_on_cyclic_scans();
    optimum_by_search();
    random_operations();
    policy_of_the_test();
    counters();
    refusals();
    return check_done();
}
