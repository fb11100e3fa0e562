/*
 * simd_avx512: what the AVX-512 kernels share: blocks of each type as vectors of unsigned bytes
 * and scales, small reductions, and the entry points of the files.
 *
 * Functions with a `type` argument are called with a constant and inlined, so that each
 * type gets straight code from one source.
 */
#ifndef KERNELS_SIMD_AVX512_H
#define KERNELS_SIMD_AVX512_H

#include "kernels/kernels_layout.h"
#include "quant/blocks.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* Decode reads weights once, in order: fetching them into the second-level cache this far ahead
 * took a 7B decode from 0.77 to 0.9 and more of the read bandwidth; 4 KB did nothing, 32 KB lost.
 */
#define PREFETCH_AHEAD 8192

/* Rows against one token, and tiles of rows against several. */
void matvec256_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                      uint32_t row_end);
void matvec32_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                     uint32_t row_end);

void tile32_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                   uint32_t row_end, void *scratch);
void tile256_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                    uint32_t row_end, void *scratch);

void float_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                  uint32_t row_end, void *scratch);

void attention_avx512(const struct kernels_attention *a, uint32_t head, uint32_t first,
                      uint32_t last, void *scratch);
void rms_norm_avx512(const float *x, const float *weight, uint32_t n, float eps, float *y);
void swiglu_avx512(const float *gate, const float *up, uint32_t n, float *y);
void prepare_avx512(enum kernels_format format, const float *x, size_t x_stride, uint32_t n_in,
                    uint32_t n_tokens, uint32_t first, uint32_t last, void *input);

INLINE void prefetch_ahead(const uint8_t *at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64)
        _mm_prefetch((const char *)at + PREFETCH_AHEAD + i, _MM_HINT_T1);
}

INLINE __m512i load512(const void *at)
{
    return _mm512_loadu_si512(at);
}

/* 32 bytes in both halves */
INLINE __m512i twice256(const void *at)
{
    return _mm512_broadcast_i64x4(_mm256_loadu_si256(at));
}

INLINE __m512i four128(const uint8_t *const at[4], size_t offset)
{
    __m512i v = _mm512_castsi128_si512(_mm_loadu_si128((const void *)(at[0] + offset)));
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(at[1] + offset)), 1);
    v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(at[2] + offset)), 2);
    return _mm512_inserti32x4(v, _mm_loadu_si128((const void *)(at[3] + offset)), 3);
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

/* Bit matrices for gf2p8affine: the low nibble of each byte, the high one moved down. */
#define LOW_NIBBLE  0x0102040800000000
#define HIGH_NIBBLE 0x1020408000000000

/* The lower 32 elements from the low nibbles of 32 bytes, the upper from the high ones. */
INLINE __m512i nibbles64(const uint8_t *qs)
{
    const __m512i parts = _mm512_set_epi64(HIGH_NIBBLE, HIGH_NIBBLE, HIGH_NIBBLE, HIGH_NIBBLE,
                                           LOW_NIBBLE, LOW_NIBBLE, LOW_NIBBLE, LOW_NIBBLE);
    return _mm512_gf2p8affine_epi64_epi8(twice256(qs), parts, 0);
}

/* The 256 elements of a block in order, as unsigned bytes: 0..15, 0..31, 0..63 (Q6_K: + 32). */
INLINE void bytes256(uint32_t type, const uint8_t *block, __m512i q[4])
{
    if (type == QUANT_Q6_K) {
        const struct block_q6_k *b = (const void *)block;
        const __m512i low = _mm512_set1_epi8(15), high = _mm512_set1_epi8(0x30);
        const __m512i high_nibble = _mm512_set1_epi64(HIGH_NIBBLE);
        const __m512i to45 = _mm512_set_epi64(2, 2, 2, 2, 4, 4, 4, 4);
        const __m512i from45 = _mm512_set_epi64(62, 62, 62, 62, 0, 0, 0, 0);
        for (int half = 0; half < 2; half++) {
            __m512i ql = load512(b->ql + 64 * half), qh = twice256(b->qh + 32 * half);
            /* bits 0-1 (elements 0-31), 2-3, then 4-5 and 6-7 come to bits 4-5; 0xf8: a | b & c */
            q[2 * half] = _mm512_ternarylogic_epi64(_mm512_and_si512(ql, low),
                                                    _mm512_rolv_epi64(qh, to45), high, 0xf8);
            q[2 * half + 1] =
                _mm512_ternarylogic_epi64(_mm512_gf2p8affine_epi64_epi8(ql, high_nibble, 0),
                                          _mm512_rolv_epi64(qh, from45), high, 0xf8);
        }
        return;
    }
    const struct block_q4_k *b4 = (const void *)block;
    const struct block_q5_k *b5 = (const void *)block;
    for (int i = 0; i < 4; i++)
        q[i] = nibbles64((type == QUANT_Q4_K ? b4->qs : b5->qs) + 32 * i);
    if (type == QUANT_Q5_K) {
        /* bit 2 i of qh comes to bit 4 for the lower 32 elements, 2 i + 1 for the upper */
        const __m512i bit = _mm512_set1_epi8(16), qh = twice256(b5->qh);
        for (int i = 0; i < 4; i++) {
            int64_t lower = (4 - 2 * i) & 63, upper = (3 - 2 * i) & 63;
            const __m512i turn =
                _mm512_set_epi64(upper, upper, upper, upper, lower, lower, lower, lower);
            q[i] = _mm512_ternarylogic_epi64(q[i], _mm512_rolv_epi64(qh, turn), bit, 0xf8);
        }
    }
}

