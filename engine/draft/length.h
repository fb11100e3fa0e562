/*
 * length: how many tokens to draft.
 *
 * A pass over k drafted tokens yields E(k) = 1 + a1 + a1 a2 + ... + a1..ak tokens, where ai is how
 * often the i-th is right once those before it are (Leviathan, Kalman, Matias 2023). The length is
 * the k with the largest E(k) / time(k).
 *
 * What is right is learnt while running, by place; so is what passes take: c(k), computing, which
 * grows with k, and t, loading, which hardly does. A pass takes the larger of the two where loads
 * run beside computing, else their sum: further tokens are free as long as loading covers their
 * computing, and cost beyond. Lengths that were not tried are predicted from c and t of those that
 * were. Estimates of acceptance drift back to a hopeful one, so that a length given up is tried
 * again.
 */
#ifndef DRAFT_LENGTH_H
#define DRAFT_LENGTH_H

#include "draft/drafters.h"

#include <stdbool.h>
#include <stdint.h>

/* What a pass takes, in ns. */
struct length_time {
    double pass_ns;    /* from drafting to logits; 0: none yet */
    double compute_ns; /* of it, all but waiting for loads: drafting, computing, the rest */
    double load_ns;    /* the storage was busy with its loads */
};

struct length {
    uint32_t most;
    bool adapts;              /* else always `most` */
    bool overlaps;            /* loads run beside computing */
    uint32_t n;               /* passes so far */
    double tried[DRAFT_MOST]; /* forgetting sums, by place in the draft */
    double kept[DRAFT_MOST];
    struct length_time took[DRAFT_MOST + 1]; /* by tokens drafted; moving averages */
};

void length_open(struct length *length, uint32_t most, bool adapts, bool overlaps);
uint32_t length_next(const struct length *length);
/* A draft's outcome: `kept` of `drafted` tokens were right. */
void length_saw(struct length *length, uint32_t drafted, uint32_t kept);
/* What a pass with drafts of up to `drafted` tokens took. */
void length_took(struct length *length, uint32_t drafted, const struct length_time *took);

/* What a pass takes of which computing and loading take so long. */
double length_pass_ns(double compute_ns, double load_ns, bool overlaps);
/* The length with the most tokens in a time, the shortest of equals: 0 to `most`. acceptance[most]
 * by place; pass_ns[most + 1] by length, above 0. */
uint32_t length_best(uint32_t most, const double *acceptance, const double *pass_ns);

/* Tokens that a pass over k drafted ones yields when each is right with this probability. */
double length_yield(double acceptance, uint32_t k);

#endif
