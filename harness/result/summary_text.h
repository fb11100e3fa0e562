/* summary_text: the summaries of a run as a table for people, as Markdown and as CSV. */
#ifndef SUMMARY_TEXT_H
#define SUMMARY_TEXT_H

#include "result/results.h"

#include <stdio.h>

/* For the terminal; `colour`: may use escape sequences. */
void summary_print_table(const struct results *results, FILE *out, bool colour);
void summary_print_markdown(const struct results *results, FILE *out);
/* One row a cell; times in ns, sizes in bytes; empty fields where there is no figure. */
void summary_print_csv(const struct results *results, FILE *out);

#endif
