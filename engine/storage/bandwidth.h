/*
 * bandwidth: the raw bandwidth of an open storage, with idle or busy cores, and what
 * the reads cost the computation meanwhile.
 *
 * One sample keeps the queue full: inside the time are all reads, from the first one
 * handed over to the last completion; outside are buffers, registration and threads.
 * On virtual machines the same reads can be twice as fast while the cores are busy, so
 * that a floor for a computation wants samples with busy cores, close in time.
 */
#ifndef STORAGE_BANDWIDTH_H
#define STORAGE_BANDWIDTH_H

#include "storage/storage.h"

struct bandwidth_extent {
    uint64_t offset, bytes; /* multiples of storage_align(), except at the end of the file */
};

struct bandwidth_options {
    uint32_t block_bytes; /* of each read; the last one of an extent may be shorter */
    uint32_t batch;       /* completions waited for at once; 0: 1 */
    /* read in this order, again and again; none: the whole file */
    const struct bandwidth_extent *extents;
    size_t n_extents;
    uint64_t start;      /* begin this many bytes into the extents, rounded down to a block */
    uint64_t bytes;      /* end after so many bytes; 0: by time */
    int64_t duration_ns; /* hand no more reads over after this time; 0: by bytes */
    /* Threads that compute meanwhile, each on its own busy_bytes of memory, again and again: as
     * decoding streams weights (beyond the caches), or as prefill works in them. 0 bytes: on
     * registers only. */
    uint32_t busy_threads;
    size_t busy_bytes;
};

struct bandwidth_reading {
    int64_t start_ns, wall_ns;
    uint64_t bytes, reads;
    double busy_rate; /* work units/s of all busy threads together: bytes, or additions */
};

/* One sample. storage NULL: no reads; busy threads alone for duration_ns (their resident rate,
 * which with busy_bytes beyond the caches is the memory's read bandwidth). LB_ERR_INPUT for
 * options that make no sense, LB_ERR_IO when a read fails or comes short. */
enum lb_status bandwidth_measure(struct storage *storage, const struct bandwidth_options *options,
                                 struct bandwidth_reading *sample, struct lb_error *err);

/* Bytes per second. */
double bandwidth_of(const struct bandwidth_reading *sample);

#endif
