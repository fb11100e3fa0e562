/* file_io: read, replace, make directories. See file_io.h. */
#include "common/file_io.h"

#include "base/input.h"

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

FILE *file_open(const char *path, struct lb_error *err)
{
    int fd = lb_input_open(path, true, err);
    FILE *in = fd >= 0 ? fdopen(fd, "rb") : NULL;
    if (fd >= 0 && !in) {
        lb_fail(err, LB_ERR_INPUT, "%s: %s", path, strerror(errno));
        close(fd);
    }
    return in;
}

enum lb_status file_read(const char *path, char **text, size_t *length, struct lb_error *err)
{
    bool from_stdin = strcmp(path, "-") == 0;
    FILE *in = from_stdin ? stdin : file_open(path, err);
    if (!in)
        return LB_ERR_INPUT;
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

enum lb_status file_check_output(const char *path, struct lb_error *err)
{
    struct lb_output output;
    struct stat info;
    if (lb_descriptor_named(path) >= 0 || (stat(path, &info) == 0 && S_ISFIFO(info.st_mode)))
        return LB_OK; /* opening it would be seen at the other end */
    enum lb_status status = lb_output_open(path, &output, err);
    if (status == LB_OK)
        lb_output_abandon(&output);
    return status;
}

enum lb_status file_replace(const char *path, const void *data, size_t length, struct lb_error *err)
{
    struct lb_output output;
    enum lb_status status = lb_output_open(path, &output, err);
    if (status == LB_OK)
        status = lb_output_write(&output, data, length, err);
    if (status == LB_OK)
        return lb_output_finish(&output, err);
    lb_output_abandon(&output);
    return status;
}

enum lb_status file_stream_open(const char *path, struct file_stream *s, struct lb_error *err)
{
    s->out = NULL;
    enum lb_status status = lb_output_open(path, &s->output, err);
    if (status != LB_OK)
        return status;
    int fd = fcntl(s->output.fd, F_DUPFD_CLOEXEC, 3);
    s->out = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (s->out)
        return LB_OK;
    status = lb_fail(err, LB_ERR_STATE, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    lb_output_abandon(&s->output);
    return status;
}

enum lb_status file_stream_finish(struct file_stream *s, struct lb_error *err)
{
    bool bad = ferror(s->out) != 0; /* errno is still that of the write, if it was the last call */
    int error = errno;
    if (fclose(s->out) != 0) {
        bad = true;
        error = errno;
    }
    s->out = NULL;
    if (!bad)
        return lb_output_finish(&s->output, err);
    lb_fail(err, LB_ERR_IO, "%s: cannot write: %s", s->output.path, strerror(error));
    lb_output_abandon(&s->output);
    return LB_ERR_IO;
}

void file_stream_abandon(struct file_stream *s)
{
    if (s->out)
        fclose(s->out);
    s->out = NULL;
    lb_output_abandon(&s->output);
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
    int code, status = 0;
    pid_t helper = fork();
    if (helper == 0) {
        setsid(); /* out of the reach of signals to this process's group */
        _exit(append(path, data, length));
    }
    if (helper > 0) {
        while (waitpid(helper, &status, 0) < 0 && errno == EINTR)
            ;
        if (!WIFEXITED(status))
            return lb_fail(err, LB_ERR_IO, "%s: the process that writes it was killed by signal %d",
                           path, WTERMSIG(status));
        code = WEXITSTATUS(status);
    } else {
        code = append(path, data, length); /* no process to be had: without that protection */
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
