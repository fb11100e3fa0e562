/*
 * tile256_avx2: 16 rows of a type with blocks of 256 against two tokens or more. See tile_avx2.h.
 *
 * For each block of the rows: unpack; then for up to four tokens at a time
 *   1. per group of the block: pairs of products as words, added up for as long as they fit, times
 *      the group scale;
 *   2. M, or what an offset of the weights adds too much, from the sums of the activations;
 *   3. (I d - M dmin) scale, added to the sums of row and token: the order of generic.h.
 */
#include "kernels/x86/blocks256_avx2.h"
#include "kernels/x86/tile_avx2.h"
/* after the vectors that it is made of */
#include "kernels/x86/tile256_x86.h"

#include <assert.h>

/* Eight scales and eight mins of a block as bytes; Q2_K 16 of both in nibbles; or 16 signed scales
 */
INLINE __m128i scale_bytes(uint32_t type, const uint8_t *block)
{
    if (groups256(type) == 8)
        return _mm256_castsi256_si128(scales_k4(block, block));
    if (type == QUANT_Q2_K)
        return load128(block + offsetof(struct block_q2_k, scales));
    if (type == QUANT_Q6_K)
        return load128(block + offsetof(struct block_q6_k, scales));
    __m256i words = scales256(type, block);
    return _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}

/* Bytes `low` and `high` of each lane as its words */
INLINE __m256i words_of(__m256i lanes, int low, int high)
{
    const unsigned first = 0x00800080u | (unsigned)low << 8 | (unsigned)high << 24;
    const unsigned step = 0x04000400u;
    const __m256i from = _mm256_broadcastsi128_si256(_mm_setr_epi32(
        (int)first, (int)(first + step), (int)(first + 2 * step), (int)(first + 3 * step)));
    return _mm256_srai_epi16(_mm256_shuffle_epi8(lanes, from), 8);
}

INLINE void load_scales(uint32_t type, const uint8_t *w, size_t stride, struct scales256 *s)
{
    uint8_t bytes[LANES][16];
    __m256i c[4], mins[4];
    for (size_t i = 0; i < LANES; i++)
        _mm_storeu_si128((void *)bytes[i], scale_bytes(type, w + i * stride));
    for (size_t i = 0; i < 2; i++) {
        const uint8_t *row = w + 4 * i * stride;
        const uint8_t *const four[4] = {row, row + stride, row + 2 * stride, row + 3 * stride};
        __m256 factors = factors256(type, four);
        _mm_storeu_ps(s->d + 4 * i, _mm256_castps256_ps128(factors));
        _mm_storeu_ps(s->dmin + 4 * i, _mm256_extractf128_ps(factors, 1));
    }
    columns(bytes[0], sizeof bytes[0], c);
    for (int i = 0; i < 4; i++) { /* Q2_K has a min in the high nibble */
        mins[i] = type == QUANT_Q2_K ? high_nibbles(c[i]) : c[i];
        c[i] = type == QUANT_Q2_K ? low_nibbles(c[i]) : c[i];
    }
    for (int j = 0; j < groups256(type); j++)
        s->scale[j] = words_of(c[j / 4], j % 4, j % 4);
    if (is_signed256(type))
        return;
    for (int j = 0; j < groups256(type) / 2; j++) {
        const int at = groups256(type) == 8 ? 2 + j / 2 : j / 2; /* the mins stand behind */
        s->min[j] = words_of(mins[at], j % 2 * 2, j % 2 * 2 + 1);
        if (!has_mins256(type))
            s->min[j] = _mm256_mullo_epi16(s->min[j], _mm256_set1_epi16((short)-offset256(type)));
    }
}

/* So many steps of four elements fit a word: at most 32767 / (2 * 127 * the largest weight) */
INLINE int steps_in_word(uint32_t type)
{
    return is_signed256(type) ? 1 : type == QUANT_Q6_K ? 2 : type == QUANT_Q4_K ? 8 : 4;
}

