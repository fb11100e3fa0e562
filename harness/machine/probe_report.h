/* probe_report: what `layerbench probe` has found, as text or as JSON on standard output. */
#ifndef PROBE_REPORT_H
#define PROBE_REPORT_H

#include "machine/probe_machine.h"

#include <stddef.h>
#include <stdint.h>

/* The samples of one way to read, or (storage NULL) of the memory. */
struct probe_cell {
    const char *storage;
    uint32_t block_bytes, queue_depth, busy_threads;
    double *bandwidth; /* [n_samples], bytes/s, in the order of measurement */
    double *busy_rate; /* [n_samples], bytes/s of the busy threads from memory */
    int64_t *start_ns; /* [n_samples], since the probe began */
    uint32_t n_samples;
    char failed[256]; /* why there are no more samples; "" when it went well */
};

struct probe_results {
    const char *file;
    const char *written_in; /* the folder in which a file was made for the probe, or NULL */
    uint64_t file_bytes;
    uint64_t seed;
    uint32_t threads; /* busy threads of the cells with busy cores */
    struct probe_machine machine;
    struct probe_cell *cells; /* the memory's first, with 1, 2, 4, ... `threads` threads */
    size_t n_cells;
};

void probe_report_text(const struct probe_results *results);
void probe_report_json(const struct probe_results *results);

#endif
