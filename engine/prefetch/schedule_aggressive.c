/*
 * aggressive: whenever the storage has room, the next missing unit (Cao, Felten, Karlin, Li,
 * SIGMETRICS 1995). Looks no further ahead than the prefetch distance: without a cap it reads
 * everything in each pass where compute is the bottleneck.
 */
#include "prefetch/scheduler.h"

static uint64_t next(const struct planner_state *state)
{
    return planner_missing(state, state->distance);
}

const struct planner_scheduler schedule_aggressive = {
    .name = "aggressive",
    .about = "the next missing unit up to d layers ahead, whenever the storage has room",
    .next = next,
};
