/* cgroup: see cgroup.h. The files are those of the kernel's admin-guide (cgroup-v2.rst,
 * cgroup-v1/memory.rst). */
#include "machine/cgroup.h"

#include "base/control_group.h"
#include "common/file_io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char name_prefix[] = "layerbench-";

static bool write_file(const char *directory, const char *name, const char *text)
{
    char *path = file_text("%s/%s", directory, name);
    int fd = path ? open(path, O_WRONLY | O_CLOEXEC) : -1;
    bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    int error = errno;
    if (fd >= 0)
        close(fd);
    free(path);
    errno = error;
    return good;
}

static bool has_file(const char *directory, const char *name)
{
    char *path = file_text("%s/%s", directory, name);
    bool there = path && file_exists(path);
    free(path);
    return there;
}

/* Groups of processes that are gone. */
static void remove_leftovers(const char *parent)
{
    DIR *dir = opendir(parent);
    struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, name_prefix, strlen(name_prefix)) != 0)
            continue;
        long owner = atol(entry->d_name + strlen(name_prefix));
        char *path = file_text("%s/%s", parent, entry->d_name);
        if (path && owner > 0 && kill((pid_t)owner, 0) != 0 && errno == ESRCH)
            rmdir(path);
        free(path);
    }
    if (dir)
        closedir(dir);
}

bool cgroup_open_in(const char *parent, bool v2, uint64_t bytes, struct cgroup *group)
{
    char limit[32];
    const char *file = v2 ? "memory.max" : "memory.limit_in_bytes";
    snprintf(limit, sizeof limit, "%" PRIu64, bytes);
    remove_leftovers(parent);
    group->path = file_text("%s/%s%ld", parent, name_prefix, (long)getpid());
    group->v2 = v2;
    if (!group->path)
        return false;
    if (mkdir(group->path, 0755) == 0 || errno == EEXIST) {
        if (v2 && !has_file(group->path, file))
            (void)write_file(parent, "cgroup.subtree_control", "+memory");
        if (write_file(group->path, file, limit)) {
            /* no way out through swap, where there is any */
            (void)write_file(group->path, v2 ? "memory.swap.max" : "memory.swappiness", "0");
            return true;
        }
        int error = errno;
        rmdir(group->path);
        errno = error;
    }
    int error = errno;
    free(group->path);
    group->path = NULL;
    errno = error;
    return false;
}

struct attempt {
    uint64_t bytes;
    struct cgroup *group;
    int error; /* 0: made */
};

/* Below our own group, or (v2: a group with processes may have no children with limits; in a
 * container: the one that is seen) below one of those above it. */
static void make_below(void *ctx, const char *folder, bool v2)
{
    struct attempt *a = ctx;
    if (a->error && file_exists(folder))
        a->error = cgroup_open_in(folder, v2, a->bytes, a->group) ? 0 : errno;
}

enum lb_status cgroup_open(uint64_t bytes, struct cgroup *group, struct lb_error *err)
{
    struct attempt attempt = {.bytes = bytes, .group = group, .error = ENOENT};
    group->path = NULL;
    if (bytes > 0)
        lb_control_groups("", "memory", make_below, &attempt);
    if (bytes == 0 || attempt.error == 0)
        return LB_OK;
    return lb_fail(err, LB_ERR_UNSUPPORTED,
                   "memory_limit: no control group can be made here (%s): run as root, or under "
                   "'systemd-run --user --scope -p Delegate=yes', or without memory_limit",
                   strerror(attempt.error));
}

bool cgroup_enter(const struct cgroup *group)
{
    char path[4096];
    size_t n = group->path ? strlen(group->path) : 0;
    static const char file[] = "/cgroup.procs";
    if (!group->path)
        return true;
    if (n + sizeof file > sizeof path)
        return false;
    memcpy(path, group->path, n);
    memcpy(path + n, file, sizeof file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool good = fd >= 0 && write(fd, "0", 1) == 1; /* 0: the process that writes */
    if (fd >= 0)
        close(fd);
    return good;
}

bool cgroup_killed(const struct cgroup *group)
{
    uint64_t count = 0;
    char *path = group->path ? file_text("%s/%s", group->path,
                                         group->v2 ? "memory.events" : "memory.oom_control")
                             : NULL;
    bool killed = path && lb_file_number(path, "oom_kill ", &count) && count > 0;
    free(path);
    return killed;
}

void cgroup_close(struct cgroup *group)
{
    if (!group->path)
        return;
    if (!group->v2)
        (void)write_file(group->path, "memory.force_empty", "0");
    for (int attempt = 0; attempt < 50 && rmdir(group->path) != 0 && errno == EBUSY; attempt++)
        usleep(2000); /* the process is gone; the kernel may need a moment to see it */
    free(group->path);
    group->path = NULL;
}
