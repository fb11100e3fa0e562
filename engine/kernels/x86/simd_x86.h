/*
 * simd_x86: what the AVX2 and AVX-512 kernels share; each file compiles it with its own instruction
 * set. Functions with a `type` argument are called with a constant and inlined, so that each type
 * gets straight code from one source.
 */
#ifndef KERNELS_SIMD_X86_H
#define KERNELS_SIMD_X86_H

#include "kernels/kernels_layout.h"
#include "quant/blocks.h"

#include <cpuid.h>
#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

/* clang before 15 does not know this name in __builtin_cpu_supports. */
static inline bool has_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

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

/* ---- reading the weights of one token ----
 *
 * Decode reads weights once, and which order of asking for them is the fastest is a property of the
 * memory at that moment (kernels.h, enum kernels_order):
 *
 *   rows     one row after the other, each line asked for 7 or 8 KB ahead into the second-level
 *            cache: a plain stream, which the memory's own prefetching suits;
 *   streams  8 or 16 rows side by side, far from each other: a processor's prefetchers follow a
 *            stream within a page of 4 KB and begin anew in the next; when one stream enters a
 * page, the others go on. A lane of a vector is a row, which saves sums across lanes.
 */

/* Rows: less (5 or 6 KB) is better in slow memory and worse in fast, more worse in both. Callers
 * ask for each line once, in stretches of whole lines: with a third of the lines asked for twice,
 * Q8_0 and Q4_0 ran at half their speed. */
#ifdef __AVX512F__
#define PREFETCH_ROW 7168
#else
#define PREFETCH_ROW 8192
#endif

INLINE void prefetch_row(const uint8_t *at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64)
        _mm_prefetch((const char *)at + PREFETCH_ROW + i, _MM_HINT_T1);
}

#ifdef __AVX512F__
#define STREAMS 16 /* the lanes of a vector */
#else
#define STREAMS 8
#endif

/* What a stream asks for ahead, into the first-level cache: two to three blocks of 256. 0.25 and
 * 0.75 KB are 2 and 6% slower, the second-level cache as target 6%, none at all 10%. */
#define PREFETCH_AHEAD 448

INLINE void prefetch_ahead(const uint8_t *at, size_t bytes)
{
    const uint8_t *ahead = at + PREFETCH_AHEAD;
    __asm__("" : "+r"(ahead)); /* or the compiler keeps every address in a register of its own */
    for (size_t i = 0; i < bytes; i += 64)
        _mm_prefetch((const char *)ahead + i, _MM_HINT_T0);
}

/* Rows w, w + apart rows, ... of STREAMS rows against n tokens; y belongs to the first row */
typedef void streams_fn(uint32_t type, const int n, const struct kernels_product *p,
                        const uint8_t *w, size_t apart, float *y);

/* All rows by `streams`, which is a constant like type and n, and inlined */
INLINE void in_streams(uint32_t type, const int n, const struct kernels_product *p,
                       const uint8_t *w, uint32_t row_begin, uint32_t row_end, streams_fn *streams)
{
    const size_t n_rows = row_end - row_begin, apart = n_rows / STREAMS;
    float *y = p->y + row_begin;
    const size_t calls = apart > 0 ? apart + (n_rows % STREAMS != 0) : n_rows;
    for (size_t i = 0; i < calls; i++) { /* one call in the source: what it takes in is large */
        const bool last = apart > 0 && i == apart; /* the last rows, some once more */
        const size_t row = last ? n_rows - STREAMS : i;
        streams(type, n, p, w + row * p->row_bytes, last ? 1 : apart, y + row);
    }
}

/* A half of each row, `stride` bytes apart, to where a vector takes them from; one by one, as
 * combining them would take units that compute. Well before: a vector cannot be loaded while parts
 * of it are on their way to memory. */
INLINE void copy_halfs(const uint8_t *from, size_t stride, uint16_t to[STREAMS])
{
    for (size_t i = 0; i < STREAMS; i++) {
        memcpy(&to[i], from + i * stride, sizeof *to);
        __asm__("" : "+m"(to[i]));
    }
}

/* ---- floats ---- */

#define VISIT 128 /* elements of a stream at a time */

INLINE size_t element_bytes(uint32_t type)
{
    return type == QUANT_F32 ? 4 : 2;
}

