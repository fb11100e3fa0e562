/* processors: how many this process may use, for defaults. */
#ifndef BASE_PROCESSORS_H
#define BASE_PROCESSORS_H

#include <stdint.h>

/* Processors of its affinity, or what the quota of its control groups (v1 or v2, of every level)
 * comes to if that is less: rounded, because threads that wait for their quota hold the others up.
 * At least 1. */
uint32_t lb_processors_usable(void);

/* The quota alone, with the files below `root` instead of "", for tests; 0: none. */
double lb_processors_quota_in(const char *root);

#endif
