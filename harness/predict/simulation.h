/* simulation: the cells of a study, predicted and printed. */
#ifndef SIMULATION_H
#define SIMULATION_H

#include "predict/simulate_cell.h"
#include "study/matrix.h"
#include "study/sweep.h"

#include <stdio.h>

struct sim_arguments {
    /* what streams */
    const char *shape, *quant;
    uint32_t layers;
    uint64_t layer_bytes;
    struct lb_routing routing; /* of a shape's routers */
    /* how long things take */
    int64_t compute_ns, other_ns;
    double compute_rate, token_rate;
    bool measure;
    /* which accesses */
    const char *pattern, *replay, *replay_cell, *slots;
    uint64_t accesses;
    uint32_t stride;
    double skew;
    /* what is run */
    struct sweep_list vary;
    uint32_t warmup, passes;
    const char *against;
    bool as_run, json;
};

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

/* Predicts and prints the cells of one scenario file, or of the options when path is NULL. */
enum lb_status sim_scenario(const struct sim_arguments *arguments, const struct settings *settings,
                            const char *path, struct lb_error *err);
/* The cells of a result, predicted and measured. */
enum lb_status sim_against(const struct sim_arguments *arguments, struct lb_error *err);

#endif
