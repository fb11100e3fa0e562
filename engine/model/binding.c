/*
 * binding: finds the tensors of a model in its file and checks each.
 *
 * One table says it all: name, shape in terms of the configuration, and which
 * architectures must or may have it, in which layers; its order is the order of access. A tensor of
 * the file that the table does not know is refused: leaving it out of the arithmetic would give
 * wrong results without a word.
 */
#include "model/binding.h"

#include "base/memory.h"
#include "quant/quant.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    ALL = ALL_ARCHITECTURES,
    ANY_MOE = LLAMA | QWEN2MOE | QWEN3MOE | OLMOE | GLM4MOE | DEEPSEEK2 | GPT_OSS,
    GROUPED = ALL & ~DEEPSEEK2, /* grouped-query attention */
    BIASED = QWEN2 | QWEN2MOE | GLM4MOE | GPT_OSS,
    SHARED_EXPERT = QWEN2MOE | GLM4MOE | DEEPSEEK2
};

enum size {
    ONE,
    EMBD,
    HEADS,
    KV_HEADS,
    HEAD,
    N_HEADS,
    FF,
    VOCAB,
    ROPE_PAIRS,
    EXPERTS,
    EXPERT_FF,
    SHARED_FF,
    Q_RANK,
    KV_RANK,
    KV_ROW,
    HEADS_KEY,
    NOPE,
    VALUE,
    HEADS_VALUE
};

/* In which layers; OUTSIDE: of them all. */
enum where { OUTSIDE, EVERY, DENSE, SPARSE, SHARED, WITH_Q_RANK, WITHOUT_Q_RANK };

/* Whose rows: one matrix; each head's or expert's, outermost in the file's tensor; and of experts'
 * gates and up matrices that lie in one tensor, gate rows first, which half. */
enum slices { PLAIN, OF_HEADS, OF_EXPERTS, FIRST_HALF, SECOND_HALF };

struct spec {
    enum model_role role;
    const char *name; /* %u: the layer */
    enum size n_in, n_rows;
    int required, allowed; /* architectures */
    enum where where;
    enum slices slices;
};

