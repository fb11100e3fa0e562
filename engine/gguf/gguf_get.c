/* gguf_get: look-ups in an open file, and the conversions between value kinds. */
#include "gguf/gguf_file.h"

#include <math.h>
#include <string.h>

size_t gguf_kind_bytes(uint32_t kind)
{
    static const unsigned char bytes[] = {
        [GGUF_U8] = 1,  [GGUF_I8] = 1,  [GGUF_U16] = 2, [GGUF_I16] = 2,
        [GGUF_U32] = 4, [GGUF_I32] = 4, [GGUF_F32] = 4, [GGUF_BOOL] = 1,
        [GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8,
    };
    return kind < sizeof bytes ? bytes[kind] : 0;
}

#define LOAD(type, field)                                                                          \
    do {                                                                                           \
        type v;                                                                                    \
        memcpy(&v, raw, sizeof v);                                                                 \
        pair->value.field = v;                                                                     \
    } while (0)

void gguf_scalar(const void *raw, struct gguf_pair *pair)
{
    switch (pair->kind) {
    case GGUF_U8:
        LOAD(uint8_t, u);
        break;
    case GGUF_I8:
        LOAD(int8_t, i);
        break;
    case GGUF_U16:
        LOAD(uint16_t, u);
        break;
    case GGUF_I16:
        LOAD(int16_t, i);
        break;
    case GGUF_U32:
        LOAD(uint32_t, u);
        break;
    case GGUF_I32:
        LOAD(int32_t, i);
        break;
    case GGUF_F32:
        LOAD(float, f);
        break;
    case GGUF_BOOL:
        pair->value.b = *(const unsigned char *)raw != 0;
        break;
    case GGUF_U64:
        LOAD(uint64_t, u);
        break;
    case GGUF_I64:
        LOAD(int64_t, i);
        break;
    case GGUF_F64:
        LOAD(double, f);
        break;
    case GGUF_STRING:
    case GGUF_ARRAY:
        break;
    }
}

const char *gguf_shown(const char *name, char *out)
{
    size_t n = 0;
    for (; name[n] && n < GGUF_SHOWN - 4; n++)
        out[n] = (unsigned char)name[n] < 0x20 || name[n] == 0x7f ? '?' : name[n];
    strcpy(out + n, name[n] ? "..." : "");
    return out;
}

const char *gguf_path(const struct gguf_file *file)
{
    return file->path;
}

uint32_t gguf_version(const struct gguf_file *file)
{
    return file->version;
}

uint64_t gguf_file_bytes(const struct gguf_file *file)
{
    return file->bytes;
}

size_t gguf_pair_count(const struct gguf_file *file)
{
    return file->n_pairs;
}

const struct gguf_pair *gguf_pair_at(const struct gguf_file *file, size_t i)
{
    return i < file->n_pairs ? &file->pairs[i] : NULL;
}

const struct gguf_pair *gguf_find_pair(const struct gguf_file *file, const char *key)
{
    size_t low = 0, high = file->n_pairs;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(key, file->pairs_by_key[mid]->key);
        if (order == 0)
            return file->pairs_by_key[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

size_t gguf_tensor_count(const struct gguf_file *file)
{
    return file->n_tensors;
}

const struct gguf_tensor *gguf_tensor_at(const struct gguf_file *file, size_t i)
{
    return i < file->n_tensors ? &file->tensors[i] : NULL;
}

const struct gguf_tensor *gguf_find_tensor(const struct gguf_file *file, const char *name)
{
    size_t low = 0, high = file->n_tensors;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(name, file->tensors_by_name[mid]->name);
        if (order == 0)
            return file->tensors_by_name[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

/* ---- typed look-ups ---- */

static const char *kind_name(enum gguf_kind kind)
{
    static const char *const names[] = {
        [GGUF_U8] = "u8",         [GGUF_I8] = "i8",       [GGUF_U16] = "u16", [GGUF_I16] = "i16",
        [GGUF_U32] = "u32",       [GGUF_I32] = "i32",     [GGUF_F32] = "f32", [GGUF_BOOL] = "bool",
        [GGUF_STRING] = "string", [GGUF_ARRAY] = "array", [GGUF_U64] = "u64", [GGUF_I64] = "i64",
        [GGUF_F64] = "f64",
    };
    return names[kind];
}

/* An array of equal scalars stands for one of them: some converters write a value for each layer
 * also where all layers have the same. */
static enum lb_status equal_elements(const struct gguf_file *file, const struct gguf_pair *pair,
                                     const char *expected, struct gguf_pair *one,
                                     struct lb_error *err)
{
    const struct gguf_array *a = &pair->value.array;
    const char *values = a->values;
    size_t size = gguf_kind_bytes(a->kind);
    if (a->count == 0 || size == 0)
        return lb_fail(err, LB_ERR_INPUT, "%s: key '%s' is an array of %llu %ss, expected %s",
                       file->path, pair->key, (unsigned long long)a->count, kind_name(a->kind),
                       expected);
    for (uint64_t i = 1; i < a->count; i++)
        if (memcmp(values, values + i * size, size) != 0)
            return lb_fail(err, LB_ERR_UNSUPPORTED,
                           "%s: key '%s': a value for each layer is not supported: got %llu that "
                           "differ, expected %s",
                           file->path, pair->key, (unsigned long long)a->count, expected);
    *one = (struct gguf_pair){.key = pair->key, .kind = a->kind};
    gguf_scalar(values, one);
    return LB_OK;
}

/* *pair = NULL and LB_OK when the key is missing and need not be there. */
static enum lb_status look_up(const struct gguf_file *file, const char *key, bool required,
                              const char *expected, const struct gguf_pair **pair,
                              struct lb_error *err)
{
    *pair = gguf_find_pair(file, key);
    if (*pair || !required)
        return LB_OK;
    return lb_fail(err, LB_ERR_INPUT, "%s: key '%s' is missing, expected %s", file->path, key,
                   expected);
}

/* As look_up, with *own in place of an array of equal numbers. */
static enum lb_status look_up_one(const struct gguf_file *file, const char *key, bool required,
                                  const char *expected, struct gguf_pair *own,
                                  const struct gguf_pair **pair, struct lb_error *err)
{
    enum lb_status status = look_up(file, key, required, expected, pair, err);
    if (!*pair || (*pair)->kind != GGUF_ARRAY)
        return status;
    status = equal_elements(file, *pair, expected, own, err);
    *pair = status == LB_OK ? own : NULL;
    return status;
}

static enum lb_status wrong_kind(const struct gguf_file *file, const struct gguf_pair *pair,
                                 const char *expected, struct lb_error *err)
{
    return lb_fail(err, LB_ERR_INPUT, "%s: key '%s' is of kind %s, expected %s", file->path,
                   pair->key, kind_name(pair->kind), expected);
}

enum lb_status gguf_get_u32(const struct gguf_file *file, const char *key, bool required,
                            uint32_t *value, struct lb_error *err)
{
    static const char expected[] = "an integer from 0 to 4294967295";
    struct gguf_pair own;
    const struct gguf_pair *pair;
    enum lb_status status = look_up_one(file, key, required, expected, &own, &pair, err);
    if (!pair)
        return status;
    switch (pair->kind) {
    case GGUF_U8:
    case GGUF_U16:
    case GGUF_U32:
    case GGUF_U64:
        if (pair->value.u > UINT32_MAX)
            return lb_fail(err, LB_ERR_INPUT, "%s: key '%s' is %llu, expected %s", file->path, key,
                           (unsigned long long)pair->value.u, expected);
        *value = (uint32_t)pair->value.u;
        return LB_OK;
    case GGUF_I8:
    case GGUF_I16:
    case GGUF_I32:
    case GGUF_I64:
        if (pair->value.i < 0 || pair->value.i > UINT32_MAX)
            return lb_fail(err, LB_ERR_INPUT, "%s: key '%s' is %lld, expected %s", file->path, key,
                           (long long)pair->value.i, expected);
        *value = (uint32_t)pair->value.i;
        return LB_OK;
    default:
        return wrong_kind(file, pair, expected, err);
    }
}

enum lb_status gguf_get_f32(const struct gguf_file *file, const char *key, bool required,
                            float *value, struct lb_error *err)
{
    static const char expected[] = "a finite 32-bit float";
    struct gguf_pair own;
    const struct gguf_pair *pair;
    enum lb_status status = look_up_one(file, key, required, expected, &own, &pair, err);
    if (!pair)
        return status;
    if (pair->kind != GGUF_F32 && pair->kind != GGUF_F64)
        return wrong_kind(file, pair, expected, err);
    if (!isfinite((float)pair->value.f))
        return lb_fail(err, LB_ERR_INPUT, "%s: key '%s' is %g, expected %s", file->path, key,
                       pair->value.f, expected);
    *value = (float)pair->value.f;
    return LB_OK;
}

enum lb_status gguf_get_bool(const struct gguf_file *file, const char *key, bool required,
                             bool *value, struct lb_error *err)
{
    struct gguf_pair own;
    const struct gguf_pair *pair;
    enum lb_status status = look_up_one(file, key, required, "a bool", &own, &pair, err);
    if (!pair)
        return status;
    if (pair->kind != GGUF_BOOL)
        return wrong_kind(file, pair, "a bool", err);
    *value = pair->value.b;
    return LB_OK;
}

enum lb_status gguf_get_text(const struct gguf_file *file, const char *key, bool required,
                             const char **value, struct lb_error *err)
{
    const struct gguf_pair *pair;
    enum lb_status status = look_up(file, key, required, "a string", &pair, err);
    if (!pair)
        return status;
    if (pair->kind != GGUF_STRING)
        return wrong_kind(file, pair, "a string", err);
    *value = pair->value.string.text;
    return LB_OK;
}
