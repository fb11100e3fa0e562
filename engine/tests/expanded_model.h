/*
 * expanded_model: a copy of a model file with all weights as float32, the values that their types
 * stand for. Keys of arrays (the vocabulary) are left out.
 */
#ifndef TESTS_EXPANDED_MODEL_H
#define TESTS_EXPANDED_MODEL_H

#include "gguf/gguf.h"
#include "quant/quant.h"
#include "tests/check.h"

#include <stdbool.h>

static inline void expand_pair(struct gguf_writer *w, const struct gguf_pair *pair)
{
    switch (pair->kind) {
    case GGUF_U32:
        gguf_writer_put_u32(w, pair->key, (uint32_t)pair->value.u);
        break;
    case GGUF_F32:
        gguf_writer_put_f32(w, pair->key, (float)pair->value.f);
        break;
    case GGUF_BOOL:
        gguf_writer_put_bool(w, pair->key, pair->value.b);
        break;
    case GGUF_STRING:
        gguf_writer_put_text(w, pair->key, pair->value.string.text);
        break;
    default:
        break;
    }
}

static inline bool expand_tensor(struct gguf_writer *w, const struct gguf_tensor *t, FILE *from,
                                 struct lb_error *err)
{
    size_t n = (size_t)(t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3]);
    void *blocks = malloc(t->bytes);
    float *values = malloc(n * sizeof *values);
    bool ok = fseek(from, (long)t->file_offset, SEEK_SET) == 0 &&
              fread(blocks, 1, t->bytes, from) == t->bytes;
    if (ok) {
        quant_info(t->type)->dequantize(blocks, values, n);
        ok = gguf_writer_data(w, values, n * sizeof *values, err) == LB_OK;
    }
    free(blocks);
    free(values);
    return ok;
}

/* False, with a failed check, when that does not work. */
static inline bool expand_model(const char *from, const char *to)
{
    struct lb_error err = LB_ERROR_INIT;
    struct gguf_file *file = NULL;
    struct gguf_writer *w = NULL;
    FILE *f = fopen(from, "rb");
    bool ok = f && gguf_open(from, quant_tensor_bytes, &file, &err) == LB_OK &&
              gguf_writer_open(to, &w, &err) == LB_OK;
    for (size_t i = 0; ok && i < gguf_pair_count(file); i++)
        expand_pair(w, gguf_pair_at(file, i));
    for (size_t i = 0; ok && i < gguf_tensor_count(file); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(file, i);
        gguf_writer_add_tensor(w, t->name, t->n_dims, t->ne, QUANT_F32,
                               4 * t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3]);
    }
    for (size_t i = 0; ok && i < gguf_tensor_count(file); i++)
        ok = expand_tensor(w, gguf_tensor_at(file, i), f, &err);
    ok = ok && gguf_writer_finish(w, &err) == LB_OK;
    CHECK(ok, "%s: %s", from, err.text);
    gguf_close(file);
    if (f)
        fclose(f);
    return ok;
}

#endif
