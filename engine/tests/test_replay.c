/*
 * replay: the miss ratios that a public simulator gives for the same traces, to the last digit,
 * for every policy that both have; hits of the others against what must hold of any policy.
 */
#include "base/memory.h"
#include "base/random.h"
#include "cache/cache.h"
#include "plan/replay.h"
#include "shared_traces.h"
#include "tests/check.h"

#include <math.h>
#include <stdbool.h>

static struct replay_result run(const char *policy, const uint32_t *accesses, uint64_t length,
                                uint32_t n_units, uint32_t slots)
{
    struct lb_error err = LB_ERROR_INIT;
    struct replay_result r;
    struct replay_options o = {
        .n_units = n_units, .replacement = policy, .slots = slots, .seed = 3};
    CHECK(replay_run(&o, accesses, length, &r, &err) == LB_OK, "%s: %s", policy, err.text);
    CHECK(r.hits + r.misses == length);
    return r;
}

/* ---- the simulator's figures ---- */

static void figures_of_the_simulator(void)
{
    static const char *const names[][2] = {
        {"FIFO", "fifo"}, {"LRU", "lru"},     {"Belady", "belady"},           {"LFU", "lfu"},
        {"ARC", "arc"},   {"Sieve", "sieve"}, {"S3FIFO-0.1000-2", "s3-fifo"},
    };
    static struct figure figure;
    uint32_t compared = 0;
    if (!figures_open(&figure))
        return;
    while (figures_next(&figure)) {
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            if (strcmp(figure.policy, names[i][0]) != 0)
                continue;
            struct replay_result r =
                run(names[i][1], figure.accesses, ACCESSES, LAYERS * EXPERTS, figure.slots);
            figure_is(&figure, r.misses, names[i][1]);
            compared++;
        }
    }
    CHECK(compared == 3 * 9 * sizeof names / sizeof *names, "%u compared", compared);
    printf("%u miss ratios compared\n", compared);
}

/* ---- the others, against counts of the test's own ---- */

enum { N = 60, LENGTH = 4000 };

/* Passes over 6 layers of 10 experts, 3 of each, the first ones more often. */
static void make_routes(uint32_t *accesses, struct lb_random *r)
{
    for (uint32_t i = 0; i < LENGTH; i += 3) {
        bool taken[10] = {false};
        for (uint32_t k = 0; k < 3 && i + k < LENGTH; k++) {
            uint32_t e;
            do
                e = lb_random_below(r, 1 + lb_random_below(r, 10));
            while (taken[e]);
            taken[e] = true;
            accesses[i + k] = i / 3 % 6 * 10 + e;
        }
    }
}

/* What each policy says it evicts, by a search over all units with plain arrays. */
struct plain {
    bool held[N];
    double uses[N];   /* since it was loaded; with a half-life, as if used now */
    uint64_t last[N]; /* time of the last use */
    uint32_t pass[N]; /* of the last use */
    uint32_t this_pass;
};

/* Whether a leaves rather than b. */
typedef bool before_fn(const struct plain *p, uint32_t a, uint32_t b);

static bool lfu_before(const struct plain *p, uint32_t a, uint32_t b)
{
    return fabs(p->uses[a] - p->uses[b]) > 1e-9 ? p->uses[a] < p->uses[b] : p->last[a] < p->last[b];
}

static bool lfru_before(const struct plain *p, uint32_t a, uint32_t b)
{
    uint32_t x = (uint32_t)p->uses[a], y = (uint32_t)p->uses[b];
    int class_a = 31 - __builtin_clz(x), class_b = 31 - __builtin_clz(y);
    return class_a != class_b ? class_a < class_b : p->last[a] < p->last[b];
}

static bool least_stale_before(const struct plain *p, uint32_t a, uint32_t b)
{
    uint32_t age_a = p->this_pass - p->pass[a], age_b = p->this_pass - p->pass[b];
    age_a = age_a > 2 ? 2 : age_a;
    age_b = age_b > 2 ? 2 : age_b;
    return age_a != age_b ? age_a > age_b : a < b;
}

static uint64_t plain_hits(const uint32_t *accesses, uint32_t slots, double half_life,
                           before_fn *before)
{
    struct plain p = {.this_pass = 0};
    uint64_t hits = 0;
    uint32_t n_held = 0;
    for (uint32_t i = 0; i < LENGTH; i++) {
        uint32_t unit = accesses[i];
        p.this_pass = i / 18;
        for (uint32_t u = 0; half_life > 0 && i > 0 && i % 18 == 0 && u < N; u++)
            p.uses[u] *= exp2(-1 / half_life);
        hits += p.held[unit];
        if (!p.held[unit]) {
            if (n_held == slots) {
                /* the pass of the access at hand begins with it, after room was made for it */
                int64_t out = -1;
                p.this_pass = i / 18 - (i % 18 == 0 && i > 0);
                for (uint32_t u = 0; u < N; u++)
                    if (p.held[u] && (out < 0 || before(&p, u, (uint32_t)out)))
                        out = u;
                p.held[out] = false;
                n_held--;
                p.this_pass = i / 18;
            }
            p.uses[unit] = 0;
            n_held++;
        }
        p.held[unit] = true;
        p.uses[unit]++;
        p.last[unit] = i;
        p.pass[unit] = p.this_pass;
    }
    return hits;
}

