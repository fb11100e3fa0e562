/*
 * tile32_avx512: 32 rows of a type with blocks of 32 against many tokens. See tile_avx512.h.
 *
 * For each group of eight blocks of the rows: unpack, all types as weight + 128; then for up to
 * six tokens at a time, block after block, (I d + S m) scale, added up over four blocks and then
 * to the sums of row and token: the order of generic.h. I starts at the bias of the activations
 * instead of 0, which takes the 128 away again.
 */
#include "kernels/x86/blocks32_avx512.h"
#include "kernels/x86/tile_avx512.h"

#include <assert.h>

struct tile32 {
    uint8_t w[64][2][64]; /* [4 elements][16 rows][row, element] */
    float d[8][TILE_ROWS], m[8][TILE_ROWS];
};
_Static_assert(sizeof(struct tile32) <= TILE_BYTES, "the tile fits its scratch");

#define GROUP_BYTES_MAX (8 * sizeof(struct block_q8_0))

/* The columns of the halfs at `offset` of each block, as floats */
INLINE void unpack_halfs(uint32_t type, const uint8_t *const b[TILE_ROWS], size_t offset,
                         float out[8][TILE_ROWS])
{
    uint16_t halfs[8][TILE_ROWS];
    for (int i = 0; i < TILE_ROWS; i++)
        for (int j = 0; j < 8; j++)
            memcpy(&halfs[j][i], b[i] + (size_t)j * block_bytes32(type) + offset, 2);
    for (int j = 0; j < 8; j++)
        for (int half = 0; half < 2; half++)
            _mm512_store_ps(
                out[j] + 16 * half,
                scales32_of_16(type, _mm256_loadu_si256((const void *)(halfs[j] + 16 * half))));
}

INLINE void unpack(uint32_t type, const uint8_t *const b[TILE_ROWS], struct tile32 *tile)
{
    const int lift = 128 - (has_mins32(type) ? 0 : 128 >> zero_point_shift(type));
    for (int half = 0; half < 2; half++) {
        __m512i v[4][16];
        for (int i = 0; i < 16; i++) {
            __m512i q[4];
            bytes32(type, b[16 * half + i], q);
            bytes32(type, b[16 * half + i] + 4 * block_bytes32(type), q + 2);
            for (int part = 0; part < 4; part++)
                v[part][i] = _mm512_add_epi8(q[part], _mm512_set1_epi8((char)lift));
        }
        for (int part = 0; part < 4; part++) {
            transpose16(v[part]);
            for (int i = 0; i < 16; i++)
                _mm512_store_si512(tile->w[16 * part + i][half], v[part][i]);
        }
    }
    unpack_halfs(type, b, 0, tile->d);
    if (has_mins32(type))
        unpack_halfs(type, b, 2, tile->m);
}

