/* judge: has a binary become slower than another, or does it do other work than the baseline says?
 */
#ifndef JUDGE_H
#define JUDGE_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct gate_options {
    const char *base, *head, *model, *baseline, *metrics;
    const char *markdown, *junit, *json;
    const char *affinity;
    const char *slow_head; /* "compute:5" */
    uint64_t seed;
    uint32_t timeout_s, pause_s;
    bool update_baseline, times_only, github, allow_slow;
};

/* Judges by the scenario, prints the report to stdout and in the forms asked for; *code: the exit
 * code of the verdict (EXIT_FAILED on an error). LB_ERR_INPUT: scenario, options, baseline. */
enum lb_status gate_judge(const struct gate_options *options, const char *scenario, int *code,
                          struct lb_error *err);

#endif