static void counts_of_the_test(void)
{
    static const struct {
        const char *policy;
        before_fn *before;
        double half_life;
    } list[] = {{"lfu", lfu_before, 0},
                {"lfu", lfu_before, 50},
                {"lfu", lfu_before, 2}, /* weights are scaled down now and then */
                {"lfru", lfru_before, 0},
                {"least-stale", least_stale_before, 0}};
    struct lb_random r = {13};
    for (uint32_t round = 0; round < 12; round++) {
        uint32_t accesses[LENGTH], slots = 2 + lb_random_below(&r, N - 2);
        make_routes(accesses, &r);
        for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
            struct lb_error err = LB_ERROR_INIT;
            struct replay_result result;
            struct replay_options o = {.n_units = N,
                                       .replacement = list[i].policy,
                                       .slots = slots,
                                       .half_life = list[i].half_life};
            CHECK(replay_run(&o, accesses, LENGTH, &result, &err) == LB_OK, "%s", err.text);
            uint64_t hits = plain_hits(accesses, slots, list[i].half_life, list[i].before);
            CHECK(result.hits == hits,
                  "seed 13, round %u, %s, half-life %.0f, %u slots: %llu, not %llu", round,
                  list[i].policy, list[i].half_life, slots, (unsigned long long)result.hits,
                  (unsigned long long)hits);
        }
    }
}

/* w-tinylfu by time stamps: in which segment a unit is, and since when it is there. */
struct segments {
    enum { NOT_HELD, NEW, ONCE, AGAIN } in[N];
    uint64_t since[N];
    uint32_t uses[N];
};

static int64_t oldest(const struct segments *s, int segment)
{
    int64_t found = -1;
    for (uint32_t u = 0; u < N; u++)
        if ((int)s->in[u] == segment && (found < 0 || s->since[u] < s->since[found]))
            found = u;
    return found;
}

static uint32_t how_many(const struct segments *s, int segment)
{
    uint32_t n = 0;
    for (uint32_t u = 0; u < N; u++)
        n += (int)s->in[u] == segment;
    return n;
}

static uint64_t segment_hits(const uint32_t *accesses, uint32_t slots)
{
    struct segments s = {.in = {NOT_HELD}};
    uint64_t hits = 0, clock = 0, samples = 0;
    uint32_t again_slots = (slots - 1) / 5 * 4; /* a window of one, as there are few slots */
    for (uint32_t i = 0; i < LENGTH; i++) {
        uint32_t unit = accesses[i];
        bool hit = s.in[unit] != NOT_HELD;
        hits += hit;
        if (!hit && how_many(&s, NOT_HELD) + slots == N) { /* full */
            int64_t newcomer = oldest(&s, NEW), out = oldest(&s, ONCE);
            out = out < 0 ? oldest(&s, AGAIN) : out;
            if (out >= 0 && s.uses[newcomer] > s.uses[out]) {
                s.in[newcomer] = ONCE;
                s.since[newcomer] = ++clock;
            } else {
                out = newcomer;
            }
            s.in[out] = NOT_HELD;
        }
        s.uses[unit]++;
        if (++samples == 10 * slots) {
            samples /= 2;
            for (uint32_t u = 0; u < N; u++)
                s.uses[u] /= 2;
        }
        if (hit && s.in[unit] != NEW) {
            s.in[unit] = AGAIN;
            s.since[unit] = ++clock;
            if (how_many(&s, AGAIN) > again_slots) {
                int64_t back = oldest(&s, AGAIN);
                s.in[back] = ONCE;
                s.since[back] = ++clock;
            }
        } else {
            s.in[unit] = NEW;
            s.since[unit] = ++clock;
            if (how_many(&s, NEW) > 1) { /* still room in the main part */
                int64_t out = oldest(&s, NEW);
                s.in[out] = ONCE;
                s.since[out] = ++clock;
            }
        }
    }
    return hits;
}

static void counts_of_segments(void)
{
    struct lb_random r = {16};
    for (uint32_t round = 0; round < 20; round++) {
        uint32_t accesses[LENGTH], slots = 2 + lb_random_below(&r, N - 2);
        make_routes(accesses, &r);
        uint64_t hits = run("w-tinylfu", accesses, LENGTH, N, slots).hits;
        uint64_t expected = segment_hits(accesses, slots);
        CHECK(hits == expected, "seed 16, round %u, %u slots: %llu hits, not %llu", round, slots,
              (unsigned long long)hits, (unsigned long long)expected);
    }
}

