/* merge_lines: the layer logs of several results as one, in the order of the samples. */
#ifndef MERGE_LINES_H
#define MERGE_LINES_H

#include "result/result_set.h"

/* The place of a sample among all (its sequence number), when its lines are to be taken from that
 * file of the set; < 0: they are not. */
typedef int64_t merge_place(void *ctx, size_t file, const char *cell, int32_t rep);

/* Writes to `path`, in the order of their places, the lines of the samples that place() wants from
 * the layers.jsonl beside each result. A result without a log adds none; when none has one, no file
 * is made. Memory grows with the samples, not with the lines. */
enum lb_status merge_lines(const struct result_set *set, merge_place *place, void *ctx,
                           const char *path, struct lb_error *err);

#endif
