/*
 * storage: reads of the model file, many at a time, by one of several back-ends.
 *
 * A back-end is a queue: submit() takes a read or says busy, reap() gives back what
 * has completed. One thread owns the queue; only wake() and counters() may be called
 * from others. Another thread may take it over while no read is in flight (close with
 * reads in flight belongs to the owner).
 * Every back-end ends in its `const struct storage_ops`, is one file, and stands in
 * the one list in storage.c. Wrappers (shaped: device emulation; fault: failures for
 * tests) take another back-end's object and look the same from outside.
 */
#ifndef STORAGE_STORAGE_H
#define STORAGE_STORAGE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORAGE_COPIES 8     /* files to read from, at most */
#define STORAGE_ALIGN  4096u /* offsets, sizes and buffers of direct reads */

struct storage_read {
    uint64_t offset; /* in the file; a multiple of storage_align() */
    uint32_t bytes;  /* a multiple of storage_align(), except at the end of the file; <= 1 GiB */
    void *buffer;    /* aligned likewise; must stay until the completion is reaped. NULL: only
                      * fault the pages in (storage_map() only) */
    uint64_t tag;    /* given back in the completion */
    uint32_t copy;   /* which file it is read from: chosen by storage_submit() */
};

struct storage_done {
    uint64_t tag;
    uint32_t copy;     /* as in the read */
    int32_t result;    /* bytes read, or -errno; short only at the end of the file */
    int64_t submit_ns; /* when the read was handed over */
    int64_t done_ns;   /* when it completed (as seen by the back-end) */
};

struct storage_options {
    uint32_t queue_depth; /* reads in flight at most, 1 to 1024 */
    uint32_t io_threads;  /* for back-ends that use a pool of readers, at least 1 */
    const char *copies;   /* paths of copies of the file, comma-separated; NULL or "": none. Each
                           * read goes where fewest are in flight */
    const char *advice;   /* mmap: "normal", "sequential", "random", "willneed"; NULL = normal */
};

struct storage_counters {
    uint64_t reads, bytes, errors; /* completed reads, their bytes, failed reads */
};

enum storage_submit { STORAGE_QUEUED, STORAGE_BUSY };

struct storage; /* an open back-end, or a wrapper around one */

struct storage_ops {
    const char *name;  /* "uring" */
    const char *about; /* one line for `layerbench list` */
    bool copies;       /* can read from several */
    bool direct;       /* bypasses the page cache: STORAGE_ALIGN applies */
    bool copied;       /* reads the file once, at open, into memory */
    /* required; *ctx is the back-end's own, *file_bytes the size of the file. LB_ERR_UNSUPPORTED:
     * not here, try another. */
    enum lb_status (*open)(const char *path, const struct storage_options *options, void **ctx,
                           uint64_t *file_bytes, struct lb_error *err);
    void (*close)(void *ctx); /* required; waits for reads in flight */
    /* required; never blocks for the read itself */
    enum storage_submit (*submit)(void *ctx, const struct storage_read *read);
    /* required; up to max completions. Waits until `min` are there (1 <= min <= max; never more
     * than are in flight, but 1 when none is), for timeout_ns (0: poll, < 0: no limit), or for
     * a wake; returns what there is, perhaps nothing. */
    int (*reap)(void *ctx, struct storage_done *done, int min, int max, int64_t timeout_ns);
    /* required; any thread: the reap that waits now, or the next one that would, returns */
    void (*wake)(void *ctx);
    /* optional; where most later buffers lie, for registered buffers. Its pages may be pinned:
     * when some are given back (munmap, MADV_DONTNEED), call again first, with (NULL, 0) for none;
     * only while no read is in flight. */
    void (*register_arena)(void *ctx, void *arena, size_t bytes);
    /* optional (mmap): the file in memory; then loads only fault pages in, and drop gives those
     * back that lie whole in the range */
    const void *(*map)(void *ctx);
    /* with map: whether parts of it are zeros since the file cannot give them any more */
    bool (*lost)(void *ctx);
    void (*drop)(void *ctx, uint64_t offset, uint64_t bytes);
};

/* Every back-end compiled in, the best last; *count of them. */
const struct storage_ops *const *storage_list(size_t *count);
/* Whether "auto" and tune try it: it reads from storage into buffers. */
bool storage_is_tried(const struct storage_ops *ops);

/* Whether the named back-end works for this file; `why` (may be NULL) gets the reason if not. */
bool storage_available(const char *name, const char *path, struct lb_error *why);

