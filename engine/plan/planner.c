/* planner: asks the scheduler for a unit and the cache for room. See planner.h. */
#include "plan/planner.h"

#include "plan/scheduler.h"

#include <string.h>

static const struct planner_scheduler *const schedulers[] = {
    &schedule_fixed,        &schedule_horizon,   &schedule_aggressive,
    &schedule_conservative, &schedule_forestall,
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

static uint64_t missing_in_cycle(const struct planner_state *state, uint64_t ahead)
{
    uint32_t n = cache_n_units(state->cache);
    uint32_t at = (uint32_t)(state->position % n);
    uint32_t unit = cache_next_absent(state->cache, at);
    if (unit == n && (unit = cache_next_absent(state->cache, 0)) == n)
        return CACHE_NEVER;
    uint64_t away = unit >= at ? unit - at : n - at + unit;
    return away <= ahead ? state->position + away : CACHE_NEVER;
}

uint64_t planner_missing(const struct planner_state *state, uint64_t ahead)
{
    const struct cache_sequence *sequence = state->sequence;
    if (!sequence->order && sequence->cyclic)
        return missing_in_cycle(state, ahead);
    for (uint64_t i = state->position; i - state->position <= ahead; i++) {
        if (!sequence->cyclic && i >= sequence->length)
            return CACHE_NEVER;
        if (cache_unit(state->cache, cache_sequence_at(sequence, i))->state == CACHE_ABSENT)
            return i;
    }
    return CACHE_NEVER;
}

/* Units after the current one that protection keeps: the prefetch window, but no more than fit
 * beside the current one, or nothing could ever leave. */
static uint32_t window(const struct planner_state *state)
{
    if (!state->protect)
        return 0;
    const struct cache *cache = state->cache;
    uint32_t most = cache_max_units(cache) - 1;
    if (most > state->distance)
        most = state->distance;
    uint64_t frames = 0;
    for (uint32_t i = 0; i <= most; i++) {
        if (!state->sequence->cyclic && state->position + i >= state->sequence->length)
            break;
        uint32_t unit = cache_sequence_at(state->sequence, state->position + i);
        frames += cache_unit(cache, unit)->frames;
        if (frames > cache_max_frames(cache))
            return i ? i - 1 : 0;
    }
    return most;
}

bool planner_next(struct planner_state *state, struct planner_step *step)
{
    uint64_t access = state->scheduler->next(state);
    if (access == CACHE_NEVER)
        return false;
    uint32_t unit = cache_sequence_at(state->sequence, access);
    if (!cache_fits(state->cache, unit)) {
        struct cache_choice choice = {.cache = state->cache,
                                      .sequence = state->sequence,
                                      .position = state->position,
                                      .for_access = access,
                                      .window = window(state)};
        if (!cache_make_room(state->cache, &choice, unit))
            return false;
    }
    *step = (struct planner_step){.unit = unit, .for_access = access};
    return true;
}

bool planner_make_room(struct planner_state *state, uint32_t unit)
{
    struct cache_choice choice = {.cache = state->cache,
                                  .sequence = state->sequence,
                                  .position = state->position,
                                  .for_access = state->position,
                                  .window = window(state)};
    if (cache_fits(state->cache, unit) || cache_make_room(state->cache, &choice, unit))
        return true;
    choice.window = 0;
    return cache_make_room(state->cache, &choice, unit);
}
