/* available: reads /proc/meminfo and the memory cgroup's limit and use. See available.h. */
#include "base/available.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static uint64_t meminfo_available(void)
{
    FILE *f = fopen("/proc/meminfo", "re");
    if (!f)
        return 0;
    char line[256];
    uint64_t kib = 0;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1)
            break;
    fclose(f);
    return kib * 1024;
}

static bool read_number(const char *path, uint64_t *value)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    bool ok = fscanf(f, "%" SCNu64, value) == 1;
    fclose(f);
    return ok;
}

/* The path of this process's cgroup: v1 line "N:...memory...:PATH", v2 line "0::PATH". */
static bool cgroup_path(bool v2, char *path, size_t size)
{
    FILE *f = fopen("/proc/self/cgroup", "re");
    if (!f)
        return false;
    char line[1024];
    bool found = false;
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

static uint64_t cgroup_left(bool v2)
{
    char group[700], file[1024];
    if (!cgroup_path(v2, group, sizeof group))
        return UINT64_MAX;
    const char *root = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    const char *limit_name = v2 ? "memory.max" : "memory.limit_in_bytes";
    const char *use_name = v2 ? "memory.current" : "memory.usage_in_bytes";
    uint64_t limit, use;
    snprintf(file, sizeof file, "%s%s/%s", root, group, limit_name);
    if (!read_number(file, &limit) || limit > (uint64_t)1 << 60)
        return UINT64_MAX; /* "max", or no limit */
    snprintf(file, sizeof file, "%s%s/%s", root, group, use_name);
    if (!read_number(file, &use))
        return UINT64_MAX;
    return limit > use ? limit - use : 0;
}

uint64_t lb_memory_available(void)
{
    uint64_t least = meminfo_available();
    for (int v2 = 0; v2 < 2; v2++) {
        uint64_t left = cgroup_left(v2);
        if (left != UINT64_MAX && (least == 0 || left < least))
            least = left;
    }
    return least;
}
