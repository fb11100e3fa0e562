/*
 * horizon: a fetch starts when its unit is H = ceil(t/c) accesses away, just in time for a
 * storage that serves it alone (Patterson's TIP; Kimbrel et al., OSDI 1996).
 */
#include "plan/scheduler.h"

#include <math.h>

static uint64_t next(const struct planner_state *state)
{
    uint32_t n = cache_n_units(state->cache);
    if (state->compute_ns <= 0 || state->load_ns <= 0)
        return planner_missing(state, state->window);
    double horizon = future_positions(state->future, ceil(state->load_ns / state->compute_ns));
    return planner_missing(state, horizon < n ? (uint64_t)horizon : n);
}

const struct planner_scheduler schedule_horizon = {
    .name = "horizon",
    .about = "ceil(t/c) accesses ahead, t and c as measured",
    .next = next,
};
