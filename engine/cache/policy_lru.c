/* lru: the unit whose last use (or load, when not used yet) is longest ago leaves. */
#include "cache/policy.h"

static int64_t victim(const struct cache_choice *choice)
{
    const struct cache_unit *units = cache_unit(choice->cache, 0);
    uint32_t n = cache_n_units(choice->cache);
    uint64_t oldest = UINT64_MAX;
    int64_t found = -1;
    for (uint32_t i = 0; i < n; i++) {
        if (units[i].used_seq < oldest && cache_may_evict(choice, i)) {
            oldest = units[i].used_seq;
            found = i;
        }
    }
    return found;
}

const struct cache_policy policy_lru = {
    .name = "lru",
    .about = "least recently used; no hits on a cyclic scan",
    .victim = victim,
};