/* shapes as W[n_rows][n_in]; more than one line of a role are ways to have it */
static const struct spec specs[] = {
    {ROLE_TOKEN_EMBD, "token_embd.weight", EMBD, VOCAB, ALL, ALL, OUTSIDE, PLAIN},
    {ROLE_ROPE_FREQS, "rope_freqs.weight", ROPE_PAIRS, ONE, 0, LLAMA, OUTSIDE, PLAIN},
    {ROLE_OUTPUT_NORM, "output_norm.weight", EMBD, ONE, ALL, ALL, OUTSIDE, PLAIN},
    {ROLE_OUTPUT, "output.weight", EMBD, VOCAB, 0, ALL, OUTSIDE, PLAIN},

    {ROLE_ATTN_NORM, "attn_norm.weight", EMBD, ONE, ALL, ALL, EVERY, PLAIN},
    {ROLE_ATTN_Q, "attn_q.weight", EMBD, HEADS, GROUPED, GROUPED, EVERY, PLAIN},
    {ROLE_ATTN_Q_BIAS, "attn_q.bias", HEADS, ONE, BIASED, BIASED | LLAMA, EVERY, PLAIN},
    {ROLE_ATTN_K, "attn_k.weight", EMBD, KV_HEADS, GROUPED, GROUPED, EVERY, PLAIN},
    {ROLE_ATTN_K_BIAS, "attn_k.bias", KV_HEADS, ONE, BIASED, BIASED | LLAMA, EVERY, PLAIN},
    {ROLE_ATTN_V, "attn_v.weight", EMBD, KV_HEADS, GROUPED, GROUPED, EVERY, PLAIN},
    {ROLE_ATTN_V_BIAS, "attn_v.bias", KV_HEADS, ONE, BIASED, BIASED | LLAMA, EVERY, PLAIN},
    {ROLE_ATTN_Q_NORM, "attn_q_norm.weight", HEAD, ONE, QWEN3 | QWEN3MOE,
     QWEN3 | QWEN3MOE | GLM4MOE, EVERY, PLAIN},
    {ROLE_ATTN_Q_NORM, "attn_q_norm.weight", HEADS, ONE, OLMOE, OLMOE, EVERY, PLAIN},
    {ROLE_ATTN_K_NORM, "attn_k_norm.weight", HEAD, ONE, QWEN3 | QWEN3MOE,
     QWEN3 | QWEN3MOE | GLM4MOE, EVERY, PLAIN},
    {ROLE_ATTN_K_NORM, "attn_k_norm.weight", KV_HEADS, ONE, OLMOE, OLMOE, EVERY, PLAIN},
    {ROLE_ATTN_Q, "attn_q.weight", EMBD, HEADS_KEY, DEEPSEEK2, DEEPSEEK2, WITHOUT_Q_RANK, PLAIN},
    {ROLE_ATTN_Q_A, "attn_q_a.weight", EMBD, Q_RANK, DEEPSEEK2, DEEPSEEK2, WITH_Q_RANK, PLAIN},
    {ROLE_ATTN_KV_A, "attn_kv_a_mqa.weight", EMBD, KV_ROW, DEEPSEEK2, DEEPSEEK2, EVERY, PLAIN},
    {ROLE_ATTN_Q_A_NORM, "attn_q_a_norm.weight", Q_RANK, ONE, DEEPSEEK2, DEEPSEEK2, WITH_Q_RANK,
     PLAIN},
    {ROLE_ATTN_KV_A_NORM, "attn_kv_a_norm.weight", KV_RANK, ONE, DEEPSEEK2, DEEPSEEK2, EVERY,
     PLAIN},
    {ROLE_ATTN_Q_B, "attn_q_b.weight", Q_RANK, HEADS_KEY, DEEPSEEK2, DEEPSEEK2, WITH_Q_RANK, PLAIN},
    {ROLE_ATTN_K_B, "attn_k_b.weight", NOPE, KV_RANK, DEEPSEEK2, DEEPSEEK2, EVERY, OF_HEADS},
    {ROLE_ATTN_V_B, "attn_v_b.weight", KV_RANK, VALUE, DEEPSEEK2, DEEPSEEK2, EVERY, OF_HEADS},
    {ROLE_ATTN_SINKS, "attn_sinks.weight", N_HEADS, ONE, GPT_OSS, GPT_OSS, EVERY, PLAIN},
    {ROLE_ATTN_OUTPUT, "attn_output.weight", HEADS, EMBD, GROUPED, GROUPED, EVERY, PLAIN},
    {ROLE_ATTN_OUTPUT, "attn_output.weight", HEADS_VALUE, EMBD, DEEPSEEK2, DEEPSEEK2, EVERY, PLAIN},
    {ROLE_ATTN_OUTPUT_BIAS, "attn_output.bias", EMBD, ONE, GPT_OSS, GPT_OSS, EVERY, PLAIN},

    {ROLE_FFN_NORM, "ffn_norm.weight", EMBD, ONE, ALL & ~(GLM4MOE | GPT_OSS),
     ALL & ~(GLM4MOE | GPT_OSS), EVERY, PLAIN},
    {ROLE_FFN_NORM, "post_attention_norm.weight", EMBD, ONE, GLM4MOE | GPT_OSS, GLM4MOE | GPT_OSS,
     EVERY, PLAIN},
    {ROLE_FFN_GATE, "ffn_gate.weight", EMBD, FF, ALL, ALL, DENSE, PLAIN},
    {ROLE_FFN_UP, "ffn_up.weight", EMBD, FF, ALL, ALL, DENSE, PLAIN},
    {ROLE_FFN_DOWN, "ffn_down.weight", FF, EMBD, ALL, ALL, DENSE, PLAIN},

    {ROLE_ROUTER, "ffn_gate_inp.weight", EMBD, EXPERTS, ANY_MOE, ANY_MOE, SPARSE, PLAIN},
    {ROLE_ROUTER_BIAS, "ffn_gate_inp.bias", EXPERTS, ONE, GPT_OSS, GPT_OSS, SPARSE, PLAIN},
    {ROLE_CHOICE_BIAS, "exp_probs_b.bias", EXPERTS, ONE, GLM4MOE, GLM4MOE | DEEPSEEK2, SPARSE,
     PLAIN},
    {ROLE_EXPERT_GATE_BIAS, "ffn_gate_exps.bias", EXPERT_FF, EXPERTS, GPT_OSS, GPT_OSS, SPARSE,
     PLAIN},
    {ROLE_EXPERT_UP_BIAS, "ffn_up_exps.bias", EXPERT_FF, EXPERTS, GPT_OSS, GPT_OSS, SPARSE, PLAIN},
    {ROLE_EXPERT_DOWN_BIAS, "ffn_down_exps.bias", EMBD, EXPERTS, GPT_OSS, GPT_OSS, SPARSE, PLAIN},
    {ROLE_SHARED_INP, "ffn_gate_inp_shexp.weight", EMBD, ONE, QWEN2MOE, QWEN2MOE, SHARED, PLAIN},
    {ROLE_SHARED_GATE, "ffn_gate_shexp.weight", EMBD, SHARED_FF, SHARED_EXPERT, SHARED_EXPERT,
     SHARED, PLAIN},
    {ROLE_SHARED_UP, "ffn_up_shexp.weight", EMBD, SHARED_FF, SHARED_EXPERT, SHARED_EXPERT, SHARED,
     PLAIN},
    {ROLE_SHARED_DOWN, "ffn_down_shexp.weight", SHARED_FF, EMBD, SHARED_EXPERT, SHARED_EXPERT,
     SHARED, PLAIN},

    {ROLE_EXPERT_GATE, "ffn_gate_up_exps.weight", EMBD, EXPERT_FF, 0, ANY_MOE, SPARSE, FIRST_HALF},
    {ROLE_EXPERT_UP, "ffn_gate_up_exps.weight", EMBD, EXPERT_FF, 0, ANY_MOE, SPARSE, SECOND_HALF},
    {ROLE_EXPERT_GATE, "ffn_gate_exps.weight", EMBD, EXPERT_FF, ANY_MOE, ANY_MOE, SPARSE,
     OF_EXPERTS},
    {ROLE_EXPERT_UP, "ffn_up_exps.weight", EMBD, EXPERT_FF, ANY_MOE, ANY_MOE, SPARSE, OF_EXPERTS},
    {ROLE_EXPERT_DOWN, "ffn_down_exps.weight", EXPERT_FF, EMBD, ANY_MOE, ANY_MOE, SPARSE,
     OF_EXPERTS},
};
#define N_SPECS (sizeof specs / sizeof *specs)

