/* miss_ratios: a trace through every policy and cache size, one access at a time. */
#ifndef MISS_RATIOS_H
#define MISS_RATIOS_H

#include "predict/route_trace.h"
#include "predict/simulation.h"

struct miss_ratio {
    const char *policy; /* static */
    uint32_t slots;
    double misses, bytes; /* shares of accesses, and of their bytes */
};
struct miss_ratios {
    struct miss_ratio *list; /* malloc; by policy, then by size */
    size_t n;
};
/* All policies, at twenty sizes. */
enum lb_status miss_ratios_count(const struct route_trace *trace, double half_life,
                                 struct miss_ratios *out, struct lb_error *err);
void miss_ratios_free(struct miss_ratios *ratios);

/* Prints the miss ratios of the routes in arguments->replay: for the policies of --vary
 * replacement=... (none: all) and the sizes of --slots (none: twenty of them). */
enum lb_status sim_miss_ratios(const struct sim_arguments *arguments,
                               const struct settings *settings, struct lb_error *err);

#endif
