/*
 * page_cache: see page_cache.h.
 *
 * The kernel answers mincore() only for who owns a file or may write it, and says of every page of
 * other files that it is cached (cachestat() fails there, from Linux 6.13 on); some sandboxes say
 * so of every file. Then the share is unknown, which is no share.
 *
 * Cold: write back what is dirty (fsync: dirty pages are not dropped), ask for all pages to be
 * dropped (POSIX_FADV_DONTNEED), look. Warm: read the file, look.
 */
#include "machine/page_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
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

/* Does mincore() know a page that is not there? One of a file that nobody has touched. */
static bool mincore_tells(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    int fd = memfd_create("untouched", MFD_CLOEXEC);
    unsigned char there = 1;
    void *map = fd >= 0 && ftruncate(fd, (off_t)page) == 0
                    ? mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0)
                    : MAP_FAILED;
    bool tells = map != MAP_FAILED && mincore(map, page, &there) == 0 && (there & 1) == 0;
    if (map != MAP_FAILED)
        munmap(map, page);
    if (fd >= 0)
        close(fd);
    return tells;
}

static bool may_ask(int fd, const struct stat *info)
{
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    return info->st_uid == geteuid() || faccessat(AT_FDCWD, self, W_OK, AT_EACCESS) == 0;
}

/* < 0: errno, EPERM and EOPNOTSUPP standing for the two ways above. */
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
    if (share >= 0)
        return share < 1 ? share : 1; /* pages beyond the end: read ahead, or the file was longer */
    errno = may_ask(fd, &info) ? EOPNOTSUPP : EPERM;
    if (errno == EPERM || !mincore_tells())
        return -1;
    return share_by_mincore(fd, (size_t)info.st_size, pages);
}

const char *page_cache_unknown(int error)
{
    return error == EPERM        ? "the kernel tells it only to who owns the file or may write it"
           : error == EOPNOTSUPP ? "the kernel says of every page that it is there"
                                 : strerror(error);
}

static bool lies_in_memory(int fd)
{
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
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

/* All pages that can be: 0, or errno. */
static int drop(int fd)
{
    if (fsync(fd) != 0 && errno != EINVAL && errno != EROFS)
        return errno;
    return posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

enum lb_status page_cache_prepare(const char *path, const char *state, struct lb_error *err)
{
    bool cold = strcmp(state, "cold") == 0, right = false;
    const char *step = "made";
    double share = -1;
    int error = 0;
    if (strcmp(state, "as-is") == 0)
        return LB_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return lb_fail(err, LB_ERR_IO, "%s: %s", path, strerror(errno));
    if (cold && lies_in_memory(fd)) {
        close(fd);
        return lb_fail(err, LB_ERR_UNSUPPORTED,
                       "page_cache cold: the file lies in memory (tmpfs): it cannot be cold");
    }
    /* a second and third time: pages may be locked, or only now written back */
    for (int attempt = 0; attempt < 3 && !right && error == 0; attempt++) {
        error = cold ? drop(fd) : read_through(fd) ? 0 : errno;
        if (error != 0)
            break;
        share = share_of(fd);
        error = share < 0 ? errno : 0;
        step = "verified";
        right = share >= 0 && (cold ? share <= TOLERANCE : share >= 1 - TOLERANCE);
    }
    close(fd);
    if (right)
        return LB_OK;
    if (error != 0)
        return lb_fail(err, LB_ERR_UNSUPPORTED, "page_cache %s: cannot be %s: %s", state, step,
                       page_cache_unknown(error));
    return lb_fail(err, LB_ERR_STATE, "page_cache: %.1f%% of the file is cached: expected %s%s",
                   100 * share, cold ? "none" : "all",
                   cold ? " (is it mapped or read by another process?)"
                        : " (is there memory enough?)");
}
