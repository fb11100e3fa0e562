/* simulate: what the files of the command share. */
#ifndef SIMULATE_H
#define SIMULATE_H

#include "predict/simulate_cell.h"
#include "study/matrix.h"

#include <stdio.h>

/* One cell and what is predicted for it. */
struct sim_row {
    const struct cell *cell;
    struct sim_prediction p;
};

/* A table for people, one line a cell, or a JSON document. */
void sim_print_table(const struct sim_row *rows, size_t n, FILE *out);
/* 0, or -1 when out of memory. */
int sim_print_json(const struct sim_row *rows, size_t n, FILE *out);

/* The accesses of layers that a layers.jsonl records: of `cell` (NULL: the first one), its first
 * repetition. *model is made of the layers it names, if it has none yet (n_layers 0). */
enum lb_status sim_replay(const char *path, const char *cell, struct sim_model *model,
                          struct sim_accesses *accesses, struct lb_error *err);

#endif
