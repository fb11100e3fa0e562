/* available: reads /proc/meminfo, limits and use of memory cgroups, RLIMIT_AS. See available.h. */
#include "base/available.h"

#include "base/control_group.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* A limit that is one: not "max", and not the largest number that a page counter holds. */
static bool limit_in(const char *folder, const char *name, uint64_t *limit)
{
    char file[1600];
    snprintf(file, sizeof file, "%s/%s", folder, name);
    return lb_file_number(file, "", limit) && *limit <= (uint64_t)1 << 60;
}

/* What the group in the folder leaves, into *ctx if that is less. */
static void take_left(void *ctx, const char *folder, bool v2)
{
    char file[1600];
    uint64_t *least = ctx, limit = UINT64_MAX, high, use, pages;
    (void)limit_in(folder, v2 ? "memory.max" : "memory.limit_in_bytes", &limit);
    if (v2 && limit_in(folder, "memory.high", &high) && high < limit)
        limit = high; /* beyond it the group is slowed down until it has given pages back */
    if (limit > (uint64_t)1 << 60)
        return;
    snprintf(file, sizeof file, "%s/%s", folder, v2 ? "memory.current" : "memory.usage_in_bytes");
    if (!lb_file_number(file, "", &use))
        return;
    snprintf(file, sizeof file, "%s/memory.stat", folder);
    for (int active = 0; active < 2; active++) {
        const char *key = active ? "total_active_file " : "total_inactive_file ";
        if (lb_file_number(file, v2 ? key + strlen("total_") : key, &pages))
            use = use > pages ? use - pages : 0;
    }
    uint64_t left = limit > use ? limit - use : 0;
    *least = left < *least ? left : *least;
}

/* What a limit leaves counts if it is less; UINT64_MAX: there is none. */
static void limit_to(struct lb_available *available, uint64_t left)
{
    if (left != UINT64_MAX && (available->bytes == 0 || left < available->bytes))
        *available = (struct lb_available){.bytes = left, .limited = true};
}

struct lb_available lb_memory_available_in(const char *root)
{
    struct lb_available available = {0};
    char file[1600];
    uint64_t left = UINT64_MAX;
    snprintf(file, sizeof file, "%s/proc/meminfo", root);
    if (lb_file_number(file, "MemAvailable:", &available.bytes))
        available.bytes *= 1024;
    lb_control_groups(root, "memory", take_left, &left);
    limit_to(&available, left);
    return available;
}

/* What RLIMIT_AS leaves for more mappings: at least 1, 0 being the unknown; UINT64_MAX: there is no
 * limit. */
static uint64_t address_space_left(void)
{
    struct rlimit limit;
    uint64_t pages = 0;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    (void)lb_file_number("/proc/self/statm", "", &pages);
    uint64_t use = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return limit.rlim_cur > use ? limit.rlim_cur - use : 1;
}

struct lb_available lb_memory_available(void)
{
    struct lb_available available = lb_memory_available_in("");
    limit_to(&available, address_space_left());
    return available;
}
