/* planner: asks the scheduler for a unit and the cache for room. See planner.h. */
#include "plan/planner.h"

#include "plan/scheduler.h"

#include <string.h>

static const struct planner_scheduler *const schedulers[] = {
#define ENTRY(name) &schedule_##name,
    PLAN_SCHEDULERS(ENTRY)
#undef ENTRY
};

const struct planner_scheduler *const *planner_schedulers(size_t *count)
{
    *count = sizeof schedulers / sizeof *schedulers;
    return schedulers;
}

const struct planner_scheduler *planner_scheduler(const char *name)
{
    for (size_t i = 0; i < sizeof schedulers / sizeof *schedulers; i++)
        if (strcmp(schedulers[i]->name, name) == 0)
            return schedulers[i];
    return NULL;
}

/* Weight of a new measurement: a change of compute time (a prompt after a reply) is taken in
 * within some tens of accesses, a single outlier hardly shows. */
#define ESTIMATE_WEIGHT 0.125

static void measured(double *estimate, double ns)
{
    ns = ns > 1 ? ns : 1;
    *estimate = *estimate > 0 ? *estimate + ESTIMATE_WEIGHT * (ns - *estimate) : ns;
}

void planner_measured_compute(struct planner_state *state, double ns)
{
    measured(&state->compute_ns, ns);
}

void planner_measured_load(struct planner_state *state, double ns)
{
    measured(&state->load_ns, ns);
}

uint64_t planner_missing(const struct planner_state *state, uint64_t ahead)
{
    return future_first(state->future, state->position, state->position + ahead,
                        cache_held(state->cache));
}

/* Positions after the current one whose units protection keeps: the prefetch window, but no more
 * than fit beside the current one, or nothing could ever leave. */
static uint32_t protected_window(const struct planner_state *state)
{
    if (!state->protect)
        return 0;
    const struct cache *cache = state->cache;
    uint64_t frames = 0, position = state->position, end = position + state->window;
    uint32_t units = 0;
    for (uint64_t at = position; at <= end; at++) {
        at = future_first(state->future, at, end, NULL);
        if (at == FUTURE_NEVER)
            break;
        frames += cache_unit(cache, future_at(state->future, at))->frames;
        if (++units > cache_max_units(cache) || frames > cache_max_frames(cache))
            return at > position ? (uint32_t)(at - position - 1) : 0;
    }
    return state->window;
}

bool planner_demands(const struct planner_state *state)
{
    return future_n_revealed(state->future) > 0 &&
           future_first(state->future, state->position, future_demand_end(state->future),
                        cache_held(state->cache)) != FUTURE_NEVER;
}

bool planner_has_enough(const struct planner_state *state, const struct planner_loads *loads)
{
    return planner_demands(state) ? loads->demands >= loads->max_demands
                                  : loads->prefetches >= loads->max_prefetches;
}

/* Of what a load needed for certain may displace: nothing needed up to `for_access`. */
static bool make_room(struct planner_state *state, uint32_t unit, uint64_t for_access)
{
    struct cache_choice choice = {.cache = state->cache,
                                  .future = state->future,
                                  .position = state->position,
                                  .for_access = for_access};
    if (cache_fits(state->cache, unit))
        return true;
    choice.window = protected_window(state);
    if (cache_make_room(state->cache, &choice, unit))
        return true;
    choice.window = 0;
    return cache_make_room(state->cache, &choice, unit);
}

static bool prefetch(struct planner_state *state, struct planner_step *step)
{
    for (;;) {
        enum future_kind kind;
        uint64_t access = state->scheduler->next(state);
        if (access == FUTURE_NEVER)
            return false;
        uint32_t unit = future_at(state->future, access);
        future_next(state->future, unit, access, &kind);
        *step = (struct planner_step){unit, access, kind == FUTURE_PREDICTED};
        if (cache_fits(state->cache, unit))
            return true;
        struct cache_choice choice = {.cache = state->cache,
                                      .future = state->future,
                                      .position = state->position,
                                      .for_access = access,
                                      .window = protected_window(state)};
        if (step->predicted)
            choice.doubt = 1 - future_likelihood(state->future, unit);
        if (cache_make_room(state->cache, &choice, unit))
            return true;
        if (!step->predicted)
            return false;
        future_forget(state->future, unit);
    }
}

bool planner_next(struct planner_state *state, struct planner_step *step)
{
    if (!planner_demands(state))
        return prefetch(state, step);
    uint64_t end = future_demand_end(state->future);
    uint64_t access = future_first(state->future, state->position, end, cache_held(state->cache));
    *step = (struct planner_step){future_at(state->future, access), access, false};
    return make_room(state, step->unit, end);
}

bool planner_make_room(struct planner_state *state, uint32_t unit, bool at_any_price)
{
    bool revealed = future_n_revealed(state->future) > 0;
    /* also the first of what is revealed, where a later one is in use piece by piece */
    uint64_t before = state->position > 0 ? state->position - 1 : 0;
    return make_room(state, unit, revealed ? future_demand_end(state->future) : state->position) ||
           (revealed && at_any_price && make_room(state, unit, before));
}
