/*
 * bpe: byte-level byte-pair encoding (GPT-2). A word's bytes are joined, the pair with the lowest
 * rank first. In the file each byte is written as a printable character: the printable ones of
 * Latin-1 as themselves, the others as U+0100, U+0101, ... in order.
 */
#ifndef TEXT_BPE_H
#define TEXT_BPE_H

#include "text/id_list.h"
#include "text/vocab.h"

struct bpe;

/* Reads the merges and the pre-tokenizer; adds strings to *vocab. */
enum lb_status bpe_open(const struct gguf_file *file, struct vocab *vocab, struct bpe **bpe,
                        struct lb_error *err);
void bpe_close(struct bpe *bpe);
/* Whether this kind of vocabulary puts BOS first unless the file says otherwise. */
bool bpe_adds_bos(const struct bpe *bpe);

/* Appends the ids of text[length]. */
enum lb_status bpe_encode(const struct bpe *bpe, const struct vocab *vocab, const char *text,
                          size_t length, struct id_list *ids, struct lb_error *err);

/* The byte that a character of the byte alphabet stands for, or -1. */
int bpe_byte(uint32_t character);

#endif