/* The group scales of four blocks, 16 bytes each: Q6_K 16 scales (int8), Q4_K and Q5_K 8 scales,
 * then 8 mins. */
INLINE __m512i scales256(uint32_t type, const uint8_t *const blocks[4])
{
    if (type == QUANT_Q6_K)
        return four128(blocks, offsetof(struct block_q6_k, scales));
    /* d, dmin, then three words of scales A, B, C: the result is, bytewise,
     * A & 63, C & 15 | A >> 2 & 48, B & 63, C >> 4 | B >> 2 & 48 */
    const __m512i words = _mm512_broadcast_i32x4(
        _mm_setr_epi8(4, 5, 6, 7, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15));
    const __m512i tops = _mm512_broadcast_i32x4(
        _mm_setr_epi8(-1, -1, -1, -1, 4, 5, 6, 7, -1, -1, -1, -1, 8, 9, 10, 11));
    const __m512i shift = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0, 0, 4));
    const __m512i mask =
        _mm512_broadcast_i32x4(_mm_setr_epi32(0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f, 0x0f0f0f0f));
    __m512i heads = four128(blocks, 0);
    __m512i low =
        _mm512_and_si512(_mm512_srlv_epi32(_mm512_shuffle_epi8(heads, words), shift), mask);
    __m512i top = _mm512_srli_epi32(_mm512_shuffle_epi8(heads, tops), 2);
    return _mm512_ternarylogic_epi32(low, top, _mm512_set1_epi8(0x30), 0xf8);
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

/* d of four blocks in lanes 0-3, dmin (or 0) in 4-7 */
INLINE __m256 factors256(uint32_t type, const uint8_t *const b[4])
{
    if (has_mins256(type)) {
        __m128i v = _mm_setr_epi32(load32(b[0]), load32(b[1]), load32(b[2]), load32(b[3]));
        const __m128i apart = _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
        return _mm256_cvtph_ps(_mm_shuffle_epi8(v, apart));
    }
    const size_t at = offsetof(struct block_q6_k, d);
    return _mm256_cvtph_ps(_mm_setr_epi16(load16(b[0] + at), load16(b[1] + at), load16(b[2] + at),
                                          load16(b[3] + at), 0, 0, 0, 0));
}

/* ---- blocks of 32, eight at a time ---- */

INLINE size_t block_bytes32(uint32_t type)
{
    switch (type) {
    case QUANT_Q4_0:
        return sizeof(struct block_q4_0);
    case QUANT_Q4_1:
        return sizeof(struct block_q4_1);
    case QUANT_Q5_0:
        return sizeof(struct block_q5_0);
    case QUANT_Q5_1:
        return sizeof(struct block_q5_1);
    case QUANT_Q8_0:
        return sizeof(struct block_q8_0);
    default:
        return sizeof(struct block_iq4_nl);
    }
}

INLINE bool has_mins32(uint32_t type)
{
    return type == QUANT_Q4_1 || type == QUANT_Q5_1;
}

/* What bytes32 adds to the weights of this type, to make them unsigned: 128 >> the result. */
INLINE int zero_point_shift(uint32_t type)
{
    return type == QUANT_Q4_0 ? 4 : type == QUANT_Q5_0 ? 3 : 0;
}

/* The nibbles of two blocks of 32 (16 bytes each) in order. */
INLINE __m512i nibbles32(const uint8_t *first, const uint8_t *second)
{
    const __m512i parts = _mm512_set_epi64(HIGH_NIBBLE, HIGH_NIBBLE, LOW_NIBBLE, LOW_NIBBLE,
                                           HIGH_NIBBLE, HIGH_NIBBLE, LOW_NIBBLE, LOW_NIBBLE);
    __m256i a = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)first));
    __m256i b = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)second));
    __m512i both = _mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1);
    return _mm512_gf2p8affine_epi64_epi8(both, parts, 0);
}

