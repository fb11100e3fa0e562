/*
 * float_avx512: products with F32, F16 and BF16 weights, fused multiply-add in float.
 *
 * Every element of y is 32 partial sums (element i of the row goes to sum i % 32, in order),
 * added up by sum32: whether it is one token or many, so that a token's result is the same
 * bits in both.
 *
 * One token: see simd_x86.h. More: two rows x six tokens in registers; up to 32 rows go against six
 * tokens before the next six, and stretches of 1024 elements of them at a time, so that the
 * activations stay in the first-level cache and the weights in the second. Memory is asked for the
 * next rows meanwhile, in plain address order.
 */
#include "kernels/x86/simd_avx512.h"

#define PAIR       2
#define STRETCH    1024
#define ROWS_BYTES ((size_t)256 * 1024) /* of rows that are in use together */

struct lanes32 {
    __m512 low, high;
};

/* Weights at..at+31 of a row; those from n on (masks) are 0 and not read. */
INLINE struct lanes32 weights(uint32_t type, const uint8_t *row, uint32_t at, __mmask32 used)
{
    if (type == QUANT_F32) {
        const float *w = (const float *)(const void *)row + at;
        return (struct lanes32){_mm512_maskz_loadu_ps((__mmask16)used, w),
                                _mm512_maskz_loadu_ps((__mmask16)(used >> 16), w + 16)};
    }
    __m512i halfs = _mm512_maskz_loadu_epi16(used, row + 2 * (size_t)at);
    __m256i low = _mm512_castsi512_si256(halfs), high = _mm512_extracti64x4_epi64(halfs, 1);
    if (type == QUANT_F16)
        return (struct lanes32){_mm512_cvtph_ps(low), _mm512_cvtph_ps(high)};
    return (struct lanes32){
        _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(low), 16)),
        _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(high), 16))};
}

INLINE __mmask32 used_of(uint32_t at, uint32_t n)
{
    return n - at < 32 ? (1u << (n - at)) - 1 : 0xffffffffu;
}

INLINE void multiply_add(struct lanes32 *sum, struct lanes32 w, const float *x)
{
    sum->low = _mm512_fmadd_ps(w.low, _mm512_loadu_ps(x), sum->low);
    sum->high = _mm512_fmadd_ps(w.high, _mm512_loadu_ps(x + 16), sum->high);
}

INLINE float sum32(struct lanes32 s)
{
    return _mm512_reduce_add_ps(_mm512_add_ps(s.low, s.high));
}

/* One token, one row after the other */
INLINE void in_rows(uint32_t type, const struct kernels_product *p, const uint8_t *w,
                    uint32_t row_begin, uint32_t row_end)
{
    const float *x = p->input;
    const uint32_t n_whole = p->n_in / 32 * 32;
    for (uint32_t row = row_begin; row < row_end; row++, w += p->row_bytes) {
        struct lanes32 sum = {_mm512_setzero_ps(), _mm512_setzero_ps()};
        for (uint32_t i = 0; i < n_whole; i += 32) {
            if (i % 256 == 0)
                prefetch_row(w + i * element_bytes(type), 256 * element_bytes(type));
            multiply_add(&sum, weights(type, w, i, 0xffffffffu), x + i);
        }
        if (n_whole < p->n_in)
            multiply_add(&sum, weights(type, w, n_whole, used_of(n_whole, p->n_in)), x + n_whole);
        p->y[row] = sum32(sum);
    }
}

INLINE void visit(uint32_t type, const uint8_t *row, uint32_t begin, uint32_t end, const float *x,
                  float sums[32])
{
    struct lanes32 sum = {_mm512_load_ps(sums), _mm512_load_ps(sums + 16)};
    uint32_t i = begin;
    for (; i + 32 <= end; i += 32)
        multiply_add(&sum, weights(type, row, i, 0xffffffffu), x + i);
    if (i < end)
        multiply_add(&sum, weights(type, row, i, used_of(i, end)), x + i);
    _mm512_store_ps(sums, sum.low);
    _mm512_store_ps(sums + 16, sum.high);
}

INLINE float sum_visits(const float sums[32])
{
    return sum32((struct lanes32){_mm512_load_ps(sums), _mm512_load_ps(sums + 16)});
}

INLINE void streams(uint32_t type, const int n, const struct kernels_product *p, const uint8_t *w,
                    size_t apart, float *y)
{
    (void)n; /* is 1 */
    float_streams(type, p, w, apart, y, visit, sum_visits);
}

/* Two rows and the elements of them to multiply; as many bytes are asked for at `ahead`, if any. */
struct stretch {
    const uint8_t *w[PAIR], *ahead;
    uint32_t begin, end;
};

