/*
 * tile32_avx2: 16 rows of a type with blocks of 32 against two tokens or more. See tile_avx2.h.
 *
 * For each group of eight blocks of the rows: unpack; then for up to four tokens at a time, block
 * after block, (I d + S m) scale, added up over four blocks and then to the sums of row and token:
 * the order of generic.h.
 */
#include "kernels/x86/tile_avx2.h"
/* after the vectors that it is made of */
#include "kernels/x86/tile32_x86.h"

#include <assert.h>

INLINE bool is_signed32(uint32_t type)
{
    return type == QUANT_Q8_0 || type == QUANT_IQ4_NL;
}

/* So many steps of four elements fit a word: at most 32767 / (2 * 127 * the largest weight) */
INLINE int steps_in_word(uint32_t type)
{
    return is_signed32(type) ? 1 : type == QUANT_Q4_0 || type == QUANT_Q4_1 ? 8 : 4;
}

/* I of block j of the rows x n tokens (a constant), still with the offset of the weights */
INLINE void add_block(uint32_t type, const int n, const struct tile32 *tile, uint32_t j,
                      const int8_t *x, __m256i part[TOKENS_AT_ONCE][2])
{
    const int in_word = steps_in_word(type);
#pragma GCC unroll 8
    for (int first = 0; first < 8; first += in_word) {
        __m256i words[TOKENS_AT_ONCE][2];
#pragma GCC unroll 8
        for (int k = first; k < first + in_word; k++) {
            const __m256i w0 = load256(tile->w[8 * j + (uint32_t)k][0]);
            const __m256i w1 = load256(tile->w[8 * j + (uint32_t)k][1]);
            for (int t = 0; t < n; t++) {
                __m256i four = broadcast32(x + GROUP * t + 32 * j + 4 * k);
                words[t][0] = add_quads(is_signed32(type), k == first, words[t][0], w0, four);
                words[t][1] = add_quads(is_signed32(type), k == first, words[t][1], w1, four);
            }
        }
        for (int t = 0; t < n; t++)
            for (int half = 0; half < 2; half++) {
                __m256i sum = _mm256_madd_epi16(words[t][half], _mm256_set1_epi16(1));
                part[t][half] = first == 0 ? sum : _mm256_add_epi32(part[t][half], sum);
            }
    }
}

/* n tokens (a constant) */
INLINE void multiply(uint32_t type, const int n, const struct blocks32 *b,
                     const struct input_view *v, size_t cell, struct tile_ahead ahead, float *sums)
{
    const struct tile32 *tile = b->tile;
    const int32_t *bias = v->bias + cell * 8;
    const float *scale = v->scale + cell * 8;
    __m256 four[TOKENS_AT_ONCE][2];
    for (int t = 0; t < n; t++)
        four[t][0] = four[t][1] = _mm256_setzero_ps();
#pragma GCC unroll 1
    for (uint32_t j = b->first; j < b->last; j++) {
        __m256i part[TOKENS_AT_ONCE][2];
        tile_prefetch(ahead, j, 8);
        add_block(type, n, tile, j, v->q + cell * GROUP, part);
        for (int t = 0; t < n; t++)
            for (int half = 0; half < 2; half++) {
                const int32_t excess = bias[8 * t + (int)j];
                __m256i sum = part[t][half];
                if (!is_signed32(type) && !has_mins32(type))
                    sum =
                        _mm256_add_epi32(sum, _mm256_set1_epi32(excess >> zero_point_shift(type)));
                __m256 term = _mm256_mul_ps(_mm256_cvtepi32_ps(sum),
                                            _mm256_loadu_ps(tile->d[j] + LANES * half));
                if (has_mins32(type))
                    term = _mm256_add_ps(term,
                                         _mm256_mul_ps(_mm256_set1_ps((float)(excess / -128)),
                                                       _mm256_loadu_ps(tile->m[j] + LANES * half)));
                term = _mm256_mul_ps(term, _mm256_set1_ps(scale[8 * t + (int)j]));
                four[t][half] = _mm256_add_ps(four[t][half], term);
            }
    }
    for (int t = 0; t < n; t++)
        for (int half = 0; half < 2; half++) {
            float *sum = sums + t * TILE_ROWS + LANES * half;
            _mm256_storeu_ps(sum, _mm256_add_ps(_mm256_loadu_ps(sum), four[t][half]));
        }
}

/* Unpacked, types differ in their offsets, mins and largest weights only. */
ALL_TOKENS(as_q4_0, QUANT_Q4_0, blocks32)
ALL_TOKENS(as_q4_1, QUANT_Q4_1, blocks32)
ALL_TOKENS(as_q5_0, QUANT_Q5_0, blocks32)
ALL_TOKENS(as_q5_1, QUANT_Q5_1, blocks32)
ALL_TOKENS(as_signed, QUANT_Q8_0, blocks32)

void tile32_avx2(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                 uint32_t row_end, void *scratch)
{
    switch (p->type) {
    case QUANT_Q4_0:
        rows(QUANT_Q4_0, p, w, row_begin, row_end, scratch, as_q4_0);
        break;
    case QUANT_Q4_1:
        rows(QUANT_Q4_1, p, w, row_begin, row_end, scratch, as_q4_1);
        break;
    case QUANT_Q5_0:
        rows(QUANT_Q5_0, p, w, row_begin, row_end, scratch, as_q5_0);
        break;
    case QUANT_Q5_1:
        rows(QUANT_Q5_1, p, w, row_begin, row_end, scratch, as_q5_1);
        break;
    case QUANT_Q8_0:
        rows(QUANT_Q8_0, p, w, row_begin, row_end, scratch, as_signed);
        break;
    case QUANT_MXFP4:
        rows(QUANT_MXFP4, p, w, row_begin, row_end, scratch, as_q5_0);
        break;
    default:
        assert(p->type == QUANT_IQ4_NL);
        rows(QUANT_IQ4_NL, p, w, row_begin, row_end, scratch, as_signed);
    }
}
