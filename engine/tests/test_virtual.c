/*
 * virtual: the study's table, exact counts, the offline optimum by search, sizes, patterns
 * and the speed of the simulation.
 */
#include "base/memory.h"
#include "base/random.h"
#include "plan/pattern.h"
#include "plan/planner.h"
#include "plan/virtual.h"
#include "tests/check.h"

#include <math.h>
#include <time.h>

#define T 1000.0 /* ns: a unit's load time in most tests */

enum { MOST_UNITS = 512 };

static struct virtual_unit equal_units[MOST_UNITS];

/* n equal units, load time T each, one read a unit and one at a time: the study's channel. */
static struct virtual_options equal(uint32_t n, uint32_t slots, double c)
{
    for (uint32_t i = 0; i < n; i++)
        equal_units[i] = (struct virtual_unit){1000, 1, c * T, i, 0};
    return (struct virtual_options){.units = equal_units,
                                    .n_units = n,
                                    .prefetch = "async",
                                    .replacement = "belady",
                                    .scheduler = "fixed",
                                    .protect = true,
                                    .window = 2,
                                    .max_units = slots,
                                    .max_loads = 1,
                                    .bandwidth = 1e9,
                                    .queue_depth = 1,
                                    .chunk_bytes = 1000,
                                    .warmup = 60,
                                    .passes = 124};
}

static struct virtual_result run(const struct virtual_options *o)
{
    struct lb_error err = LB_ERROR_INIT;
    struct virtual_result r = {0};
    CHECK(virtual_run(o, &r, &err) == LB_OK, "%s", err.text);
    CHECK(r.hits + r.prefetched + r.late + r.misses == r.accesses);
    const struct virtual_layers *l = &r.layers;
    CHECK(l->hits + l->prefetched + l->late + l->misses == l->accesses);
    CHECK(l->accesses <= r.accesses && l->hits <= r.hits && l->misses <= r.misses);
    CHECK(fabs(r.time_ns - r.compute_ns - r.wait_ns) < 1e-6 * r.time_ns);
    return r;
}

/* Simulated steady state, N = 32, C = 16, c = t/2, one channel: time and loads a pass in t. What
 * the rows must be was known before; two differ by less than 4% (pin-first d = 2: 24.0,
 * pin-spread d = 2: 18.7), the rest to the digits given. */
static void table_of_the_study(void)
{
    static const struct {
        const char *prefetch, *replacement;
        uint32_t distance;
        double time, loads, tolerance;
    } rows[] = {
        {"sync", "lru", 2, 48, 32, 1e-6},
        {"off", "lru", 2, 48, 32, 1e-6},
        {"async", "lru", 1, 32, 32, 1e-6},
        {"async", "lru", 2, 32, 32, 1e-6},
        {"async", "lru", 8, 32, 32, 1e-6},
        {"off", "belady", 0, 16 + 512. / 31, 512. / 31, 1e-6},
        {"async", "pin-first", 1, 25, 18, 1e-6},
        {"async", "pin-first", 2, 24.5, 18, 1e-6},
        {"async", "pin-first", 4, 22.75, 18.5, 1e-6},
        {"async", "pin-first", 8, 20.75, 20.5, 1e-6},
        {"async", "pin-spread", 1, 25, 18, 1e-6},
        {"async", "pin-spread", 2, 18, 18, 1e-6},
        {"async", "pin-spread", 4, 18, 18, 1e-6},
        {"async", "belady", 1, 24.5, 17.07, 0.01},
        {"async", "belady", 2, 17.5, 17.5, 0.01},
        {"async", "belady", 4, 17.6, 17.6, 0.01},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct virtual_options o = equal(32, 16, 0.5);
        o.prefetch = rows[i].prefetch;
        o.replacement = rows[i].replacement;
        o.window = rows[i].distance;
        struct virtual_result r = run(&o);
        double time = r.time_ns / o.passes / T, loads = (double)r.loads / o.passes;
        CHECK(fabs(time / rows[i].time - 1) <= rows[i].tolerance &&
                  fabs(loads / rows[i].loads - 1) <= rows[i].tolerance,
              "%s %s d=%u: time %.3f loads %.3f, expected %.3f and %.3f", rows[i].replacement,
              rows[i].prefetch, rows[i].distance, time, loads, rows[i].time, rows[i].loads);
        CHECK(strcmp(rows[i].prefetch, "async") != 0 || r.misses == 0);
    }
}

