/*
 * micro: what the micro-benchmarks have in common.
 *
 * A micro-benchmark is a case: a name, what it works on, and a function that takes one sample of
 * it. A sample lasts at least sample_ns and says the median time of an iteration; beside the
 * time stands proof that the work was done right (a wrong result is an error, and no time is
 * reported).
 */
#ifndef MICRO_H
#define MICRO_H

#include "base/pool.h"
#include "base/status.h"
#include "kernels/kernels.h"
#include "machine/memory_rate.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct micro_model;

struct micro {
    /* fixed while benchmarks run */
    struct lb_pool *pool;
    int64_t sample_ns;
    const char *file; /* to read from; opened by micro_file_open */
    uint64_t file_bytes;
    int file_fd;
    char file_name[64];
    /* weights: one block of memory larger than the caches, filled for the case at hand */
    uint8_t *weights;
    size_t weights_bytes;
    uint32_t weights_type, weights_n_in;
    uint32_t next_row;         /* where the next product begins */
    struct micro_model *model; /* the one that is open, if any */
};

struct micro_result {
    double ns;                 /* of one iteration: median */
    uint64_t iterations;       /* that the median is of */
    double bytes, flops;       /* read and computed by one iteration */
    struct memory_rate memory; /* that it gave before and after: mean; 0: does not apply */
    double deviation;          /* root mean square, relative to the portable kernels' result */
    uint32_t output_hash;
    double p99_ns;   /* of one iteration; 0: not measured */
    uint32_t tokens; /* of one iteration; 0: does not apply */
};

struct micro_case {
    char name[96];
    enum lb_status (*measure)(struct micro *m, struct micro_case *c, struct micro_result *sample,
                              struct lb_error *err);
    uint32_t events; /* iterations of one sample where their number is fixed, else 1 */
    /* products */
    const struct kernels_ops *ops;
    uint32_t type, n_in, n_rows, n_tokens;
    enum kernels_order order; /* model: N_KERNELS_ORDERS: auto */
    bool decode;              /* model: a step after others, not a prompt */
    uint32_t rows;            /* of one iteration: all, or as many as take a moment */
    double deviation;         /* found once */
    uint32_t output_hash;     /* of the rows that were checked */
    /* memory, storage and accesses */
    const char *variant; /* back-end, prefetch, or the model's file */
    uint32_t block_bytes, queue_depth;
    bool in_order;
};

struct micro_list {
    struct micro_case *cases;
    size_t count;
};

/* A new case at the end, zeroed but for its name; NULL when out of memory. */
struct micro_case *micro_add(struct micro_list *list, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Each adds its cases. */
enum lb_status micro_list_products(struct micro_list *list, struct lb_error *err);
enum lb_status micro_list_memory(struct micro_list *list, struct lb_error *err);
enum lb_status micro_list_storage(struct micro_list *list, struct lb_error *err);
enum lb_status micro_list_costs(struct micro_list *list, struct lb_error *err);

/* Whole passes over a model; none where path is NULL. */
enum lb_status micro_list_model(struct micro_list *list, const char *path, struct lb_error *err);
void micro_model_close(struct micro *m);

/* How fast all threads together read the weights, over about `ns` each way. */
struct memory_rate micro_memory_rate(struct micro *m, int64_t ns);
struct memory_rate micro_mean_rate(struct memory_rate a, struct memory_rate b);

/* The file to read from: m->file, or one of `bytes` random bytes that has no name any more and
 * goes with the process. */
enum lb_status micro_file_open(struct micro *m, uint64_t bytes, struct lb_error *err);
void micro_file_close(struct micro *m);

/* FNV-1a */
uint32_t micro_hash(const void *data, size_t bytes);

struct micro_options {
    const char *filter, *json, *file, *model;
    uint32_t repetitions, threads;
    int64_t sample_ns;
    uint64_t buffer_bytes, file_bytes;
    bool list;
};

/* Measures the cases and prints them as they come; the exit code, with the reason in *err where
 * there is one. */
int micro_run(const struct micro_options *options, struct lb_error *err);

#endif
