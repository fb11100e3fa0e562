/*
 * synth_mix: which tensor gets which type in the mixes that quantisation tools produce (the rules
 * of llama.cpp without an importance matrix).
 */
#include "quant/quant.h"
#include "synth/synth_parts.h"

#include <stdio.h>
#include <string.h>

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
    FILE_MXFP4_MOE = 38,
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
    X(IQ4_XS, IQ4_XS)                                                                              \
    X(MXFP4_MOE, Q8_0)

#define NAME(mix, type) #mix,
#define ROW(mix, type)  {#mix, FILE_##mix, QUANT_##type},
static const char *const mix_names[] = {MIXES(NAME)};
static const struct synth_mix mixes[] = {MIXES(ROW)};

#define COUNT(array) (sizeof(array) / sizeof *(array))

const char *const *synth_mixes(size_t *count)
{
    *count = COUNT(mix_names);
    return mix_names;
}

const char *synth_mix_name(const struct synth_shape *shape, const char *mix)
{
    return mix ? mix : shape->mix ? shape->mix : SYNTH_MIX;
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

/* Eight experts share their attention, so that better weights there cost next to nothing. */
static bool is_eight(const struct synth_shape *shape)
{
    return shape->experts.count == 8;
}

static uint32_t type_of_attn_output(const struct synth_mix *mix, const struct synth_shape *shape)
{
    switch (mix->file_type) {
    case FILE_Q2_K:
        return is_eight(shape) ? QUANT_Q5_K : QUANT_Q3_K;
    case FILE_Q3_K_M:
        return is_eight(shape) ? QUANT_Q5_K : QUANT_Q4_K;
    case FILE_Q4_K_S:
    case FILE_Q4_K_M:
    case FILE_IQ4_NL:
    case FILE_IQ4_XS:
        return is_eight(shape) ? QUANT_Q5_K : mix->base;
    default:
        return mix->base;
    }
}

uint32_t synth_type_of(const struct synth_mix *mix, const struct synth_shape *shape,
                       const struct synth_tensor *t)
{
    uint32_t type = mix->base, layer = (uint32_t)t->layer;
    bool plain = type == QUANT_F32 || type == QUANT_F16 || type == QUANT_BF16 || type == QUANT_Q8_0;
    switch (t->role) {
    case SYNTH_NORM:
    case SYNTH_ATTN_NORM:
    case SYNTH_QK_NORM:
    case SYNTH_FFN_NORM:
    case SYNTH_ROUTER:
    case SYNTH_CHOICE_BIAS:
    case SYNTH_BIAS:
    case SYNTH_ROPE_FACTORS:
        return QUANT_F32;
    case SYNTH_EMBEDDING:
        type = plain || !shape->tied_embedding ? type : QUANT_Q6_K;
        break;
    case SYNTH_HEAD:
        type = plain ? type : QUANT_Q6_K;
        break;
    case SYNTH_ATTN_K:
        type = is_eight(shape) && !plain ? QUANT_Q8_0 : type;
        break;
    case SYNTH_ATTN_V:
        type = is_eight(shape) && !plain ? QUANT_Q8_0 : type_of_value(mix, shape, layer);
        break;
    case SYNTH_ATTN_OUTPUT:
        type = type_of_attn_output(mix, shape);
        break;
    case SYNTH_FFN_DOWN:
        type = type_of_down(mix, shape, layer);
        break;
    case SYNTH_ATTN_Q:
    case SYNTH_ATTN_Q_A:
    case SYNTH_ATTN_Q_B:
    case SYNTH_ATTN_KV_A:
    case SYNTH_ATTN_KV_B:
    case SYNTH_FFN_GATE:
    case SYNTH_FFN_UP:
        break;
    }
    if (mix->file_type == FILE_MXFP4_MOE && t->ne[2] > 1)
        type = QUANT_MXFP4;
    return fall_back(type, t->ne[0]);
}
