/*
 * mru: the unit used last leaves; one that a prefetch brought and nothing has used yet only
 * when there is no other.
 */
#include "cache/policy.h"
#include "cache/unit_lists.h"

static void used(void *lists, uint32_t unit, bool first)
{
    (void)first;
    policy_list_append(lists, unit);
}

static int64_t victim(void *lists, const struct cache_choice *choice)
{
    int64_t unused = -1;
    for (int64_t i = unit_list_last(lists, 0); i >= 0; i = unit_list_before(lists, (uint32_t)i)) {
        if (!cache_may_evict(choice, (uint32_t)i))
            continue;
        if (!cache_unit(choice->cache, (uint32_t)i)->fresh)
            return i;
        unused = unused < 0 ? i : unused;
    }
    return unused;
}

const struct cache_policy policy_mru = {
    .name = "mru",
    .tuned = true,
    .about = "most recently used; as good as belady on a cyclic scan without prefetch",
    .opened = policy_list_opened,
    .closed = policy_list_closed,
    .loaded = policy_list_append,
    .used = used,
    .evicted = policy_list_remove,
    .victim = victim,
};