/* Opens `path` with the named back-end, or with "auto": the first of uring, direct and pread that
 * works for it; why it is not a better one stands in `notice` (notice_size bytes, may be 0; "" when
 * none). LB_ERR_UNSUPPORTED: the named one does not work here; LB_ERR_INPUT: unknown name or
 * options out of range. */
enum lb_status storage_open(const char *name, const char *path,
                            const struct storage_options *options, char *notice, size_t notice_size,
                            struct storage **storage, struct lb_error *err);

/* Emulated devices, one for each copy of the file, around `inner` (taken over, also on error): a
 * token bucket that serves `bandwidth` bytes/s in order of submission, plus `latency_ns` on every
 * read, at most `queue_depth` reads at a time and copy (0: as inner). bandwidth 0: unlimited. An
 * idle device saves nothing up (burst 0). Never faster than the device, nor than `inner`. */
struct storage_device {
    double bandwidth;
    int64_t latency_ns;
    uint32_t queue_depth;
};
enum lb_status storage_shape(struct storage *inner, const struct storage_device *device,
                             struct storage **storage, struct lb_error *err);
/* Emulated devices by name: "sd-card", "sata-ssd", "nvme-gen3", "network-disk", ... */
struct storage_preset {
    const char *name, *about;
    struct storage_device device;
};
const struct storage_preset *storage_presets(size_t *count);

/* Failures for tests around `inner` (taken over, also on error): the n-th read submitted from now
 * (1 = next) fails as `kind` says; every: all from the n-th on (a dead reader serves none of them).
 * What a failed read leaves in its buffer is overwritten with garbage. */
enum storage_fault_kind {
    STORAGE_FAULT_EIO,
    STORAGE_FAULT_SHORT,
    STORAGE_FAULT_DELAY,
    STORAGE_FAULT_DEAD
};
struct storage_fault {
    enum storage_fault_kind kind;
    uint64_t nth;
    bool every;
    int64_t delay_ns;
};
enum lb_status storage_inject(struct storage *inner, const struct storage_fault *fault,
                              struct storage **storage, struct lb_error *err);

/* Every read around `inner` (taken over, also on error) takes `factor` longer than it did (0.05:
 * 5%), to prove that a gate sees it. Whoever waits for his reads loses that share of throughput; a
 * queue so deep that the device never idles hides it: where a device is emulated, make that slower.
 */
enum lb_status storage_slow(struct storage *inner, double factor, struct storage **storage,
                            struct lb_error *err);

void storage_close(struct storage *storage); /* NULL is legal */

/* The hooks, through whatever wrappers there are. */
enum storage_submit storage_submit(struct storage *storage, const struct storage_read *read);
int storage_reap(struct storage *storage, struct storage_done *done, int max, int64_t timeout_ns);
/* As storage_reap, but sleeps until `min` completions are there (or all in flight), so that an
 * I/O thread that nobody waits for wakes up less often. A wake ends the wait as ever. */
int storage_reap_batch(struct storage *storage, struct storage_done *done, int min, int max,
                       int64_t timeout_ns);
void storage_wake(struct storage *storage);
void storage_register_arena(struct storage *storage, void *arena, size_t bytes);
const void *storage_map(struct storage *storage); /* NULL: reads go into buffers */
bool storage_lost(struct storage *storage);
void storage_drop(struct storage *storage, uint64_t offset, uint64_t bytes);

const char *storage_name(const struct storage *storage); /* what is really in use */
bool storage_copied(const struct storage *storage);      /* see storage_ops */
uint32_t storage_align(const struct storage *storage);   /* STORAGE_ALIGN, or 1 */
uint64_t storage_file_bytes(const struct storage *storage);
uint32_t storage_copies(const struct storage *storage); /* files it reads from */
uint32_t storage_depth(const struct storage *storage);  /* reads in flight at most */
struct storage_counters storage_counters(const struct storage *storage);

/* The bytes that have to be read for a range of the file, in storage_align() steps, and where they
 * begin. */
uint64_t storage_span(const struct storage *storage, uint64_t offset, uint64_t bytes,
                      uint64_t *begin);
/* Blocking reads; only while no read is in flight; a wake that comes meanwhile is lost. Of a span
 * into a buffer that is aligned like it, in reads of chunk_bytes; or of any range into any buffer,
 * by way of another one. */
enum lb_status storage_read_span(struct storage *storage, uint64_t begin, uint64_t bytes,
                                 uint32_t chunk_bytes, uint8_t *buffer, struct lb_error *err);
enum lb_status storage_read_all(struct storage *storage, uint64_t offset, size_t bytes,
                                void *buffer, struct lb_error *err);

#endif
