/*
 * tune: from what a model takes on this machine to the settings that use a given memory best.
 *
 *   memory = program + 1.02 x (resident tensors + workspace + KV caches + cache)
 *
 * where the program is what this process takes before it opens a model, and 2 MiB.
 */
#ifndef TUNE_H
#define TUNE_H

#include "base/file_state.h"
#include "predict/simulate_cell.h"
#include "predict/simulate_profile.h"

/* One way to the storage, and how fast it is while the cores are busy. */
struct tune_path {
    const char *storage;
    double bandwidth;  /* bytes/s */
    double latency_ns; /* of a small read alone */
};

enum { TUNE_PATHS = 8 };

struct tune_facts {
    struct lb_file_state model_state; /* before anything was measured */
    struct sim_model model;
    struct sim_profile profile;
    struct route_trace routes; /* of a mixture: what decode passes chose */
    uint64_t program_bytes;    /* of the process without a model */
    uint64_t cache_bytes;      /* what the memory leaves */
    struct tune_path paths[TUNE_PATHS];
    size_t n_paths;
};

/* Profiles the model and measures the storage (with an emulated device: takes its word).
 * LB_ERR_INPUT when the memory does not hold what must be resident and one layer. */
enum lb_status tune_measure(const struct settings *settings, uint64_t memory, const char *routes,
                            struct tune_facts *facts, struct lb_error *err);
void tune_free(struct tune_facts *facts);

struct tune_choice {
    struct settings settings; /* the best; texts are static or the caller's */
    struct sim_prediction prediction;
    uint32_t
        draft_tokens; /* the best length of drafts at the settings' acceptance; 0: none gains */
    struct sim_prediction drafting; /* with it */
    struct sim_prediction usual;    /* of the default settings; all 0 where a layer does not fit */
    double bandwidth;               /* of its storage */
    double floor_ns;                /* max(compute, (bytes of all layers - cache) / bandwidth) */
    uint32_t n_considered;
};

/* Searches unit, distance, replacement, scheduler, storage and (of an emulated device) queue depth;
 * of a mixture unit, what stays in memory, replacement, predictor and its depth, and storage. Among
 * settings whose predictions are as good as equal, those nearest to the defaults. */
enum lb_status tune_search(const struct tune_facts *facts, const struct settings *settings,
                           struct tune_choice *choice, struct lb_error *err);

struct tune_options {
    uint64_t memory;    /* 0: what is available */
    const char *routes; /* of a mixture: recorded before; NULL: records some */
    const char *scenario;
    uint32_t passes;
    bool verify, json;
};

/* All of it: measures, searches, verifies, writes the scenario, prints to stdout. */
enum lb_status tune_run(const struct tune_options *options, const struct settings *settings,
                        struct lb_error *err);

#endif
