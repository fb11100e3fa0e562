/*
 * binding: finds the tensors of a model in its file and checks each.
 *
 * One table says it all: name, shape in terms of the configuration, and which
 * architectures must or may have it. A tensor of the file that the table does not know
 * is refused: leaving it out of the arithmetic would give wrong results without a word.
 */
#include "model/binding.h"

#include "base/memory.h"
#include "quant/quant.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LLAMA = 1, QWEN2 = 2, QWEN3 = 4, ALL = LLAMA | QWEN2 | QWEN3 };

enum size { ONE, EMBD, HEADS, KV_HEADS, HEAD, FF, VOCAB, ROPE_PAIRS };

struct spec {
    const char *name; /* %u: the layer */
    enum size n_in, n_rows;
    int required, allowed; /* architectures */
};

/* shapes as W[n_rows][n_in] */
static const struct spec specs[ROLE_COUNT] = {
    [ROLE_TOKEN_EMBD] = {"token_embd.weight", EMBD, VOCAB, ALL, ALL},
    [ROLE_ROPE_FREQS] = {"rope_freqs.weight", ROPE_PAIRS, ONE, 0, LLAMA},
    [ROLE_OUTPUT_NORM] = {"output_norm.weight", EMBD, ONE, ALL, ALL},
    [ROLE_OUTPUT] = {"output.weight", EMBD, VOCAB, 0, ALL},
    [ROLE_ATTN_NORM] = {"blk.%u.attn_norm.weight", EMBD, ONE, ALL, ALL},
    [ROLE_ATTN_Q] = {"blk.%u.attn_q.weight", EMBD, HEADS, ALL, ALL},
    [ROLE_ATTN_Q_BIAS] = {"blk.%u.attn_q.bias", HEADS, ONE, QWEN2, LLAMA | QWEN2},
    [ROLE_ATTN_K] = {"blk.%u.attn_k.weight", EMBD, KV_HEADS, ALL, ALL},
    [ROLE_ATTN_K_BIAS] = {"blk.%u.attn_k.bias", KV_HEADS, ONE, QWEN2, LLAMA | QWEN2},
    [ROLE_ATTN_V] = {"blk.%u.attn_v.weight", EMBD, KV_HEADS, ALL, ALL},
    [ROLE_ATTN_V_BIAS] = {"blk.%u.attn_v.bias", KV_HEADS, ONE, QWEN2, LLAMA | QWEN2},
    [ROLE_ATTN_Q_NORM] = {"blk.%u.attn_q_norm.weight", HEAD, ONE, QWEN3, QWEN3},
    [ROLE_ATTN_K_NORM] = {"blk.%u.attn_k_norm.weight", HEAD, ONE, QWEN3, QWEN3},
    [ROLE_ATTN_OUTPUT] = {"blk.%u.attn_output.weight", HEADS, EMBD, ALL, ALL},
    [ROLE_FFN_NORM] = {"blk.%u.ffn_norm.weight", EMBD, ONE, ALL, ALL},
    [ROLE_FFN_GATE] = {"blk.%u.ffn_gate.weight", EMBD, FF, ALL, ALL},
    [ROLE_FFN_UP] = {"blk.%u.ffn_up.weight", EMBD, FF, ALL, ALL},
    [ROLE_FFN_DOWN] = {"blk.%u.ffn_down.weight", FF, EMBD, ALL, ALL},
};

static int architecture_bit(const struct model_config *c)
{
    if (strcmp(c->architecture, "llama") == 0)
        return LLAMA;
    return strcmp(c->architecture, "qwen2") == 0 ? QWEN2 : QWEN3;
}

static uint32_t size_of(const struct model_config *c, enum size size)
{
    switch (size) {
    case ONE:
        return 1;
    case EMBD:
        return c->n_embd;
    case HEADS:
        return c->n_heads * c->head_dim;
    case KV_HEADS:
        return c->n_kv_heads * c->head_dim;
    case HEAD:
        return c->head_dim;
    case FF:
        return c->n_ff;
    case VOCAB:
        return c->n_vocab;
    case ROPE_PAIRS:
        return c->rope_dims / 2;
    }
    return 0;
}

