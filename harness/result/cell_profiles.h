/* cell_profiles: where the time of each cell's passes goes, by operation and layer. */
#ifndef CELL_PROFILES_H
#define CELL_PROFILES_H

#include "result/results.h"

/* Attaches "profile" to every cell that has none yet, from one more sample, which does not count:
 * timing every operation costs time, and the samples that count must not show it. A sample that
 * fails, or takes longer than timeout_s, is a warning. */
enum lb_status cell_profiles(struct results *results, uint32_t timeout_s, struct lb_error *err);

#endif
