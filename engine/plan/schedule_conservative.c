/*
 * conservative: the replacements of the offline optimum, each started as early as possible:
 * as soon as its victims have had their last use before the unit is needed (Cao et al. 1995).
 * Fewest loads; on a cyclic scan the victim is the unit used just before, so that hardly any
 * load overlaps with compute.
 */
#include "plan/scheduler.h"

/* Position before which the victim is needed again or still in use, counted from the moment at
 * which the missing unit is needed: the unit that is resident then and needed last leaves. */
static bool victim_is_free(const struct planner_state *state, uint64_t missing)
{
    const struct cache_unit *units = cache_unit(state->cache, 0);
    uint32_t n = cache_n_units(state->cache);
    uint64_t furthest = 0;
    bool is_free = false;
    for (uint32_t i = 0; i < n; i++) {
        if (units[i].state == CACHE_ABSENT)
            continue;
        enum future_kind kind;
        uint64_t then = future_next(state->future, i, missing, &kind);
        if (then > furthest) {
            uint64_t now = future_next(state->future, i, state->position, NULL);
            furthest = then;
            is_free = (now == then || kind == FUTURE_ESTIMATED) &&
                      units[i].state == CACHE_RESIDENT && units[i].pins == 0;
        }
    }
    return is_free;
}

static uint64_t next(const struct planner_state *state)
{
    uint64_t missing = planner_missing(state, cache_n_units(state->cache));
    if (missing == FUTURE_NEVER)
        return FUTURE_NEVER;
    uint32_t unit = future_at(state->future, missing);
    return cache_fits(state->cache, unit) || victim_is_free(state, missing) ? missing
                                                                            : FUTURE_NEVER;
}

const struct planner_scheduler schedule_conservative = {
    .name = "conservative",
    .about = "the optimum's replacements, each as early as possible",
    .next = next,
};