/* Elements begin..end-1 of a row x those of x onto its 32 partial sums; begin is a multiple of 32,
 * and end too or the length of the row. */
typedef void visit_fn(uint32_t type, const uint8_t *row, uint32_t begin, uint32_t end,
                      const float *x, float sums[32]);
/* Adds up 32 partial sums */
typedef float sum32_fn(const float sums[32]);

/* As streams_fn, one token: a visit to each row, then the next of each */
INLINE void float_streams(uint32_t type, const struct kernels_product *p, const uint8_t *w,
                          size_t apart, float *y, visit_fn *visit, sum32_fn *sum32)
{
    _Alignas(64) float sums[STREAMS][32] = {{0}};
    const size_t stride = apart * p->row_bytes;
    for (uint32_t begin = 0; begin < p->n_in; begin += VISIT) {
        const uint32_t end = p->n_in - begin < VISIT ? p->n_in : begin + VISIT;
        for (size_t s = 0; s < STREAMS; s++) {
            const uint8_t *row = w + s * stride;
            prefetch_ahead(row + begin * element_bytes(type), VISIT * element_bytes(type));
            visit(type, row, begin, end, p->input, sums[s]);
        }
    }
    for (size_t s = 0; s < STREAMS; s++)
        y[s * apart] = sum32(sums[s]);
}

/* Types that the kernels here know; the others are the portable kernels'. */
INLINE bool has_fast_product(uint32_t type)
{
    switch (type) {
    case QUANT_F32:
    case QUANT_F16:
    case QUANT_BF16:
    case QUANT_Q4_0:
    case QUANT_Q4_1:
    case QUANT_Q5_0:
    case QUANT_Q5_1:
    case QUANT_Q8_0:
    case QUANT_IQ4_NL:
    case QUANT_MXFP4:
    case QUANT_Q2_K:
    case QUANT_Q3_K:
    case QUANT_Q4_K:
    case QUANT_Q5_K:
    case QUANT_Q6_K:
    case QUANT_IQ4_XS:
    case QUANT_IQ3_XXS:
    case QUANT_IQ3_S:
        return true;
    default:
        return false;
    }
}

/* ---- blocks of 32 ---- */

/* The AVX2 products of one token. Against Q8_0 in rows AVX-512 takes them too: a TinyLlama decode
 * reads at 0.93 of the bandwidth with them, at 0.89 with vectors of 64 bytes. */
void matvec32_avx2(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                   uint32_t row_end);

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
    case QUANT_MXFP4:
        return sizeof(struct block_mxfp4);
    default:
        return sizeof(struct block_iq4_nl);
    }
}

/* Where the nibbles of a block begin; a fifth bit of each element stands in the 4 bytes before. */
INLINE size_t nibbles_at32(uint32_t type)
{
    return type == QUANT_Q4_1    ? 4
           : type == QUANT_Q5_0  ? 6
           : type == QUANT_Q5_1  ? 8
           : type == QUANT_MXFP4 ? 1
                                 : 2;
}

/* Groups of 8 blocks that are whole lines of memory */
INLINE uint32_t groups_of_lines32(uint32_t type)
{
    return type == QUANT_MXFP4 ? 8 : 4;
}

/* What is added to weights to make them unsigned: 128 >> the result */
INLINE int zero_point_shift(uint32_t type)
{
    return type == QUANT_Q4_0 ? 4 : type == QUANT_Q5_0 || type == QUANT_MXFP4 ? 3 : 0;
}

/* d of eight blocks, from the 16 bits that they begin with. Of MXFP4 that is e and a byte to be
 * ignored; e - 1 is the exponent of the float, but for the two that are subnormal. */
INLINE __m256 scales32_of_eight(uint32_t type, __m128i halfs)
{
    if (type != QUANT_MXFP4)
        return _mm256_cvtph_ps(halfs);
    __m256i e = _mm256_and_si256(_mm256_cvtepu16_epi32(halfs), _mm256_set1_epi32(255));
    __m256i normal = _mm256_slli_epi32(_mm256_sub_epi32(e, _mm256_set1_epi32(1)), 23);
    __m256i least =
        _mm256_sllv_epi32(_mm256_set1_epi32(1 << 21), _mm256_min_epi32(e, _mm256_set1_epi32(2)));
    return _mm256_castsi256_ps(_mm256_max_epi32(normal, least));
}

