/*
 * raw_paths: the raw bandwidth below each cell, on which its floor stands.
 *
 * Cells that read in the same way (back-end, chunk, queue depth, readers) share a path. A path is
 * measured once with idle and once with busy cores in every round of samples, each time in a
 * process of its own; its bandwidth is the highest reading, because it bounds what a pass can read
 * (on virtual machines the same reads can be twice as fast while the cores are busy). An emulated
 * device has the bandwidth that it was given. Reads that memory serves (storage memory, a warm or
 * unknown page cache) have none.
 */
#ifndef RAW_PATHS_H
#define RAW_PATHS_H

#include "study/matrix.h"

#include <jansson.h>

struct raw_reading {
    int64_t start_ns; /* since the run began */
    bool busy;
    double bandwidth; /* bytes/s */
};

struct raw_path {
    char *name;    /* "storage=uring/queue_depth=32/..." */
    uint32_t cell; /* one that reads in this way */
    struct raw_reading *samples;
    size_t count;
    char used[16]; /* the back-end after fallback */
};

struct raw_paths {
    struct raw_path *list;
    size_t count;
    int *of_cell; /* index into list; -1: not measured */
};

enum lb_status raw_paths_plan(const struct matrix *matrix, struct raw_paths *paths,
                              struct lb_error *err);

/* One sample with idle and one with busy cores, of path k. */
enum lb_status raw_paths_measure(struct raw_paths *paths, size_t k, const struct matrix *matrix,
                                 const char *model_path, int64_t start_ns, struct lb_error *err);

/* Bytes/s below cell i, 0 where none applies or none is known; *source says which, in words. */
double raw_paths_bandwidth(const struct raw_paths *paths, const struct matrix *matrix, size_t i,
                           const char **source);

/* Whether both cells have a measured path, and the same. */
bool raw_paths_same(const struct raw_paths *paths, size_t a, size_t b);

json_t *raw_paths_to_json(const struct raw_paths *paths);
/* Samples of another part of the run, each once, in the order of time; what is unknown there is
 * ignored. shift_ns is added to their start times. */
void raw_paths_from_json(struct raw_paths *paths, const json_t *list, int64_t shift_ns);

void raw_paths_free(struct raw_paths *paths);

#endif
