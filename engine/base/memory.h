/*
 * memory: every allocation of the engine goes through here, so that tests can
 * make the n-th one fail and runs can prove that the steady state allocates
 * nothing. Sizes are bytes; freeing NULL is legal.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* NULL when out of memory (or when the test hook below says so). Zeroed. */
void *lb_calloc(size_t count, size_t size);
/* Uninitialised, `align` a power of two of at least sizeof(void *). Free with lb_free. */
void *lb_alloc_aligned(size_t size, size_t align);
/* Grows or shrinks; on NULL the old block is still the caller's. */
void *lb_realloc(void *old, size_t count, size_t size);
char *lb_strdup(const char *text);
void lb_free(void *block);

/* Anonymous mapping aligned to 2 MiB, huge pages asked for, not touched yet;
 * NULL when refused. Unmap with the same size. */
void *lb_map(size_t size);
/* The same in small pages, for memory that fills bit by bit: untouched pages cost nothing. */
void *lb_map_sparse(size_t size);
void lb_unmap(void *block, size_t size);

/* Number of successful allocations and mappings so far in this process. */
uint64_t lb_memory_allocations(void);

/* Test hook: the n-th allocation from now on fails (1 = the next); 0 = never. */
void lb_memory_fail_at(uint64_t n);

#endif
