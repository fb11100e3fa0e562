/* populate: a thread with MADV_POPULATE_WRITE (Linux 5.14). See populate.h. */
#include "prefetch/populate.h"

#include <stdint.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define WORTH_IT ((size_t)64 << 20) /* below, the pages are there before a thread has started */
#define PIECE    ((size_t)16 << 20)

static void *populate_main(void *arg)
{
    struct populate *p = arg;
    for (size_t at = 0; at < p->bytes && !atomic_load(&p->stop); at += PIECE) {
        size_t n = p->bytes - at < PIECE ? p->bytes - at : PIECE;
        if (madvise(p->arena + at, n, MADV_POPULATE_WRITE) != 0)
            break; /* an older kernel, or no memory: the reads will say so if it matters */
    }
    return NULL;
}

void populate_start(struct populate *populate, void *arena, size_t bytes)
{
    populate->arena = arena;
    populate->bytes = bytes;
    atomic_store(&populate->stop, false);
    populate->running =
        bytes >= WORTH_IT && pthread_create(&populate->thread, NULL, populate_main, populate) == 0;
}

void populate_stop(struct populate *populate)
{
    if (!populate->running)
        return;
    atomic_store(&populate->stop, true);
    pthread_join(populate->thread, NULL);
    populate->running = false;
}