/* n tokens (a constant), from `cell` on, against the tile. */
INLINE void multiply(uint32_t type, const int n, const struct tile256 *tile,
                     const struct input_view *v, size_t cell, struct tile_ahead ahead, float *sums)
{
    const int n_groups = groups256(type), steps = 64 / n_groups, in_word = steps_in_word(type);
    const int8_t *x = v->q + cell * GROUP;
    const int16_t *group_sums = n_groups == 8 ? v->sum32 + cell * 8 : v->sum16 + cell * 16;
    __m256i total[TOKENS_AT_ONCE][2];
    for (int t = 0; t < n; t++)
        total[t][0] = total[t][1] = _mm256_setzero_si256();
#pragma GCC unroll 1
    for (int j = 0; j < n_groups; j++) {
        tile_prefetch(ahead, (uint32_t)j, (uint32_t)n_groups);
#pragma GCC unroll 8
        for (int first = 0; first < steps; first += in_word) {
            __m256i words[TOKENS_AT_ONCE][2];
#pragma GCC unroll 8
            for (int k = 0; k < in_word; k++) {
                const int quad = j * steps + first + k;
                const __m256i w0 = load256(tile->w[quad][0]), w1 = load256(tile->w[quad][1]);
                for (int t = 0; t < n; t++) {
                    __m256i four = broadcast32(x + GROUP * t + 4 * quad);
                    words[t][0] = add_quads(is_signed256(type), k == 0, words[t][0], w0, four);
                    words[t][1] = add_quads(is_signed256(type), k == 0, words[t][1], w1, four);
                }
            }
            for (int t = 0; t < n; t++)
                for (int half = 0; half < 2; half++)
                    total[t][half] = _mm256_add_epi32(
                        total[t][half], _mm256_madd_epi16(words[t][half], tile->of[half].scale[j]));
        }
    }
    for (int t = 0; t < n; t++) {
        const __m256 scale = _mm256_set1_ps(v->scale[cell + (size_t)t]);
        for (int half = 0; half < 2; half++) {
            const struct scales256 *own = &tile->of[half];
            const int n_pairs = is_signed256(type) ? 0 : n_groups / 2;
            __m256i m = has_mins256(type) ? _mm256_setzero_si256() : total[t][half];
            for (int j = 0; j < n_pairs; j++)
                m = _mm256_add_epi32(
                    m,
                    _mm256_madd_epi16(own->min[j], broadcast32(group_sums + n_groups * t + 2 * j)));
            const __m256 d = _mm256_loadu_ps(own->d);
            __m256 term = _mm256_mul_ps(_mm256_cvtepi32_ps(m), d);
            if (has_mins256(type))
                term =
                    _mm256_sub_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(total[t][half]), d),
                                  _mm256_mul_ps(_mm256_cvtepi32_ps(m), _mm256_loadu_ps(own->dmin)));
            float *sum = sums + t * TILE_ROWS + LANES * half;
            _mm256_storeu_ps(sum, _mm256_add_ps(_mm256_loadu_ps(sum), _mm256_mul_ps(term, scale)));
        }
    }
}

/* Unpacked, types differ in their groups, mins and largest weights only. */
ALL_TOKENS(as_q2_k, QUANT_Q2_K, tile256)
ALL_TOKENS(as_q3_k, QUANT_Q3_K, tile256)
ALL_TOKENS(as_q4_k, QUANT_Q4_K, tile256)
ALL_TOKENS(as_q5_k, QUANT_Q5_K, tile256)
ALL_TOKENS(as_q6_k, QUANT_Q6_K, tile256)
ALL_TOKENS(as_signed, QUANT_IQ4_XS, tile256)

void tile256_avx2(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                  uint32_t row_end, void *scratch)
{
    switch (p->type) {
    case QUANT_Q2_K:
        rows(QUANT_Q2_K, p, w, row_begin, row_end, scratch, as_q2_k);
        break;
    case QUANT_Q3_K:
        rows(QUANT_Q3_K, p, w, row_begin, row_end, scratch, as_q3_k);
        break;
    case QUANT_Q4_K:
        rows(QUANT_Q4_K, p, w, row_begin, row_end, scratch, as_q4_k);
        break;
    case QUANT_Q5_K:
        rows(QUANT_Q5_K, p, w, row_begin, row_end, scratch, as_q5_k);
        break;
    case QUANT_Q6_K:
        rows(QUANT_Q6_K, p, w, row_begin, row_end, scratch, as_q6_k);
        break;
    case QUANT_IQ3_XXS:
        rows(QUANT_IQ3_XXS, p, w, row_begin, row_end, scratch, as_signed);
        break;
    case QUANT_IQ3_S:
        rows(QUANT_IQ3_S, p, w, row_begin, row_end, scratch, as_signed);
        break;
    default:
        assert(p->type == QUANT_IQ4_XS);
        rows(QUANT_IQ4_XS, p, w, row_begin, row_end, scratch, as_signed);
    }
}
