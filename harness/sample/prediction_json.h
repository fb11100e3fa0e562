/*
 * prediction_json: how well a sample's predictor guessed, as part of the sample.
 *
 *   {"misses", "foreseen", "foreseen_ns", "loads", "vain",        as in lb_stats
 *    "scores": [[[guessed, right, needed], a layer], a depth]}    as in struct lb_prediction
 */
#ifndef PREDICTION_JSON_H
#define PREDICTION_JSON_H

#include "engine.h"

#include <jansson.h>

/* Since open; NULL: nothing is predicted, or out of memory. */
json_t *prediction_json(struct lb_engine *engine);
/* Takes what had been counted before off. */
void prediction_json_subtract(json_t *prediction, const json_t *before);

struct prediction_figures {
    double misses, foreseen, foreseen_ns, loads, vain;
    double guessed, right, needed; /* of one depth, all layers */
};
/* Adds a sample's; depth from 1. False: it has none of that depth. */
bool prediction_json_add(const json_t *prediction, size_t depth,
                         struct prediction_figures *figures);

#endif
