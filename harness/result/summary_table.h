/*
 * summary_table: the summaries of a run as one table for programs: a row a cell, a column for each
 * figure, the same whatever the format.
 *
 * Times are ns, sizes bytes; an option that is a number is one. Where there is no figure the field
 * is empty (CSV), null (JSON) or NULL (SQL).
 */
#ifndef SUMMARY_TABLE_H
#define SUMMARY_TABLE_H

#include "result/results.h"

#include <stdio.h>

/* "csv", "json", "jsonl", "md", "sql"; NULL-terminated */
extern const char *const summary_formats[];

/* CSV with the options that vary; those of experts and predictions only where there are any. */
void summary_print_csv(const struct results *results, FILE *out);

/* Results one after the other, in one of summary_formats but md; with all options and figures, so
 * that the columns are the same for all. first: of its table; then, when all are there, the end,
 * with any: some were. */
void summary_print_rows(const struct results *results, const char *format, bool first, FILE *out);
void summary_end_rows(const char *format, bool any, FILE *out);

/* The columns and what they mean, as a table in Markdown. */
void summary_print_columns(FILE *out);

#endif