static const char *name_of(enum model_role role, uint32_t layer, char *name, size_t size)
{
    const char *mark = strstr(specs[role].name, "%u");
    if (mark)
        snprintf(name, size, "%.*s%u%s", (int)(mark - specs[role].name), specs[role].name, layer,
                 mark + 2);
    else
        snprintf(name, size, "%s", specs[role].name);
    return name;
}

bool model_tensor_order(const char *name, uint32_t *layer, uint32_t *rank)
{
    int after = 0;
    if (sscanf(name, "blk.%" SCNu32 "%n", layer, &after) != 1)
        return false;
    for (int role = ROLE_FIRST_OF_LAYER; role < ROLE_COUNT; role++) {
        if (strcmp(name + after, strstr(specs[role].name, "%u") + 2) == 0) {
            *rank = (uint32_t)role;
            return true;
        }
    }
    return false;
}

/* "64 x 512", or "64" for vectors; as GGUF tools print shapes, row length first. */
static const char *shape_text(const uint64_t ne[4], char *text, size_t size)
{
    size_t n = (size_t)snprintf(text, size, "%" PRIu64, ne[0]);
    for (int last = 3; last >= 1; last--) {
        if (ne[last] == 1)
            continue;
        for (int i = 1; i <= last && n < size; i++)
            n += (size_t)snprintf(text + n, size - n, " x %" PRIu64, ne[i]);
        break;
    }
    return text;
}

/* Vectors are read as floats once a pass; a quantised one does not occur. */
static bool type_fits(uint32_t type, bool vector)
{
    if (vector)
        return type == QUANT_F32 || type == QUANT_F16 || type == QUANT_BF16;
    return quant_info(type) != NULL;
}

static enum lb_status bind(struct model *model, enum model_role role, uint32_t layer,
                           struct model_tensor *out, struct lb_error *err)
{
    const struct spec *spec = &specs[role];
    const char *path = gguf_path(model->file);
    char name[64], got[96], expected[96];
    name_of(role, layer, name, sizeof name);
    uint64_t ne[4] = {size_of(&model->config, spec->n_in), size_of(&model->config, spec->n_rows), 1,
                      1};
    shape_text(ne, expected, sizeof expected);
    const struct gguf_tensor *t = gguf_find_tensor(model->file, name);
    if (!t)
        return lb_fail(err, LB_ERR_INPUT, "%s: tensor '%s' is missing: expected shape %s", path,
                       name, expected);
    if (memcmp(t->ne, ne, sizeof ne) != 0)
        return lb_fail(err, LB_ERR_INPUT, "%s: tensor '%s': got shape %s, expected %s", path, name,
                       shape_text(t->ne, got, sizeof got), expected);
    if (!type_fits(t->type, spec->n_rows == ONE)) {
        const struct quant_info *info = quant_info(t->type);
        return lb_fail(err, LB_ERR_UNSUPPORTED, "%s: tensor '%s': type %s is not supported here%s",
                       path, name, info ? info->name : "unknown",
                       spec->n_rows == ONE ? ": expected F32, F16 or BF16" : "");
    }
    *out = (struct model_tensor){.name = t->name,
                                 .layer = role < ROLE_FIRST_OF_LAYER ? -1 : (int)layer,
                                 .type = t->type,
                                 .n_in = (uint32_t)ne[0],
                                 .n_rows = (uint32_t)ne[1],
                                 .row_bytes = quant_row_bytes(t->type, ne[0]),
                                 .file_offset = t->file_offset,
                                 .bytes = t->bytes};
    return LB_OK;
}

/* Decides which roles this model has: those that its architecture requires, and optional ones
 * that are there (in layer 0, which speaks for all layers). */
static void choose_roles(struct model *model)
{
    int bit = architecture_bit(&model->config);
    for (int role = 0; role < ROLE_COUNT; role++) {
        char name[64];
        bool there = gguf_find_tensor(model->file, name_of(role, 0, name, sizeof name)) != NULL;
        uint32_t *count = role < ROLE_FIRST_OF_LAYER ? &model->n_resident : &model->n_layer;
        bool has = (specs[role].required & bit) || ((specs[role].allowed & bit) && there);
        model->id[role] = has ? (int)(*count)++ : -1;
    }
    model->config.tied_embedding = model->id[ROLE_OUTPUT] < 0;
}

