/* quant: the type table, sizes, and the two 16-bit float formats. */
#include "quant/quant.h"
#include "quant/blocks.h"

#include <string.h>

#define TYPE(title, elements, size, suffix)                                                        \
    {                                                                                              \
        .name = title, .block_elements = elements, .block_bytes = size,                            \
        .dequantize = quant_decode_##suffix, .quantize = quant_encode_##suffix                     \
    }

static const struct quant_info types[QUANT_TYPE_LIMIT] = {
    [QUANT_F32] = TYPE("F32", 1, 4, f32),
    [QUANT_F16] = TYPE("F16", 1, 2, f16),
    [QUANT_Q4_0] = TYPE("Q4_0", 32, sizeof(struct block_q4_0), q4_0),
    [QUANT_Q4_1] = TYPE("Q4_1", 32, sizeof(struct block_q4_1), q4_1),
    [QUANT_Q5_0] = TYPE("Q5_0", 32, sizeof(struct block_q5_0), q5_0),
    [QUANT_Q5_1] = TYPE("Q5_1", 32, sizeof(struct block_q5_1), q5_1),
    [QUANT_Q8_0] = TYPE("Q8_0", 32, sizeof(struct block_q8_0), q8_0),
    [QUANT_Q2_K] = TYPE("Q2_K", 256, sizeof(struct block_q2_k), q2_k),
    [QUANT_Q3_K] = TYPE("Q3_K", 256, sizeof(struct block_q3_k), q3_k),
    [QUANT_Q4_K] = TYPE("Q4_K", 256, sizeof(struct block_q4_k), q4_k),
    [QUANT_Q5_K] = TYPE("Q5_K", 256, sizeof(struct block_q5_k), q5_k),
    [QUANT_Q6_K] = TYPE("Q6_K", 256, sizeof(struct block_q6_k), q6_k),
    [QUANT_IQ4_NL] = TYPE("IQ4_NL", 32, sizeof(struct block_iq4_nl), iq4_nl),
    [QUANT_IQ4_XS] = TYPE("IQ4_XS", 256, sizeof(struct block_iq4_xs), iq4_xs),
    [QUANT_TQ1_0] = TYPE("TQ1_0", 256, sizeof(struct block_tq1_0), tq1_0),
    [QUANT_TQ2_0] = TYPE("TQ2_0", 256, sizeof(struct block_tq2_0), tq2_0),
    [QUANT_IQ1_S] = TYPE("IQ1_S", 256, sizeof(struct block_iq1_s), iq1_s),
    [QUANT_IQ1_M] = TYPE("IQ1_M", 256, sizeof(struct block_iq1_m), iq1_m),
    [QUANT_IQ2_XXS] = TYPE("IQ2_XXS", 256, sizeof(struct block_iq2_xxs), iq2_xxs),
    [QUANT_IQ2_XS] = TYPE("IQ2_XS", 256, sizeof(struct block_iq2_xs), iq2_xs),
    [QUANT_IQ2_S] = TYPE("IQ2_S", 256, sizeof(struct block_iq2_s), iq2_s),
    [QUANT_IQ3_XXS] = TYPE("IQ3_XXS", 256, sizeof(struct block_iq3_xxs), iq3_xxs),
    [QUANT_IQ3_S] = TYPE("IQ3_S", 256, sizeof(struct block_iq3_s), iq3_s),
    [QUANT_MXFP4] = TYPE("MXFP4", 32, sizeof(struct block_mxfp4), mxfp4),
    [QUANT_BF16] = TYPE("BF16", 1, 2, bf16),
};

const struct quant_info *quant_info(uint32_t type)
{
    return type < QUANT_TYPE_LIMIT && types[type].name ? &types[type] : NULL;
}

int quant_type_by_name(const char *name)
{
    for (int type = 0; type < QUANT_TYPE_LIMIT; type++)
        if (types[type].name && strcmp(types[type].name, name) == 0)
            return type;
    return -1;
}

size_t quant_row_bytes(uint32_t type, uint64_t n)
{
    const struct quant_info *info = quant_info(type);
    if (!info || n % info->block_elements)
        return 0;
    uint64_t blocks = n / info->block_elements;
    return blocks > SIZE_MAX / info->block_bytes ? 0 : (size_t)blocks * info->block_bytes;
}

bool quant_tensor_bytes(uint32_t type, const uint64_t ne[4], uint64_t *bytes)
{
    uint64_t total = quant_row_bytes(type, ne[0]);
    if (total == 0)
        return false;
    for (int d = 1; d < 4; d++)
        if (ne[d] == 0 || __builtin_mul_overflow(total, ne[d], &total))
            return false;
    *bytes = total;
    return true;
}

/* Half: 1 sign, 5 exponent (bias 15), 10 mantissa bits. */
float quant_half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, magnitude = h & 0x7fff, bits;
    float value;
    if (magnitude < 0x0400) { /* zero and subnormal: units of 2^-24 */
        value = (float)magnitude * 0x1p-24f;
        memcpy(&bits, &value, sizeof bits);
    } else if (magnitude < 0x7c00) {
        bits = (magnitude << 13) + ((127 - 15) << 23);
    } else {
        bits = 0x7f800000 | (magnitude & 0x3ff) << 13;
    }
    bits |= sign;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint16_t quant_float_to_half(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    bits &= 0x7fffffff;
    if (bits > 0x7f800000) /* NaN stays NaN */
        return sign | 0x7e00;
    if (bits >= 0x47800000) /* 65536 and more */
        return sign | 0x7c00;
    if (bits < 0x38800000) { /* below 2^-14: adding 0.5 leaves units of 2^-24, rounded to even */
        float magnitude;
        memcpy(&magnitude, &bits, sizeof magnitude);
        magnitude += 0.5f;
        memcpy(&bits, &magnitude, sizeof bits);
        return sign | (uint16_t)(bits - 0x3f000000);
    }
    bits +=
        0xfff + (bits >> 13 & 1); /* to even; a carry into the exponent is right, inf included */
    return sign | (uint16_t)((bits >> 13) - ((127 - 15) << 10));
}

/* bfloat16: the upper half of a float. */
float quant_bfloat_to_float(uint16_t h)
{
    uint32_t bits = (uint32_t)h << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint16_t quant_float_to_bfloat(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