static uint32_t size_of(const struct model_config *c, enum size size)
{
    const struct model_latent *l = &c->latent;
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
    case N_HEADS:
        return c->n_heads;
    case FF:
        return c->n_ff;
    case VOCAB:
        return c->n_vocab;
    case ROPE_PAIRS:
        return c->rope_dims / 2;
    case EXPERTS:
        return c->experts.count;
    case EXPERT_FF:
        return c->experts.n_ff;
    case SHARED_FF:
        return c->experts.n_shared;
    case Q_RANK:
        return l->q_rank;
    case KV_RANK:
        return l->kv_rank;
    case KV_ROW:
        return l->kv_rank + l->n_rope;
    case HEADS_KEY:
        return c->n_heads * (l->n_nope + l->n_rope);
    case NOPE:
        return l->n_nope;
    case VALUE:
        return l->n_value;
    case HEADS_VALUE:
        return c->n_heads * l->n_value;
    }
    return 0;
}

static bool is_sparse(const struct model_config *c, uint32_t layer)
{
    return c->experts.count > 0 && layer >= c->experts.dense_layers;
}

static bool is_here(const struct model_config *c, enum where where, uint32_t layer)
{
    switch (where) {
    case OUTSIDE:
    case EVERY:
        return true;
    case DENSE:
        return !is_sparse(c, layer);
    case SPARSE:
        return is_sparse(c, layer);
    case SHARED:
        return is_sparse(c, layer) && c->experts.n_shared > 0;
    case WITH_Q_RANK:
        return c->latent.q_rank > 0;
    case WITHOUT_Q_RANK:
        return c->latent.q_rank == 0;
    }
    return false;
}

static const char *name_of(const struct spec *spec, uint32_t layer, char *name, size_t size)
{
    if (spec->where == OUTSIDE)
        snprintf(name, size, "%s", spec->name);
    else
        snprintf(name, size, "blk.%u.%s", layer, spec->name);
    return name;
}

/* What follows "blk.LAYER." in a tensor's name; NULL: it is of no layer. */
static const char *name_in_layer(const char *name, uint32_t *layer)
{
    uint64_t number = 0;
    if (strncmp(name, "blk.", 4) != 0 || name[4] < '0' || name[4] > '9')
        return NULL;
    for (name += 4; *name >= '0' && *name <= '9'; name++) {
        number = number * 10 + (uint64_t)(*name - '0');
        if (number > UINT32_MAX)
            return NULL;
    }
    *layer = (uint32_t)number;
    return *name == '.' ? name + 1 : NULL;
}