/* The hottest stay from their first use on, one slot streams the rest. */
static void hottest_stay(void)
{
    struct lb_random r = {14};
    uint32_t accesses[LENGTH];
    double heat[N] = {0};
    make_routes(accesses, &r);
    for (uint32_t i = 0; i < LENGTH; i++)
        heat[accesses[i]]++;
    for (uint32_t slots = 1; slots < N; slots += 7) {
        struct lb_error err = LB_ERROR_INIT;
        struct replay_result result;
        struct replay_options o = {
            .n_units = N, .replacement = "static", .slots = slots, .heat = heat};
        bool loaded[N] = {false};
        uint32_t streaming = N;
        uint64_t hits = 0;
        CHECK(replay_run(&o, accesses, LENGTH, &result, &err) == LB_OK, "%s", err.text);
        for (uint32_t i = 0; i < LENGTH; i++) {
            uint32_t unit = accesses[i], hotter = 0;
            for (uint32_t u = 0; u < N; u++)
                hotter += heat[u] > heat[unit] || (heat[u] == heat[unit] && u < unit);
            bool stays = hotter + 1 < slots;
            hits += stays ? loaded[unit] : unit == streaming;
            loaded[unit] |= stays;
            streaming = stays ? streaming : unit;
        }
        /* until the set is there, what streams may lie in its slots and be hit once more */
        CHECK(result.hits >= hits && result.hits <= hits + N, "%u slots: %llu hits, not %llu",
              slots, (unsigned long long)result.hits, (unsigned long long)hits);
    }
}

/* No policy beats belady, each is better than nothing, and every slot more helps lru. */
static void bounds(void)
{
    struct lb_random r = {15};
    uint32_t accesses[LENGTH];
    size_t n;
    const struct cache_policy *const *policies = cache_policies(&n);
    make_routes(accesses, &r);
    uint64_t lru_before = 0;
    for (uint32_t slots = 1; slots <= N; slots++) {
        uint64_t most = run("belady", accesses, LENGTH, N, slots).hits;
        for (size_t i = 0; i < n; i++) {
            uint64_t hits = run(policies[i]->name, accesses, LENGTH, N, slots).hits;
            CHECK(hits <= most, "%s, %u slots: %llu hits, belady %llu", policies[i]->name, slots,
                  (unsigned long long)hits, (unsigned long long)most);
            CHECK(slots < N || hits == most, "%s", policies[i]->name);
            CHECK(slots != 30 || hits > LENGTH / 5, "%s: %llu hits", policies[i]->name,
                  (unsigned long long)hits);
        }
        uint64_t lru = run("lru", accesses, LENGTH, N, slots).hits;
        CHECK(lru >= lru_before);
        lru_before = lru;
    }
}

/* A trace that comes in blocks gives what it gives at once. */
static void blocks(void)
{
    size_t n;
    const struct cache_policy *const *policies = cache_policies(&n);
    struct lb_random r = {17};
    uint32_t accesses[LENGTH];
    make_routes(accesses, &r);
    for (size_t i = 0; i < n; i++) {
        struct replay_options o = {
            .n_units = N, .replacement = policies[i]->name, .slots = 20, .seed = 3};
        struct replay_access list[LENGTH];
        uint64_t next[N] = {0};
        struct replay *replay;
        CHECK(replay_open(&o, &replay, NULL) == LB_OK);
        for (uint32_t at = 0; at < LENGTH; at++)
            list[at].unit = accesses[at];
        for (uint32_t end = LENGTH, size; end > 0; end -= size) {
            size = 1 + lb_random_below(&r, end);
            replay_look_ahead(list + end - size, size, end - size, next);
        }
        for (uint32_t at = 0, size; at < LENGTH; at += size) {
            size = 1 + lb_random_below(&r, LENGTH - at);
            replay_feed(replay, list + at, size);
        }
        CHECK(replay_result(replay).hits == run(o.replacement, accesses, LENGTH, N, 20).hits, "%s",
              o.replacement);
        replay_close(replay);
    }
}

static void refused(struct replay_options o, uint64_t length, const char *text)
{
    struct lb_error err = LB_ERROR_INIT;
    struct replay_result result;
    const uint32_t accesses[] = {0, 3, 1};
    CHECK(replay_run(&o, accesses, length, &result, &err) == LB_ERR_INPUT &&
          result.hits + result.misses == 0);
    CHECK(strncmp(err.text, text, strlen(text)) == 0, "'%s', not '%s'", err.text, text);
}

static void refusals(void)
{
    struct replay_options o = {.n_units = 4, .replacement = "lru", .slots = 2}, x;
    refused((x = o, x.slots = 0, x), 3, "cache of 0 slots: expected at least 1");
    refused(o, 0, "trace: expected at least one access");
    refused((x = o, x.n_units = 3, x), 3, "access 1: unit 3: expected less than 3");
    refused((x = o, x.replacement = "best", x), 3, "replacement 'best': expected lru, ");
}

int main(void)
{
    counts_of_the_test();
    counts_of_segments();
    hottest_stay();
    bounds();
    blocks();
    refusals();
    figures_of_the_simulator();
    return check_done();
}
