/* tokenizer_impl: what the two halves of the tokenizer, text to ids and back, share. */
#ifndef TEXT_TOKENIZER_IMPL_H
#define TEXT_TOKENIZER_IMPL_H

#include "text/bpe.h"
#include "text/spm.h"
#include "text/tokenizer.h"
#include "text/vocab.h"

struct tokenizer {
    struct vocab vocab;
    struct bpe *bpe; /* NULL: SentencePiece-style */
    struct spm spm;
    bool add_bos;
    bool space_prefix; /* SPM: text starts with a space that is not there */
};

#endif
