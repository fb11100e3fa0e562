/*
 * backend: what the files of this room know of each other: the object behind
 * struct storage, and the tables that storage.c lists. Not for other rooms.
 */
#ifndef STORAGE_BACKEND_H
#define STORAGE_BACKEND_H

#include "base/clock.h"
#include "storage/storage.h"

#include <stdatomic.h>

struct storage {
    /* fixed after open */
    const struct storage_ops *ops;
    void *ctx;
    const struct storage_ops *backend; /* under all wrappers */
    uint64_t file_bytes;
    uint32_t depth;
    uint32_t n_copies;
    bool chosen; /* a wrapper around it has chosen the copy */
    /* owner's thread */
    uint32_t in_flight;              /* submitted and not reaped */
    uint32_t queued[STORAGE_COPIES]; /* of each copy */
    uint32_t last_copy;
    /* atomic: written by the owner, read by any thread */
    _Atomic uint64_t reads, bytes, errors;
};

/* The time at which a reap with this timeout ends; INT64_MAX: never. */
static inline int64_t backend_deadline(int64_t timeout_ns)
{
    int64_t now = lb_now_ns();
    return timeout_ns < 0 || timeout_ns > INT64_MAX - now ? INT64_MAX : now + timeout_ns;
}

/* The back-ends. A new one is a file storage_NAME.c that defines `storage_NAME_ops`, and its name
 * in this list, the best last: messages, `list`, schema and tests are made from it. */
#define STORAGE_BACKENDS(X)                                                                        \
    X(memory)                                                                                      \
    X(mmap)                                                                                        \
    X(pread)                                                                                       \
    X(direct)                                                                                      \
    X(uring)

#define STORAGE_DECLARE(name) extern const struct storage_ops storage_##name##_ops;
STORAGE_BACKENDS(STORAGE_DECLARE)

#endif