/* n tokens (a constant), from `cell` on, against blocks first..last-1 (up to four) of the tile. */
INLINE void multiply(uint32_t type, const int n, const struct tile32 *tile, uint32_t first,
                     uint32_t last, const struct input_view *v, size_t cell, float *sums)
{
    const int8_t *x = v->q + cell * GROUP;
    const int32_t *bias = v->bias + cell * 8;
    const float *scale = v->scale + cell * 8;
    __m512 four[TOKENS_AT_ONCE][2];
    for (int t = 0; t < n; t++)
        four[t][0] = four[t][1] = _mm512_setzero_ps();
#pragma GCC unroll 1
    for (uint32_t j = first; j < last; j++) {
        __m512i part[TOKENS_AT_ONCE][2];
        for (int t = 0; t < n; t++)
            part[t][0] = part[t][1] = _mm512_set1_epi32(bias[8 * t + (int)j]);
#pragma GCC unroll 8
        for (int k = 0; k < 8; k++) {
            __m512i w0 = _mm512_load_si512(tile->w[8 * j + (uint32_t)k][0]);
            __m512i w1 = _mm512_load_si512(tile->w[8 * j + (uint32_t)k][1]);
#pragma GCC unroll 8
            for (int t = 0; t < n; t++) {
                __m512i quad = _mm512_set1_epi32(load32(x + GROUP * t + 32 * j + 4 * k));
                part[t][0] = _mm512_dpbusd_epi32(part[t][0], w0, quad);
                part[t][1] = _mm512_dpbusd_epi32(part[t][1], w1, quad);
            }
        }
        for (int half = 0; half < 2; half++) {
            __m512 d = _mm512_load_ps(tile->d[j] + 16 * half);
#pragma GCC unroll 8
            for (int t = 0; t < n; t++) {
                __m512 term = _mm512_mul_ps(_mm512_cvtepi32_ps(part[t][half]), d);
                if (has_mins32(type)) {
                    __m512 sum_q = _mm512_set1_ps((float)(bias[8 * t + (int)j] / -128));
                    __m512 m = _mm512_load_ps(tile->m[j] + 16 * half);
                    term = _mm512_add_ps(term, _mm512_mul_ps(sum_q, m));
                }
                term = _mm512_mul_ps(term, _mm512_set1_ps(scale[8 * t + (int)j]));
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

INLINE void all_tokens(uint32_t type, const struct tile32 *tile, uint32_t first, uint32_t last,
                       const struct input_view *v, size_t cell, float *sums)
{
    uint32_t t = 0;
    for (; t + 6 <= v->n_tokens; t += 6)
        multiply(type, 6, tile, first, last, v, cell + t, sums + t * TILE_ROWS);
    switch (v->n_tokens - t) {
    case 5:
        multiply(type, 5, tile, first, last, v, cell + t, sums + t * TILE_ROWS);
        break;
    case 4:
        multiply(type, 4, tile, first, last, v, cell + t, sums + t * TILE_ROWS);
        break;
    case 3:
        multiply(type, 3, tile, first, last, v, cell + t, sums + t * TILE_ROWS);
        break;
    case 2:
        multiply(type, 2, tile, first, last, v, cell + t, sums + t * TILE_ROWS);
        break;
    case 1:
        multiply(type, 1, tile, first, last, v, cell + t, sums + t * TILE_ROWS);
    }
}

/* Unpacked, types differ in having mins only. */
static __attribute__((noinline)) void with_mins(const struct tile32 *tile, uint32_t first,
                                                uint32_t last, const struct input_view *v,
                                                size_t cell, float *sums)
{
    all_tokens(QUANT_Q4_1, tile, first, last, v, cell, sums);
}

static __attribute__((noinline)) void without_mins(const struct tile32 *tile, uint32_t first,
                                                   uint32_t last, const struct input_view *v,
                                                   size_t cell, float *sums)
{
    all_tokens(QUANT_Q4_0, tile, first, last, v, cell, sums);
}

INLINE void rows(uint32_t type, const struct kernels_product *p, const uint8_t *w,
                 uint32_t row_begin, uint32_t row_end, void *scratch)
{
    const struct input_view v = input_view(KERNELS_INT8_32, p->input, p->n_tokens, p->n_in, NULL);
    const size_t bytes = 8 * block_bytes32(type);
    struct tile32 *tile = scratch_tile(scratch);
    float *sums = scratch_sums(scratch);
    for (uint32_t row = row_begin; row < row_end; row += TILE_ROWS) {
        struct tile_rows r = tile_rows(p, w + (row - row_begin) * p->row_bytes, row_end - row);
        memset(sums, 0, (size_t)p->n_tokens * TILE_ROWS * sizeof *sums);
        for (uint32_t g = 0; g < v.n_groups; g++) {
            uint32_t left = p->n_in / 32 - g * 8, n_blocks = left < 8 ? left : 8;
            const uint8_t *b[TILE_ROWS];
            uint8_t copy[TILE_ROWS][GROUP_BYTES_MAX]; /* of a last group of less than 8 blocks */
            for (int i = 0; i < TILE_ROWS; i++) {
                b[i] = r.at[i] + g * bytes;
                if (n_blocks < 8)
                    b[i] = memcpy(copy[i], b[i], n_blocks * block_bytes32(type));
            }
            unpack(type, b, tile);
            tile_prefetch(&r, (g + 1) * bytes, bytes);
            for (uint32_t first = 0; first < n_blocks; first += 4) {
                uint32_t last = n_blocks < first + 4 ? n_blocks : first + 4;
                (has_mins32(type) ? with_mins : without_mins)(tile, first, last, &v,
                                                              (size_t)g * p->n_tokens, sums);
            }
        }
        tile_store(p, sums, row, r.valid);
    }
}

void tile32_avx512(const struct kernels_product *p, const uint8_t *w, uint32_t row_begin,
                   uint32_t row_end, void *scratch)
{
    switch (p->type) {
    case QUANT_Q4_0:
        rows(QUANT_Q4_0, p, w, row_begin, row_end, scratch);
        break;
    case QUANT_Q4_1:
        rows(QUANT_Q4_1, p, w, row_begin, row_end, scratch);
        break;
    case QUANT_Q5_0:
        rows(QUANT_Q5_0, p, w, row_begin, row_end, scratch);
        break;
    case QUANT_Q5_1:
        rows(QUANT_Q5_1, p, w, row_begin, row_end, scratch);
        break;
    case QUANT_Q8_0:
        rows(QUANT_Q8_0, p, w, row_begin, row_end, scratch);
        break;
    case QUANT_MXFP4:
        rows(QUANT_MXFP4, p, w, row_begin, row_end, scratch);
        break;
    default:
        assert(p->type == QUANT_IQ4_NL);
        rows(QUANT_IQ4_NL, p, w, row_begin, row_end, scratch);
    }
}
