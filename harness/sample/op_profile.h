/*
 * op_profile: where the time of passes goes, by operation and layer. A copy of the engine's sums,
 * so that phases (prefill, decode) can be told apart by differences.
 *
 * Every moment of a pass belongs to exactly one operation; `acquire` is what the pass waited for
 * weights. Timing each operation costs a little: products that are one job otherwise are separate
 * jobs then.
 */
#ifndef OP_PROFILE_H
#define OP_PROFILE_H

#include "engine.h"

#include <jansson.h>
#include <stdio.h>

struct op_profile {
    struct lb_profile_entry *entries; /* as the engine gives them; malloc */
    size_t count;
    uint64_t passes;
};

/* Sums since open, of an engine opened with `profile`. False when out of memory. */
bool op_profile_take(struct lb_engine *engine, struct op_profile *profile);
/* Leaves what came after `before`. */
void op_profile_subtract(struct op_profile *profile, const struct op_profile *before);
void op_profile_free(struct op_profile *profile);

/* Two tables: operations over all layers, and layers over all operations. */
void op_profile_print(const struct op_profile *profile, const char *phase, FILE *out);

/* [{"op", "layer" (-1: outside the layers), "calls", "ns", "bytes", "flops"}], sums over the
 * passes, without those that never ran. NULL when out of memory. */
json_t *op_profile_json(const struct op_profile *profile);

#endif
