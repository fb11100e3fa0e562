/*
 * forestall: a fetch starts as soon as waiting longer would stall the computation: when for
 * some i the i-th missing unit satisfies i * t > compute time left before it is needed
 * (Kimbrel et al., OSDI 1996).
 */
#include "plan/scheduler.h"

/* The time left is counted from the end of the current access: the next time this is asked may
 * be then. */
static uint64_t next(const struct planner_state *state)
{
    if (state->compute_ns <= 0 || state->load_ns <= 0)
        return planner_missing(state, state->window);
    uint64_t first = FUTURE_NEVER, ahead = cache_max_units(state->cache);
    struct planner_state from = *state;
    for (double i = 1;; i++) {
        uint64_t missing = planner_missing(&from, ahead);
        if (missing == FUTURE_NEVER)
            return FUTURE_NEVER;
        if (first == FUTURE_NEVER)
            first = missing;
        double left = missing > state->position
                          ? future_accesses(state->future, state->position + 1, missing)
                          : 0;
        if (i * state->load_ns > left * state->compute_ns)
            return first;
        uint64_t step = missing + 1 - from.position;
        if (step > ahead)
            return FUTURE_NEVER;
        ahead -= step;
        from.position = missing + 1;
    }
}

const struct planner_scheduler schedule_forestall = {
    .name = "forestall",
    .about = "when waiting longer would stall, t and c as measured",
    .next = next,
};