/* Loads of the optimum on a cyclic scan, N*(N-C)/(N-1) a pass, for every N and C. */
static void belady_counts(void)
{
    for (uint32_t n = 2; n <= 40; n++) {
        for (uint32_t c = 1; c <= n; c++) {
            struct virtual_options o = equal(n, c, 0.5);
            o.prefetch = "off";
            o.warmup = 3;
            o.passes = n - 1;
            struct virtual_result r = run(&o);
            CHECK(r.loads == (uint64_t)n * (n - c) && r.misses == r.loads, "N=%u C=%u: %llu", n, c,
                  (unsigned long long)r.loads);
            CHECK(fabs(r.wait_ns - (double)r.loads * T) < 1e-3, "N=%u C=%u", n, c);
        }
    }
}

/* ---- the least time of all schedules, by search ---- */

enum { SEARCH_UNITS = 5, SEARCH_TIMES = 4 };

struct node {
    uint32_t done; /* accesses computed */
    uint8_t left;  /* of the access that is being computed; 0: none is */
    uint8_t cached;
    uint8_t loading, load_left; /* unit, time; load_left 0: none */
};

struct search {
    uint32_t n, slots, accesses, c, t;
    uint8_t *seen;
    struct node *now, *then;
    size_t n_now, n_then;
};

static void reach(struct search *s, struct node x)
{
    size_t key = x.done;
    key = key * (SEARCH_TIMES + 1) + x.left;
    key = key * (1 << SEARCH_UNITS) + x.cached;
    key = key * SEARCH_UNITS + (x.load_left ? x.loading : 0);
    key = key * (SEARCH_TIMES + 1) + x.load_left;
    if (s->seen[key])
        return;
    s->seen[key] = 1;
    s->then[s->n_then++] = x;
}

/* One unit of time passes. */
static void tick(struct search *s, struct node x)
{
    if (x.left && --x.left == 0)
        x.done++;
    if (x.load_left && --x.load_left == 0)
        x.cached |= (uint8_t)(1u << x.loading);
    reach(s, x);
}

/* Every choice the storage has now: nothing, or any absent unit in any free or evicted place. */
static void choose(struct search *s, struct node x)
{
    uint32_t unit = x.done % s->n;
    if (!x.left && x.done < s->accesses && x.cached >> unit & 1)
        x.left = (uint8_t)s->c;
    tick(s, x);
    if (x.load_left)
        return;
    uint8_t in_use = x.left ? (uint8_t)(1u << unit) : 0;
    bool is_free = (uint32_t)__builtin_popcount(x.cached) < s->slots;
    for (uint32_t load = 0; load < s->n; load++) {
        if (x.cached >> load & 1)
            continue;
        struct node y = x;
        y.loading = (uint8_t)load;
        y.load_left = (uint8_t)s->t;
        if (is_free)
            tick(s, y);
        for (uint32_t out = 0; !is_free && out < s->n; out++) {
            if (!(x.cached >> out & 1) || in_use >> out & 1)
                continue;
            y.cached = (uint8_t)(x.cached & ~(1u << out));
            tick(s, y);
        }
    }
}

