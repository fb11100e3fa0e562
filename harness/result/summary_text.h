/* summary_text: the summaries of a run as a table for people and as Markdown. */
#ifndef SUMMARY_TEXT_H
#define SUMMARY_TEXT_H

#include "result/results.h"

#include <stdio.h>

/* For the terminal; `colour`: may use escape sequences. */
void summary_print_table(const struct results *results, FILE *out, bool colour);
/* The figures alone. */
void summary_print_markdown_table(const struct results *results, FILE *out);
void summary_print_markdown(const struct results *results, FILE *out);

#endif
