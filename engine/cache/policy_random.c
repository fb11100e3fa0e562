/* random: each unit that may leave is as likely as the others (reservoir sampling). */
#include "base/random.h"
#include "cache/policy.h"

static int64_t victim(void *state, const struct cache_choice *choice)
{
    (void)state;
    struct lb_random random = {choice->random_state};
    uint32_t n = cache_n_units(choice->cache), candidates = 0;
    int64_t found = -1;
    for (uint32_t i = 0; i < n; i++)
        if (cache_may_evict(choice, i) && lb_random_below(&random, ++candidates) == 0)
            found = i;
    return found;
}

const struct cache_policy policy_random = {
    .name = "random",
    .about = "any unit, from the seed",
    .victim = victim,
};
