/* lru: the unit whose last use (or load, when not used yet) is longest ago leaves. */
#include "cache/policy.h"

static void used(void *lists, uint32_t unit, bool first)
{
    (void)first;
    policy_list_append(lists, unit);
}

const struct cache_policy policy_lru = {
    .name = "lru",
    .about = "least recently used; no hits on a cyclic scan",
    .opened = policy_list_opened,
    .closed = policy_list_closed,
    .loaded = policy_list_append,
    .used = used,
    .evicted = policy_list_remove,
    .victim = policy_list_victim,
};