bool model_tensor_order(const char *name, uint32_t *layer, uint32_t *rank, bool *of_experts)
{
    const char *rest = name_in_layer(name, layer);
    for (size_t i = 0; rest && i < N_SPECS; i++)
        if (specs[i].where != OUTSIDE && strcmp(rest, specs[i].name) == 0) {
            *rank = (uint32_t)i;
            *of_experts = specs[i].slices >= OF_EXPERTS;
            return true;
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

/* Vectors are read as floats in every pass; a quantised one does not occur. */
static bool type_fits(uint32_t type, bool vector)
{
    if (vector)
        return type == QUANT_F32 || type == QUANT_F16 || type == QUANT_BF16;
    return quant_info(type) != NULL;
}

static bool is_vector(const struct spec *spec)
{
    return !binding_is_matrix(spec->role);
}

/* The shape that the file's tensor must have. */
static void shape_of(const struct model_config *c, const struct spec *spec, uint64_t ne[4])
{
    ne[0] = size_of(c, spec->n_in);
    ne[1] = size_of(c, spec->n_rows);
    ne[2] = ne[3] = 1;
    if (spec->slices == OF_HEADS)
        ne[2] = c->n_heads;
    else if (spec->slices != PLAIN)
        ne[2] = c->experts.count;
    if (spec->slices == FIRST_HALF || spec->slices == SECOND_HALF)
        ne[1] *= 2;
}

/* The tensor as the forward pass sees it: a head's rows follow the last one's, an expert's are
 * apart from the others. */
static struct model_tensor view_of(const struct model_config *c, const struct spec *spec,
                                   uint32_t layer, const struct gguf_tensor *t)
{
    uint64_t row_bytes = quant_row_bytes(t->type, t->ne[0]);
    struct model_tensor view = {.name = t->name,
                                .layer = spec->where == OUTSIDE ? -1 : (int)layer,
                                .type = t->type,
                                .n_in = (uint32_t)t->ne[0],
                                .n_rows = size_of(c, spec->n_rows),
                                .row_bytes = row_bytes,
                                .file_offset = t->file_offset};
    if (spec->slices == OF_HEADS)
        view.n_rows *= c->n_heads;
    else if (spec->slices != PLAIN) {
        view.experts = c->experts.count;
        view.expert_stride = t->ne[1] * row_bytes;
    }
    view.bytes = view.n_rows * row_bytes;
    if (spec->slices == SECOND_HALF)
        view.file_offset += view.bytes;
    return view;
}

static enum lb_status bind(struct model *model, const struct spec *spec, uint32_t layer,
                           struct model_tensor *out, struct lb_error *err)
{
    const char *path = gguf_path(model->file);
    char name[64], got[96], expected[96];
    uint64_t ne[4];
    name_of(spec, layer, name, sizeof name);
    shape_of(&model->config, spec, ne);
    shape_text(ne, expected, sizeof expected);
    const struct gguf_tensor *t = gguf_find_tensor(model->file, name);
    if (!t)
        return lb_fail(err, LB_ERR_INPUT, "%s: tensor '%s' is missing: expected shape %s", path,
                       name, expected);
    if (memcmp(t->ne, ne, sizeof ne) != 0)
        return lb_fail(err, LB_ERR_INPUT, "%s: tensor '%s': got shape %s, expected %s", path, name,
                       shape_text(t->ne, got, sizeof got), expected);
    if (!type_fits(t->type, is_vector(spec))) {
        const struct quant_info *info = quant_info(t->type);
        return lb_fail(err, LB_ERR_UNSUPPORTED, "%s: tensor '%s': type %s is not supported here%s",
                       path, name, info ? info->name : "unknown",
                       is_vector(spec) ? ": expected F32, F16 or BF16" : "");
    }
    *out = view_of(&model->config, spec, layer, t);
    return LB_OK;
}

/* Whether the layers have the tensor in this way: the architecture requires it, or it may have it
 * and it is there, in the first of the layers that can, which speaks for them all. */
static bool has(const struct model *model, const struct spec *spec)
{
    char name[64];
    int bit = model->architecture->bit;
    bool sparse = spec->where == SPARSE || spec->where == SHARED;
    uint32_t first = sparse ? model->config.experts.dense_layers : 0;
    return (spec->required & bit) ||
           ((spec->allowed & bit) &&
            gguf_find_tensor(model->file, name_of(spec, first, name, sizeof name)));
}

/* Binds the tensors of one list; *n moves on. */
static enum lb_status bind_list(struct model *model, struct binding_list *list, bool outside,
                                uint32_t layer, uint32_t *n, struct lb_error *err)
{
    memset(list->id, -1, sizeof list->id);
    list->first = *n;
    for (size_t i = 0; i < N_SPECS; i++) {
        const struct spec *spec = &specs[i];
        if ((spec->where == OUTSIDE) != outside || list->id[spec->role] >= 0 ||
            !is_here(&model->config, spec->where, layer) || !has(model, spec))
            continue;
        enum lb_status status = bind(model, spec, layer, &model->tensors[(*n)++], err);
        if (status != LB_OK)
            return status;
        list->id[spec->role] = (int16_t)list->n++;
    }
    return LB_OK;
}

static enum lb_status bind_all(struct model *model, struct lb_error *err)
{
    uint32_t n = 0;
    enum lb_status status = bind_list(model, &model->lists[0], true, 0, &n, err);
    for (uint32_t layer = 0; status == LB_OK && layer < model->config.n_layers; layer++)
        status = bind_list(model, &model->lists[1 + layer], false, layer, &n, err);
    model->config.tied_embedding = model->lists[0].id[ROLE_OUTPUT] < 0;
    return status;
}

/* A layer that is not run may hold whatever it likes. */
static bool is_skipped(const struct model *model, const char *name)
{
    uint32_t layer;
    return model->config.n_skipped > 0 && name_in_layer(name, &layer) &&
           layer >= model->config.n_layers &&
           layer - model->config.n_layers < model->config.n_skipped;
}

static bool is_bound(const struct model *model, uint64_t n, const char *name)
{
    for (uint64_t i = 0; i < n; i++)
        if (model->tensors[i].name == name)
            return true;
    return false;
}

static enum lb_status check_all_bound(const struct model *model, struct lb_error *err)
{
    const struct binding_list *last = &model->lists[model->config.n_layers];
    uint64_t bound = last->first + last->n;
    size_t in_file = gguf_tensor_count(model->file);
    for (size_t i = 0; i < in_file; i++) {
        const char *name = gguf_tensor_at(model->file, i)->name;
        if (!is_bound(model, bound, name) && !is_skipped(model, name))
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
    status = config_read(file, &model->config, &model->architecture, err);
    if (status != LB_OK)
        goto fail;
    /* of one tensor of the file at most two are made; a missing one is found by then */
    model->lists = lb_calloc(1 + (size_t)model->config.n_layers, sizeof *model->lists);
    model->tensors = lb_calloc(2 * gguf_tensor_count(file) + 1, sizeof *model->tensors);
    if (!model->lists || !model->tensors) {
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
    lb_free(model->lists);
    lb_free(model);
}

const struct model_config *model_config(const struct model *model)
{
    return &model->config;
}

uint32_t model_most_tensors(const struct model *model)
{
    uint32_t most = 0;
    for (uint32_t l = 0; l < model->config.n_layers; l++)
        most = model->lists[1 + l].n > most ? model->lists[1 + l].n : most;
    return most;
}

const struct model_tensor *model_tensors(const struct model *model, int layer, uint32_t *count)
{
    const struct binding_list *list = &model->lists[layer + 1];
    *count = list->n;
    return model->tensors + list->first;
}

bool binding_is_matrix(enum model_role role)
{
    switch (role) {
    case ROLE_EXPERT_GATE_BIAS:
    case ROLE_EXPERT_UP_BIAS:
    case ROLE_EXPERT_DOWN_BIAS:
        return false;
    default:
        break;
    }
    for (size_t i = 0; i < N_SPECS; i++)
        if (specs[i].role == role)
            return specs[i].n_rows != ONE;
    return false;
}

int binding_id(const struct model *model, uint32_t layer, enum model_role role)
{
    return model->lists[role < ROLE_FIRST_OF_LAYER ? 0 : 1 + layer].id[role];
}

const struct model_tensor *binding_tensor(const struct model *model, uint32_t layer,
                                          enum model_role role)
{
    int id = binding_id(model, layer, role);
    return id < 0 ? NULL
                  : &model->tensors[model->lists[role < ROLE_FIRST_OF_LAYER ? 0 : 1 + layer].first +
                                    (uint32_t)id];
}
