/*
 * simd_x86: what the AVX2 and AVX-512 kernels share; each file compiles it with its own instruction
 * set. Functions with a `type` argument are called with a constant and inlined, so that each type
 * gets straight code from one source.
 */
#ifndef KERNELS_SIMD_X86_H
#define KERNELS_SIMD_X86_H

#include "kernels/kernels_layout.h"
#include "quant/blocks.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

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

/* ---- blocks of 32 ---- */

/* The AVX2 products. For one token against Q8_0 AVX-512 takes them too: a TinyLlama decode reads at
 * 0.93 of the bandwidth with them, at 0.89 with vectors of 64 bytes. */
void product32_avx2(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                    uint32_t row_end, void *scratch);

INLINE bool has_mins32(uint32_t type)
{
    return type == QUANT_Q4_1 || type == QUANT_Q5_1;
}

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

/* ---- blocks of 256 ---- */

/* Beside the scale there is a minimum for each group; the other types are symmetric. */
INLINE bool has_mins256(uint32_t type)
{
    return type == QUANT_Q2_K || type == QUANT_Q4_K || type == QUANT_Q5_K;
}

/* Scales (and mins) in a block: 8, of 32 elements each, or 16 */
INLINE int groups256(uint32_t type)
{
    return type == QUANT_Q4_K || type == QUANT_Q5_K ? 8 : 16;
}

INLINE size_t block_bytes256(uint32_t type)
{
    switch (type) {
    case QUANT_Q2_K:
        return sizeof(struct block_q2_k);
    case QUANT_Q3_K:
        return sizeof(struct block_q3_k);
    case QUANT_Q4_K:
        return sizeof(struct block_q4_k);
    case QUANT_Q5_K:
        return sizeof(struct block_q5_k);
    case QUANT_Q6_K:
        return sizeof(struct block_q6_k);
    default:
        return sizeof(struct block_iq4_xs);
    }
}

/* d of four blocks in lanes 0-3, dmin (or 0) in 4-7 */
INLINE __m256 factors256(uint32_t type, const uint8_t *const b[4])
{
    const size_t at = type == QUANT_Q2_K   ? offsetof(struct block_q2_k, d)
                      : type == QUANT_Q3_K ? offsetof(struct block_q3_k, d)
                      : type == QUANT_Q6_K ? offsetof(struct block_q6_k, d)
                                           : 0;
    if (has_mins256(type)) { /* d and dmin are neighbours */
        __m128i v = _mm_setr_epi32(load32(b[0] + at), load32(b[1] + at), load32(b[2] + at),
                                   load32(b[3] + at));
        const __m128i apart = _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
        return _mm256_cvtph_ps(_mm_shuffle_epi8(v, apart));
    }
    return _mm256_cvtph_ps(_mm_setr_epi16(load16(b[0] + at), load16(b[1] + at), load16(b[2] + at),
                                          load16(b[3] + at), 0, 0, 0, 0));
}

#endif
