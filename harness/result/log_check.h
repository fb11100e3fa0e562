/*
 * log_check: whether layers.jsonl has the lines of every sample: as many as it had accesses, less
 * those that its log had no room for. A failed sample has none.
 */
#ifndef LOG_CHECK_H
#define LOG_CHECK_H

#include "result/results.h"

/* Told of each sample whose lines are not all there, or are too many: by_cell[cell].list[k]. */
typedef void log_check_found(void *ctx, uint32_t cell, size_t k, uint64_t lines, uint64_t expected);

/* Counts whole lines of the log at `path` (no such file: no lines) for the samples whose origin is
 * `origin`. */
enum lb_status log_check(const struct results *results, const char *path, uint32_t origin,
                         log_check_found *found, void *ctx, struct lb_error *err);

/* Forgets the samples of results (of origin 0) whose lines are not all there, so that they are
 * measured again, and warns of each. */
enum lb_status log_check_forget(struct results *results, const char *path, struct lb_error *err);

#endif
