/*
 * synth_plan: shapes of known models, and which tensor gets which type in the mixes
 * that quantisation tools produce from them (the rules of llama.cpp without an
 * importance matrix).
 */
#include "base/memory.h"
#include "quant/quant.h"
#include "synth/synth_parts.h"

#include <stdio.h>
#include <string.h>

/* layers, width, heads, kv heads, head size, ff, vocabulary, context, base, tied, eps, factors */
static const struct synth_shape shapes[] = {
    {"tiny", "llama", 12, 512, 8, 4, 64, 1280, 2048, 2048, 1e4f, 0, 1e-5f, 0},
    {"tiny-32", "llama", 32, 512, 8, 4, 64, 1280, 2048, 2048, 1e4f, 0, 1e-5f, 0},
    {"smollm-135m", "llama", 30, 576, 9, 3, 64, 1536, 49152, 2048, 1e4f, 1, 1e-5f, 0},
    {"tinyllama-1.1b", "llama", 22, 2048, 32, 4, 64, 5632, 32000, 2048, 1e4f, 0, 1e-5f, 0},
    {"llama-2-7b", "llama", 32, 4096, 32, 32, 128, 11008, 32000, 4096, 1e4f, 0, 1e-5f, 0},
    {"llama-2-13b", "llama", 40, 5120, 40, 40, 128, 13824, 32000, 4096, 1e4f, 0, 1e-5f, 0},
    {"llama-2-70b", "llama", 80, 8192, 64, 8, 128, 28672, 32000, 4096, 1e4f, 0, 1e-5f, 0},
    {"llama-3-8b", "llama", 32, 4096, 32, 8, 128, 14336, 128256, 8192, 5e5f, 0, 1e-5f, 0},
    {"llama-3.1-405b", "llama", 126, 16384, 128, 8, 128, 53248, 128256, 131072, 5e5f, 0, 1e-5f, 1},
    {"mistral-7b", "llama", 32, 4096, 32, 8, 128, 14336, 32000, 32768, 1e4f, 0, 1e-5f, 0},
    {"qwen2-0.5b", "qwen2", 24, 896, 14, 2, 64, 4864, 151936, 32768, 1e6f, 1, 1e-6f, 0},
    {"qwen3-0.6b", "qwen3", 28, 1024, 16, 8, 128, 3072, 151936, 40960, 1e6f, 1, 1e-6f, 0},
};

/* What general.file_type says of a mix. */
enum file_type {
    FILE_F32 = 0,
    FILE_F16 = 1,
    FILE_Q4_0 = 2,
    FILE_Q4_1 = 3,
    FILE_Q8_0 = 7,
    FILE_Q5_0 = 8,
    FILE_Q5_1 = 9,
    FILE_Q2_K = 10,
    FILE_Q3_K_M = 12,
    FILE_Q4_K_S = 14,
    FILE_Q4_K_M = 15,
    FILE_Q5_K_M = 17,
    FILE_Q6_K = 18,
    FILE_IQ4_NL = 25,
    FILE_IQ4_XS = 30,
    FILE_BF16 = 32,
};

/* mix and its base type */
#define MIXES(X)                                                                                   \
    X(F32, F32)                                                                                    \
    X(F16, F16)                                                                                    \
    X(BF16, BF16)                                                                                  \
    X(Q8_0, Q8_0)                                                                                  \
    X(Q4_0, Q4_0)                                                                                  \
    X(Q4_1, Q4_1)                                                                                  \
    X(Q5_0, Q5_0)                                                                                  \
    X(Q5_1, Q5_1)                                                                                  \
    X(Q2_K, Q2_K)                                                                                  \
    X(Q3_K_M, Q3_K)                                                                                \
    X(Q4_K_S, Q4_K)                                                                                \
    X(Q4_K_M, Q4_K)                                                                                \
    X(Q5_K_M, Q5_K)                                                                                \
    X(Q6_K, Q6_K)                                                                                  \
    X(IQ4_NL, IQ4_NL)                                                                              \
    X(IQ4_XS, IQ4_XS)

#define NAME(mix, type) #mix,
#define ROW(mix, type)  {#mix, FILE_##mix, QUANT_##type},
static const char *const mix_names[] = {MIXES(NAME)};
static const struct synth_mix mixes[] = {MIXES(ROW)};

#define COUNT(array) (sizeof(array) / sizeof *(array))

const struct synth_shape *synth_shapes(size_t *count)
{
    *count = COUNT(shapes);
    return shapes;
}

const char *const *synth_mixes(size_t *count)
{
    *count = COUNT(mix_names);
    return mix_names;
}