/* Eight blocks that follow each other as unsigned bytes, in order: weight + 8 (Q4_0), + 16 (Q5_0),
 * + 128 (Q8_0, IQ4_NL), as they are (Q4_1, Q5_1). */
INLINE void bytes32(uint32_t type, const uint8_t *blocks, __m512i q[4])
{
    const size_t bytes = block_bytes32(type), qs = type == QUANT_Q4_1   ? 4
                                                   : type == QUANT_Q5_0 ? 6
                                                   : type == QUANT_Q5_1 ? 8
                                                                        : 2;
    for (int i = 0; i < 4; i++) {
        const uint8_t *a = blocks + 2 * i * bytes, *b = a + bytes;
        if (type == QUANT_Q8_0) {
            __m256i first = _mm256_loadu_si256((const void *)(a + qs));
            __m256i second = _mm256_loadu_si256((const void *)(b + qs));
            q[i] = _mm512_xor_si512(_mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1),
                                    _mm512_set1_epi8((char)0x80));
            continue;
        }
        q[i] = nibbles32(a + qs, b + qs);
        if (type == QUANT_Q5_0 || type == QUANT_Q5_1) { /* one bit for each element */
            __mmask64 fifth = (uint32_t)load32(a + qs - 4) | (uint64_t)(uint32_t)load32(b + qs - 4)
                                                                 << 32;
            q[i] = _mm512_mask_add_epi8(q[i], fifth, q[i], _mm512_set1_epi8(16));
        }
        if (type == QUANT_IQ4_NL) {
            __m512i values =
                _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)quant_iq4_values));
            q[i] =
                _mm512_xor_si512(_mm512_shuffle_epi8(values, q[i]), _mm512_set1_epi8((char)0x80));
        }
    }
}

/* The halfs at `offset` of eight blocks that follow each other */
INLINE __m128i halfs32(uint32_t type, const uint8_t *blocks, size_t offset)
{
    const size_t bytes = block_bytes32(type);
    const uint8_t *b = blocks + offset;
    __m128i v = _mm_cvtsi32_si128((uint16_t)load16(b));
    v = _mm_insert_epi16(v, load16(b + bytes), 1);
    v = _mm_insert_epi16(v, load16(b + 2 * bytes), 2);
    v = _mm_insert_epi16(v, load16(b + 3 * bytes), 3);
    v = _mm_insert_epi16(v, load16(b + 4 * bytes), 4);
    v = _mm_insert_epi16(v, load16(b + 5 * bytes), 5);
    v = _mm_insert_epi16(v, load16(b + 6 * bytes), 6);
    return _mm_insert_epi16(v, load16(b + 7 * bytes), 7);
}

/* ---- reductions ---- */

/* Lane j: the sum of the 16 lanes of v[j] */
INLINE __m128i sum4(const __m512i v[4])
{
    __m512i a =
        _mm512_add_epi32(_mm512_unpacklo_epi32(v[0], v[1]), _mm512_unpackhi_epi32(v[0], v[1]));
    __m512i b =
        _mm512_add_epi32(_mm512_unpacklo_epi32(v[2], v[3]), _mm512_unpackhi_epi32(v[2], v[3]));
    __m512i c = _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    __m256i d = _mm256_add_epi32(_mm512_castsi512_si256(c), _mm512_extracti64x4_epi64(c, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(d), _mm256_extracti128_si256(d, 1));
}

/* Lane j: the sum of half j (0 lower, 1 upper of v[0], then v[1], ...) */
INLINE __m256i sum8(const __m512i v[4])
{
    __m512i a =
        _mm512_add_epi32(_mm512_unpacklo_epi32(v[0], v[1]), _mm512_unpackhi_epi32(v[0], v[1]));
    __m512i b =
        _mm512_add_epi32(_mm512_unpacklo_epi32(v[2], v[3]), _mm512_unpackhi_epi32(v[2], v[3]));
    __m512i c = _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    /* lanes of 128: lower half twice, upper half twice; each 0, 2, 4, 6 and 1, 3, 5, 7 */
    const __m512i first = _mm512_castsi256_si512(_mm256_setr_epi32(0, 8, 1, 9, 2, 10, 3, 11));
    const __m512i second = _mm512_castsi256_si512(_mm256_setr_epi32(4, 12, 5, 13, 6, 14, 7, 15));
    return _mm256_add_epi32(_mm512_castsi512_si256(_mm512_permutexvar_epi32(first, c)),
                            _mm512_castsi512_si256(_mm512_permutexvar_epi32(second, c)));
}

#endif
