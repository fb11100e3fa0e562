/*
 * page_cache: a file that was just written becomes cold, warm, and cold again; one that is mapped
 * by someone does not become cold, and that is said.
 */
#include "machine/page_cache.h"
#include "tests/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BYTES = 8 << 20, TMPFS = 0x01021994 };

static void becomes(const char *path, const char *state, double low, double high)
{
    struct lb_error err = LB_ERROR_INIT;
    CHECK(page_cache_prepare(path, state, &err) == LB_OK, "%s: %s", state, err.text);
    double share = page_cache_share(path);
    CHECK(share >= low && share <= high, "%s: %g of the file is cached", state, share);
}

static bool write_file(int fd)
{
    char *block = malloc(BYTES);
    for (size_t i = 0; block && i < BYTES; i++)
        block[i] = (char)(i * 31);
    bool good = block && write(fd, block, BYTES) == BYTES;
    free(block);
    return good;
}

static void mapped(const char *path, int fd)
{
    struct lb_error err = LB_ERROR_INIT;
    volatile char *map = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED);
    for (size_t i = 0; i < BYTES; i += 4096)
        (void)map[i];
    CHECK(page_cache_prepare(path, "cold", &err) == LB_ERR_STATE);
    CHECK(strstr(err.text, "is it mapped or read by another process?"), "%s", err.text);
    munmap((void *)map, BYTES);
}

/* In a process that may read the file and no more. */
static void of_another(const char *path)
{
    int how = 1;
    if (geteuid() != 0) /* nobody else's file is at hand that is sure to be readable */
        return;
    pid_t child = fork();
    if (child == 0) {
        struct lb_error err = LB_ERROR_INIT;
        bool other = setgid(65534) == 0 && setuid(65534) == 0;
        double share = page_cache_share(path);
        /* cachestat() of kernels before 6.13 tells everyone */
        bool good = other && (share >= 0 ? share <= 1 : errno == EPERM);
        if (share < 0)
            good = good && page_cache_prepare(path, "cold", &err) == LB_ERR_UNSUPPORTED &&
                   strstr(err.text, "cannot be verified: the kernel tells it only to who owns");
        fprintf(stderr, "%s", good ? "" : err.text);
        _exit(!good);
    }
    CHECK(child > 0 && waitpid(child, &how, 0) == child && how == 0, "a file of another user");
}

static void in_memory(void)
{
    char path[] = "/dev/shm/test_page_cache-XXXXXX";
    struct statfs fs;
    struct lb_error err = LB_ERROR_INIT;
    int fd = mkstemp(path);
    if (fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS) {
        CHECK(write_file(fd));
        CHECK(page_cache_prepare(path, "cold", &err) == LB_ERR_UNSUPPORTED);
        CHECK_TEXT(err.text, "page_cache cold: the file lies in memory (tmpfs): it cannot be cold");
        becomes(path, "warm", 1, 1);
    }
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
}

int main(void)
{
    in_memory();

    char path[] = "/var/tmp/test_page_cache-XXXXXX";
    struct lb_error err = LB_ERROR_INIT;
    struct statfs fs;
    int fd = mkstemp(path);
    if (fd < 0 || fstatfs(fd, &fs) != 0 || fs.f_type == TMPFS) {
        if (fd >= 0)
            unlink(path);
        check_skip("/var/tmp is no file system whose pages can be dropped");
    }
    CHECK(write_file(fd) && fchmod(fd, 0644) == 0);
    of_another(path);
    becomes(path, "as-is", 0, 1);
    becomes(path, "cold", 0, 0.005); /* dirty until then */
    becomes(path, "warm", 0.995, 1);
    becomes(path, "cold", 0, 0.005);
    mapped(path, fd);
    becomes(path, "cold", 0, 0.005);
    close(fd);
    unlink(path);
    CHECK(page_cache_prepare(path, "cold", &err) == LB_ERR_IO && page_cache_share(path) < 0);
    return check_done();
}
