/*
 * summary_usage: the processes of a result's cells as they look from outside, ours and other
 * programs' side by side: time, processor, bytes, faults, memory, and what others printed.
 */
#ifndef SUMMARY_USAGE_H
#define SUMMARY_USAGE_H

#include "result/results.h"

#include <stdio.h>

/* Medians over the samples; NAN: not recorded. */
struct summary_usage {
    double wall_ns, cpu_ns, bytes_read, major_faults, peak_rss_bytes;
};
struct summary_usage summary_usage(const struct cell_samples *cell);

/* Names under which the programs of the scenario print numbers, as the keys of an object
 * (json_decref), and the median of one; NAN: the cell has none. */
json_t *summary_usage_names(const struct results *results);
double summary_usage_printed(const struct cell_samples *cell, const char *name);

/* A section of its own where another program was measured; else nothing. */
void summary_usage_markdown(const struct results *results, FILE *out);
/* Which cells are other programs', and what that means: lines below the table. */
void summary_usage_notes(const struct results *results, FILE *out);

#endif
