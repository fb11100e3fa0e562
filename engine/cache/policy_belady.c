/*
 * belady: the unit whose next use is furthest away leaves (Belady, IBM Systems Journal 1966).
 * The sequence of layers is known, so the offline optimum can be had: a cyclic scan of N units
 * with C slots needs N*(N-C)/(N-1) loads a pass.
 */
#include "cache/policy.h"

static int64_t victim(void *state, const struct cache_choice *choice)
{
    (void)state;
    return cache_furthest(choice, NULL);
}

const struct cache_policy policy_belady = {
    .name = "belady",
    .about = "furthest next use; the offline optimum",
    .victim = victim,
};
