/* guarded: memory for tests that ends (or begins) at a page that must not be touched, so that a
 * read or write outside faults at once, in any build. */
#ifndef TESTS_GUARDED_H
#define TESTS_GUARDED_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct guarded {
    void *data;
    char *map;
    size_t map_bytes;
};

/* at_end: data + bytes is the forbidden page; else data begins right after one. */
static inline struct guarded guarded_alloc(size_t bytes, int at_end)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t body = (bytes + page - 1) / page * page;
    struct guarded g = {.map_bytes = body + 2 * page};
    g.map = mmap(NULL, g.map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (g.map == MAP_FAILED || mprotect(g.map + page, body, PROT_READ | PROT_WRITE) != 0) {
        perror("guarded_alloc");
        exit(1);
    }
    g.data = at_end ? g.map + page + body - bytes : g.map + page;
    return g;
}

static inline void guarded_free(struct guarded *g)
{
    if (g->map)
        munmap(g->map, g->map_bytes);
    *g = (struct guarded){0};
}

#endif