/* x n tokens (a constant), onto the sums of earlier stretches */
INLINE void multiply(uint32_t type, const int n, const struct kernels_product *p,
                     const struct stretch *at, const float *x,
                     struct lanes32 (*sums)[TOKENS_AT_ONCE])
{
    const uint8_t *ahead = at->ahead;
    const size_t stride = input_float_stride(p->n_in);
    struct lanes32 s[PAIR][TOKENS_AT_ONCE];
    for (int t = 0; t < n; t++) {
        s[0][t] = sums[0][t];
        s[1][t] = sums[1][t];
    }
    for (uint32_t i = at->begin; i < at->end; i += 32) {
        __mmask32 used = used_of(i, p->n_in);
        struct lanes32 w0 = weights(type, at->w[0], i, used), w1 = weights(type, at->w[1], i, used);
        for (size_t line = 0; ahead && line < element_bytes(type); line++, ahead += 64)
            _mm_prefetch((const char *)ahead, _MM_HINT_T1);
#pragma GCC unroll 8
        for (int t = 0; t < n; t++) {
            const float *from = x + (size_t)t * stride + i;
            multiply_add(&s[0][t], w0, from);
            multiply_add(&s[1][t], w1, from);
        }
    }
    for (int t = 0; t < n; t++) {
        sums[0][t] = s[0][t];
        sums[1][t] = s[1][t];
    }
}

INLINE void some_tokens(uint32_t type, const struct kernels_product *p, uint32_t n,
                        const struct stretch *at, const float *x,
                        struct lanes32 (*sums)[TOKENS_AT_ONCE])
{
    switch (n) {
    case 6:
        multiply(type, 6, p, at, x, sums);
        break;
    case 5:
        multiply(type, 5, p, at, x, sums);
        break;
    case 4:
        multiply(type, 4, p, at, x, sums);
        break;
    case 3:
        multiply(type, 3, p, at, x, sums);
        break;
    case 2:
        multiply(type, 2, p, at, x, sums);
        break;
    default:
        multiply(type, 1, p, at, x, sums);
    }
}

/* Up to 32 rows x all tokens */
INLINE void tile(uint32_t type, const struct kernels_product *p, const uint8_t *w, uint32_t row,
                 uint32_t n_rows, struct lanes32 (*sums)[TOKENS_AT_ONCE])
{
    const uint8_t *ahead = w + n_rows * p->row_bytes;
    for (uint32_t first = 0, n; first < p->n_tokens; first += n) {
        n = tokens_at_once(p->n_tokens - first);
        const float *x = (const float *)p->input + first * input_float_stride(p->n_in);
        memset(sums, 0, TILE_ROWS * sizeof *sums);
        for (uint32_t begin = 0; begin < p->n_in; begin += STRETCH) {
            uint32_t end = p->n_in - begin < STRETCH ? p->n_in : begin + STRETCH;
            for (uint32_t i = 0; i < n_rows; i += PAIR) {
                const uint32_t other = i + 1 < n_rows ? i + 1 : i;
                struct stretch at = {{w + i * p->row_bytes, w + other * p->row_bytes},
                                     first == 0 ? ahead : NULL,
                                     begin,
                                     end};
                some_tokens(type, p, n, &at, x, sums + i);
                ahead += PAIR * (end - begin) * element_bytes(type);
            }
        }
        for (uint32_t t = 0; t < n; t++)
            for (uint32_t i = 0; i < n_rows; i++)
                p->y[(first + t) * p->y_stride + row + i] = sum32(sums[i][t]);
    }
}

INLINE void product(uint32_t type, const struct kernels_product *p, const uint8_t *w,
                    uint32_t row_begin, uint32_t row_end, void *scratch)
{
    if (p->n_tokens == 1 && p->order == KERNELS_ROWS) {
        in_rows(type, p, w, row_begin, row_end);
        return;
    }
    if (p->n_tokens == 1) {
        in_streams(type, 1, p, w, row_begin, row_end, streams);
        return;
    }
    _Static_assert(TILE_ROWS * TOKENS_AT_ONCE * sizeof(struct lanes32) <= TILE_BYTES,
                   "the sums fit their scratch");
    const size_t fit = ROWS_BYTES / p->row_bytes / PAIR * PAIR;
    const uint32_t most = fit > TILE_ROWS ? TILE_ROWS : fit < PAIR ? PAIR : (uint32_t)fit;
    for (uint32_t row = row_begin, n_rows; row < row_end; row += n_rows) {
        n_rows = row_end - row < most ? row_end - row : most;
        tile(type, p, w + (row - row_begin) * p->row_bytes, row, n_rows, scratch_tile(scratch));
    }
}

void float_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                  uint32_t row_end, void *scratch)
{
    switch (p->type) {
    case QUANT_F32:
        product(QUANT_F32, p, w, row_begin, row_end, scratch);
        break;
    case QUANT_F16:
        product(QUANT_F16, p, w, row_begin, row_end, scratch);
        break;
    default:
        product(QUANT_BF16, p, w, row_begin, row_end, scratch);
    }
}
