/*
 * files: the part of engine.h that needs no engine: the tokenizer alone, the header
 * of a file, synthetic models, and what can be chosen.
 */
#include "engine.h"

#include "base/memory.h"
#include "cache/cache.h"
#include "gguf/gguf.h"
#include "kernels/kernels.h"
#include "plan/planner.h"
#include "quant/quant.h"
#include "storage/storage.h"
#include "synth/synth.h"
#include "text/sampler.h"
#include "text/tokenizer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- tokenizer alone ---- */

struct lb_vocab {
    struct tokenizer *tokenizer;
};

enum lb_status lb_vocab_open(const char *path, struct lb_vocab **out, struct lb_error *err)
{
    *out = NULL;
    struct gguf_file *file = NULL;
    struct lb_vocab *vocab = NULL;
    enum lb_status status = gguf_open(path, quant_tensor_bytes, &file, err);
    if (status != LB_OK)
        goto done;
    vocab = lb_calloc(1, sizeof *vocab);
    if (!vocab) {
        status = lb_fail(err, LB_ERR_NOMEM, "vocabulary: out of memory");
        goto done;
    }
    status = tokenizer_open(file, &vocab->tokenizer, err);
    if (status == LB_OK)
        *out = vocab;
    else
        lb_free(vocab);
done:
    gguf_close(file);
    return status;
}

void lb_vocab_close(struct lb_vocab *vocab)
{
    if (!vocab)
        return;
    tokenizer_close(vocab->tokenizer);
    lb_free(vocab);
}

enum lb_status lb_vocab_tokenize(const struct lb_vocab *vocab, const char *text, size_t length,
                                 struct lb_text_options options, int32_t **ids, size_t *count,
                                 struct lb_error *err)
{
    struct tokenizer_options o = {.bos = options.bos, .special = options.special};
    return tokenizer_encode(vocab->tokenizer, text, length, o, ids, count, err);
}

void lb_release(void *block)
{
    lb_free(block);
}

/* ---- sampler ---- */

struct lb_sampler {
    struct sampler *sampler;
};

enum lb_status lb_sampler_open(const struct lb_sampling *sampling, uint32_t n_vocab,
                               struct lb_sampler **out, struct lb_error *err)
{
    *out = NULL;
    struct lb_sampler *s = lb_calloc(1, sizeof *s);
    if (!s)
        return lb_fail(err, LB_ERR_NOMEM, "sampler: out of memory");
    struct sampler_options o = {.temperature = sampling->temperature,
                                .top_k = sampling->top_k,
                                .top_p = sampling->top_p,
                                .seed = sampling->seed};
    enum lb_status status = sampler_open(&o, n_vocab, &s->sampler, err);
    if (status == LB_OK)
        *out = s;
    else
        lb_free(s);
    return status;
}

void lb_sampler_close(struct lb_sampler *sampler)
{
    if (!sampler)
        return;
    sampler_close(sampler->sampler);
    lb_free(sampler);
}

int32_t lb_sampler_next(struct lb_sampler *sampler, const float *logits)
{
    return sampler_next(sampler->sampler, logits);
}

/* ---- header of a file ---- */

static const char *kind_name(enum gguf_kind kind)
{
    static const char *const names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                        "bool", "string", "array", "u64", "i64", "f64"};
    return (size_t)kind < sizeof names / sizeof *names ? names[kind] : "unknown";
}

