/* fifo: the unit that was loaded longest ago leaves. */
#include "cache/policy.h"

const struct cache_policy policy_fifo = {
    .name = "fifo",
    .about = "first in, first out; no hits on a cyclic scan",
    .opened = policy_list_opened,
    .closed = policy_list_closed,
    .loaded = policy_list_append,
    .evicted = policy_list_remove,
    .victim = policy_list_victim,
};