const struct synth_mix *synth_find_mix(const char *name, struct lb_error *err)
{
    char known[256] = "";
    for (size_t i = 0; i < COUNT(mixes); i++) {
        if (strcmp(mixes[i].name, name) == 0)
            return &mixes[i];
        size_t n = strlen(known);
        snprintf(known + n, sizeof known - n, " %s", mixes[i].name);
    }
    lb_fail(err, LB_ERR_INPUT, "quant: unknown mix '%s', expected one of:%s", name, known);
    return NULL;
}

const struct synth_shape *synth_find_shape(const char *name, struct lb_error *err)
{
    char known[256] = "";
    for (size_t i = 0; i < COUNT(shapes); i++) {
        if (strcmp(shapes[i].name, name) == 0)
            return &shapes[i];
        size_t n = strlen(known);
        snprintf(known + n, sizeof known - n, " %s", shapes[i].name);
    }
    lb_fail(err, LB_ERR_INPUT, "shape: unknown shape '%s', expected one of:%s", name, known);
    return NULL;
}

/* ---- the type of a tensor ---- */

/* The layers that the _M mixes treat better: the first and last eighth, and every third between. */
static bool more_bits(uint32_t layer, uint32_t n)
{
    return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
}

static uint32_t type_of_value(const struct synth_mix *mix, const struct synth_shape *shape,
                              uint32_t layer)
{
    uint32_t gqa = shape->n_heads / shape->n_kv_heads, type = mix->base;
    switch (mix->file_type) {
    case FILE_Q2_K:
        type = gqa >= 4 ? QUANT_Q4_K : QUANT_Q3_K;
        break;
    case FILE_Q3_K_M:
        type = layer < 2 ? QUANT_Q5_K : QUANT_Q4_K;
        break;
    case FILE_Q4_K_S:
        type = layer < 4 ? QUANT_Q5_K : type;
        break;
    case FILE_Q4_K_M:
    case FILE_Q5_K_M:
        type = more_bits(layer, shape->n_layers) ? QUANT_Q6_K : type;
        break;
    case FILE_IQ4_NL:
    case FILE_IQ4_XS:
        type = gqa >= 4 ? QUANT_Q5_K : type;
        break;
    }
    /* 70B: eight heads share a value row, so that better ones cost next to nothing */
    bool is_70b = shape->n_embd == 8192 && gqa == 8;
    return is_70b && (type == QUANT_Q3_K || type == QUANT_Q4_K) ? QUANT_Q5_K : type;
}

static uint32_t type_of_down(const struct synth_mix *mix, const struct synth_shape *shape,
                             uint32_t layer)
{
    uint32_t n = shape->n_layers;
    switch (mix->file_type) {
    case FILE_Q2_K:
        return QUANT_Q3_K;
    case FILE_Q3_K_M:
        return layer < n / 16 ? QUANT_Q5_K : QUANT_Q4_K;
    case FILE_Q4_K_M:
    case FILE_Q5_K_M:
        return more_bits(layer, n) ? QUANT_Q6_K : mix->base;
    case FILE_Q4_K_S:
    case FILE_IQ4_NL:
    case FILE_IQ4_XS:
        return layer < n / 8 ? QUANT_Q5_K : mix->base;
    default:
        return mix->base;
    }
}

/* Rows that are not whole blocks of 256 take the nearest type with blocks of 32. */
static uint32_t fall_back(uint32_t type, uint64_t row)
{
    if (quant_row_bytes(type, row) > 0)
        return type;
    switch (type) {
    case QUANT_Q2_K:
    case QUANT_Q3_K:
    case QUANT_IQ4_XS:
        return QUANT_IQ4_NL;
    case QUANT_Q4_K:
        return QUANT_Q5_0;
    case QUANT_Q5_K:
        return QUANT_Q5_1;
    case QUANT_Q6_K:
        return QUANT_Q8_0;
    default:
        return QUANT_F16;
    }
}

static uint32_t type_of(const struct synth_mix *mix, const struct synth_shape *shape,
                        const struct synth_tensor *t)
{
    uint32_t type = mix->base, layer = (uint32_t)t->layer;
    bool plain = type == QUANT_F32 || type == QUANT_F16 || type == QUANT_BF16 || type == QUANT_Q8_0;
    switch (t->role) {
    case SYNTH_NORM:
    case SYNTH_BIAS:
    case SYNTH_ROPE_FACTORS:
        return QUANT_F32;
    case SYNTH_EMBEDDING:
        type = plain || !shape->tied_embedding ? type : QUANT_Q6_K;
        break;
    case SYNTH_HEAD:
        type = plain ? type : QUANT_Q6_K;
        break;
    case SYNTH_ATTN_V:
        type = type_of_value(mix, shape, layer);
        break;
    case SYNTH_ATTN_OUTPUT:
        type = mix->file_type == FILE_Q2_K     ? QUANT_Q3_K
               : mix->file_type == FILE_Q3_K_M ? QUANT_Q4_K
                                               : type;
        break;
    case SYNTH_FFN_DOWN:
        type = type_of_down(mix, shape, layer);
        break;
    case SYNTH_ATTN_Q:
    case SYNTH_ATTN_K:
    case SYNTH_FFN_GATE:
    case SYNTH_FFN_UP:
        break;
    }
    return fall_back(type, t->ne[0]);
}