/* Element i of an array of scalars, as text. */
static int scalar_text(const struct gguf_array *array, uint64_t i, char *out, size_t size)
{
    const unsigned char *p = array->values;
    switch (array->kind) {
#define ONE(kind, type, format)                                                                    \
    case kind: {                                                                                   \
        type v;                                                                                    \
        memcpy(&v, p + i * sizeof v, sizeof v);                                                    \
        return snprintf(out, size, format, v);                                                     \
    }
        ONE(GGUF_U8, uint8_t, "%u")
        ONE(GGUF_I8, int8_t, "%d")
        ONE(GGUF_U16, uint16_t, "%u")
        ONE(GGUF_I16, int16_t, "%d")
        ONE(GGUF_U32, uint32_t, "%" PRIu32)
        ONE(GGUF_I32, int32_t, "%" PRId32)
        ONE(GGUF_U64, uint64_t, "%" PRIu64)
        ONE(GGUF_I64, int64_t, "%" PRId64)
        ONE(GGUF_F32, float, "%g")
        ONE(GGUF_F64, double, "%g")
#undef ONE
    case GGUF_BOOL:
        return snprintf(out, size, "%s", p[i] ? "true" : "false");
    default:
        return snprintf(out, size, "?");
    }
}

static void array_text(const struct gguf_array *array, char *out, size_t size)
{
    size_t used =
        (size_t)snprintf(out, size, "%" PRIu64 " x %s [", array->count, kind_name(array->kind));
    for (uint64_t i = 0; i < array->count && i < 6 && used + 80 < size; i++) {
        if (i)
            used += (size_t)snprintf(out + used, size - used, ", ");
        if (array->strings)
            used += (size_t)snprintf(out + used, size - used, "\"%.40s\"", array->strings[i].text);
        else
            used += (size_t)scalar_text(array, i, out + used, size - used);
    }
    snprintf(out + used, size - used, "%s]", array->count > 6 ? ", ..." : "");
}

static void inspect_pair(const struct lb_inspect *inspect, const struct gguf_pair *pair)
{
    char text[512];
    const char *value = text;
    switch (pair->kind) {
    case GGUF_STRING:
        value = pair->value.string.text;
        break;
    case GGUF_ARRAY:
        array_text(&pair->value.array, text, sizeof text);
        break;
    case GGUF_BOOL:
        value = pair->value.b ? "true" : "false";
        break;
    case GGUF_F32:
    case GGUF_F64:
        snprintf(text, sizeof text, "%.9g", pair->value.f);
        break;
    case GGUF_I8:
    case GGUF_I16:
    case GGUF_I32:
    case GGUF_I64:
        snprintf(text, sizeof text, "%" PRId64, pair->value.i);
        break;
    default:
        snprintf(text, sizeof text, "%" PRIu64, pair->value.u);
        break;
    }
    inspect->pair(inspect->ctx, pair->key, kind_name(pair->kind), value);
}

enum lb_status lb_inspect_file(const char *path, const struct lb_inspect *inspect,
                               struct lb_error *err)
{
    struct gguf_file *file;
    enum lb_status status = gguf_open(path, quant_tensor_bytes, &file, err);
    if (status != LB_OK)
        return status;
    if (inspect->file)
        inspect->file(inspect->ctx, gguf_version(file), gguf_file_bytes(file),
                      gguf_pair_count(file), gguf_tensor_count(file));
    for (size_t i = 0; inspect->pair && i < gguf_pair_count(file); i++)
        inspect_pair(inspect, gguf_pair_at(file, i));
    for (size_t i = 0; inspect->tensor && i < gguf_tensor_count(file); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(file, i);
        const struct quant_info *info = quant_info(t->type);
        inspect->tensor(inspect->ctx, t->name, info ? info->name : "unknown", t->n_dims, t->ne,
                        t->file_offset, t->bytes);
    }
    gguf_close(file);
    return LB_OK;
}

enum lb_status lb_synth_write(const struct lb_synth *synth, const char *path, struct lb_error *err)
{
    struct synth_options o = {.shape = synth->shape,
                              .mix = synth->quant,
                              .seed = synth->seed,
                              .n_layers = synth->n_layers,
                              .progress = synth->progress,
                              .progress_ctx = synth->progress_ctx};
    return synth_write(&o, path, err);
}

