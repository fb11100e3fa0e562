/* control_group: reads /proc/self/cgroup. See control_group.h; files as in cgroups(7). */
#include "base/control_group.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool lb_file_number(const char *path, const char *key, uint64_t *value)
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

/* Is `controller` one of the list "cpu,cpuacct"? */
static bool is_listed(const char *list, const char *controller)
{
    size_t length = strlen(controller);
    for (const char *at = list; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, controller, length) == 0 && (at[length] == ',' || at[length] == '\0'))
            return true;
    }
    return false;
}

/* The path of this process's group, and the controllers it is of: v1 line "N:LIST:PATH", v2 line
 * "0::PATH". */
static bool own_path(const char *root, const char *controller, bool v2, char *list, char *path,
                     size_t size)
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
        if (v2 ? *controllers == 0 : is_listed(controllers, controller))
            found = snprintf(path, size, "%s", at) < (int)size &&
                    snprintf(list, size, "%s", controllers) < (int)size;
    }
    fclose(f);
    return found;
}

/* From the group itself to the root of the tree at `mount`. */
static void climb(const char *root, const char *mount, const char *path, bool v2,
                  lb_control_group_visit *visit, void *ctx)
{
    char group[700], folder[1500];
    snprintf(group, sizeof group, "%s", path);
    for (;;) {
        char *last = strrchr(group, '/');
        if (last && last[1] == '\0') { /* "/" is the root, which comes last */
            *last = '\0';
            last = strrchr(group, '/');
        }
        snprintf(folder, sizeof folder, "%s/sys/fs/cgroup%s%s", root, mount, group);
        visit(ctx, folder, v2);
        if (!last)
            return;
        *last = '\0';
    }
}

void lb_control_groups(const char *root, const char *controller, lb_control_group_visit *visit,
                       void *ctx)
{
    char path[700], list[700], mount[710];
    if (own_path(root, controller, false, list, path, sizeof path)) {
        snprintf(mount, sizeof mount, "/%s", controller);
        climb(root, mount, path, false, visit, ctx);
        if (strcmp(list, controller) != 0) { /* a tree of several, named after all of them */
            snprintf(mount, sizeof mount, "/%s", list);
            climb(root, mount, path, false, visit, ctx);
        }
    }
    if (own_path(root, controller, true, list, path, sizeof path))
        climb(root, "", path, true, visit, ctx);
}
