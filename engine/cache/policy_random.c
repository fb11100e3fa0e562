/*
 * random: each unit that may leave is as likely as the others. Units are drawn until one may
 * leave; where few may, one pass over all of them decides (reservoir sampling).
 */
#include "base/memory.h"
#include "base/random.h"
#include "cache/policy.h"

enum { DRAWS = 16 };

struct held {
    uint32_t n, *place; /* [n_units] of a unit in units[] */
    uint32_t units[];   /* those held, in no order */
};

static void closed(void *state)
{
    struct held *held = state;
    lb_free(held->place);
    lb_free(held);
}

static void *opened(const struct cache *cache)
{
    uint32_t n = cache_n_units(cache);
    struct held *held = lb_calloc(1, sizeof *held + n * sizeof *held->units);
    if (!held)
        return NULL;
    held->place = lb_calloc(n, sizeof *held->place);
    if (held->place)
        return held;
    closed(held);
    return NULL;
}

static void loaded(void *state, uint32_t unit)
{
    struct held *held = state;
    held->place[unit] = held->n;
    held->units[held->n++] = unit;
}

static void evicted(void *state, uint32_t unit)
{
    struct held *held = state;
    uint32_t last = held->units[--held->n];
    held->units[held->place[unit]] = last;
    held->place[last] = held->place[unit];
}

static int64_t victim(void *state, const struct cache_choice *choice)
{
    const struct held *held = state;
    struct lb_random random = {choice->random_state};
    uint32_t candidates = 0;
    int64_t found = -1;
    for (int i = 0; i < DRAWS && held->n > 0; i++) {
        uint32_t unit = held->units[lb_random_below(&random, held->n)];
        if (cache_may_evict(choice, unit))
            return unit;
    }
    for (uint32_t i = 0; i < held->n; i++)
        if (cache_may_evict(choice, held->units[i]) && lb_random_below(&random, ++candidates) == 0)
            found = held->units[i];
    return found;
}

const struct cache_policy policy_random = {
    .name = "random",
    .about = "any unit, from the seed",
    .opened = opened,
    .closed = closed,
    .loaded = loaded,
    .evicted = evicted,
    .victim = victim,
};
