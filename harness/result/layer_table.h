/*
 * layer_table: how long the computation waits for a layer, and how long a layer takes to read: the
 * distribution over all accesses of a cell, from layers.jsonl. A row for each cell and quantity;
 * percentiles (histogram.h) stand only where there are enough accesses to tell them.
 */
#ifndef LAYER_TABLE_H
#define LAYER_TABLE_H

#include "result/result_view.h"

/* Writes layers.csv beside the layers.jsonl of a run's directory, if there is one; times in ns. */
enum lb_status layer_table_write(const char *directory, struct lb_error *err);

/* What a row holds: a quantity of a cell of a view whose log has been read, as mean, least, 50%,
 * 90%, 99%, 99.9%, greatest; NAN where there are too few to tell. False where none were logged. */
enum { LAYER_QUANTITIES = 2, LAYER_VALUES = 7 };
extern const char *const layer_quantities[LAYER_QUANTITIES]; /* "wait", "read" */
bool layer_values(const struct view_cell *cell, int quantity, uint64_t *n,
                  double values[LAYER_VALUES]);

#endif
