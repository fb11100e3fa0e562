/*
 * tokenizer: text to token ids and back, from the vocabulary in a GGUF file.
 *
 * tokenizer.ggml.model "llama": SentencePiece-style merges by score, byte fallback.
 * "gpt2": byte-level BPE by merge rank, after a pre-tokenizer that
 * tokenizer.ggml.pre names (regular expressions, run by PCRE2).
 * Text is UTF-8; invalid bytes are handled as single bytes, never an error.
 */
#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H

#include "base/status.h"
#include "gguf/gguf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tokenizer;

/* Copies what it needs from `file`. LB_ERR_UNSUPPORTED names a model or pre-tokenizer that is not
 * known; LB_ERR_INPUT a vocabulary that is missing or damaged. */
enum lb_status tokenizer_open(const struct gguf_file *file, struct tokenizer **tokenizer,
                              struct lb_error *err);
void tokenizer_close(struct tokenizer *tokenizer);

/* One line about what the file leaves open and had to be assumed, or "". */
const char *tokenizer_note(const struct gguf_file *file);

uint32_t tokenizer_vocab_size(const struct tokenizer *tokenizer);
int32_t tokenizer_bos(const struct tokenizer *tokenizer); /* -1: none */
int32_t tokenizer_eos(const struct tokenizer *tokenizer); /* -1: none */
bool tokenizer_adds_bos(const struct tokenizer *tokenizer);
/* End of sequence, end of turn and the like: generation stops there. */
bool tokenizer_ends(const struct tokenizer *tokenizer, int32_t id);

struct tokenizer_options {
    bool bos;     /* put BOS first where the model wants one */
    bool special; /* recognise special tokens in the text; else they are plain text */
};

/* *ids is allocated (lb_free), *count long. On error nothing is the caller's. */
enum lb_status tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t length,
                                struct tokenizer_options options, int32_t **ids, size_t *count,
                                struct lb_error *err);

/* Streaming detokeniser: gives out whole UTF-8 characters only and keeps the rest. */
struct tokenizer_stream {
    unsigned char held[4];
    int n_held;
    bool started; /* the leading space of the first piece is dropped (SPM) */
};

/* Writes the text that `id` adds to out (NUL-terminated, at most `size` bytes with the NUL);
 * returns the length it needs; call again with more room if that is `size` or more (the stream
 * moves on only when it fitted). id -1 flushes: an incomplete character becomes U+FFFD. */
size_t tokenizer_decode(const struct tokenizer *tokenizer, struct tokenizer_stream *stream,
                        int32_t id, char *out, size_t size);

#endif
