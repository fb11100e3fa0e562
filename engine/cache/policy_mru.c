/*
 * mru: the unit used last leaves; one that a prefetch brought and nothing has used yet only
 * when there is no other.
 */
#include "cache/policy.h"

static int64_t victim(const struct cache_choice *choice)
{
    const struct cache_unit *units = cache_unit(choice->cache, 0);
    uint32_t n = cache_n_units(choice->cache);
    int64_t found = -1;
    for (uint32_t i = 0; i < n; i++) {
        if (!cache_may_evict(choice, i))
            continue;
        bool better =
            found < 0 || units[found].fresh > units[i].fresh ||
            (units[found].fresh == units[i].fresh && units[found].used_seq < units[i].used_seq);
        if (better)
            found = i;
    }
    return found;
}

const struct cache_policy policy_mru = {
    .name = "mru",
    .about = "most recently used; as good as belady on a cyclic scan without prefetch",
    .victim = victim,
};
