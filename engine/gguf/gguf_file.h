/* gguf_file: what reader, look-ups and writer share; private to the gguf room. */
#ifndef GGUF_GGUF_FILE_H
#define GGUF_GGUF_FILE_H

#include "base/file_state.h"
#include "gguf/gguf.h"

#define GGUF_MAGIC     0x46554747u /* "GGUF" */
#define GGUF_ALIGNMENT 32          /* of tensor data, unless general.alignment says otherwise */

struct gguf_file {
    char *path;
    int fd; /* stays open, to see whether the file changes */
    struct lb_file_state state;
    uint64_t bytes;
    uint32_t version;
    size_t n_pairs, n_tensors;
    struct gguf_pair *pairs;              /* in file order */
    struct gguf_tensor *tensors;          /* in file order */
    struct gguf_pair **pairs_by_key;      /* sorted, for look-up */
    struct gguf_tensor **tensors_by_name; /* sorted, for look-up */
    struct chunk *chunks;                 /* texts and arrays */
};

/* Bytes of a scalar of this kind; 0 for strings, arrays and unknown kinds. */
size_t gguf_kind_bytes(uint32_t kind);

/* Sets pair->value from the scalar's bytes in the file; pair->kind says what they are. */
void gguf_scalar(const void *raw, struct gguf_pair *pair);

/* Writes a name from a file so that it fits into a message: one line, cut when long.
 * Returns `out`, GGUF_SHOWN bytes. */
#define GGUF_SHOWN 80
const char *gguf_shown(const char *name, char *out);

#endif
