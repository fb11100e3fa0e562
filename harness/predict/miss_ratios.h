/* miss_ratios: a trace through every policy and cache size, one access at a time. */
#ifndef MISS_RATIOS_H
#define MISS_RATIOS_H

#include "predict/simulation.h"

/* Prints the miss ratios of the routes in arguments->replay: for the policies of --vary
 * replacement=... (none: all) and the sizes of --slots (none: twenty of them). */
enum lb_status sim_miss_ratios(const struct sim_arguments *arguments,
                               const struct settings *settings, struct lb_error *err);

#endif
