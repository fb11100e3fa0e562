/* input: see input.h. */
#include "base/input.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINKS_MAX = 40 }; /* as the kernel follows */

const char *lb_file_kind(unsigned mode)
{
    return S_ISREG(mode)    ? "a regular file"
           : S_ISDIR(mode)  ? "a directory"
           : S_ISFIFO(mode) ? "a pipe"
           : S_ISSOCK(mode) ? "a socket"
                            : "a device";
}

int lb_descriptor_named(const char *path)
{
    char now[PATH_MAX], folder[PATH_MAX], next[PATH_MAX], own[64];
    snprintf(own, sizeof own, "/proc/%ld/fd", (long)getpid());
    if (snprintf(now, sizeof now, "%s", path) >= (int)sizeof now)
        return -1;
    for (int i = 0; i < LINKS_MAX; i++) {
        char *name = strrchr(now, '/'), *end;
        if (!name || name == now)
            return -1;
        *name++ = '\0';
        if (!realpath(now, folder))
            return -1;
        if (strcmp(folder, own) == 0) {
            unsigned long number = strtoul(name, &end, 10);
            return *name >= '0' && *name <= '9' && *end == '\0' && number <= INT_MAX ? (int)number
                                                                                     : -1;
        }
        name[-1] = '/';
        ssize_t n = readlink(now, next, sizeof next - 1);
        if (n < 0)
            return -1;
        next[n] = '\0';
        int length = *next == '/' ? snprintf(now, sizeof now, "%s", next)
                                  : snprintf(now, sizeof now, "%s/%s", folder, next);
        if (length >= (int)sizeof now)
            return -1;
    }
    return -1;
}

int lb_input_open(const char *path, bool handed, struct lb_error *err)
{
    struct stat info;
    /* without O_NONBLOCK the opening of a pipe would wait for its writer */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        lb_fail(err, LB_ERR_INPUT, "%s: cannot open: %s", path, strerror(errno));
        return -1;
    }
    if (fstat(fd, &info) == 0 && (S_ISREG(info.st_mode) || (handed && !S_ISDIR(info.st_mode) &&
                                                            lb_descriptor_named(path) >= 0))) {
        int flags = fcntl(fd, F_GETFL);
        if (flags >= 0)
            (void)fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
        return fd;
    }
    lb_fail(err, LB_ERR_INPUT, "%s: is %s: expected a regular file", path,
            lb_file_kind(info.st_mode));
    close(fd);
    return -1;
}
