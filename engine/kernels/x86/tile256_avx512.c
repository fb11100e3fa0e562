/*
 * tile256_avx512: 32 rows of a type with blocks of 256 against many tokens. See tile_avx512.h.
 *
 * For each block of the rows: unpack; then for up to six tokens at a time
 *   1. per group of the block: sums of weights x activations (vpdpbusd), times the group scale;
 *   2. M, or what an offset of the weights adds too much, from the sums of the activations;
 *   3. (I d - M dmin) scale, added to the sums of row and token: the order of generic.h.
 */
#include "kernels/x86/tile256_avx512.h"

#include <assert.h>

/* n tokens (a constant), from `cell` on, against the tile. */
INLINE void multiply(uint32_t type, const int n, const struct tile256 *tile,
                     const struct input_view *v, size_t cell, struct tile_ahead ahead, float *sums)
{
    const int n_groups = groups256(type), steps = 64 / n_groups;
    const int8_t *x = v->q + cell * GROUP;
    const int16_t *group_sums = n_groups == 8 ? v->sum32 + cell * 8 : v->sum16 + cell * 16;
    __m512i total[TOKENS_AT_ONCE][2];
    for (int t = 0; t < n; t++)
        total[t][0] = total[t][1] = _mm512_setzero_si512();
#pragma GCC unroll 1
    for (int j = 0; j < n_groups; j++) {
        __m512i part[TOKENS_AT_ONCE][2];
        tile_prefetch(ahead, (uint32_t)j, (uint32_t)n_groups);
        for (int t = 0; t < n; t++)
            part[t][0] = part[t][1] = _mm512_setzero_si512();
#pragma GCC unroll 8
        for (int k = 0; k < steps; k++) {
            __m512i w0 = _mm512_load_si512(tile->w[j * steps + k][0]);
            __m512i w1 = _mm512_load_si512(tile->w[j * steps + k][1]);
#pragma GCC unroll 8
            for (int t = 0; t < n; t++) {
                __m512i four = broadcast32(x + GROUP * t + 4 * (j * steps + k));
                part[t][0] = _mm512_dpbusd_epi32(part[t][0], w0, four);
                part[t][1] = _mm512_dpbusd_epi32(part[t][1], w1, four);
            }
        }
        const __m512i s0 = tile->of[0].scale[j], s1 = tile->of[1].scale[j];
#pragma GCC unroll 8
        for (int t = 0; t < n; t++) {
            total[t][0] = _mm512_add_epi32(total[t][0], _mm512_mullo_epi32(part[t][0], s0));
            total[t][1] = _mm512_add_epi32(total[t][1], _mm512_mullo_epi32(part[t][1], s1));
        }
    }
#pragma GCC unroll 8
    for (int t = 0; t < n; t++) {
        const int16_t *own_sums = group_sums + n_groups * t;
        const float scale = v->scale[cell + (size_t)t];
        float *sum = sums + t * TILE_ROWS;
        const __m512 term0 = terms(type, total[t][0], &tile->of[0], own_sums, scale),
                     term1 = terms(type, total[t][1], &tile->of[1], own_sums, scale);
        _mm512_store_ps(sum, _mm512_add_ps(_mm512_load_ps(sum), term0));
        _mm512_store_ps(sum + 16, _mm512_add_ps(_mm512_load_ps(sum + 16), term1));
    }
}

/* Unpacked, types differ in their mins and the number of their groups only. */
ALL_TOKENS(with_8_mins, QUANT_Q4_K, tile256)
ALL_TOKENS(with_16_mins, QUANT_Q2_K, tile256)
ALL_TOKENS(without_mins, QUANT_Q6_K, tile256)

void tile256_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                    uint32_t row_end, void *scratch)
{
    switch (p->type) {
    case QUANT_Q2_K:
        rows(QUANT_Q2_K, p, w, row_begin, row_end, scratch, with_16_mins);
        break;
    case QUANT_Q3_K:
        rows(QUANT_Q3_K, p, w, row_begin, row_end, scratch, without_mins);
        break;
    case QUANT_Q4_K:
        rows(QUANT_Q4_K, p, w, row_begin, row_end, scratch, with_8_mins);
        break;
    case QUANT_Q5_K:
        rows(QUANT_Q5_K, p, w, row_begin, row_end, scratch, with_8_mins);
        break;
    case QUANT_Q6_K:
        rows(QUANT_Q6_K, p, w, row_begin, row_end, scratch, without_mins);
        break;
    case QUANT_IQ3_XXS:
        rows(QUANT_IQ3_XXS, p, w, row_begin, row_end, scratch, without_mins);
        break;
    case QUANT_IQ3_S:
        rows(QUANT_IQ3_S, p, w, row_begin, row_end, scratch, without_mins);
        break;
    default:
        assert(p->type == QUANT_IQ4_XS);
        rows(QUANT_IQ4_XS, p, w, row_begin, row_end, scratch, without_mins);
    }
}
