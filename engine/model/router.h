/*
 * router: which experts a token goes to, and with which weights, from the router's logits.
 *
 *   scores = softmax or sigmoid of the logits            (or the logits themselves, see
 * model_gating) chosen = the `used` best of scores + choice bias, among the experts of the best
 * groups weights = scores of the chosen, without the bias; divided by their sum; times the scale
 *
 * A group counts as much as its two best experts (DeepSeek-AI 2024, V3). Of equal scores the expert
 * of the lower number is better. Pure; everything in float32, in one order.
 */
#ifndef MODEL_ROUTER_H
#define MODEL_ROUTER_H

#include "model/model.h"

#define ROUTER_LEAST_SUM 6.103515625e-5f /* what weights are divided by at least: 2^-14 */

/* experts[used], weights[used], best first, from logits[count], which become the scores;
 * bias[count] or NULL; room[2 x count] is scratch. False where a score is no number: then both are
 * undefined. */
bool router_choose(const struct model_experts *e, float *logits, const float *bias, float *room,
                   uint32_t *experts, float *weights);

#endif
