/* judge: has a binary, or any command, become slower than another, or does a binary do other work
 * than the baseline says? */
#ifndef JUDGE_H
#define JUDGE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GATE_MOST_METRICS = 24 };

struct gate_options {
    const char *base, *head, *model, *baseline, *metrics;
    const char *markdown, *junit, *json;
    const char *affinity;
    const char *base_cmd, *head_cmd; /* both: of commands instead of binaries */
    const char
        *metric[GATE_MOST_METRICS]; /* of commands: "wall", "NAME=PLACE", "NAME=PLACE:higher" */
    size_t n_metric;
    const char *noise_is;  /* "failure", "warning": then what is too noisy does not fail */
    const char *slow_head; /* "compute:5" */
    uint64_t seed;
    uint32_t timeout_s, pause_s;
    bool update_baseline, times_only, github, allow_slow;
    bool colour; /* of what is printed */
};

/* Judges by the scenario (NULL: the commands), prints the report to stdout and in the forms asked
 * for; *code: the exit code of the verdict (EXIT_FAILED on an error). LB_ERR_INPUT: scenario,
 * options, baseline. */
enum lb_status gate_judge(const struct gate_options *options, const char *scenario, int *code,
                          struct lb_error *err);

#endif
