/* output: see output.h. */
#include "base/output.h"

#include "base/input.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { NAMES_MAX = 64, LINKS_MAX = 40, NO_READER_TRIES = 100, NO_READER_PAUSE_NS = 20000000 };

static const char prefix[] = ".layerbench-", suffix[] = ".tmp";

/* ---- names to remove when the program ends; who takes one out of the list owns it ---- */

static _Atomic(char *) names[NAMES_MAX];

/* A list that is full costs no more than that a signal leaves the name. */
static void remember(char *name)
{
    for (size_t i = 0; i < NAMES_MAX; i++) {
        char *none = NULL;
        if (atomic_compare_exchange_strong(&names[i], &none, name))
            return;
    }
}

static void forget(char *name)
{
    for (size_t i = 0; i < NAMES_MAX; i++) {
        char *there = name;
        if (atomic_compare_exchange_strong(&names[i], &there, NULL))
            return;
    }
}

void lb_outputs_remove(void)
{
    for (size_t i = 0; i < NAMES_MAX; i++) {
        char *name = atomic_exchange(&names[i], NULL);
        if (name)
            unlink(name);
    }
}

/* Its name is gone: it was renamed, or never there. */
static void drop_name(struct lb_output *o)
{
    if (o->temporary)
        forget(o->temporary);
    lb_free(o->temporary);
    o->temporary = NULL;
}

/* ---- temporary names ---- */

/* "folder/", or "" for the current one; malloc, or NULL. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) + 1 : 0;
    char *folder = lb_calloc(n + 1, 1);
    if (folder)
        memcpy(folder, path, n);
    return folder;
}

/* Files of processes that were killed: nobody holds their lock, and no process has their number. */
static void remove_leftovers(const char *folder)
{
    DIR *dir = opendir(*folder ? folder : ".");
    struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        char *end;
        size_t length = strlen(name), ending = sizeof suffix - 1;
        if (strncmp(name, prefix, sizeof prefix - 1) != 0 || length < ending ||
            strcmp(name + length - ending, suffix) != 0)
            continue;
        long owner = strtol(name + sizeof prefix - 1, &end, 10);
        if (owner <= 0 || *end != '-' || kill((pid_t)owner, 0) == 0 || errno != ESRCH)
            continue;
        int fd = openat(dirfd(dir), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0 &&
            flock(fd, LOCK_EX | LOCK_NB) == 0) /* a process of another container has it */
            (void)unlinkat(dirfd(dir), name, 0);
        if (fd >= 0)
            close(fd);
    }
    if (dir)
        closedir(dir);
}

/* A name in the target's folder that is short enough everywhere; o->temporary. */
static bool choose_name(struct lb_output *o)
{
    static atomic_uint serial;
    char *folder = folder_of(o->target);
    size_t room = folder ? strlen(folder) + 64 : 0;
    o->temporary = folder ? lb_calloc(room, 1) : NULL;
    if (o->temporary) {
        snprintf(o->temporary, room, "%s%s%ld-%u%s", folder, prefix, (long)getpid(),
                 atomic_fetch_add(&serial, 1), suffix);
        remove_leftovers(folder);
        remember(o->temporary);
    }
    lb_free(folder);
    errno = ENOMEM;
    return o->temporary != NULL;
}

/* ---- opening ---- */

