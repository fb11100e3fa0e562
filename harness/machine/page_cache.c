/*
 * page_cache: see page_cache.h.
 *
 * Cold: write back what is dirty (fsync: dirty pages are not dropped), ask for all pages to be
 * dropped (POSIX_FADV_DONTNEED), look. Warm: read the file, look.
 */
#include "machine/page_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_cachestat
#define SYS_cachestat 451 /* Linux 6.5; the same on all architectures */
#endif

#define TOLERANCE 0.005

struct cachestat_range {
    uint64_t off, len;
};
struct cachestat {
    uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

static double share_by_cachestat(int fd, double pages)
{
    struct cachestat_range range = {0, 0}; /* the whole file */
    struct cachestat stat;
    if (syscall(SYS_cachestat, fd, &range, &stat, 0) != 0)
        return -1;
    return (double)stat.cached / pages;
}

static double share_by_mincore(int fd, size_t bytes, size_t pages)
{
    double share = -1;
    void *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    unsigned char *there = malloc(pages);
    size_t cached = 0;
    if (map != MAP_FAILED && there && mincore(map, bytes, there) == 0) {
        for (size_t i = 0; i < pages; i++)
            cached += there[i] & 1;
        share = (double)cached / (double)pages;
    }
    int error = errno;
    if (map != MAP_FAILED)
        munmap(map, bytes);
    free(there);
    errno = error;
    return share;
}

static double share_of(int fd)
{
    struct stat info;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (fstat(fd, &info) != 0)
        return -1;
    if (info.st_size == 0)
        return 0;
    size_t pages = ((size_t)info.st_size + page - 1) / page;
    double share = share_by_cachestat(fd, (double)pages);
    return share >= 0 ? share : share_by_mincore(fd, (size_t)info.st_size, pages);
}

double page_cache_share(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    double share = share_of(fd);
    int error = errno;
    close(fd);
    errno = error;
    return share;
}

static bool read_through(int fd)
{
    enum { BLOCK = 1 << 20 };
    char *block = malloc(BLOCK);
    ssize_t n = block ? 1 : -1;
    for (off_t at = 0; n > 0; at += n)
        n = pread(fd, block, BLOCK, at);
    free(block);
    return n == 0;
}

enum lb_status page_cache_prepare(const char *path, const char *state, struct lb_error *err)
{
    bool cold = strcmp(state, "cold") == 0, right = false;
    double share = -1;
    if (strcmp(state, "as-is") == 0)
        return LB_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return lb_fail(err, LB_ERR_IO, "%s: %s", path, strerror(errno));
    /* a second and third time: pages may be locked, or only now written back */
    for (int attempt = 0; attempt < 3 && !right; attempt++) {
        bool done = cold ? fsync(fd) == 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0
                         : read_through(fd);
        share = done ? share_of(fd) : -1;
        right = share >= 0 && (cold ? share <= TOLERANCE : share >= 1 - TOLERANCE);
    }
    int error = errno;
    close(fd);
    if (right)
        return LB_OK;
    if (share < 0)
        return lb_fail(err, LB_ERR_UNSUPPORTED, "page_cache %s: cannot be verified: %s", state,
                       strerror(error));
    return lb_fail(err, LB_ERR_STATE, "page_cache: %.1f%% of the file is cached: expected %s%s",
                   100 * share, cold ? "none" : "all",
                   cold ? " (is it mapped or read by another process?)"
                        : " (is there memory enough?)");
}
