/*
 * predictor: the predictors of experts, one file each.
 *
 * A new one is a file predict_NAME.c that defines `predict_NAME`, and its name in this list:
 * messages, `list`, schema and tests are made from it.
 */
#ifndef PLAN_PREDICTOR_H
#define PLAN_PREDICTOR_H

#include "plan/prediction.h"

#define PLAN_PREDICTORS(X)                                                                         \
    X(off)                                                                                         \
    X(previous)                                                                                    \
    X(hot)                                                                                         \
    X(gate_ahead)                                                                                  \
    X(clairvoyant)

#define PLAN_PREDICTOR_DECLARE(name) extern const struct predictor predict_##name;
PLAN_PREDICTORS(PLAN_PREDICTOR_DECLARE)

#endif
