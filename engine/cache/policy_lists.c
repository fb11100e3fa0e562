/* policy_lists: hooks that policies of one list share. See policy.h. */
#include "cache/policy.h"
#include "cache/unit_lists.h"

void *policy_list_opened(const struct cache *cache)
{
    return unit_lists_open(cache_n_units(cache), 1);
}

void policy_list_closed(void *lists)
{
    unit_lists_close(lists);
}

void policy_list_append(void *lists, uint32_t unit)
{
    unit_list_append(lists, 0, unit);
}

void policy_list_remove(void *lists, uint32_t unit)
{
    unit_list_remove(lists, unit);
}

int64_t policy_list_victim(void *lists, const struct cache_choice *choice)
{
    return unit_list_victim(lists, 0, choice);
}
