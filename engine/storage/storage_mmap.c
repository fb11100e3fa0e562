/*
 * mmap: the file mapped; a read faults its pages in, as a program that maps its model
 * would, but ahead of need. The page cache decides what stays.
 *
 * Touching pages that a truncated file has lost is a SIGBUS. Reads notice it where they come first;
 * who computes straight from the mapping gets zeros (mapped_guard), and asks afterwards.
 */
#include "base/memory.h"
#include "storage/backend.h"
#include "storage/mapped_guard.h"
#include "storage/readers.h"
#include "storage/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct mapping {
    struct source source;
    char *base;
    uint64_t page;
    bool guarded;
    _Atomic bool lost; /* pages of the mapping are zeros that the file does not have */
};

static uint64_t round_down(uint64_t x, uint64_t page)
{
    return x - x % page;
}

static void touch(const volatile char *begin, const volatile char *end, uint64_t page)
{
    for (; begin < end; begin += page)
        (void)*begin;
}

/* Bytes of the read that the file still has. */
static int64_t clip(const struct mapping *m, const struct storage_read *read)
{
    struct stat st;
    if (fstat(m->source.fd, &st))
        return -errno;
    uint64_t size = (uint64_t)st.st_size < m->source.bytes ? (uint64_t)st.st_size : m->source.bytes;
    if (read->offset >= size)
        return 0;
    return (int64_t)(read->bytes < size - read->offset ? read->bytes : size - read->offset);
}

/* The cause: as many bytes as the file still has, or an error of the disk. */
static int32_t lost_pages(const struct mapping *m, const struct storage_read *read)
{
    int64_t bytes = clip(m, read);
    return bytes < read->bytes ? (int32_t)bytes : -EIO;
}

static int32_t fault_in(void *own, const struct storage_read *read)
{
    const struct mapping *m = own;
    int64_t bytes = clip(m, read);
    if (bytes <= 0)
        return (int32_t)bytes;
    uint64_t begin = round_down(read->offset, m->page), end = read->offset + (uint64_t)bytes;
    int e;
    do
        e = madvise(m->base + begin, end - begin, MADV_POPULATE_READ);
    while (e && errno == EINTR);
    if (e && errno == EINVAL) /* a kernel before 5.14 */
        touch(m->base + begin, m->base + end, m->page);
    else if (e)
        return errno == EFAULT ? lost_pages(m, read) : -errno;
    if (read->buffer)
        memcpy(read->buffer, m->base + read->offset, (size_t)bytes);
    return atomic_load(&m->lost) ? lost_pages(m, read) : (int32_t)bytes;
}

static enum lb_status advise(const struct mapping *m, const char *advice, struct lb_error *err)
{
    static const struct {
        const char *name;
        int advice;
    } known[] = {{"normal", MADV_NORMAL},
                 {"sequential", MADV_SEQUENTIAL},
                 {"random", MADV_RANDOM},
                 {"willneed", MADV_WILLNEED}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(advice, known[i].name) == 0) {
            (void)madvise(m->base, m->source.bytes, known[i].advice); /* advice may be ignored */
            return LB_OK;
        }
    }
    return lb_fail(err, LB_ERR_INPUT,
                   "advice '%s': expected one of normal, sequential, random, willneed", advice);
}

static void mapping_free(struct mapping *m)
{
    if (m->guarded)
        mapped_guard_remove(m->base);
    if (m->base)
        munmap(m->base, m->source.bytes);
    source_close(&m->source);
    lb_free(m);
}

static enum lb_status mmap_open(const char *path, const struct storage_options *options, void **ctx,
                                uint64_t *file_bytes, struct lb_error *err)
{
    struct mapping *m = lb_calloc(1, sizeof *m);
    if (!m)
        return lb_fail(err, LB_ERR_NOMEM, "out of memory for the storage back-end");
    m->page = (uint64_t)sysconf(_SC_PAGESIZE);
    enum lb_status s = source_open(path, false, &m->source, err);
    if (s == LB_OK) {
        void *base = mmap(NULL, m->source.bytes, PROT_READ, MAP_SHARED, m->source.fd, 0);
        if (base != MAP_FAILED)
            m->base = base;
        else
            s = lb_fail(err, errno == ENOMEM ? LB_ERR_NOMEM : LB_ERR_UNSUPPORTED, "%s: mmap: %s",
                        path, strerror(errno));
    }
    if (s == LB_OK) {
        m->guarded = mapped_guard_add(m->base, m->source.bytes, &m->lost);
        if (!m->guarded)
            s = lb_fail(err, LB_ERR_UNSUPPORTED,
                        "%s: mmap: no guard against a file that becomes shorter", path);
    }
    if (s == LB_OK)
        s = advise(m, options->advice ? options->advice : "normal", err);
    *file_bytes = m->source.bytes;
    if (s == LB_OK)
        s = readers_open(options, fault_in, m, ctx, err);
    if (s != LB_OK)
        mapping_free(m);
    return s;
}

static void mmap_close(void *ctx)
{
    mapping_free(readers_close(ctx));
}

static const void *mmap_map(void *ctx)
{
    return ((struct mapping *)readers_own(ctx))->base;
}

static bool mmap_lost(void *ctx)
{
    return atomic_load(&((struct mapping *)readers_own(ctx))->lost);
}

/* Whole pages inside the range: out of the mapping, then out of the page cache, unless somebody
 * else still uses them. */
static void mmap_drop(void *ctx, uint64_t offset, uint64_t bytes)
{
    const struct mapping *m = readers_own(ctx);
    uint64_t begin = round_down(offset + m->page - 1, m->page);
    uint64_t end = offset + bytes;
    if (end < m->source.bytes)
        end = round_down(end, m->page);
    else
        end = m->source.bytes;
    if (begin >= end)
        return;
    (void)madvise(m->base + begin, end - begin, MADV_DONTNEED);
    (void)posix_fadvise(m->source.fd, (off_t)begin, (off_t)(end - begin), POSIX_FADV_DONTNEED);
}

const struct storage_ops storage_mmap_ops = {
    .name = "mmap",
    .about = "the file mapped; a read faults pages in, the page cache decides what stays",
    .open = mmap_open,
    .close = mmap_close,
    .submit = readers_submit,
    .reap = readers_reap,
    .wake = readers_wake,
    .map = mmap_map,
    .lost = mmap_lost,
    .drop = mmap_drop,
};