static uint32_t least_time(uint32_t n, uint32_t slots, uint32_t accesses, uint32_t c, uint32_t t)
{
    size_t states = (size_t)(accesses + 1) * (SEARCH_TIMES + 1) * (1 << SEARCH_UNITS) *
                    SEARCH_UNITS * (SEARCH_TIMES + 1);
    struct search s = {.n = n, .slots = slots, .accesses = accesses, .c = c, .t = t};
    s.seen = lb_calloc(states, 1);
    s.now = lb_calloc(states, sizeof *s.now);
    s.then = lb_calloc(states, sizeof *s.then);
    reach(&s, (struct node){0});
    uint32_t time = 0;
    for (bool found = false; !found; time += !found) {
        struct node *other = s.now;
        s.now = s.then;
        s.then = other;
        s.n_now = s.n_then;
        s.n_then = 0;
        for (size_t i = 0; i < s.n_now && !found; i++)
            found = s.now[i].done == accesses;
        for (size_t i = 0; i < s.n_now && !found; i++)
            choose(&s, s.now[i]);
    }
    lb_free(s.seen);
    lb_free(s.now);
    lb_free(s.then);
    return time;
}

/* No schedule beats the search, and belady with aggressive comes close to it. */
static void optimum_by_search(void)
{
    static const struct {
        uint32_t c, t;
    } times[] = {{1, 1}, {1, 2}, {1, 4}, {2, 1}, {3, 2}, {2, 3}};
    enum { PASSES = 4 };
    size_t n_schedulers, n_policies;
    const struct planner_scheduler *const *schedulers = planner_schedulers(&n_schedulers);
    const struct cache_policy *const *policies = cache_policies(&n_policies);
    double worst[8] = {0}, sum[8] = {0};
    uint32_t cells = 0;
    for (uint32_t n = 2; n <= SEARCH_UNITS; n++) {
        for (uint32_t slots = 1; slots <= n; slots++) {
            for (size_t k = 0; k < sizeof times / sizeof *times; k++, cells++) {
                uint32_t least = least_time(n, slots, PASSES * n, times[k].c, times[k].t);
                for (size_t s = 0; s < n_schedulers; s++) {
                    for (size_t p = 0; p < n_policies; p++) {
                        struct virtual_options o = equal(n, slots, (double)times[k].c / times[k].t);
                        o.replacement = policies[p]->name;
                        o.scheduler = schedulers[s]->name;
                        o.warmup = 0;
                        o.passes = PASSES;
                        double time = run(&o).time_ns / T * times[k].t, ratio = time / least;
                        CHECK(ratio > 1 - 1e-9, "%s %s N=%u C=%u c=%u t=%u: %.1f beats %u",
                              o.replacement, o.scheduler, n, slots, times[k].c, times[k].t, time,
                              least);
                        if (strcmp(o.replacement, "belady") == 0) {
                            worst[s] = ratio > worst[s] ? ratio : worst[s];
                            sum[s] += ratio;
                        }
                    }
                }
            }
        }
    }
    for (size_t s = 0; s < n_schedulers; s++) {
        printf("%-12s with belady: %.3f of the optimum on average, %.3f at worst, %u cells\n",
               schedulers[s]->name, sum[s] / cells, worst[s], cells);
        if (strcmp(schedulers[s]->name, "aggressive") == 0)
            CHECK(sum[s] / cells < 1.05 && worst[s] < 1.34, "%.3f, %.3f", sum[s] / cells, worst[s]);
    }
}

/* ---- what a run near the floor looks like ---- */

static void near_the_floor(void)
{
    for (double c = 0.1; c < 2.05; c += 0.1) {
        for (uint32_t pieces = 1; pieces <= 8; pieces *= 8) {
            struct virtual_options o = equal(32 * pieces, 16 * pieces, c);
            for (uint32_t i = 0; i < o.n_units; i++)
                equal_units[i].layer = i / pieces;
            o.scheduler = "aggressive";
            o.window = 2 * pieces;
            o.max_loads = 0;
            o.queue_depth = 4;
            o.chunk_bytes = 500;
            o.warmup = 20;
            o.passes = 31;
            struct virtual_result r = run(&o);
            double t = T * pieces, time = r.time_ns / o.passes / t;
            double floor = 32 * c > 16 ? 32 * c : 16, loads = (double)r.loads / o.passes / pieces;
            CHECK(r.layers.accesses == 32 * o.passes);
            CHECK(r.misses == 0, "c/t=%.1f: %llu misses", c, (unsigned long long)r.misses);
            CHECK(floor / time >= (pieces > 1 ? 0.95 : 0.85), "c/t=%.1f, %u pieces: %.3f", c,
                  pieces, floor / time);
            /* beyond the optimum: a layer in flight, and the look-ahead where compute is slow */
            CHECK(loads < 18.1 && (c > 0.5 || pieces == 1 || loads < 16.5), "c/t=%.1f: %.2f", c,
                  loads);
            if (c > 1.2)
                CHECK(r.wait_ns < 0.02 * r.time_ns);
        }
    }
}

