/* page: results as one HTML file that needs nothing else. */
#ifndef PAGE_H
#define PAGE_H

#include "base/status.h"

#include <stddef.h>
#include <stdio.h>

/*
 * Writes one self-contained page about the results (run directories or result.json files): for each
 * the question, the answer in three sentences, figures as inline SVG, a table of all cells, the
 * environment, warnings, and how to reproduce it; before them, where there are several, the cells
 * they share side by side. Figures are left out, and the page says so, where gnuplot is missing.
 * `messages` gets lines for people. Fails where a result cannot be read at all.
 */
enum lb_status report_write(char *const *paths, size_t n, FILE *out, FILE *messages,
                            struct lb_error *err);

#endif