enum lb_status lb_synth_inspect(const struct lb_synth *synth, const struct lb_inspect *inspect,
                                struct lb_error *err)
{
    const uint64_t align = 32; /* general.alignment of what synth writes */
    const struct synth_shape *named = synth_find_shape(synth->shape, err);
    if (!named)
        return LB_ERR_INPUT;
    struct synth_shape shape = *named;
    if (synth->n_layers > 0)
        shape.n_layers = synth->n_layers;
    struct synth_tensor *tensors;
    size_t n;
    enum lb_status status = synth_plan(&shape, synth->quant, &tensors, &n, err);
    if (status != LB_OK)
        return status;
    uint64_t end = 0;
    for (size_t i = 0; i < n; i++)
        end += (tensors[i].bytes + align - 1) / align * align;
    if (inspect->file)
        inspect->file(inspect->ctx, 3, end, 0, n);
    uint64_t at = 0;
    for (size_t i = 0; inspect->tensor && i < n; i++) {
        const struct synth_tensor *t = &tensors[i];
        inspect->tensor(inspect->ctx, t->name, quant_info(t->type)->name, t->n_dims, t->ne, at,
                        t->bytes);
        at += (t->bytes + align - 1) / align * align;
    }
    lb_free(tensors);
    return LB_OK;
}

/* ---- what can be chosen ---- */

static bool choice_set(struct lb_choice *choice, const char *name, const char *about,
                       bool available)
{
    *choice = (struct lb_choice){.name = name, .about = about, .available = available};
    return true;
}

static bool prefetch_at(size_t i, struct lb_choice *choice)
{
    static const struct lb_choice modes[] = {
        {"off", "every missing layer is loaded when the computation needs it", true},
        {"sync", "blocking read-ahead on the computing thread", true},
        {"async", "a background thread reads ahead while the computation runs",
         LB_ASYNC_PREFETCH != 0},
        {"resident", "everything is loaded at open; nothing streams", true},
    };
    if (i >= sizeof modes / sizeof *modes)
        return false;
    *choice = modes[i];
    return true;
}

bool lb_choice_at(const char *kind, size_t i, struct lb_choice *choice)
{
    size_t n;
    if (strcmp(kind, "prefetch") == 0)
        return prefetch_at(i, choice);
    if (strcmp(kind, "replacement") == 0) {
        const struct cache_policy *const *list = cache_policies(&n);
        return i < n && choice_set(choice, list[i]->name, list[i]->about, true);
    }
    if (strcmp(kind, "scheduler") == 0) {
        const struct planner_scheduler *const *list = planner_schedulers(&n);
        return i < n && choice_set(choice, list[i]->name, list[i]->about, true);
    }
    if (strcmp(kind, "storage") == 0) {
        const struct storage_ops *const *list = storage_list(&n);
        return i < n && choice_set(choice, list[i]->name, list[i]->about, true);
    }
    if (strcmp(kind, "device") == 0) {
        const struct storage_preset *list = storage_presets(&n);
        return i < n && choice_set(choice, list[i].name, list[i].about, true);
    }
    if (strcmp(kind, "kernels") == 0) {
        const struct kernels_ops *const *list = kernels_list(&n);
        if (i == 0)
            return choice_set(choice, "auto", "the best that this processor has", true);
        return i <= n &&
               choice_set(choice, list[i - 1]->name, list[i - 1]->about, list[i - 1]->available());
    }
    if (strcmp(kind, "shape") == 0) {
        const struct synth_shape *list = synth_shapes(&n);
        return i < n && choice_set(choice, list[i].name, list[i].architecture, true);
    }
    if (strcmp(kind, "quant") == 0) {
        const char *const *list = synth_mixes(&n);
        return i < n && choice_set(choice, list[i], "", true);
    }
    return false;
}

bool lb_device_preset(const char *name, struct lb_device *device)
{
    size_t n;
    const struct storage_preset *list = storage_presets(&n);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i].name, name) == 0) {
            const struct storage_device *d = &list[i].device;
            *device = (struct lb_device){d->bandwidth, d->latency_ns, d->queue_depth};
            return true;
        }
    }
    return false;
}
