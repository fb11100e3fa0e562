/* budget: what settings in layers and bytes mean in units and frames. */
#ifndef PLAN_BUDGET_H
#define PLAN_BUDGET_H

#include "base/status.h"
#include "cache/layout.h"

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
/* A distance in layers as one in units, on average over the layers. */
uint32_t budget_distance(const struct layout *layout, uint32_t layers);
/* Frames of all units together. */
uint64_t budget_all(const struct layout *layout);

#endif
