/* synth_parts: what the files of synth share; private to them. */
#ifndef SYNTH_PARTS_H
#define SYNTH_PARTS_H

#include "gguf/gguf.h"
#include "synth/synth.h"

struct synth_mix {
    const char *name;
    uint32_t file_type; /* as general.file_type names the mix */
    uint32_t base;      /* type of every matrix for which the mix has no rule */
};

/* NULL when unknown; the error lists what is known. */
const struct synth_mix *synth_find_mix(const char *name, struct lb_error *err);

/* Puts the tokenizer's pairs: n_vocab pieces, at least SYNTH_VOCAB_MIN. */
#define SYNTH_VOCAB_MIN 355
enum lb_status synth_put_vocabulary(struct gguf_writer *writer, uint32_t n_vocab,
                                    struct lb_error *err);

#endif
