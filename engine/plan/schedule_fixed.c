/* fixed: keeps the units of the next d layers cached or in flight, all requested at once. */
#include "plan/scheduler.h"

static uint64_t next(const struct planner_state *state)
{
    return state->window ? planner_missing(state, state->window) : FUTURE_NEVER;
}

const struct planner_scheduler schedule_fixed = {
    .name = "fixed",
    .by_distance = true,
    .about = "the next d layers, requested at once",
    .next = next,
    .eager = true,
};
