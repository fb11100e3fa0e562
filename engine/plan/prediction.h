/*
 * prediction: guesses of which experts later layers will need, and the books about them.
 *
 * A predictor guesses, as soon as a layer's need is revealed, the needs of the next layers, 1 to
 * `depth` layers ahead; after the last layer comes the first of the next pass. What it says goes to
 * the future as a prediction with a confidence: the scheduler may fetch it, in place of nothing
 * that is certain or likelier, and results never depend on it. A later guess of a layer, which sees
 * more, takes the place of an earlier one.
 *
 * Pure: no threads, no clock, no I/O. Times are the caller's. The streamer and the virtual clock
 * use the same object.
 */
#ifndef PLAN_PREDICTION_H
#define PLAN_PREDICTION_H

#include "base/status.h"
#include "cache/future.h"
#include "plan/routes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prediction;

/* What a predictor sees when it has to guess. */
struct predictor_view {
    const struct prediction *prediction;
    const struct future *future;
    uint32_t layer;      /* whose need is to be guessed */
    uint32_t first, end; /* its units that are not always needed */
    uint64_t pass;       /* in which it will need them; from 0 */
    float precision;     /* of this predictor so far, so many layers ahead: 0 < precision < 1 */
};

struct predictor {
    const char *name, *about;
    bool asks_model;  /* the model says what its routers would choose: prediction_told() */
    bool asks_routes; /* knows the routes beforehand: in replays only */
    /* Units likely needed, ascending, into units[end - first], each with its confidence, 0 < c < 1;
     * returns their number. NULL where nothing is guessed here. */
    uint32_t (*guess)(const struct predictor_view *view, uint32_t *units, float *confidence);
};
const struct predictor *const *predictors(size_t *count);
/* NULL for an unknown name. */
const struct predictor *predictor_find(const char *name);

struct prediction_options {
    const struct predictor *predictor;
    uint32_t depth; /* layers ahead, at least 1 */
    uint32_t n_units, n_layers;
    const uint32_t *layer_of;         /* [n_units] ascending; read at open */
    const bool *always;               /* [n_units] likewise */
    const struct plan_routes *routes; /* for a predictor that asks for them; else NULL */
};

/* LB_ERR_INPUT: depth 0, or a predictor that asks for routes where there are none. */
enum lb_status prediction_open(const struct prediction_options *options,
                               struct prediction **prediction, struct lb_error *err);
void prediction_close(struct prediction *prediction);

/* The layer's need is known: units[n], and of each its outcome, outcome_of[unit], 0 for one that
 * was there since an earlier pass. What was guessed of the layer is judged by it. */
void prediction_revealed(struct prediction *prediction, uint32_t layer, const uint32_t *units,
                         uint32_t n, const uint8_t *outcome_of, int64_t now_ns);
/* Guesses the next layers' needs, after the layer's own is revealed in `future`. */
void prediction_guess(struct prediction *prediction, struct future *future, uint32_t layer,
                      int64_t now_ns);
/* A predictor that asks the model: of the layer, so many layers ahead, these units. */
void prediction_told(struct prediction *prediction, struct future *future, uint32_t layer,
                     uint32_t depth, const uint32_t *units, uint32_t n, int64_t now_ns);
/* A load began for nothing but a prediction. */
void prediction_began(struct prediction *prediction, uint32_t unit);
/* Counters and scores count from here on; how sure guesses are does not change. */
void prediction_reset(struct prediction *prediction);
/* The pass broke off: nothing is guessed any more. */
void prediction_break_off(struct prediction *prediction);

/* Whether the unit was needed when its layer was last. */
bool prediction_was_needed(const struct prediction *prediction, uint32_t unit);
/* Units that the layer needed when it was last. */
uint32_t prediction_last_need(const struct prediction *prediction, uint32_t layer);
const struct plan_routes *prediction_routes(const struct prediction *prediction);
uint32_t prediction_depth(const struct prediction *prediction);
uint32_t prediction_layers(const struct prediction *prediction);
const char *prediction_name(const struct prediction *prediction);

/* Units guessed, those of them that were needed, and those needed, in passes for which there was a
 * guess: precision = right / guessed, recall = right / needed. */
struct prediction_score {
    uint64_t guessed, right, needed;
};
/* Of a layer, by a depth from 1 on. */
struct prediction_score prediction_score(const struct prediction *prediction, uint32_t layer,
                                         uint32_t depth);

struct prediction_counters {
    uint64_t misses;    /* units needed that were not there since an earlier pass */
    uint64_t foreseen;  /* of these, guessed at any depth */
    double foreseen_ns; /* sum over these: from the first guess to the reveal */
    uint64_t loads;     /* begun for a prediction alone */
    uint64_t vain;      /* of these, for units that were then not needed */
};
struct prediction_counters prediction_counters(const struct prediction *prediction);

#endif
