/* synth_parts: what the files of synth share; private to them. */
#ifndef SYNTH_PARTS_H
#define SYNTH_PARTS_H

#include "base/random.h"
#include "gguf/gguf.h"
#include "synth/synth.h"

/* ---- random numbers ---- */

/* A generator of its own for every purpose: FNV-1a of its name, with the seed. */
static inline struct lb_random synth_generator(uint64_t seed, const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    struct lb_random r = {hash ^ seed * 0x9e3779b97f4a7c15u};
    lb_random_next(&r);
    return r;
}

/* Near enough to a normal deviate: the sum of twelve uniform ones (deviation 1, at most 6). */
static inline double synth_deviate(struct lb_random *r)
{
    double sum = 0;
    for (int i = 0; i < 12; i++)
        sum += lb_random_unit(r);
    return sum - 6;
}

/* ---- types ---- */

struct synth_mix {
    const char *name;
    uint32_t file_type; /* as general.file_type names the mix */
    uint32_t base;      /* type of every matrix for which the mix has no rule */
};

/* mix, or where that is NULL the one that the shape usually comes in. */
const char *synth_mix_name(const struct synth_shape *shape, const char *mix);
/* NULL when unknown; the error lists what is known. */
const struct synth_mix *synth_find_mix(const char *name, struct lb_error *err);
/* The type of a tensor of which all but type and bytes is known. */
uint32_t synth_type_of(const struct synth_mix *mix, const struct synth_shape *shape,
                       const struct synth_tensor *tensor);

/* ---- header ---- */

/* Puts the pairs that say what model it is, the tokenizer's included. */
enum lb_status synth_put_header(struct gguf_writer *writer, const struct synth_shape *shape,
                                const struct synth_mix *mix, uint64_t seed,
                                const struct synth_routing *routing, struct lb_error *err);

/* Puts the tokenizer's pairs: n_vocab pieces, at least SYNTH_VOCAB_MIN. */
#define SYNTH_VOCAB_MIN 355
enum lb_status synth_put_vocabulary(struct gguf_writer *writer, uint32_t n_vocab,
                                    struct lb_error *err);

#endif