/*
 * What no schedule can do, whatever it evicts and whenever it begins. A pass of length T has C*T of
 * slots times time. Of it N*c goes to units in use and at least L*t to loads in flight; a hit needs
 * its unit to sit there from one use to the next: T - c, or less by the wait w of one load, as the
 * waits of a pass are not evenly spread. So
 *
 *   (N - L)*(T - c - w) + N*c + L*t <= C*T
 *
 * Where the storage never rests (T = L*t) and waits are short that is L >= N - C + 1 + c/t. With
 * N = 32, C = 16, c = t/2: 17.5 loads of whole layers; fewer only in a pass that is much longer
 * (the optimum's 16.5 take 32.5 t). With layers in p pieces c and t are a p-th, and so is what the
 * bound lies above N - C. (Over a number of passes, hits at the beginning have sat there before: at
 * most C of them, a share of 1/passes.)
 */
static bool beats_bound(const struct virtual_options *o, double c, const struct virtual_result *r)
{
    double n = o->n_units, pass = r->time_ns / o->passes / T, loads = (double)r->loads / o->passes;
    double wait = loads > 0 ? r->wait_ns / o->passes / T / loads : 0;
    return (n - loads) * (pass - c - wait) + n * c + loads >
           o->max_units * pass * (1 + 1.0 / o->passes);
}

static void bound_of_slots(void)
{
    static const char *const replacements[] = {"belady", "pin-spread", "mru"};
    static const double ratios[] = {0.1, 0.5, 1};
    size_t n_schedulers;
    const struct planner_scheduler *const *schedulers = planner_schedulers(&n_schedulers);
    for (size_t k = 0; k < sizeof ratios / sizeof *ratios; k++) {
        for (uint32_t pieces = 1; pieces <= 8; pieces *= 8) {
            double least = 1e9, fastest = 1e9, c = ratios[k];
            for (uint32_t i = 0; i < 3 * n_schedulers * 4; i++) {
                struct virtual_options o = equal(32 * pieces, 16 * pieces, c);
                o.replacement = replacements[i % 3];
                o.scheduler = schedulers[i / 3 % n_schedulers]->name;
                o.window = i / (3 * n_schedulers) % 2 ? pieces : 2 * pieces;
                o.max_loads = i / (6 * n_schedulers) ? 0 : 1;
                o.queue_depth = 4;
                o.chunk_bytes = 250;
                o.warmup = pieces > 1 ? 8 : 20;
                o.passes = pieces > 1 ? 24 : 62;
                struct virtual_result r = run(&o);
                double pass = r.time_ns / o.passes, loads = (double)r.loads / o.passes;
                CHECK(!beats_bound(&o, c, &r), "%s %s, c/t=%.1f, %u pieces: %.3f loads in %.2f t",
                      o.replacement, o.scheduler, c, pieces, loads, pass / T);
                if (pass < fastest) {
                    fastest = pass;
                    least = loads;
                }
            }
            double floor = 32 * c > 16 ? 32 * c : 16, t = T * pieces;
            double bound = 16 + (1 + c) / pieces;
            printf("c/t=%.1f, %u pieces a layer: fastest pass %.2f t, efficiency %.3f, %.2f loads; "
                   "bound where the storage never rests %.2f\n",
                   c, pieces, fastest / t, floor * t / fastest, least / pieces, bound);
            CHECK(fastest / t < 1.03 * fmax(floor, bound), "c/t=%.1f, %u pieces: %.3f t", c, pieces,
                  fastest / t);
        }
    }
}

