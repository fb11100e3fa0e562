/*
 * vocab: the tokens of a model, as the tokenizers look at them: text, type and score by id, id by
 * text. Also a store for further strings (ids from n_tokens on), which byte-level BPE needs for
 * halves of merges that are not tokens themselves.
 */
#ifndef TEXT_VOCAB_H
#define TEXT_VOCAB_H

#include "base/status.h"
#include "gguf/gguf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum token_type { /* as in tokenizer.ggml.token_type */
                  TOKEN_UNDEFINED,
                  TOKEN_NORMAL,
                  TOKEN_UNKNOWN,
                  TOKEN_CONTROL,
                  TOKEN_USER_DEFINED,
                  TOKEN_UNUSED,
                  TOKEN_BYTE,
};

struct vocab_text {
    size_t offset; /* in pool */
    size_t length;
};

struct vocab {
    uint32_t n_tokens;
    uint8_t *types; /* [n_tokens] enum token_type */
    float *scores;  /* [n_tokens], 0 where the file has none */
    bool *ends;     /* [n_tokens] generation stops there */
    int32_t bos, eos, unknown;
    uint32_t *special; /* user-defined, control and unknown tokens, longest text first */
    size_t n_special;
    size_t longest; /* bytes of the longest token */

    /* every string, tokens first; slots is a hash table of index + 1, 0 = free */
    struct vocab_text *texts;
    size_t n_texts, texts_room;
    char *pool;
    size_t pool_used, pool_room;
    uint32_t *slots;
    size_t n_slots; /* a power of two */
};

/* Ids that hold unless the file says otherwise; -1: none. */
struct vocab_defaults {
    int32_t bos, eos, unknown;
};

/* Fills *vocab (zeroed by the caller); vocab_close in any case. */
enum lb_status vocab_open(struct vocab *vocab, const struct gguf_file *file,
                          struct vocab_defaults defaults, struct lb_error *err);
void vocab_close(struct vocab *vocab);

static inline const char *vocab_text(const struct vocab *vocab, uint32_t id)
{
    return vocab->pool + vocab->texts[id].offset;
}

static inline size_t vocab_length(const struct vocab *vocab, uint32_t id)
{
    return vocab->texts[id].length;
}

/* The token with this text (of several the last), or -1. */
int32_t vocab_find(const struct vocab *vocab, const char *text, size_t length);
/* The string with this text, stored as a further one if it is new; -1 when out of memory. */
int64_t vocab_intern(struct vocab *vocab, const char *text, size_t length);

/* The byte that a byte token ("<0x0A>") stands for, or -1. */
int vocab_byte(const struct vocab *vocab, uint32_t id);

#endif
