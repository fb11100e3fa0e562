/*
 * readers: a pool of threads that carry out blocking reads, seen from outside as a
 * queue. Back-ends whose read is an ordinary function (memory, mmap, pread, direct)
 * are that function plus this pool.
 */
#ifndef STORAGE_READERS_H
#define STORAGE_READERS_H

#include "storage/storage.h"

struct readers;

/* One whole read: bytes or -errno. Called by several threads at once. */
typedef int32_t (*readers_fn)(void *own, const struct storage_read *read);

/* The pool is the back-end's ctx; `own` is what the back-end itself keeps. */
enum lb_status readers_open(const struct storage_options *options, readers_fn fn, void *own,
                            void **ctx, struct lb_error *err);
/* Waits for reads that have begun, drops the others, gives back `own`. */
void *readers_close(void *ctx);
void *readers_own(void *ctx);

/* The hooks of struct storage_ops. */
enum storage_submit readers_submit(void *ctx, const struct storage_read *read);
int readers_reap(void *ctx, struct storage_done *done, int min, int max, int64_t timeout_ns);
void readers_wake(void *ctx);

#endif