/* N = 32, C = 16, c = t/2: what reads how much, and is how fast, beside what people use. */
static void half_the_layers(void)
{
    struct virtual_options o = equal(32, 16, 0.5);
    o.max_loads = 0;
    o.queue_depth = 4;
    o.chunk_bytes = 62;
    o.replacement = "lru";
    o.prefetch = "sync";
    double sync_lru = run(&o).time_ns / o.passes / T;
    o.prefetch = "async";
    double async_lru = run(&o).time_ns / o.passes / T;
    o.scheduler = "aggressive";
    o.replacement = "belady";
    struct virtual_result whole = run(&o);
    struct virtual_options p = equal(256, 128, 0.5);
    p.max_loads = 0;
    p.queue_depth = 4;
    p.chunk_bytes = 500;
    p.scheduler = "aggressive";
    p.window = 16;
    p.warmup = 20;
    p.passes = 31;
    struct virtual_result pieces = run(&p);
    double time = whole.time_ns / o.passes / T, loads = (double)whole.loads / o.passes;
    double time_p = pieces.time_ns / p.passes / T / 8;
    double loads_p = (double)pieces.loads / p.passes / 8;
    printf("c/t=0.5: sync lru %.2f t, async lru %.2f t; belady, aggressive: layers %.2f t, %.2f "
           "loads; an eighth of a layer %.2f t, %.2f layers' bytes\n",
           sync_lru, async_lru, time, loads, time_p, loads_p);
    CHECK(async_lru / time >= 1.7 && sync_lru / time >= 2.5, "%.2f, %.2f", async_lru / time,
          sync_lru / time);
    o.max_loads = 1; /* the least that whole layers can do: see beats_bound */
    double one_by_one = (double)run(&o).loads / o.passes;
    CHECK(loads <= 18.01 && one_by_one <= 17.56, "%.3f, %.3f", loads, one_by_one);
    CHECK(loads_p <= 16.5 && pieces.misses == 0, "%.2f", loads_p);
    CHECK(async_lru / time_p >= 1.7 && sync_lru / time_p >= 2.5);
}

/* Units of unequal size under a budget of frames: never over it, all bytes accounted for. */
static void unequal_units(void)
{
    struct lb_random random = {13};
    for (int round = 0; round < 60; round++) {
        struct virtual_unit units[40];
        uint32_t n = 2 + lb_random_below(&random, 39), largest = 0;
        uint64_t bytes = 0, frames = 0;
        double compute = 0;
        for (uint32_t i = 0; i < n; i++) {
            units[i].frames = 1 + lb_random_below(&random, 9);
            units[i].bytes = 4096 * units[i].frames - lb_random_below(&random, 4000);
            units[i].compute_ns = lb_random_below(&random, 9000);
            largest = units[i].frames > largest ? units[i].frames : largest;
            bytes += units[i].bytes;
            frames += units[i].frames;
            compute += units[i].compute_ns;
        }
        struct virtual_options o = equal(2, 0, 1);
        o.units = units;
        o.n_units = n;
        o.max_frames = largest + lb_random_below(&random, (uint32_t)frames);
        o.max_loads = 0;
        o.queue_depth = 1 + lb_random_below(&random, 9);
        o.latency_ns = lb_random_below(&random, 3000);
        o.scheduler = round % 2 ? "aggressive" : "forestall";
        o.other_ns = lb_random_below(&random, 9000);
        o.warmup = 8;
        o.passes = 30;
        struct virtual_result r = run(&o);
        double pass = r.time_ns / o.passes;
        CHECK(fabs(r.compute_ns / o.passes - compute - o.other_ns) < 1, "seed 13, round %d", round);
        /* loads begun before the end may end after it: half a pass of 30 */
        CHECK(pass >= compute + o.other_ns - 1 &&
                  pass >= (double)r.bytes / o.passes / o.bandwidth * 1e9 * (1 - 0.5 / 30),
              "seed 13, round %d: faster than possible", round);
        CHECK(r.bytes <= bytes * o.passes * 2);
        if (o.max_frames >= frames)
            CHECK(r.loads == 0 && r.hits == r.accesses);
    }
}

