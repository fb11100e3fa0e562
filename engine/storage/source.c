/* source: open, cut and read the file behind a back-end. See source.h. */
#include "storage/source.h"

#include "base/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum lb_status open_buffered(const char *path, struct source *source, struct lb_error *err)
{
    struct stat st;
    source->fd = lb_input_open(path, false, err);
    if (source->fd < 0)
        return LB_ERR_INPUT;
    if (fstat(source->fd, &st))
        return lb_fail(err, LB_ERR_IO, "%s: fstat: %s", path, strerror(errno));
    if (st.st_size == 0)
        return lb_fail(err, LB_ERR_INPUT, "%s: the file is empty", path);
    source->bytes = (uint64_t)st.st_size;
    return LB_OK;
}

/* Some file systems refuse O_DIRECT at open, others only at the first read. */
static enum lb_status open_direct(const char *path, struct source *source, struct lb_error *err)
{
    _Alignas(STORAGE_ALIGN) char probe[STORAGE_ALIGN];
    source->direct_fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
    if (source->direct_fd < 0 || (pread(source->direct_fd, probe, sizeof probe, 0) < 0 &&
                                  (errno == EINVAL || errno == EOPNOTSUPP)))
        return lb_fail(err, LB_ERR_UNSUPPORTED, "O_DIRECT: %s", strerror(errno));
    return LB_OK;
}

enum lb_status source_open(const char *path, bool direct, struct source *source,
                           struct lb_error *err)
{
    *source = (struct source){.fd = -1, .direct_fd = -1};
    enum lb_status s = open_buffered(path, source, err);
    if (s == LB_OK && direct)
        s = open_direct(path, source, err);
    if (s != LB_OK)
        source_close(source);
    return s;
}

void source_close(struct source *source)
{
    if (source->fd >= 0)
        close(source->fd);
    if (source->direct_fd >= 0)
        close(source->direct_fd);
    source->fd = source->direct_fd = -1;
}

struct source_step source_next(const struct source *source, const struct storage_read *read,
                               uint32_t got)
{
    struct source_step step = {.fd = source->fd,
                               .offset = read->offset + got,
                               .bytes = read->bytes - got,
                               .buffer = (char *)read->buffer + got};
    if (step.offset >= source->bytes)
        step.bytes = 0;
    else if (source->direct_fd >= 0 && got % STORAGE_ALIGN == 0 && step.bytes >= STORAGE_ALIGN) {
        step.fd = source->direct_fd;
        step.bytes -= step.bytes % STORAGE_ALIGN;
    }
    return step;
}

int32_t source_read(const struct source *source, const struct storage_read *read)
{
    uint32_t got = 0;
    for (;;) {
        struct source_step step = source_next(source, read, got);
        if (step.bytes == 0)
            return (int32_t)got;
        ssize_t n = pread(step.fd, step.buffer, step.bytes, (off_t)step.offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0) /* the file has shrunk since it was opened */
            return (int32_t)got;
        got += (uint32_t)n;
    }
}
