/*
 * route_figures: what routes of a mixture of experts are like, in a few figures by which models can
 * be compared.
 */
#ifndef ROUTE_FIGURES_H
#define ROUTE_FIGURES_H

#include "predict/route_trace.h"

#include <stdio.h>

enum { ROUTE_SHARES = 3 }; /* of all experts: an eighth, a quarter, half */

struct route_figures {
    /* entropy of a layer's choices over that of even ones: mean, least, most over the layers */
    double entropy, entropy_least, entropy_most;
    double overlap;           /* share of a token's experts that the one before it used too */
    double even;              /* what that would be without skew and persistence */
    double lru[ROUTE_SHARES]; /* share of accesses that hit, of all after each expert's first, with
                                 slots for that share of all experts; one access at a time */
};

/* n_experts: of a layer, chosen or not. */
enum lb_status route_figures_of(const struct route_trace *trace, uint32_t n_experts,
                                struct route_figures *figures, struct lb_error *err);
void route_figures_print(const struct route_figures *figures, FILE *out);

#endif
