/*
 * drafters: the ways to guess the tokens to come, in one list. A guess costs nothing but the time
 * to check it: what is kept is what would have been drawn without it.
 */
#ifndef DRAFT_DRAFTERS_H
#define DRAFT_DRAFTERS_H

/* X(id, name, what it does) */
#define DRAFTERS(X)                                                                                \
    X(OFF, "off", "one token of each sequence a pass")                                             \
    X(NGRAM, "ngram", "what followed the last tokens where they stood before")                     \
    X(MODEL, "draft", "what a smaller model in memory draws")                                      \
    X(REPLAY, "replay", "the known continuation, with errors of a given share: for studies")

enum drafter {
#define X(id, name, about) DRAFTER_##id,
    DRAFTERS(X)
#undef X
        N_DRAFTERS
};

#define DRAFT_MOST 32 /* tokens of a draft, at most */
#define NGRAM_MOST 16 /* tokens of an n-gram, at most */

#endif
