/* memory: counted allocations with a failure hook. See memory.h. */
#include "base/memory.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

static _Atomic uint64_t allocations;
static _Atomic uint64_t fail_in; /* 0: hook off; n: the n-th from now fails */

static bool refused(void)
{
    uint64_t n = atomic_load_explicit(&fail_in, memory_order_relaxed);
    while (n > 0) {
        if (atomic_compare_exchange_weak(&fail_in, &n, n - 1)) {
            errno = n == 1 ? ENOMEM : errno;
            return n == 1;
        }
    }
    return false;
}

static void *counted(void *block)
{
    if (block)
        atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return block;
}

void *lb_calloc(size_t count, size_t size)
{
    return refused() ? NULL : counted(calloc(count ? count : 1, size ? size : 1));
}

void *lb_alloc_aligned(size_t size, size_t align)
{
    if (refused() || size > SIZE_MAX - align)
        return NULL;
    return counted(aligned_alloc(align, (size + align - 1) & ~(align - 1)));
}

void *lb_realloc(void *old, size_t count, size_t size)
{
    if (refused() || (size && count > SIZE_MAX / size))
        return NULL;
    size_t bytes = count * size;
    return counted(realloc(old, bytes ? bytes : 1));
}

char *lb_strdup(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = lb_calloc(1, n);
    return copy ? memcpy(copy, text, n) : NULL;
}

void lb_free(void *block)
{
    free(block);
}

static void *map_with(size_t size, int advice)
{
    if (refused() || size == 0 || size > SIZE_MAX - HUGE_PAGE)
        return NULL;
    char *raw =
        mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED)
        return NULL;
    char *aligned = (char *)(((uintptr_t)raw + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
    size_t page = 4096, kept = (size + page - 1) & ~(page - 1);
    if (aligned > raw)
        munmap(raw, (size_t)(aligned - raw));
    if (aligned + kept < raw + size + HUGE_PAGE) {
        size_t tail = (size_t)(raw + size + HUGE_PAGE - (aligned + kept));
        munmap(aligned + kept, (tail + page - 1) & ~(page - 1));
    }
    (void)madvise(aligned, kept, advice);
    return counted(aligned);
}

void *lb_map(size_t size)
{
    return map_with(size, MADV_HUGEPAGE);
}

void *lb_map_sparse(size_t size)
{
    return map_with(size, MADV_NOHUGEPAGE);
}

void lb_unmap(void *block, size_t size)
{
    if (block)
        munmap(block, (size + 4095) & ~(size_t)4095);
}

uint64_t lb_memory_allocations(void)
{
    return atomic_load_explicit(&allocations, memory_order_relaxed);
}

void lb_memory_fail_at(uint64_t n)
{
    atomic_store(&fail_in, n);
}
