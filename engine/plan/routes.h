/* routes: what the routers of a mixture choose, pass by pass and layer by layer, as recorded. */
#ifndef PLAN_ROUTES_H
#define PLAN_ROUTES_H

#include <stdint.h>

/* The units of layer l in pass p are units[first[i]] to units[first[i + 1] - 1] with
 * i = p * n_layers + l, those of a part in a row. Passes repeat. */
struct plan_routes {
    const uint32_t *units;
    const uint64_t *first; /* [n_passes * n_layers + 1] */
    uint64_t n_passes;
    uint32_t n_layers;
};

#endif
