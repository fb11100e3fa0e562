/*
 * study_run: one scenario measured: its samples in their seeded order, each checked and kept as it
 * comes, so that a run that is stopped at any moment can be gone on with.
 *
 * 1. study_run_prepare: read or make the scenario, find or make its model, lay out the cells,
 * filter, shard, add the reference cells; 2. study_run_open: a new result, or one to resume; 3.
 * study_run_measure: sample after sample. Each may fail; study_run_close after any of them.
 */
#ifndef STUDY_RUN_H
#define STUDY_RUN_H

#include "result/results.h"
#include "study/sweep.h"

struct study_run_options {
    const char *out;    /* a directory; NULL: results/runs/NAME/RUN */
    const char *model;  /* NULL: the scenario's */
    const char *filter; /* regular expression of cells; NULL: all */
    const char *shard;  /* "I/N" */
    const char *profile;
    struct sweep sweep;        /* options set and varied */
    const char *save_scenario; /* a file; NULL: none */
    uint32_t repetitions;      /* 0: as the scenario says */
    uint32_t budget, timeout;  /* s; of all, of one sample; 0: none */
    uint64_t seed;             /* STUDY_RUN_NO_SEED: the scenario's */
    bool resume, quiet, verbose;
};

#define STUDY_RUN_NO_SEED UINT64_MAX

/* One scenario on its way. */
struct study_run {
    const struct study_run_options *options;
    struct scenario scenario;
    struct matrix matrix;
    struct results results;
    char *model_path;
    struct matrix_slot *order;
    size_t n_order;
    int64_t start_ns;
    size_t n_measured; /* samples, by this process: a resumed run has others too */
    size_t n_said;     /* warnings that have been printed */
};

/* path NULL: the scenario is the sweep, over options->model. only_look: nothing will be measured,
 * and no model is made for it. */
enum lb_status study_run_prepare(struct study_run *run, const char *path, bool only_look,
                                 struct lb_error *err);
enum lb_status study_run_open(struct study_run *run, struct lb_error *err);
/* With progress on a terminal. What was measured before an error is kept. */
enum lb_status study_run_measure(struct study_run *run, struct lb_error *err);
/* Prints the warnings of the result that are new since the last call, those of one kind as one
 * line, unless it is to be quiet. */
void study_run_say_warnings(struct study_run *run);
void study_run_close(struct study_run *run);

#endif
