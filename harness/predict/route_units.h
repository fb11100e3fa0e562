/* route_units: routes of experts as the units of a layout that each pass needs. */
#ifndef ROUTE_UNITS_H
#define ROUTE_UNITS_H

#include "cache/layout.h"
#include "plan/virtual.h"
#include "predict/route_trace.h"

struct route_units {
    struct plan_routes routes;
    /* of the passes that count: every access, part 0 and experts */
    uint32_t *order;
    uint64_t length, passes;
    double *layer_bytes; /* [n_layers] weights that a pass needs of a layer, on average */
    double bytes;        /* of all layers */
    double read_bytes;
};

/* warmup: passes at the beginning that do not count, if there are more. LB_ERR_INPUT: a layer or an
 * expert that the layout does not have. */
enum lb_status route_units_make(const struct route_trace *trace, const struct layout *layout,
                                uint64_t warmup, struct route_units *out, struct lb_error *err);
void route_units_free(struct route_units *units);

#endif
