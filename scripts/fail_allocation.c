/*
 * fail_allocation: preloaded, makes the n-th allocation of a command fail, for scripts/campaign and
 * tests.
 *
 * FAIL_NTH    which allocation fails from the start of main() on, 1 the first; 0: none
 * FAIL_IN     the command whose processes count (their first argument: "generate", "sample")
 * FAIL_COUNT  file that gets the number of allocations there were
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t align, size_t size);
int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*rtld_fini)(void), void *end);

static _Atomic unsigned long count, nth;
static int (*real_main)(int, char **, char **);
static int report = -1;

static int fails(void)
{
    if (report < 0)
        return 0;
    unsigned long n = atomic_fetch_add(&count, 1) + 1;
    if (n != nth)
        return 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
    return fails() ? NULL : __libc_realloc(old, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    return fails() ? NULL : __libc_memalign(align, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
    *out = fails() ? NULL : __libc_memalign(align, size);
    return *out ? 0 : ENOMEM;
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    static void *(*real)(void *, size_t, int, int, int, off_t);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "mmap");
    return fails() ? MAP_FAILED : real(at, size, protection, flags, fd, offset);
}

static void at_end(void)
{
    dprintf(report, "%lu\n", count);
}

static int counted_main(int argc, char **argv, char **environment)
{
    const char *in = getenv("FAIL_IN"), *n = getenv("FAIL_NTH"), *path = getenv("FAIL_COUNT");
    if (in && n && path && argc > 1 && strcmp(argv[1], in) == 0) {
        atexit(at_end);
        nth = strtoul(n, NULL, 10);
        report = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    }
    return real_main(argc, argv, environment);
}

int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*rtld_fini)(void), void *end)
{
    __typeof__(&__libc_start_main) real;
    *(void **)&real = dlsym(RTLD_NEXT, "__libc_start_main");
    real_main = main;
    return real(counted_main, argc, argv, init, fini, rtld_fini, end);
}
