/* environment_disk: the file system, mount and block device below a path. */
#include "machine/environment.h"

#include "common/json_text.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct mount {
    char fs[64], options[512], source[512];
};

/* The mount that the device number belongs to, from /proc/self/mountinfo:
 * "36 35 98:0 /root /point options - type source superoptions" */
static bool find_mount(dev_t device, struct mount *m)
{
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    FILE *in = fopen("/proc/self/mountinfo", "r");
    while (in && !found && getline(&line, &size, in) > 0) {
        unsigned high, low;
        const char *rest = strstr(line, " - ");
        if (!rest || sscanf(line, "%*u %*u %u:%u %*s %*s %511s", &high, &low, m->options) != 3)
            continue;
        found =
            makedev(high, low) == device && sscanf(rest, " - %63s %511s", m->fs, m->source) == 2;
    }
    if (in)
        fclose(in);
    free(line);
    return found;
}

static void put_named(json_t *object, const char *prefix, const char *name, json_t *value,
                      const char *source, const char *reason)
{
    char key[96];
    snprintf(key, sizeof key, "%s_%s", prefix, name);
    if (value)
        environment_put(object, key, value, source);
    else
        environment_null(object, key, reason);
}

/* Queue settings of the block device; a partition has them in its parent. */
static void put_block_device(json_t *object, const char *prefix, dev_t device)
{
    static const char *const files[] = {"scheduler", "read_ahead_kb", "rotational", "nr_requests"};
    char link[128], path[PATH_MAX], key[96], file[PATH_MAX + 64];
    snprintf(link, sizeof link, "/sys/dev/block/%u:%u", major(device), minor(device));
    bool known = realpath(link, path) != NULL;
    const char *reason = known ? NULL : "no block device below this file system";
    put_named(object, prefix, "device", known ? json_text(strrchr(path, '/') + 1) : NULL, link,
              reason);
    snprintf(file, sizeof file, "%s/stat", path);
    put_named(object, prefix, "device_stat_file", known ? json_text(file) : NULL, link, reason);
    if (known) {
        snprintf(file, sizeof file, "%s/partition", path);
        if (access(file, F_OK) == 0)
            *strrchr(path, '/') = '\0';
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(key, sizeof key, "%s_%s", prefix, files[i]);
        snprintf(file, sizeof file, "%s/queue/%s", path, files[i]);
        if (known)
            environment_file(object, key, file);
        else
            environment_null(object, key, reason);
    }
}

void environment_disk(json_t *object, const char *prefix, const char *path)
{
    struct stat info;
    struct statvfs space;
    struct mount m;
    if (stat(path, &info) != 0) {
        put_named(object, prefix, "fs", NULL, NULL, strerror(errno));
        return;
    }
    bool known = find_mount(info.st_dev, &m);
    const char *source = "/proc/self/mountinfo", *reason = "no such mount";
    put_named(object, prefix, "fs", known ? json_text(m.fs) : NULL, source, reason);
    put_named(object, prefix, "mount_options", known ? json_text(m.options) : NULL, source, reason);
    put_named(object, prefix, "mount_source", known ? json_text(m.source) : NULL, source, reason);
    bool counted = statvfs(path, &space) == 0;
    put_named(object, prefix, "free_bytes",
              counted ? json_integer((json_int_t)(space.f_bavail * space.f_frsize)) : NULL,
              "statvfs", strerror(errno));
    put_block_device(object, prefix, info.st_dev);
}
