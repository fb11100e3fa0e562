/*
 * simd_avx2: what the AVX2 kernels share: blocks of each type as vectors of unsigned bytes and
 * scales, and the entry points of the files.
 *
 * Functions with a `type` argument are called with a constant and inlined, so that each
 * type gets straight code from one source.
 */
#ifndef KERNELS_SIMD_AVX2_H
#define KERNELS_SIMD_AVX2_H

#include "kernels/kernels_layout.h"
#include "quant/blocks.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* As in simd_avx512.h: decode reads weights once, in order. */
#define PREFETCH_AHEAD 8192

void product256_avx2(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                     uint32_t row_end, void *scratch);
void product32_avx2(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                    uint32_t row_end, void *scratch);
void float_avx2(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                uint32_t row_end, void *scratch);
void prepare_avx2(enum kernels_format format, const float *x, size_t x_stride, uint32_t n_in,
                  uint32_t n_tokens, uint32_t first, uint32_t last, void *input);
void attention_avx2(const struct kernels_attention *a, uint32_t head, uint32_t first, uint32_t last,
                    void *scratch);
void rms_norm_avx2(const float *x, const float *weight, uint32_t n, float eps, float *y);
void swiglu_avx2(const float *gate, const float *up, uint32_t n, float *y);

INLINE void prefetch_ahead(const uint8_t *at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64)
        _mm_prefetch((const char *)at + PREFETCH_AHEAD + i, _MM_HINT_T1);
}

INLINE __m256i load256(const void *at)
{
    return _mm256_loadu_si256(at);
}

INLINE __m128i load128(const void *at)
{
    return _mm_loadu_si128(at);
}

