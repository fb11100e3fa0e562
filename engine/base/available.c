/* available: reads /proc/meminfo and the memory cgroup's limit and use. See available.h. */
#include "base/available.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The number after `key` at the beginning of a line, such as "MemAvailable:"; false: none. */
static bool read_field(const char *path, const char *key, uint64_t *value)
{
    char line[256];
    size_t length = strlen(key);
    bool found = false;
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    while (!found && fgets(line, sizeof line, f))
        found = strncmp(line, key, length) == 0 && sscanf(line + length, "%" SCNu64, value) == 1;
    fclose(f);
    return found;
}

static bool read_number(const char *path, uint64_t *value)
{
    return read_field(path, "", value);
}

/* The path of this process's cgroup: v1 line "N:...memory...:PATH", v2 line "0::PATH". */
static bool cgroup_path(const char *root, bool v2, char *path, size_t size)
{
    char line[1024];
    bool found = false;
    snprintf(line, sizeof line, "%s/proc/self/cgroup", root);
    FILE *f = fopen(line, "re");
    if (!f)
        return false;
    while (!found && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        char *at = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!at)
            continue;
        *at++ = 0;
        controllers++;
        if (v2 ? *controllers == 0 : strstr(controllers, "memory") != NULL)
            found = snprintf(path, size, "%s", at) < (int)size;
    }
    fclose(f);
    return found;
}

/* What the group in the folder leaves; UINT64_MAX: it has no limit. */
static uint64_t left_in(const char *folder, bool v2)
{
    char file[1200];
    uint64_t limit, use, pages;
    snprintf(file, sizeof file, "%s/%s", folder, v2 ? "memory.max" : "memory.limit_in_bytes");
    if (!read_number(file, &limit) || limit > (uint64_t)1 << 60)
        return UINT64_MAX; /* "max", or no limit */
    snprintf(file, sizeof file, "%s/%s", folder, v2 ? "memory.current" : "memory.usage_in_bytes");
    if (!read_number(file, &use))
        return UINT64_MAX;
    snprintf(file, sizeof file, "%s/memory.stat", folder);
    for (int active = 0; active < 2; active++) {
        const char *key = active ? "total_active_file " : "total_inactive_file ";
        if (read_field(file, v2 ? key + strlen("total_") : key, &pages))
            use = use > pages ? use - pages : 0;
    }
    return limit > use ? limit - use : 0;
}

/* The least that the group or one above it leaves. */
static uint64_t cgroup_left(const char *root, bool v2)
{
    char group[700], folder[1100];
    uint64_t least = UINT64_MAX;
    if (!cgroup_path(root, v2, group, sizeof group))
        return least;
    for (;;) {
        snprintf(folder, sizeof folder, "%s/sys/fs/cgroup%s%s", root, v2 ? "" : "/memory", group);
        uint64_t left = left_in(folder, v2);
        least = left < least ? left : least;
        char *last = strrchr(group, '/');
        if (!last)
            return least;
        *last = 0;
    }
}

struct lb_available lb_memory_available_in(const char *root)
{
    struct lb_available available = {0};
    char file[1100];
    snprintf(file, sizeof file, "%s/proc/meminfo", root);
    if (read_field(file, "MemAvailable:", &available.bytes))
        available.bytes *= 1024;
    for (int v2 = 0; v2 < 2; v2++) {
        uint64_t left = cgroup_left(root, v2);
        if (left != UINT64_MAX && (available.bytes == 0 || left < available.bytes))
            available = (struct lb_available){.bytes = left, .limited = true};
    }
    return available;
}

struct lb_available lb_memory_available(void)
{
    return lb_memory_available_in("");
}
