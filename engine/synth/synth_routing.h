/*
 * synth_routing: how the routers of a synthetic mixture choose.
 *
 * A router's logits are meant to be
 *
 *   logit_e = -skew ln(rank_e) + NOISE (sqrt(persistence) slow_e + sqrt(1 - persistence) fast_e)
 *
 * with normal deviates, fast ones anew for every token, slow ones as averages over the tokens
 * before. With NOISE the deviation of a Gumbel variable, the popularity of experts comes near to
 * Zipf's law of that exponent (the k largest of log weights with Gumbel noise are k draws without
 * replacement). The weights bring this about (synth_look.h), and synth_routes() draws from the same
 * law without a model.
 */
#ifndef SYNTH_ROUTING_H
#define SYNTH_ROUTING_H

#include "synth/synth.h"

#define SYNTH_ROUTING_NOISE 1.2825 /* pi / sqrt(6) */

/* The weight of the token `distance` positions back in a slow deviate, 1 for 0: flat over the last
 * SYNTH_ROUTING_SPAN tokens or so, then falling with the third power. It is what attention makes of
 * keys and queries that agree in some of their pairs: e to the sum of cosines of what rotary
 * positions turn them by. */
#define SYNTH_ROUTING_SPAN 4.0
#define SYNTH_ROUTING_FALL 3.0
enum { SYNTH_KERNEL_MAX = 256 };
/* pair: turns by base^(-2 pair / dims) a position. Does it take part? */
int synth_pair_agrees(double base, uint32_t dims, uint32_t pair);
/* What each such pair adds to the logarithm of the weight at distance 0. */
double synth_pair_score(double base, uint32_t dims);
/* weights[0..n-1], where they are not negligible; *share: sum of squares / square of the sum. */
uint32_t synth_kernel(const struct synth_shape *shape, double weights[SYNTH_KERNEL_MAX],
                      double *share);

/* bias[e] = -skew ln(rank_e) without its mean, ranks in a random order; of one layer. */
void synth_popularity(const struct synth_shape *shape, double skew, uint64_t seed, uint32_t layer,
                      double *bias);

/* LB_ERR_INPUT: out of its bounds. */
enum lb_status synth_check_routing(const struct synth_routing *routing, struct lb_error *err);

#endif
