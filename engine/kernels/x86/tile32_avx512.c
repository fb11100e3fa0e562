/*
 * tile32_avx512: 32 rows of a type with blocks of 32 against many tokens. See tile_avx512.h.
 *
 * For each group of eight blocks of the rows: unpack; then for up to six tokens at a time, block
 * after block, (I d + S m) scale, added up over four blocks and then to the sums of row and token:
 * the order of generic.h. I starts at the share of the activations' bias that takes away again what
 * made the weights unsigned.
 */
#include "kernels/x86/blocks32_avx512.h"
#include "kernels/x86/tile_avx512.h"
/* after the vectors that it is made of */
#include "kernels/x86/tile32_x86.h"

#include <assert.h>

/* n tokens (a constant) */
INLINE void multiply(uint32_t type, const int n, const struct blocks32 *b,
                     const struct input_view *v, size_t cell, struct tile_ahead ahead, float *sums)
{
    const struct tile32 *tile = b->tile;
    const int8_t *x = v->q + cell * GROUP;
    const int32_t *bias = v->bias + cell * 8;
    const float *scale = v->scale + cell * 8;
    __m512 four[TOKENS_AT_ONCE][2];
    for (int t = 0; t < n; t++)
        four[t][0] = four[t][1] = _mm512_setzero_ps();
#pragma GCC unroll 1
    for (uint32_t j = b->first; j < b->last; j++) {
        __m512i part[TOKENS_AT_ONCE][2];
        tile_prefetch(ahead, j, 8);
        for (int t = 0; t < n; t++)
            part[t][0] = part[t][1] =
                has_mins32(type) ? _mm512_setzero_si512()
                                 : _mm512_sra_epi32(_mm512_set1_epi32(bias[8 * t + (int)j]),
                                                    _mm_cvtsi32_si128(b->zero_shift));
#pragma GCC unroll 8
        for (int k = 0; k < 8; k++) {
            __m512i w0 = _mm512_load_si512(tile->w[8 * j + (uint32_t)k][0]);
            __m512i w1 = _mm512_load_si512(tile->w[8 * j + (uint32_t)k][1]);
#pragma GCC unroll 8
            for (int t = 0; t < n; t++) {
                __m512i quad = broadcast32(x + GROUP * t + 32 * j + 4 * k);
                part[t][0] = _mm512_dpbusd_epi32(part[t][0], w0, quad);
                part[t][1] = _mm512_dpbusd_epi32(part[t][1], w1, quad);
            }
        }
        for (int half = 0; half < 2; half++) {
            __m512 d = _mm512_load_ps(tile->d[j] + 16 * half);
#pragma GCC unroll 8
            for (int t = 0; t < n; t++) {
                __m512 m =
                    has_mins32(type) ? _mm512_load_ps(tile->m[j] + 16 * half) : _mm512_setzero_ps();
                __m512 term =
                    term32(type, part[t][half], d, m, bias[8 * t + (int)j], scale[8 * t + (int)j]);
                four[t][half] = _mm512_add_ps(four[t][half], term);
            }
        }
    }
    for (int t = 0; t < n; t++)
        for (int half = 0; half < 2; half++) {
            float *sum = sums + t * TILE_ROWS + 16 * half;
            _mm512_store_ps(sum, _mm512_add_ps(_mm512_load_ps(sum), four[t][half]));
        }
}

/* Unpacked, types differ in having mins only. */
ALL_TOKENS(with_mins, QUANT_Q4_1, blocks32)
ALL_TOKENS(without_mins, QUANT_Q4_0, blocks32)

void tile32_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                   uint32_t row_end, void *scratch)
{
    switch (p->type) {
    case QUANT_Q4_0:
        rows(QUANT_Q4_0, p, w, row_begin, row_end, scratch, without_mins);
        break;
    case QUANT_Q4_1:
        rows(QUANT_Q4_1, p, w, row_begin, row_end, scratch, with_mins);
        break;
    case QUANT_Q5_0:
        rows(QUANT_Q5_0, p, w, row_begin, row_end, scratch, without_mins);
        break;
    case QUANT_Q5_1:
        rows(QUANT_Q5_1, p, w, row_begin, row_end, scratch, with_mins);
        break;
    case QUANT_Q8_0:
        rows(QUANT_Q8_0, p, w, row_begin, row_end, scratch, without_mins);
        break;
    case QUANT_MXFP4:
        rows(QUANT_MXFP4, p, w, row_begin, row_end, scratch, without_mins);
        break;
    default:
        assert(p->type == QUANT_IQ4_NL);
        rows(QUANT_IQ4_NL, p, w, row_begin, row_end, scratch, without_mins);
    }
}
