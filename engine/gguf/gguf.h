/*
 * gguf: the model file format, versions 2 and 3 (little endian). Reader and writer.
 *
 * File: header (magic "GGUF", version, tensor count, key count), key/value pairs,
 * tensor descriptions (name, dimensions, type, offset), padding to
 * general.alignment (32 unless the file says otherwise), tensor data.
 *
 * The reader parses the header only (at most 1 GiB), with every length checked against
 * the file, and never reads tensor data. All strings and arrays it returns belong to the
 * file object and live until gguf_close.
 */
#ifndef GGUF_GGUF_H
#define GGUF_GGUF_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gguf_kind { /* ids as in the format */
                 GGUF_U8,
                 GGUF_I8,
                 GGUF_U16,
                 GGUF_I16,
                 GGUF_U32,
                 GGUF_I32,
                 GGUF_F32,
                 GGUF_BOOL,
                 GGUF_STRING,
                 GGUF_ARRAY,
                 GGUF_U64,
                 GGUF_I64,
                 GGUF_F64,
};

struct gguf_string {
    const char *text; /* NUL-terminated for convenience; may contain NULs before `length` */
    size_t length;
};

struct gguf_array {
    enum gguf_kind kind; /* of the elements; nested arrays are refused */
    uint64_t count;
    const void *values;                /* packed scalars (not aligned: use memcpy), or NULL */
    const struct gguf_string *strings; /* for GGUF_STRING, else NULL */
};

struct gguf_pair {
    const char *key;
    enum gguf_kind kind;
    union {
        uint64_t u;
        int64_t i;
        double f;
        bool b;
        struct gguf_string string;
        struct gguf_array array;
    } value; /* u for unsigned kinds, i for signed, f for floats, b for bool */
};

struct gguf_tensor {
    const char *name;
    uint32_t n_dims;
    uint64_t ne[4]; /* ne[0] is the row length; unused dimensions are 1 */
    uint32_t type;
    uint64_t file_offset; /* from the start of the file */
    uint64_t bytes;
};

struct gguf_file;

/* Tells the size of a tensor; false when the type is unknown or the shape impossible. */
typedef bool (*gguf_size_fn)(uint32_t type, const uint64_t ne[4], uint64_t *bytes);

/* Errors (LB_ERR_INPUT unless noted): no such file (LB_ERR_INPUT), not GGUF, version, truncated
 * (names what was being read and at which offset), unknown tensor type (LB_ERR_UNSUPPORTED: one
 * that is known but not read here), tensor outside the file, tensors that overlap, duplicate key or
 * tensor name. */
enum lb_status gguf_open(const char *path, gguf_size_fn size, struct gguf_file **file,
                         struct lb_error *err);
void gguf_close(struct gguf_file *file);

/* What has happened to the file since it was opened, as "became shorter"; NULL: nothing. With
 * `path_too` also whether its path means another file by now. */
const char *gguf_change(const struct gguf_file *file, bool path_too);

const char *gguf_path(const struct gguf_file *file);
uint32_t gguf_version(const struct gguf_file *file);
uint64_t gguf_file_bytes(const struct gguf_file *file);

size_t gguf_pair_count(const struct gguf_file *file);
const struct gguf_pair *gguf_pair_at(const struct gguf_file *file, size_t i);
const struct gguf_pair *gguf_find_pair(const struct gguf_file *file, const char *key);

size_t gguf_tensor_count(const struct gguf_file *file);
const struct gguf_tensor *gguf_tensor_at(const struct gguf_file *file, size_t i);
const struct gguf_tensor *gguf_find_tensor(const struct gguf_file *file, const char *name);

/* Typed look-ups; any integer kind converts where the value fits, floats from F32/F64. An array of
 * equal numbers (or bools) is that number; of different ones it is LB_ERR_UNSUPPORTED.
 * Missing key: *value keeps its default and LB_OK is returned when `required` is false. A wrong
 * kind or a value out of range is LB_ERR_INPUT naming file, key and what was expected. */
enum lb_status gguf_get_u32(const struct gguf_file *file, const char *key, bool required,
                            uint32_t *value, struct lb_error *err);
enum lb_status gguf_get_f32(const struct gguf_file *file, const char *key, bool required,
                            float *value, struct lb_error *err);
enum lb_status gguf_get_bool(const struct gguf_file *file, const char *key, bool required,
                             bool *value, struct lb_error *err);
enum lb_status gguf_get_text(const struct gguf_file *file, const char *key, bool required,
                             const char **value, struct lb_error *err);

/* ---- writer: declare pairs, declare tensors, then write all data in declared order ----
 * Keys and names are the caller's to keep unique. */

struct gguf_writer;

/* path NULL: nothing is written, the header's size is all that is asked. */
enum lb_status gguf_writer_open(const char *path, struct gguf_writer **writer,
                                struct lb_error *err);
/* Before the first data, of what has been declared. */
uint64_t gguf_writer_header_bytes(const struct gguf_writer *writer);
void gguf_writer_put_u32(struct gguf_writer *writer, const char *key, uint32_t value);
void gguf_writer_put_f32(struct gguf_writer *writer, const char *key, float value);
void gguf_writer_put_bool(struct gguf_writer *writer, const char *key, bool value);
void gguf_writer_put_text(struct gguf_writer *writer, const char *key, const char *value);
/* strings: count NUL-terminated texts */
void gguf_writer_put_texts(struct gguf_writer *writer, const char *key, const char *const *texts,
                           size_t count);
/* kind: a scalar kind; values packed */
void gguf_writer_put_array(struct gguf_writer *writer, const char *key, enum gguf_kind kind,
                           const void *values, size_t count);
void gguf_writer_add_tensor(struct gguf_writer *writer, const char *name, uint32_t n_dims,
                            const uint64_t *ne, uint32_t type, uint64_t bytes);
/* Appends `size` bytes of the current tensor; a tensor that is complete ends by itself. */
enum lb_status gguf_writer_data(struct gguf_writer *writer, const void *data, size_t size,
                                struct lb_error *err);
/* Writes to a temporary name and renames: the file appears whole or not at all. Frees the
 * writer in every case; errors of the put and add calls are reported here. */
enum lb_status gguf_writer_finish(struct gguf_writer *writer, struct lb_error *err);
/* Gives up: removes the temporary file and frees. */
void gguf_writer_abandon(struct gguf_writer *writer);

#endif
