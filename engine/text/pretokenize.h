/*
 * pretokenize: cuts text into the words that byte-level BPE merges within.
 *
 * tokenizer.ggml.pre names a list of regular expressions. Each cuts the words that the one before
 * it left: what an expression matches is a word, and so is what lies between matches. They are run
 * by PCRE2 on well-formed text only; every byte that is not part of a UTF-8 character is a word.
 */
#ifndef TEXT_PRETOKENIZE_H
#define TEXT_PRETOKENIZE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pretokenizer;

/* What belongs to a kind of pre-tokenizer beside its expressions. */
struct pretokenizer_traits {
    bool ignore_merges; /* a word that is a token is that token, whatever the merges say */
    bool add_bos;       /* unless tokenizer.ggml.add_bos_token says otherwise */
};

/* name: the value of tokenizer.ggml.pre. LB_ERR_UNSUPPORTED when it is not known. */
enum lb_status pretokenizer_open(const char *name, struct pretokenizer **pretokenizer,
                                 struct lb_error *err);
void pretokenizer_close(struct pretokenizer *pretokenizer);
struct pretokenizer_traits pretokenizer_traits(const struct pretokenizer *pretokenizer);

/* Ends of the words of a text (offsets of bytes), in order; zeroed at first, reused. */
struct word_list {
    uint32_t *ends;
    size_t count, room;
};

/* What one call of split needs, kept from one to the next; zeroed at first. */
struct pretokenizer_scratch {
    struct word_list words; /* the result */
    struct word_list finer;
    void *match; /* pcre2_match_data */
};

/* scratch->words becomes the words of text[length], length < 2^31. */
enum lb_status pretokenizer_split(const struct pretokenizer *pretokenizer, const char *text,
                                  size_t length, struct pretokenizer_scratch *scratch,
                                  struct lb_error *err);
void pretokenizer_scratch_close(struct pretokenizer_scratch *scratch);

#endif