/* ---- the list ---- */

struct list {
    const struct synth_shape *shape;
    const struct synth_mix *mix;
    struct synth_tensor *tensors;
    size_t n;
};

static void add(struct list *list, int layer, const char *name, enum synth_role role, uint64_t n_in,
                uint64_t n_rows)
{
    struct synth_tensor *t = &list->tensors[list->n++];
    *t = (struct synth_tensor){.role = role, .layer = layer, .n_dims = n_rows ? 2 : 1};
    t->ne[0] = n_in;
    t->ne[1] = n_rows ? n_rows : 1;
    t->ne[2] = t->ne[3] = 1;
    if (layer < 0)
        snprintf(t->name, sizeof t->name, "%s", name);
    else
        snprintf(t->name, sizeof t->name, "blk.%d.%s", layer, name);
    t->type = type_of(list->mix, list->shape, t);
    t->bytes = quant_row_bytes(t->type, n_in) * t->ne[1];
}

static void add_layer(struct list *list, int layer)
{
    const struct synth_shape *s = list->shape;
    uint64_t embd = s->n_embd, ff = s->n_ff;
    uint64_t q = (uint64_t)s->n_heads * s->head_dim, kv = (uint64_t)s->n_kv_heads * s->head_dim;
    bool biases = strcmp(s->architecture, "qwen2") == 0;
    bool head_norms = strcmp(s->architecture, "qwen3") == 0;
    if (biases)
        add(list, layer, "attn_k.bias", SYNTH_BIAS, kv, 0);
    add(list, layer, "attn_k.weight", SYNTH_ATTN_K, embd, kv);
    if (head_norms)
        add(list, layer, "attn_k_norm.weight", SYNTH_NORM, s->head_dim, 0);
    add(list, layer, "attn_norm.weight", SYNTH_NORM, embd, 0);
    add(list, layer, "attn_output.weight", SYNTH_ATTN_OUTPUT, q, embd);
    if (biases)
        add(list, layer, "attn_q.bias", SYNTH_BIAS, q, 0);
    add(list, layer, "attn_q.weight", SYNTH_ATTN_Q, embd, q);
    if (head_norms)
        add(list, layer, "attn_q_norm.weight", SYNTH_NORM, s->head_dim, 0);
    if (biases)
        add(list, layer, "attn_v.bias", SYNTH_BIAS, kv, 0);
    add(list, layer, "attn_v.weight", SYNTH_ATTN_V, embd, kv);
    add(list, layer, "ffn_down.weight", SYNTH_FFN_DOWN, ff, embd);
    add(list, layer, "ffn_gate.weight", SYNTH_FFN_GATE, embd, ff);
    add(list, layer, "ffn_norm.weight", SYNTH_NORM, embd, 0);
    add(list, layer, "ffn_up.weight", SYNTH_FFN_UP, embd, ff);
}

#define RESIDENT_MAX  4
#define PER_LAYER_MAX 12

enum lb_status synth_plan(const struct synth_shape *shape, const char *mix,
                          struct synth_tensor **tensors, size_t *count, struct lb_error *err)
{
    struct list list = {.shape = shape, .mix = synth_find_mix(mix, err)};
    *tensors = NULL;
    *count = 0;
    if (!list.mix)
        return LB_ERR_INPUT;
    list.tensors =
        lb_calloc(RESIDENT_MAX + (size_t)PER_LAYER_MAX * shape->n_layers, sizeof *list.tensors);
    if (!list.tensors)
        return lb_fail(err, LB_ERR_NOMEM, "synth: out of memory for the list of tensors");
    if (!shape->tied_embedding)
        add(&list, -1, "output.weight", SYNTH_HEAD, shape->n_embd, shape->n_vocab);
    add(&list, -1, "output_norm.weight", SYNTH_NORM, shape->n_embd, 0);
    if (shape->rope_factors)
        add(&list, -1, "rope_freqs.weight", SYNTH_ROPE_FACTORS, shape->head_dim / 2, 0);
    add(&list, -1, "token_embd.weight", SYNTH_EMBEDDING, shape->n_embd, shape->n_vocab);
    for (uint32_t layer = 0; layer < shape->n_layers; layer++)
        add_layer(&list, (int)layer);
    *tensors = list.tensors;
    *count = list.n;
    return LB_OK;
}
