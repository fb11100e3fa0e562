/*
 * gate_report: what the gate found, in the forms that people and CI read. No decisions here.
 *
 * The document of --json:
 *   {"schema_version": 1, "scenario", "scenario_sha256", "base", "head", "seed", "slowed" (null or
 *    what the head was slowed by on purpose), "exit_code", "environment",
 *    "counts": [{"cell", "quantity", "expected", "got", "equal"}],
 *    "times": [{"cell", "metric", "unit", "verdict", "reason", "base", "head" (medians), "n",
 * "ratio", "low", "high", "p", "cv", "least_effect", "outliers", "measured_again", "first_verdict",
 *      "first_ratio"}],
 *    "memory": [{"cell", "block", "in_order", "in_streams" (bytes/s before and after)}],
 *    "samples": [{"seq", "cell", "block", "arm", "confirming", "start_ns", "values": {metric:
 * ns}}]}
 */
#ifndef GATE_REPORT_H
#define GATE_REPORT_H

#include "gate/gate_counts.h"
#include "gate/gate_times.h"

#include <stdio.h>

struct gate_report {
    const struct scenario *scenario;
    const struct gate_times_plan *plan;
    const struct gate_counts *counts; /* NULL: not compared */
    const struct gate_times *times;   /* NULL: not measured */
    const char *baseline;             /* path */
    const char *base, *head;          /* programs; base may be NULL */
    const char *slowed;               /* or NULL */
    const json_t *environment;
    const json_t *warnings; /* texts */
    double took_s;
    bool noise_is_warning;
    int exit_code, judged; /* judged: what it would have been, had all reports been written and
                              noise been a failure */
};

/* "no regression", "regression", "inconclusive", ... */
const char *gate_report_outcome(int exit_code);

void gate_report_table(const struct gate_report *report, FILE *out, bool colour);
void gate_report_markdown(const struct gate_report *report, FILE *out);
void gate_report_junit(const struct gate_report *report, FILE *out);
/* GitHub's workflow commands: errors, warnings and notices at the top of a run. */
void gate_report_github(const struct gate_report *report, FILE *out);
json_t *gate_report_json(const struct gate_report *report);

#endif
