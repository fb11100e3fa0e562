/* pattern: access sequences for cache studies without a model. */
#ifndef PLAN_PATTERN_H
#define PLAN_PATTERN_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* The pattern names, *count of them: sequential, reversed, strided, random, skewed. */
const char *const *pattern_names(size_t *count);

struct pattern_options {
    const char *name;
    uint32_t n_units;
    uint64_t length; /* random, skewed: accesses; 0: n_units. The others: each unit once */
    uint32_t stride; /* strided: 0, s, 2s, ..., 1, 1+s, ...; at least 1 */
    double skew;     /* skewed: unit k is needed with probability ~ 1/(k+1)^skew (Zipf) */
    uint64_t seed;
};

/* *order with *length entries, to be freed with lb_free. LB_ERR_INPUT: unknown name, stride 0,
 * skew not above 0. */
enum lb_status pattern_make(const struct pattern_options *options, uint32_t **order,
                            uint64_t *length, struct lb_error *err);

#endif
