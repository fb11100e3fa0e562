/* model_files: the header of a model file, without an engine. */
#include "engine.h"

#include "gguf/gguf.h"
#include "model/model.h"
#include "quant/quant.h"
#include "synth/synth.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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

/* What synth wrote of how a mixture's routers choose, if it did. */
static enum lb_status read_routing(const struct gguf_file *file, struct lb_model_facts *facts,
                                   struct lb_error *err)
{
    float skew = 0, persistence = 0;
    facts->synthetic_routing = gguf_find_pair(file, SYNTH_KEY_SKEW) != NULL;
    if (!facts->synthetic_routing)
        return LB_OK;
    enum lb_status status = gguf_get_f32(file, SYNTH_KEY_SKEW, true, &skew, err);
    if (status == LB_OK)
        status = gguf_get_f32(file, SYNTH_KEY_PERSISTENCE, true, &persistence, err);
    facts->routing = (struct lb_routing){(double)skew, (double)persistence};
    return status;
}

enum lb_status lb_model_facts(const char *path, struct lb_model_facts *facts, struct lb_error *err)
{
    struct gguf_file *file = NULL;
    struct model *model = NULL;
    *facts = (struct lb_model_facts){.n_layers = 0};
    enum lb_status status = gguf_open(path, quant_tensor_bytes, &file, err);
    if (status == LB_OK)
        status = model_open(file, &model, err);
    if (status == LB_OK) {
        const struct model_config *c = model_config(model);
        snprintf(facts->architecture, sizeof facts->architecture, "%s", c->architecture);
        facts->n_layers = c->n_layers;
        facts->file_bytes = gguf_file_bytes(file);
        facts->experts = c->experts.count;
        facts->experts_used = c->experts.used;
        status = read_routing(file, facts, err);
        for (size_t i = 0; i < gguf_tensor_count(file); i++) {
            const struct gguf_tensor *t = gguf_tensor_at(file, i);
            uint32_t layer, rank;
            bool of_experts;
            if (model_tensor_order(t->name, &layer, &rank, &of_experts) && layer < c->n_layers)
                facts->layer_bytes += t->bytes;
        }
    }
    model_close(model);
    gguf_close(file);
    return status;
}

bool lb_tensor_order(const char *name, uint32_t *layer, uint32_t *rank, bool *of_experts)
{
    return model_tensor_order(name, layer, rank, of_experts);
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
