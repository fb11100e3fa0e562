/*
 * length: how many tokens to draft.
 *
 * A pass over k drafted tokens yields E(k) = 1 + a1 + a1 a2 + ... + a1..ak tokens, where ai is how
 * often the i-th is right once those before it are (Leviathan, Kalman, Matias 2023). The length is
 * the k with the largest E(k) / time(k). What is right and what passes of each length take is
 * learnt while running: the time is flat in k where loading takes it, and grows where computing
 * does. Estimates of acceptance drift back to a hopeful one, so that a length given up is tried
 * again.
 */
#ifndef DRAFT_LENGTH_H
#define DRAFT_LENGTH_H

#include "draft/drafters.h"

#include <stdbool.h>
#include <stdint.h>

struct length {
    uint32_t most;
    bool adapts;              /* else always `most` */
    uint32_t n;               /* passes so far */
    double tried[DRAFT_MOST]; /* forgetting sums, by place in the draft */
    double kept[DRAFT_MOST];
    double pass_ns[DRAFT_MOST + 1]; /* of a pass with so many drafted; 0: none yet */
};

void length_open(struct length *length, uint32_t most, bool adapts);
uint32_t length_next(const struct length *length);
/* A draft's outcome: `kept` of `drafted` tokens were right. */
void length_saw(struct length *length, uint32_t drafted, uint32_t kept);
/* A pass with drafts of up to `drafted` tokens took so long, drafting included. */
void length_took(struct length *length, uint32_t drafted, double ns);

/* Tokens that a pass over k drafted ones yields when each is right with this probability. */
double length_yield(double acceptance, uint32_t k);

#endif
