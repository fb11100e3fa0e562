/* merge_results: joins the results of shards, of machines, or of parts of one run. */
#ifndef MERGE_RESULTS_H
#define MERGE_RESULTS_H

#include "base/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct merged {
    json_t *warnings;            /* texts; the caller's to json_decref; NULL on failure */
    size_t n_samples, n_missing; /* of the whole run; those that no input has */
    bool writing;                /* the inputs were fine: a failure is one of writing */
};

/* Writes the joined result of n inputs (run directories or result.json files) to the directory
 * `out`, new or empty. LB_ERR_INPUT: inputs that are damaged or do not belong together. */
enum lb_status merge_results(char *const *paths, size_t n, const char *out, struct merged *merged,
                             struct lb_error *err);

#endif
