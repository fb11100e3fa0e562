/* budget: what settings in layers and bytes mean in units and frames. */
#ifndef PLAN_BUDGET_H
#define PLAN_BUDGET_H

#include "base/status.h"
#include "cache/layout.h"

#include <stdbool.h>
#include <stdint.h>

struct budget {
    uint32_t units; /* 0: no such limit */
    uint64_t frames;
};

/* cache_layers of the largest layers where a unit is a layer, else as many frames as that many
 * layers have on average; cache_bytes in whole frames when cache_layers is 0. At most all frames,
 * at least the largest unit (for cache_bytes: LB_ERR_INPUT). */
enum lb_status budget_find(const struct layout *layout, uint32_t cache_layers, uint64_t cache_bytes,
                           struct budget *budget, struct lb_error *err);
/* Bytes of a cache sized by itself, of `available` (0: not known) when `taken` of them go
 * elsewhere: all of the rest but something to spare, a tenth of what is available where others on
 * the machine may want it, a fiftieth and 16 MiB where it is this process's alone (page tables,
 * stacks, logs). At least what budget_find accepts, at most all units. */
uint64_t budget_automatic(const struct layout *layout, uint64_t available, bool alone,
                          uint64_t taken);
/* A distance in layers as one in units, on average over the layers. */
uint32_t budget_distance(const struct layout *layout, uint32_t layers);
/* Frames of all units together. */
uint64_t budget_all(const struct layout *layout);

#endif
