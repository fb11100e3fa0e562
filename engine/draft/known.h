/*
 * known: drafts from a continuation that is known, some of them wrong on purpose: what a drafter of
 * a given acceptance would bring, without one.
 */
#ifndef DRAFT_KNOWN_H
#define DRAFT_KNOWN_H

#include <stdint.h>

struct known {
    const int32_t *tokens; /* the continuation, n of them */
    uint32_t n, n_vocab;
    double acceptance; /* probability that a token of a draft is right */
    uint64_t seed;     /* which ones are */
};

/* draft[most]: up to `most` tokens from place `at` on; how many there are. Whether a place's token
 * is right does not depend on which draft it stands in. */
uint32_t known_draft(const struct known *known, uint32_t at, uint32_t most, int32_t *draft);

#endif
