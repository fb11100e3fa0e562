/*
 * populate: makes the pages of a fresh arena present ahead of the reads that fill them.
 *
 * A direct read into a page that is not there yet has to fault it in first, on the thread that
 * hands over reads, and the storage idles meanwhile. A thread that walks through the arena at
 * memory speed, several times the speed of storage, stays ahead of the reads; it changes no byte.
 */
#ifndef PREFETCH_POPULATE_H
#define PREFETCH_POPULATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct populate {
    pthread_t thread;
    bool running; /* the thread is to be joined */
    unsigned char *arena;
    size_t bytes;
    _Atomic bool stop;
};

/* Starts on [arena, arena + bytes), from its beginning; without a thread (arena small, or none to
 * be had) the pages come as they are used. *populate must stay where it is until stopped. */
void populate_start(struct populate *populate, void *arena, size_t bytes);
/* Ends it, done or not. Legal on a zeroed struct. */
void populate_stop(struct populate *populate);

#endif
