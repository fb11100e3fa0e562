/*
 * simulate_cell: one cell of a study under the virtual clock (plan/virtual.h), from settings in
 * layers and bytes to a prediction a pass.
 */
#ifndef SIMULATE_CELL_H
#define SIMULATE_CELL_H

#include "plan/prediction.h"
#include "predict/route_trace.h"
#include "predict/simulate_model.h"
#include "settings/options.h"

/* How long things take. What is 0 is not known, and then something else has to say it. */
struct sim_times {
    const double *layer_ns; /* compute of each layer in a pass; or NULL: */
    double layers_ns;       /* of all layers in a pass, shared out by bytes; or 0: */
    double compute_rate;    /* weights (bytes/s) where memory is the limit, and */
    double token_rate;      /* tokens/s where arithmetic is (0: nowhere) */
    double other_ns;        /* compute of a pass outside the layers */
    double first_pass;      /* the first pass's compute as a multiple (a prompt); 0: 1 */
    double bandwidth;       /* of the storage, where the cell emulates no device */
};

/* Accesses other than layer by layer; of layers. */
struct sim_accesses {
    const struct route_trace *routes; /* of experts, for a mixture; or NULL */
    uint32_t *order;                  /* NULL: 0, 1, 2, ... */
    uint64_t length;
    double *compute_ns; /* [length], or NULL */
};

enum { SIM_MOST_DEPTH = 64 };

struct sim_prediction { /* a pass in steady state */
    double pass_ns, wait_ns, compute_ns, floor_ns;
    double hit, prefetched, late, miss; /* layers */
    double bytes, optimum_bytes;        /* read; by belady without prefetch, all routes known */
    double loads;                       /* bytes in mean layers */
    double wasted, evictions;           /* units */
    double in_flight;                   /* units, mean over time */
    double c_over_t;
    double tokens_a_pass, tokens_per_s; /* of all sequences */
    uint64_t cache_bytes;
    uint32_t n_units;
    /* of experts, over all passes; by depth, layers together */
    uint32_t predict_depth; /* 0: nothing was predicted */
    struct prediction_counters predicted;
    struct prediction_score scores[SIM_MOST_DEPTH];
};

/* Tokens of each sequence in a decode pass: one, and a draft of full length where they are guessed;
 * and how many of them a pass gives, where each is right with the settings' acceptance. */
uint32_t sim_pass_tokens(const struct settings *settings);
double sim_pass_yield(const struct settings *settings);

/* warmup passes are not counted, passes are. LB_ERR_INPUT says which setting or time is missing. */
enum lb_status sim_predict(const struct sim_model *model, const struct sim_times *times,
                           const struct sim_accesses *accesses, const struct settings *settings,
                           uint32_t warmup, uint32_t passes, struct sim_prediction *prediction,
                           struct lb_error *err);

#endif
