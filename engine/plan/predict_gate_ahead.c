/*
 * gate-ahead: the router of a later layer on the input of this layer's experts, with its own norm.
 * The residual stream changes little from layer to layer (Eliseev and Mazur 2023, "Fast Inference
 * of Mixture-of-Experts Language Models with Offloading"). The model computes it
 * (model/gate_ahead.c); a record of routes has no weights to compute it with.
 */
#include "plan/predictor.h"

const struct predictor predict_gate_ahead = {
    .name = "gate-ahead",
    .about = "what the next layers' routers say to this layer's input",
    .asks_model = true,
};