INLINE int32_t load32(const void *at)
{
    int32_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

INLINE int16_t load16(const void *at)
{
    int16_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

/* Lane j: the sum of the lanes of v[j] */
INLINE __m128i sum4(const __m256i v[4])
{
    __m256i sum = _mm256_hadd_epi32(_mm256_hadd_epi32(v[0], v[1]), _mm256_hadd_epi32(v[2], v[3]));
    return _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
}

INLINE float sum_floats(__m256 v)
{
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

/* ---- blocks of 256 ---- */

INLINE bool has_mins256(uint32_t type)
{
    return type == QUANT_Q4_K || type == QUANT_Q5_K;
}

INLINE size_t block_bytes256(uint32_t type)
{
    return type == QUANT_Q4_K   ? sizeof(struct block_q4_k)
           : type == QUANT_Q5_K ? sizeof(struct block_q5_k)
                                : sizeof(struct block_q6_k);
}

INLINE __m256i shift_right8(__m256i v, int bits)
{
    return _mm256_and_si256(_mm256_srli_epi16(v, bits), _mm256_set1_epi8((char)(255 >> bits)));
}

/* The 256 elements of a block in order, as unsigned bytes: 0..15, 0..31, 0..63 (Q6_K: + 32). */
INLINE void bytes256(uint32_t type, const uint8_t *block, __m256i q[8])
{
    const __m256i low = _mm256_set1_epi8(15);
    if (type == QUANT_Q6_K) {
        const struct block_q6_k *b = (const void *)block;
        const __m256i pair = _mm256_set1_epi8(0x30);
        for (int half = 0; half < 2; half++) {
            __m256i even = load256(b->ql + 64 * half), odd = load256(b->ql + 64 * half + 32);
            __m256i qh = load256(b->qh + 32 * half), *out = q + 4 * half;
            out[0] = _mm256_or_si256(_mm256_and_si256(even, low),
                                     _mm256_and_si256(_mm256_slli_epi16(qh, 4), pair));
            out[1] = _mm256_or_si256(_mm256_and_si256(odd, low),
                                     _mm256_and_si256(_mm256_slli_epi16(qh, 2), pair));
            out[2] = _mm256_or_si256(shift_right8(even, 4), _mm256_and_si256(qh, pair));
            out[3] = _mm256_or_si256(shift_right8(odd, 4),
                                     _mm256_and_si256(_mm256_srli_epi16(qh, 2), pair));
        }
        return;
    }
    const struct block_q4_k *b4 = (const void *)block;
    const struct block_q5_k *b5 = (const void *)block;
    for (int i = 0; i < 4; i++) {
        __m256i both = load256((type == QUANT_Q4_K ? b4->qs : b5->qs) + 32 * i);
        q[2 * i] = _mm256_and_si256(both, low);
        q[2 * i + 1] = shift_right8(both, 4);
    }
    if (type == QUANT_Q5_K) {
        const __m256i fifth = _mm256_set1_epi8(16), qh = load256(b5->qh);
        for (int j = 0; j < 8; j++) {
            __m256i moved = j < 4 ? _mm256_slli_epi16(qh, 4 - j) : _mm256_srli_epi16(qh, j - 4);
            q[j] = _mm256_or_si256(q[j], _mm256_and_si256(moved, fifth));
        }
    }
}

/* The group scales of a block as 16 words in order: Q6_K 16 scales, Q4_K and Q5_K 8 scales, then
 * 8 mins. */
INLINE __m256i scales256(uint32_t type, const uint8_t *block)
{
    if (type == QUANT_Q6_K)
        return _mm256_cvtepi8_epi16(load128(block + offsetof(struct block_q6_k, scales)));
    /* three words A, B, C after d and dmin; bytewise, scales are A & 63 and C & 15 | A >> 2 & 48,
     * mins B & 63 and C >> 4 | B >> 2 & 48 */
    uint32_t a = (uint32_t)load32(block + 4), b = (uint32_t)load32(block + 8),
             c = (uint32_t)load32(block + 12);
    const uint32_t six = 0x3f3f3f3f, four = 0x0f0f0f0f, top = 0x30303030;
    return _mm256_cvtepu8_epi16(_mm_setr_epi32((int)(a & six), (int)((c & four) | (a >> 2 & top)),
                                               (int)(b & six),
                                               (int)((c >> 4 & four) | (b >> 2 & top))));
}

/* The scales of elements 32 j to 32 j + 31, one for each word of their products. `scales` is what
 * scales256 gave, with lanes arranged by scale_halves. */
INLINE __m256i scale_words(uint32_t type, const __m256i halves[2], int j)
{
    if (has_mins256(type))
        return _mm256_shuffle_epi8(halves[0], _mm256_set1_epi16((short)(2 * j | (2 * j + 1) << 8)));
    const int first = 4 * (j % 4), second = first + 2;
    return _mm256_shuffle_epi8(halves[j / 4],
                               _mm256_set_m128i(_mm_set1_epi16((short)(second | (second + 1) << 8)),
                                                _mm_set1_epi16((short)(first | (first + 1) << 8))));
}

/* Words 0 to 7 in both lanes, words 8 to 15 in both lanes */
INLINE void scale_halves(__m256i scales, __m256i halves[2])
{
    halves[0] = _mm256_permute2x128_si256(scales, scales, 0x00);
    halves[1] = _mm256_permute2x128_si256(scales, scales, 0x11);
}

/* d of four blocks, and dmin (or 0) */
INLINE void factors256(uint32_t type, const uint8_t *const b[4], __m128 *d, __m128 *dmin)
{
    const size_t at = has_mins256(type) ? 0 : offsetof(struct block_q6_k, d);
    *d = _mm_cvtph_ps(_mm_setr_epi16(load16(b[0] + at), load16(b[1] + at), load16(b[2] + at),
                                     load16(b[3] + at), 0, 0, 0, 0));
    *dmin = _mm_setzero_ps();
    if (has_mins256(type))
        *dmin = _mm_cvtph_ps(_mm_setr_epi16(load16(b[0] + 2), load16(b[1] + 2), load16(b[2] + 2),
                                            load16(b[3] + 2), 0, 0, 0, 0));
}

#endif
