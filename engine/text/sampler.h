/*
 * sampler: the next token from logits. Temperature 0 is greedy (lowest id wins ties);
 * else top-k, then softmax with temperature, then top-p, then a draw with a seeded
 * generator. The same seed, place and logits give the same token on every machine: each place has
 * a random number of its own, whatever was drawn before.
 */
#ifndef TEXT_SAMPLER_H
#define TEXT_SAMPLER_H

#include "base/random.h"
#include "base/status.h"

#include <stdint.h>

struct sampler_options {
    float temperature; /* >= 0; 0: greedy */
    uint32_t top_k;    /* 0: all */
    float top_p;       /* (0, 1]; 1: all */
    uint64_t seed;
};

struct sampler;

enum lb_status sampler_open(const struct sampler_options *options, uint32_t n_vocab,
                            struct sampler **sampler, struct lb_error *err);
void sampler_close(struct sampler *sampler);
/* logits[n_vocab]. A logit that is no number is never chosen; -1 when none is a number. */
int32_t sampler_at(struct sampler *sampler, uint64_t place, const float *logits);
/* The same at places 0, 1, 2, ... */
int32_t sampler_next(struct sampler *sampler, const float *logits);

#endif
