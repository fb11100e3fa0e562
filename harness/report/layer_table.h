/*
 * layer_table: how long the computation waits for a layer, and how long a layer takes to read: the
 * distribution over all accesses of a cell, from layers.jsonl. A row for each cell and quantity;
 * percentiles (histogram.h) stand only where there are enough accesses to tell them.
 */
#ifndef LAYER_TABLE_H
#define LAYER_TABLE_H

#include "result/view.h"

#include <stdio.h>

/* Writes layers.csv beside the layers.jsonl of a run's directory, if there is one; times in ns. */
enum lb_status layer_table_write(const char *directory, struct lb_error *err);

/* As HTML, of a view whose log has been read; nothing where the log is empty. */
void layer_table_html(FILE *out, struct view *view);

#endif
