/*
 * gate_arm: one sample of one cell, measured by a binary of choice in a process of its own.
 *
 * Calls "PROGRAM sample --json" with the options that the scenario names, and no others: what it
 * leaves open is the binary's own default, and an older binary need not know the newest options.
 * Or runs a command by the shell: its time, and numbers that it prints.
 */
#ifndef GATE_ARM_H
#define GATE_ARM_H

#include "base/status.h"
#include "gate/compare_rows.h"
#include "study/matrix.h"

#include <jansson.h>

/* An extra option of one arm, such as a slow-down on purpose; NULL-terminated "--name=value". */
struct gate_arm {
    const char *program; /* path of a layerbench; of a command: as the shell understands it */
    bool command;
    const char *const *extra; /* NULL: none */
};

struct gate_cell {
    const char *name;
    char *own_name; /* or NULL */
    const struct settings *settings;
    char **arguments; /* the command line after "sample --json", NULL-terminated */
    double batch;
    const struct compare_metric *const *metrics; /* of a command: n of them, to be read */
    size_t n_metrics;
};

/* The cells of a scenario with their arguments, of each of its models in turn; *cells:
 * gate_cells_free. */
enum lb_status gate_cells_make(const struct scenario *scenario, const struct matrix *matrix,
                               char *const *model_paths, size_t n_models, struct gate_cell **cells,
                               struct lb_error *err);
void gate_cells_free(struct gate_cell *cells, size_t count);

/* Measures. *sample: the sample as JSON (json_decref), or NULL when the process failed, with the
 * reason in failed[256]; a status other than LB_OK is this process's own failure. */
enum lb_status gate_arm_measure(const struct gate_arm *arm, const struct gate_cell *cell,
                                uint32_t timeout_s, json_t **sample, char failed[256],
                                struct lb_error *err);

#endif
