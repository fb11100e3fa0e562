/*
 * tile256_avx512: 32 rows of a type with blocks of 256 against many tokens. See tile_avx512.h.
 *
 * For each block of the rows: unpack; then for up to six tokens at a time
 *   1. per group of the block: sums of weights x activations (vpdpbusd), times the group scale;
 *   2. M, or what an offset of the weights adds too much, from the sums of the activations;
 *   3. (I d - M dmin) scale, added to the sums of row and token: the order of generic.h.
 */
#include "kernels/x86/blocks256_avx512.h"
#include "kernels/x86/tile_avx512.h"
/* after the vectors that it is made of */
#include "kernels/x86/tile256_x86.h"

#include <assert.h>

/* 16 bytes of each of 16 rows (four rows to a vector) to 16 vectors: byte j of all rows, widened.
 */
INLINE void columns16(const __m512i rows[4], bool is_signed, __m512i column[16])
{
    const __m128i base = _mm_setr_epi8(0, 16, 32, 48, 1, 17, 33, 49, 2, 18, 34, 50, 3, 19, 35, 51);
    const __m512i by_column = _mm512_add_epi8(
        _mm512_broadcast_i32x4(base),
        _mm512_set_epi64(0x0c0c0c0c0c0c0c0c, 0x0c0c0c0c0c0c0c0c, 0x0808080808080808,
                         0x0808080808080808, 0x0404040404040404, 0x0404040404040404, 0, 0));
    __m512i q[4], t[4];
    for (int i = 0; i < 4; i++)
        q[i] = _mm512_permutexvar_epi8(by_column, rows[i]);
    __m512i a = _mm512_unpacklo_epi32(q[0], q[1]), b = _mm512_unpackhi_epi32(q[0], q[1]);
    __m512i c = _mm512_unpacklo_epi32(q[2], q[3]), d = _mm512_unpackhi_epi32(q[2], q[3]);
    t[0] = _mm512_unpacklo_epi64(a, c);
    t[1] = _mm512_unpackhi_epi64(a, c);
    t[2] = _mm512_unpacklo_epi64(b, d);
    t[3] = _mm512_unpackhi_epi64(b, d);
    for (int j = 0; j < 4; j++) {
        __m128i lane[4] = {_mm512_castsi512_si128(t[j]), _mm512_extracti32x4_epi32(t[j], 1),
                           _mm512_extracti32x4_epi32(t[j], 2), _mm512_extracti32x4_epi32(t[j], 3)};
        for (int k = 0; k < 4; k++)
            column[4 * k + j] =
                is_signed ? _mm512_cvtepi8_epi32(lane[k]) : _mm512_cvtepu8_epi32(lane[k]);
    }
}

/* Two vectors of 32-bit numbers as the low and high words of one. */
INLINE __m512i words(__m512i low, __m512i high)
{
    return _mm512_mask_blend_epi16(0xaaaaaaaa, low, _mm512_slli_epi32(high, 16));
}

INLINE void unpack_scales(uint32_t type, const uint8_t *const b[16], int half, struct tile256 *tile)
{
    __m512i scales[4], column[16];
    for (int i = 0; i < 4; i++) {
        scales[i] = scales256(type, b + 4 * i);
        __m256 factors = factors256(type, b + 4 * i);
        _mm_store_ps(tile->d[half] + 4 * i, _mm256_castps256_ps128(factors));
        _mm_store_ps(tile->dmin[half] + 4 * i, _mm256_extractf128_ps(factors, 1));
    }
    if (type == QUANT_Q2_K) { /* a scale in the low and a min in the high nibble */
        columns16(scales, false, column);
        const __m512i low = _mm512_set1_epi32(15);
        for (int j = 0; j < 16; j++)
            _mm512_store_si512(tile->scale[j][half], _mm512_and_si512(column[j], low));
        for (int j = 0; j < 8; j++)
            _mm512_store_si512(tile->min[j][half], words(_mm512_srli_epi32(column[2 * j], 4),
                                                         _mm512_srli_epi32(column[2 * j + 1], 4)));
        return;
    }
    columns16(scales, groups256(type) == 16, column);
    for (int j = 0; j < groups256(type); j++)
        _mm512_store_si512(tile->scale[j][half], column[j]);
    for (int j = 0; j < groups256(type) / 2; j++) {
        if (groups256(type) == 8) { /* the mins stand behind the scales */
            _mm512_store_si512(tile->min[j][half], words(column[8 + 2 * j], column[9 + 2 * j]));
            continue;
        }
        __m512i two = words(column[2 * j], column[2 * j + 1]);
        _mm512_store_si512(tile->min[j][half],
                           _mm512_mullo_epi16(two, _mm512_set1_epi16((short)-offset256(type))));
    }
}

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
        __m512i s0 = _mm512_load_si512(tile->scale[j][0]),
                s1 = _mm512_load_si512(tile->scale[j][1]);
#pragma GCC unroll 8
        for (int t = 0; t < n; t++) {
            total[t][0] = _mm512_add_epi32(total[t][0], _mm512_mullo_epi32(part[t][0], s0));
            total[t][1] = _mm512_add_epi32(total[t][1], _mm512_mullo_epi32(part[t][1], s1));
        }
    }
#pragma GCC unroll 8
    for (int t = 0; t < n; t++) {
        const __m512 scale = _mm512_set1_ps(v->scale[cell + (size_t)t]);
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            __m512i m = has_mins256(type) ? _mm512_setzero_si512() : total[t][half];
#pragma GCC unroll 8
            for (int j = 0; j < n_groups / 2; j++)
                m = _mm512_dpwssd_epi32(m, _mm512_load_si512(tile->min[j][half]),
                                        broadcast32(group_sums + n_groups * t + 2 * j));
            __m512 d = _mm512_load_ps(tile->d[half]),
                   term = _mm512_mul_ps(_mm512_cvtepi32_ps(m), d);
            if (has_mins256(type))
                term = _mm512_sub_ps(
                    _mm512_mul_ps(_mm512_cvtepi32_ps(total[t][half]), d),
                    _mm512_mul_ps(_mm512_cvtepi32_ps(m), _mm512_load_ps(tile->dmin[half])));
            float *sum = sums + t * TILE_ROWS + 16 * half;
            _mm512_store_ps(sum, _mm512_add_ps(_mm512_load_ps(sum), _mm512_mul_ps(term, scale)));
        }
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