/* Binds the roles first..last-1 that the model has, in order; *at moves on. */
static enum lb_status bind_roles(struct model *model, uint32_t layer, int first, int last,
                                 struct model_tensor **at, struct lb_error *err)
{
    for (int role = first; role < last; role++) {
        if (model->id[role] < 0)
            continue;
        enum lb_status status = bind(model, (enum model_role)role, layer, (*at)++, err);
        if (status != LB_OK)
            return status;
    }
    return LB_OK;
}

static enum lb_status bind_all(struct model *model, struct lb_error *err)
{
    struct model_tensor *at = model->tensors;
    enum lb_status status = bind_roles(model, 0, 0, ROLE_FIRST_OF_LAYER, &at, err);
    for (uint32_t layer = 0; status == LB_OK && layer < model->config.n_layers; layer++)
        status = bind_roles(model, layer, ROLE_FIRST_OF_LAYER, ROLE_COUNT, &at, err);
    return status;
}

static bool is_bound(const struct model *model, uint64_t n, const char *name)
{
    for (uint64_t i = 0; i < n; i++)
        if (model->tensors[i].name == name)
            return true;
    return false;
}

/* Bound tensors are all different, so the counts agree exactly when none is left over. */
static enum lb_status check_all_bound(const struct model *model, struct lb_error *err)
{
    uint64_t bound = model->n_resident + (uint64_t)model->config.n_layers * model->n_layer;
    size_t in_file = gguf_tensor_count(model->file);
    for (size_t i = 0; in_file > bound && i < in_file; i++) {
        const char *name = gguf_tensor_at(model->file, i)->name;
        if (!is_bound(model, bound, name))
            return lb_fail(err, LB_ERR_UNSUPPORTED,
                           "%s: tensor '%s' is not supported: not a part of architecture '%s' with "
                           "%u layers",
                           gguf_path(model->file), name, model->config.architecture,
                           model->config.n_layers);
    }
    return LB_OK;
}

enum lb_status model_open(const struct gguf_file *file, struct model **out, struct lb_error *err)
{
    enum lb_status status = LB_ERR_NOMEM;
    *out = NULL;
    struct model *model = lb_calloc(1, sizeof *model);
    if (!model)
        return lb_fail(err, status, "%s: model: out of memory", gguf_path(file));
    model->file = file;
    status = config_read(file, &model->config, err);
    if (status != LB_OK)
        goto fail;
    choose_roles(model);
    uint64_t n = model->n_resident + (uint64_t)model->config.n_layers * model->n_layer;
    model->tensors = lb_calloc(n, sizeof *model->tensors);
    if (!model->tensors) {
        status = lb_fail(err, LB_ERR_NOMEM, "%s: model: out of memory", gguf_path(file));
        goto fail;
    }
    status = bind_all(model, err);
    if (status == LB_OK)
        status = check_all_bound(model, err);
    if (status != LB_OK)
        goto fail;
    *out = model;
    return LB_OK;
fail:
    model_close(model);
    return status;
}

void model_close(struct model *model)
{
    if (!model)
        return;
    lb_free(model->tensors);
    lb_free(model);
}

const struct model_config *model_config(const struct model *model)
{
    return &model->config;
}

const struct model_tensor *model_tensors(const struct model *model, int layer, uint32_t *count)
{
    *count = layer < 0 ? model->n_resident : model->n_layer;
    return layer < 0 ? model->tensors
                     : model->tensors + model->n_resident + (size_t)layer * model->n_layer;
}

bool binding_is_matrix(enum model_role role)
{
    return specs[role].n_rows != ONE;
}

const struct model_tensor *binding_tensor(const struct model *model, uint32_t layer,
                                          enum model_role role)
{
    if (model->id[role] < 0)
        return NULL;
    uint32_t n;
    return model_tensors(model, role < ROLE_FIRST_OF_LAYER ? -1 : (int)layer, &n) + model->id[role];
}
