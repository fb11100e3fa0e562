/*
 * source: the file behind a back-end: its descriptors, its size, and how one read is
 * cut into system calls.
 *
 * A direct source has two descriptors: O_DIRECT for what is aligned, and a buffered
 * one for the unaligned tail of the file (less than STORAGE_ALIGN bytes).
 */
#ifndef STORAGE_SOURCE_H
#define STORAGE_SOURCE_H

#include "storage/storage.h"

struct source {
    int fd;         /* through the page cache */
    int direct_fd;  /* O_DIRECT, or -1 */
    uint64_t bytes; /* size at open */
};

/* LB_ERR_INPUT: no such file, not a regular file, empty. LB_ERR_UNSUPPORTED: direct asked for, but
 * the file system has no O_DIRECT at STORAGE_ALIGN. On error nothing is open. */
enum lb_status source_open(const char *path, bool direct, struct source *source,
                           struct lb_error *err);
void source_close(struct source *source);

/* The system call that goes on with `read` when `got` bytes are there. */
struct source_step {
    int fd;
    uint64_t offset;
    uint32_t bytes; /* 0: the read is complete (or has reached the end of the file) */
    void *buffer;
};
struct source_step source_next(const struct source *source, const struct storage_read *read,
                               uint32_t got);

/* The whole read, blocking: bytes, short only at the end of the file, or -errno. */
int32_t source_read(const struct source *source, const struct storage_read *read);

#endif
