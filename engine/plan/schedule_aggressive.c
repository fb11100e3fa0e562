/*
 * aggressive: whenever the storage has room, the next missing unit (Cao, Felten, Karlin, Li,
 * SIGMETRICS 1995), with a cap: without one it reads everything in each pass where compute is
 * the bottleneck. Within the prefetch distance it always fetches; further ahead only what
 * forestall would.
 */
#include "plan/scheduler.h"

static uint64_t next(const struct planner_state *state)
{
    uint64_t near = planner_missing(state, state->window);
    return near != FUTURE_NEVER ? near : schedule_forestall.next(state);
}

const struct planner_scheduler schedule_aggressive = {
    .name = "aggressive",
    .about =
        "the next missing unit whenever the storage has room, d layers ahead or as stalls demand",
    .next = next,
};