static void patterns(void)
{
    size_t n_patterns;
    const char *const *names = pattern_names(&n_patterns);
    CHECK(n_patterns == 5);
    for (size_t i = 0; i < n_patterns; i++) {
        struct pattern_options po = {
            .name = names[i], .n_units = 24, .length = 240, .stride = 5, .skew = 1, .seed = 3};
        struct lb_error err = LB_ERROR_INIT;
        uint32_t *order, seen[24] = {0};
        uint64_t length;
        CHECK(pattern_make(&po, &order, &length, &err) == LB_OK, "%s", err.text);
        for (uint64_t k = 0; k < length; k++)
            seen[order[k]]++;
        bool once = length == 24;
        for (uint32_t u = 0; once && u < 24; u++)
            CHECK(seen[u] == 1, "%s: unit %u", names[i], u);
        if (strcmp(names[i], "skewed") == 0)
            CHECK(length == 240 && seen[0] > 2 * seen[9] && seen[0] > 40);
        if (strcmp(names[i], "strided") == 0)
            CHECK(order[1] == 5 && order[5] == 1);
        uint64_t loads[2];
        for (int p = 0; p < 2; p++) {
            struct virtual_options o = equal(24, 12, 0.5);
            o.order = order;
            o.length = length;
            o.replacement = p ? "belady" : "lru";
            o.prefetch = "off";
            o.warmup = 2;
            o.passes = 23;
            loads[p] = run(&o).loads;
            if (once)
                CHECK(loads[p] == (p ? 24u * 12 : 24u * 23), "%s", names[i]);
        }
        CHECK(loads[1] < loads[0], "%s", names[i]);
        lb_free(order);
    }
    struct lb_error err = LB_ERROR_INIT;
    uint32_t *order;
    uint64_t length;
    struct pattern_options bad = {.name = "spiral", .n_units = 4};
    CHECK(pattern_make(&bad, &order, &length, &err) == LB_ERR_INPUT);
    CHECK_TEXT(err.text,
               "pattern 'spiral': expected sequential, reversed, strided, random or skewed");
}

static void refusals(void)
{
    struct virtual_result r;
    struct lb_error err = LB_ERROR_INIT;
    struct virtual_options o = equal(4, 2, 1);
    o.prefetch = "maybe";
    CHECK(virtual_run(&o, &r, &err) == LB_ERR_INPUT);
    CHECK_TEXT(err.text, "prefetch 'maybe': expected off, sync, async or resident");
    for (uint64_t k = 1;; k++) {
        o = equal(4, 2, 1);
        err.code = LB_OK;
        lb_memory_fail_at(k);
        enum lb_status s = virtual_run(&o, &r, &err);
        lb_memory_fail_at(0);
        if (s == LB_OK)
            break;
        CHECK(s == LB_ERR_NOMEM, "%s", err.text);
    }
}

/* 1,000 cells of a matrix as `simulate` runs them; what they took is printed, in CPU time. */
static void speed(void)
{
    clock_t start = clock();
    for (uint32_t cell = 0; cell < 1000; cell++) {
        struct virtual_options o = equal(32 + cell % 49, 4 + cell % 29, 0.1 * (1 + cell % 20));
        size_t n_policies, n_schedulers;
        const struct cache_policy *const *policies = cache_policies(&n_policies);
        const struct planner_scheduler *const *schedulers = planner_schedulers(&n_schedulers);
        o.replacement = policies[cell % n_policies]->name;
        o.scheduler = schedulers[cell / 7 % n_schedulers]->name;
        o.max_loads = 0;
        o.queue_depth = 32;
        o.chunk_bytes = 10; /* 100 reads a layer */
        o.warmup = 10;
        o.passes = 10;
        run(&o);
    }
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    printf("1000 cells: %.2f s\n", seconds);
}

int main(void)
{
    table_of_the_study();
    belady_counts();
    optimum_by_search();
    near_the_floor();
    bound_of_slots();
    half_the_layers();
    unequal_units();
    patterns();
    refusals();
    speed();
    return check_done();
}