int lb_unnamed_file(const char *folder)
{
    int fd = open(folder, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    size_t room = strlen(folder) + 32;
    char *name = fd < 0 ? lb_calloc(room, 1) : NULL;
    if (name) {
        snprintf(name, room, "%s/%sXXXXXX%s", folder, prefix, suffix);
        fd = mkostemps(name, (int)sizeof suffix - 1, O_CLOEXEC);
        if (fd >= 0)
            unlink(name);
        lb_free(name);
    }
    return fd;
}

/* Where the links end; malloc. The last one may lead to what is not there yet. */
static char *follow(const char *path)
{
    char now[PATH_MAX], link[PATH_MAX];
    if (snprintf(now, sizeof now, "%s", path) >= (int)sizeof now) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    for (int i = 0; i < LINKS_MAX; i++) {
        ssize_t n = readlink(now, link, sizeof link - 1);
        if (n < 0)
            return lb_strdup(now);
        link[n] = '\0';
        char *slash = strrchr(now, '/');
        size_t keep = *link != '/' && slash ? (size_t)(slash - now) + 1 : 0;
        if (keep + (size_t)n >= sizeof now)
            break;
        memcpy(now + keep, link, (size_t)n + 1);
    }
    errno = ELOOP;
    return NULL;
}

/* Without waiting for whoever reads a pipe, but giving them a moment to come. */
static int open_in_place(const char *path, int flags)
{
    const struct timespec pause = {.tv_nsec = NO_READER_PAUSE_NS};
    int fd = -1;
    for (int i = 0; i < NO_READER_TRIES; i++) {
        fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
        if (fd >= 0 || errno != ENXIO)
            break;
        struct stat info;
        if (stat(path, &info) != 0 || !S_ISFIFO(info.st_mode)) {
            errno = ENXIO;
            break;
        }
        nanosleep(&pause, NULL);
        errno = ENXIO;
    }
    int old = fd >= 0 ? fcntl(fd, F_GETFL) : -1;
    if (old >= 0)
        (void)fcntl(fd, F_SETFL, old & ~O_NONBLOCK);
    return fd;
}

/* A file beside the target: without a name if it can be given one later, else with one. */
static int open_beside(struct lb_output *o)
{
    char *folder = folder_of(o->target);
    if (!folder)
        return -1;
    int fd = access("/proc/self/fd", X_OK) == 0
                 ? open(*folder ? folder : ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0666)
                 : -1;
    lb_free(folder);
    if (fd < 0) {
        if (!choose_name(o))
            return -1;
        fd = open(o->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        int error = errno;
        if (fd < 0)
            drop_name(o);
        errno = error;
    }
    if (fd >= 0) /* a name that it has is no left-over; freed with the descriptor */
        (void)flock(fd, LOCK_EX | LOCK_NB);
    return fd;
}

static int open_any(struct lb_output *o)
{
    struct stat old;
    int handed = lb_descriptor_named(o->path);
    if (handed >= 0) {
        o->in_place = true;
        fflush(NULL); /* what was printed there before comes first */
        return fcntl(handed, F_DUPFD_CLOEXEC, 3);
    }
    bool there = stat(o->path, &old) == 0;
    if (!there && errno != ENOENT)
        return -1;
    if (there && S_ISDIR(old.st_mode)) {
        errno = EISDIR;
        return -1;
    }
    if (there && !S_ISREG(old.st_mode)) {
        o->in_place = true;
        return open_in_place(o->path, 0);
    }
    o->target = follow(o->path);
    int fd = o->target ? open_beside(o) : -1;
    if (fd >= 0) {
        o->regular = true;
        if (there) { /* it stays whose it was, and as open to others; where that cannot be, as new
                      */
            if ((old.st_uid != geteuid() || old.st_gid != getegid()) &&
                fchown(fd, old.st_uid, old.st_gid) != 0)
                return fd;
            (void)fchmod(fd, old.st_mode & 07777);
        }
    } else if (there && (errno == EACCES || errno == EPERM || errno == EROFS)) {
        o->in_place = o->regular = true;
        fd = open_in_place(o->path, O_TRUNC);
    }
    return fd;
}

enum lb_status lb_output_open(const char *path, struct lb_output *o, struct lb_error *err)
{
    *o = (struct lb_output){.fd = -1, .path = lb_strdup(path)};
    errno = ENOMEM;
    if (o->path)
        o->fd = open_any(o);
    if (o->fd >= 0)
        return LB_OK;
    enum lb_status status =
        errno == ENXIO    ? lb_fail(err, LB_ERR_INPUT, "%s: cannot write: nobody reads it", path)
        : errno == ENOMEM ? lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", path)
        : errno == ENOSPC || errno == EDQUOT || errno == EIO
            ? lb_fail(err, LB_ERR_IO, "%s: cannot write: %s", path, strerror(errno))
            : lb_fail(err, LB_ERR_INPUT, "%s: cannot write: %s", path, strerror(errno));
    lb_output_abandon(o);
    return status;
}

/* ---- writing and finishing ---- */

static bool write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data += n;
        size -= (size_t)n;
    }
    return true;
}

static enum lb_status cannot_write(const struct lb_output *o, struct lb_error *err)
{
    return lb_fail(err, errno == ENOMEM ? LB_ERR_NOMEM : LB_ERR_IO, "%s: cannot write: %s", o->path,
                   strerror(errno));
}

enum lb_status lb_output_write(struct lb_output *o, const void *data, size_t size,
                               struct lb_error *err)
{
    return write_all(o->fd, data, size) ? LB_OK : cannot_write(o, err);
}

/* So that a new name is on disk too; some file systems cannot, and need not. */
static void sync_folder(const char *target)
{
    char *folder = folder_of(target);
    int fd = folder ? open(*folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    lb_free(folder);
}

/* The content of `from` into the target itself, which cannot be replaced: it is a mount point. */
static bool copy_into(int from, const char *target)
{
    char part[1 << 16];
    ssize_t n = -1;
    int to = open(target, O_WRONLY | O_TRUNC | O_CLOEXEC);
    off_t at = 0;
    int flags = fcntl(from, F_GETFL);
    (void)fcntl(from, F_SETFL, flags & ~O_DIRECT);
    while (to >= 0 && (n = pread(from, part, sizeof part, at)) > 0 &&
           write_all(to, part, (size_t)n))
        at += n;
    bool good = n == 0 && fsync(to) == 0;
    if (to >= 0 && close(to) != 0)
        good = false;
    return good;
}

/* Gives the file its target's name. */
static bool put_in_place(struct lb_output *o)
{
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", o->fd);
    if (!o->temporary) {
        if (linkat(AT_FDCWD, self, AT_FDCWD, o->target, AT_SYMLINK_FOLLOW) == 0)
            return true;
        if (errno != EEXIST || !choose_name(o) ||
            linkat(AT_FDCWD, self, AT_FDCWD, o->temporary, AT_SYMLINK_FOLLOW) != 0)
            return false;
    }
    if (rename(o->temporary, o->target) == 0) {
        drop_name(o);
        return true;
    }
    return errno == EBUSY && copy_into(o->fd, o->target);
}

enum lb_status lb_output_finish(struct lb_output *o, struct lb_error *err)
{
    bool good = fsync(o->fd) == 0 || (o->in_place && (errno == EINVAL || errno == EROFS));
    good = good && (o->in_place || put_in_place(o));
    enum lb_status status = good ? LB_OK : cannot_write(o, err);
    if (good && !o->in_place)
        sync_folder(o->target);
    int fd = o->fd;
    o->fd = -1;
    if (close(fd) != 0 && status == LB_OK && errno != EINTR)
        status = cannot_write(o, err);
    lb_output_abandon(o);
    return status;
}

void lb_output_abandon(struct lb_output *o)
{
    if (o->fd >= 0)
        close(o->fd);
    if (o->temporary)
        unlink(o->temporary);
    drop_name(o);
    lb_free(o->target);
    lb_free(o->path);
    *o = (struct lb_output){.fd = -1};
}