/* Of four blocks of each row, as halfs: d (see scales32_of_eight), and m where there is one */
struct halfs32 {
    uint16_t d[4][STREAMS], m[4][STREAMS];
};

/* The first row's blocks are at w, the others `stride` bytes apart. */
INLINE void copy_halfs32(uint32_t type, const uint8_t *w, size_t stride, struct halfs32 *out)
{
    for (size_t j = 0; j < 4; j++, w += block_bytes32(type)) {
        copy_halfs(w, stride, out->d[j]);
        if (has_mins32(type))
            copy_halfs(w + 2, stride, out->m[j]);
    }
}

/* Before four blocks w, number f of n_whole: asks for two fours ahead, copies halfs of the next */
INLINE void look_ahead32(uint32_t type, const uint8_t *w, size_t stride, size_t f, size_t n_whole,
                         struct halfs32 halfs[2])
{
    const size_t bytes = 4 * block_bytes32(type);
    for (size_t i = 0; f % 2 == 0 && i < STREAMS; i++)
        prefetch_ahead(w + i * stride, 2 * bytes);
    if (f + 1 < n_whole)
        copy_halfs32(type, w + bytes, stride, &halfs[(f + 1) % 2]);
}

/* The last n blocks of each row, filled up to four with zeros */
struct rest32 {
    uint8_t blocks[STREAMS][4 * sizeof(struct block_q8_0)];
};

INLINE struct rest32 copy_rest32(uint32_t type, const uint8_t *w, size_t stride, size_t n)
{
    struct rest32 rest = {{{0}}};
    for (size_t i = 0; i < STREAMS; i++)
        memcpy(rest.blocks[i], w + i * stride, n * block_bytes32(type));
    return rest;
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
    case QUANT_IQ3_XXS:
        return sizeof(struct block_iq3_xxs);
    case QUANT_IQ3_S:
        return sizeof(struct block_iq3_s);
    default:
        return sizeof(struct block_iq4_xs);
    }
}

/* d as halfs to what integers are multiplied with; IQ3_XXS has a quarter of it */
INLINE __m256 scales256_of_eight(uint32_t type, __m128i halfs)
{
    __m256 d = _mm256_cvtph_ps(halfs);
    return type == QUANT_IQ3_XXS ? _mm256_mul_ps(d, _mm256_set1_ps(0.25f)) : d;
}

/* Where d stands in a block; dmin follows it where there is one. */
INLINE size_t d_offset256(uint32_t type)
{
    return type == QUANT_Q2_K   ? offsetof(struct block_q2_k, d)
           : type == QUANT_Q3_K ? offsetof(struct block_q3_k, d)
           : type == QUANT_Q6_K ? offsetof(struct block_q6_k, d)
                                : 0;
}

/* Of a block of each row, as halfs: d, and dmin where there is one */
struct halfs256 {
    uint16_t d[STREAMS], dmin[STREAMS];
};

/* The first row's block is at w, the others `stride` bytes apart. */
INLINE void copy_halfs256(uint32_t type, const uint8_t *w, size_t stride, struct halfs256 *out)
{
    copy_halfs(w + d_offset256(type), stride, out->d);
    if (has_mins256(type))
        copy_halfs(w + d_offset256(type) + 2, stride, out->dmin);
}

/* d of four blocks in lanes 0-3, dmin (or 0) in 4-7 */
INLINE __m256 factors256(uint32_t type, const uint8_t *const b[4])
{
    const size_t at = d_offset256(type);
    if (has_mins256(type)) { /* d and dmin are neighbours */
        __m128i v = _mm_setr_epi32(load32(b[0] + at), load32(b[1] + at), load32(b[2] + at),
                                   load32(b[3] + at));
        const __m128i apart = _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
        return _mm256_cvtph_ps(_mm_shuffle_epi8(v, apart));
    }
    return scales256_of_eight(type,
                              _mm_setr_epi16(load16(b[0] + at), load16(b[1] + at),
                                             load16(b[2] + at), load16(b[3] + at), 0, 0, 0, 0));
}

#endif
