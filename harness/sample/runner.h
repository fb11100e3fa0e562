/*
 * runner: measures one sample in a fresh process of this same program (command "sample"), or of
 * another one.
 *
 * Whatever happens to that process (an error, a crash, a kill, no end in time) becomes the sample's
 * `failed`; the run goes on. The process dies with the run.
 */
#ifndef RUNNER_H
#define RUNNER_H

#include "base/file_state.h"
#include "sample/sample.h"
#include "study/peer.h"

struct runner_work {
    const struct settings *settings;
    const char *model_path;
    uint32_t n_layers;
    uint64_t work_seed;      /* of the prompts; the same for all cells of a run */
    uint64_t first_prompt;   /* of a file of prompts: for the first sequence */
    uint32_t timeout_s;      /* then it is killed; 0: never */
    const struct peer *peer; /* NULL: this program */
    bool profile;            /* time every operation: slower, for a sample that does not count */
    /* as the model was when the run began */
    const struct lb_file_state *model_state;
};

/* What goes wrong in the sample's process is the sample's `failed`. The error is the harness's own
 * (no memory, no process), or that the model is no longer the same, before the sample or after. */
enum lb_status runner_measure(const struct runner_work *work, struct sample *sample,
                              struct lb_error *err);

#endif
