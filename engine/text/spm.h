/*
 * spm: SentencePiece-style tokens. Characters are joined, the pair with the highest score first,
 * as long as the joined text is a token; a character that is no token becomes its bytes.
 */
#ifndef TEXT_SPM_H
#define TEXT_SPM_H

#include "text/id_list.h"
#include "text/vocab.h"

struct spm {
    int32_t bytes[256]; /* the byte tokens; -1: none */
    bool words_apart;   /* no token goes on into the next word: words can be encoded one by one */
};

void spm_open(struct spm *spm, const struct vocab *vocab);

/* Appends the ids of text[length]. `prefix`: put a space in front. Spaces count as U+2581. */
enum lb_status spm_encode(const struct spm *spm, const struct vocab *vocab, const char *text,
                          size_t length, bool prefix, struct id_list *ids, struct lb_error *err);

#endif
