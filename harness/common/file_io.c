/* file_io: read, replace, make directories. See file_io.h. */
#include "common/file_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

char *file_text(const char *format, ...)
{
    va_list args;
    char *text;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    return n < 0 ? NULL : text;
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

enum lb_status file_read(const char *path, char **text, size_t *length, struct lb_error *err)
{
    bool from_stdin = strcmp(path, "-") == 0;
    FILE *in = from_stdin ? stdin : fopen(path, "rb");
    if (!in)
        return lb_fail(err, LB_ERR_INPUT, "%s: %s", path, strerror(errno));
    char *data = NULL;
    size_t used = 0, size = 0;
    enum lb_status status = LB_OK;
    do {
        size = size ? size * 2 : 65536;
        char *grown = realloc(data, size + 1);
        if (!grown) {
            status = lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", path);
            break;
        }
        data = grown;
        used += fread(data + used, 1, size - used, in);
    } while (used == size);
    if (status == LB_OK && ferror(in))
        status = lb_fail(err, LB_ERR_INPUT, "%s: %s", path, strerror(errno));
    if (!from_stdin)
        fclose(in);
    if (status != LB_OK) {
        free(data);
        return status;
    }
    data[used] = '\0';
    *text = data;
    *length = used;
    return LB_OK;
}

static bool write_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, data, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data += n;
        length -= (size_t)n;
    }
    return true;
}

/* So that a new name is on disk too; some file systems cannot, and need not. */
static void sync_directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *directory = slash ? file_text("%.*s", (int)(slash - path) + 1, path) : strdup(".");
    int fd = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(directory);
}

enum lb_status file_replace(const char *path, const void *data, size_t length, struct lb_error *err)
{
    char *temporary = file_text("%s.tmp", path);
    if (!temporary)
        return lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", path);
    enum lb_status status = LB_OK;
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool done = fd >= 0 && write_all(fd, data, length) && fsync(fd) == 0;
    int error = errno;
    if (fd >= 0 && close(fd) != 0 && done) {
        done = false;
        error = errno;
    }
    if (done && rename(temporary, path) != 0) {
        done = false;
        error = errno;
    }
    if (done) {
        sync_directory_of(path);
    } else {
        status = lb_fail(err, LB_ERR_IO, "%s: cannot write: %s", path, strerror(error));
        if (fd >= 0)
            unlink(temporary);
    }
    free(temporary);
    return status;
}

/* In the helper; the exit code is errno, or 0. */
static int append(const char *path, const void *data, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0)
        return errno;
    off_t before = lseek(fd, 0, SEEK_END);
    if (!write_all(fd, data, length)) {
        int error = errno; /* a full disk must not leave half a line */
        return ftruncate(fd, before) == 0 ? error : EIO;
    }
    return fsync(fd) == 0 ? 0 : errno;
}

enum lb_status file_append(const char *path, const void *data, size_t length, struct lb_error *err)
{
    int code = EAGAIN, status = 0;
    pid_t helper = fork();
    if (helper == 0) {
        setsid(); /* out of the reach of signals to this process's group */
        _exit(append(path, data, length));
    }
    if (helper > 0) {
        while (waitpid(helper, &status, 0) < 0 && errno == EINTR)
            ;
        code = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
    }
    if (code != 0)
        return lb_fail(err, LB_ERR_IO, "%s: cannot write: %s", path, strerror(code));
    return LB_OK;
}

enum lb_status file_make_directory(const char *path, struct lb_error *err)
{
    char *copy = strdup(path);
    enum lb_status status = copy ? LB_OK : lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", path);
    for (char *p = copy; status == LB_OK && p;) {
        p = strchr(p + 1, '/');
        if (p)
            *p = '\0';
        struct stat info;
        if (mkdir(copy, 0755) != 0 && errno != EEXIST)
            status =
                lb_fail(err, LB_ERR_INPUT, "%s: cannot make directory: %s", copy, strerror(errno));
        else if (stat(copy, &info) != 0 || !S_ISDIR(info.st_mode))
            status = lb_fail(err, LB_ERR_INPUT, "%s: expected a directory", copy);
        if (p)
            *p = '/';
    }
    free(copy);
    return status;
}
