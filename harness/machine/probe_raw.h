/*
 * probe_raw: the raw bandwidth of a file, read as an engine with these options would read it
 * (back-end, block size, queue depth, emulated device), with idle or busy cores. What the floor of
 * a measurement stands on, taken close to it in time.
 */
#ifndef PROBE_RAW_H
#define PROBE_RAW_H

#include "engine.h"

struct probe_raw_work {
    const char *path;
    /* storage, advice, queue_depth, chunk_bytes, io_threads, device_*: the others do not matter */
    const struct lb_options *options;
    uint64_t start;        /* begin this many bytes into the file (modulo its size), so that samples
                            * one after the other do not read what a cache below still holds */
    int64_t duration_ns;   /* of the reads */
    uint32_t busy_threads; /* that stream memory meanwhile; 0: idle cores */
};

struct probe_raw_reading {
    int64_t start_ns, wall_ns; /* on lb_now_ns() */
    uint64_t bytes;
    double bandwidth; /* bytes/s */
    double busy_rate; /* bytes/s that all busy threads together read from memory */
    char used[16];    /* the back-end after fallback */
};

/* Files that are read through the page cache are dropped from it first, and that is verified. */
enum lb_status probe_raw_measure(const struct probe_raw_work *work,
                                 struct probe_raw_reading *sample, struct lb_error *err);

/* Read bandwidth of the memory, bytes/s: `threads` stream a part of their own each. */
enum lb_status probe_memory_measure(uint32_t threads, int64_t duration_ns,
                                    struct probe_raw_reading *sample, struct lb_error *err);

#endif
