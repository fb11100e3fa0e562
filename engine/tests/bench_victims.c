/*
 * bench_victims: what a choice of a victim and a hit cost with many units, policy by policy.
 *
 *   bench_victims [LAYERS [EXPERTS [CHOSEN [SHARE]]]]
 *
 * A mixture of LAYERS layers with EXPERTS experts each, CHOSEN of them a pass, popular ones more
 * often (Zipf), in a cache of SHARE of the units (default: 48 x 416, 8, 0.25: 20,016 units). In
 * the window of a choice: making room and evicting (planner_next of a revealed unit, the load
 * begun and ended); of a hit: reach, pin, unpin, used. Outside: the routes, the first passes.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "plan/planner.h"
#include "tests/check.h"

#include <math.h>

enum { WARMUP = 20, PASSES = 40 };

struct bench {
    uint32_t layers, experts, chosen, n_units;
    double share;
    uint32_t *routes; /* [passes][layers][chosen] units */
};

static void make_routes(struct bench *b)
{
    struct lb_random r = {1};
    double *sums = lb_calloc(b->experts, sizeof *sums), sum = 0;
    for (uint32_t e = 0; e < b->experts; e++)
        sums[e] = sum += 1 / (e + 10.0);
    uint32_t n = (WARMUP + PASSES) * b->layers * b->chosen;
    b->routes = lb_calloc(n, sizeof *b->routes);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t layer = i / b->chosen % b->layers, first = i - i % b->chosen, unit, k;
        do { /* popularity runs through the experts differently in each layer */
            double at = lb_random_unit(&r) * sum;
            uint32_t rank = 0;
            while (sums[rank] < at)
                rank++;
            unit = layer * (1 + b->experts) + 1 + (rank * 7 + layer * 31) % b->experts;
            for (k = first; k < i && b->routes[k] != unit; k++)
                ;
        } while (k < i);
        b->routes[i] = unit;
    }
    lb_free(sums);
}

static void run(const struct bench *b, const char *policy)
{
    struct lb_error err = LB_ERROR_INIT;
    struct cache_options options = {
        .replacement = policy, .max_units = (uint32_t)(b->share * b->n_units), .seed = 1};
    struct planner_state state = {.protect = true, .window = 2 * (1 + b->experts)};
    bool *always = lb_calloc(b->n_units, sizeof *always);
    for (uint32_t l = 0; l < b->layers; l++)
        always[l * (1 + b->experts)] = true;
    state.scheduler = planner_scheduler("fixed");
    if (cache_open(&options, b->n_units, NULL, &state.cache, &err) != LB_OK ||
        future_open_cycle(b->n_units, always, &state.future, &err) != LB_OK)
        fprintf(stderr, "%s\n", err.text), exit(1);
    int64_t choice_ns = 0, hit_ns = 0;
    uint64_t choices = 0, hits = 0;
    for (uint32_t p = 0; p < WARMUP + PASSES; p++) {
        if (p == WARMUP)
            choice_ns = hit_ns = 0, choices = hits = 0;
        for (uint32_t l = 0; l < b->layers; l++) {
            const uint32_t *route = b->routes + ((size_t)p * b->layers + l) * b->chosen;
            for (uint32_t i = 0; i <= b->chosen; i++) { /* part 0, then the experts */
                uint32_t unit = i ? route[i - 1] : l * (1 + b->experts);
                if (i == 1)
                    state.position = future_reveal(state.future, route, b->chosen, state.position);
                bool hit = cache_unit(state.cache, unit)->state == CACHE_RESIDENT;
                int64_t start = lb_now_ns();
                if (!hit) {
                    if (!planner_make_room(&state, unit, false))
                        fprintf(stderr, "%s: no room\n", policy), exit(1);
                    cache_begin_load(state.cache, unit, false);
                    cache_end_load(state.cache, unit);
                }
                int64_t middle = lb_now_ns();
                state.position = future_reach(state.future, unit, state.position);
                cache_pin(state.cache, unit);
                cache_unpin(state.cache, unit);
                state.position = future_used(state.future, unit, state.position);
                hit_ns += lb_now_ns() - middle;
                choice_ns += middle - start;
                choices += !hit;
                hits += hit;
            }
        }
    }
    printf("%-12s %5.1f%% hits | choice %6.0f ns, use %4.0f ns\n", policy,
           100.0 * (double)hits / (double)(hits + choices), (double)choice_ns / (double)choices,
           (double)hit_ns / (double)(hits + choices));
    future_close(state.future);
    cache_close(state.cache);
    lb_free(always);
}

int main(int argc, char **argv)
{
    struct bench b = {.layers = argc > 1 ? (uint32_t)atoi(argv[1]) : 48,
                      .experts = argc > 2 ? (uint32_t)atoi(argv[2]) : 416,
                      .chosen = argc > 3 ? (uint32_t)atoi(argv[3]) : 8,
                      .share = argc > 4 ? atof(argv[4]) : 0.25};
    size_t n;
    const struct cache_policy *const *policies = cache_policies(&n);
    b.n_units = b.layers * (1 + b.experts);
    make_routes(&b);
    printf("%u units, %u of %u experts a layer, cache of %.0f%%\n", b.n_units, b.chosen, b.experts,
           100 * b.share);
    for (size_t i = 0; i < n; i++)
        run(&b, policies[i]->name);
    lb_free(b.routes);
    return 0;
}
