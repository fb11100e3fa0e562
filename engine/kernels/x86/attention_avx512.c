/*
 * attention_avx512: causal attention, online softmax over blocks of 64 positions that begin at
 * multiples of 64; up to four tokens of a head at a time, or a token of up to four heads that share
 * their keys: one as much as the other is called a token here.
 *
 * For each block:
 *   1. scores: 4 tokens x 4 positions (one token: 16 positions) of q k in registers, 16 partial
 *      sums each, added up by sum16;
 *   2. per token: the positions it may see, the new maximum, p = exp(score - maximum), how much
 *      what was summed before shrinks;
 *   3. out = out * shrink + sum p v, 64 elements of four tokens in registers.
 *
 * A token goes through the same operations in the same order whether it comes alone or with
 * others; positions of the block that only the others see count with p = 0 (their v are taken
 * to be finite).
 */
#include "kernels/x86/exp_avx512.h"
#include "kernels/x86/simd_avx512.h"

#include <assert.h>
#include <math.h>

/* What the tokens of a tile share and how far each has come. */
struct tile {
    const struct kernels_attention *a;
    const char *k, *v; /* of this kv head */
    int n;             /* tokens, 1 to TOKEN_TILE */
    const float *q[TOKEN_TILE];
    float *out[TOKEN_TILE];
    uint32_t begin[TOKEN_TILE], end[TOKEN_TILE]; /* the positions each sees */
    float max[TOKEN_TILE];
    __m512 sum[TOKEN_TILE]; /* of p, in 16 parts */
    float shrink[TOKEN_TILE];
    float (*score)[POSITION_BLOCK];
};

INLINE __mmask16 used_of(uint32_t at, uint32_t n)
{
    return at >= n ? 0 : n - at < 16 ? (__mmask16)((1u << (n - at)) - 1) : 0xffff;
}

/* Elements at..at+15 of a row of a cache */
INLINE __m512 cache_load(enum kernels_kv kv, const char *row, uint32_t at, __mmask16 used)
{
    if (kv == KERNELS_KV_F32)
        return _mm512_maskz_loadu_ps(used, row + 4 * (size_t)at);
    if (kv == KERNELS_KV_Q8_0) {
        if (used == 0) /* beyond the row */
            return _mm512_setzero_ps();
        const char *block = row + at / 32 * sizeof(struct block_q8_0);
        const char *q = block + offsetof(struct block_q8_0, qs) + at % 32;
        return _mm512_mul_ps(
            _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)q))),
            _mm512_cvtph_ps(_mm256_set1_epi16(load16(block))));
    }
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(used, row + 2 * (size_t)at));
}

INLINE __m512 sum_pairs(__m512 a, __m512 b)
{
    return _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
}

INLINE __m512 sum_quads(__m512 a, __m512 b)
{
    __m512d x = _mm512_castps_pd(a), y = _mm512_castps_pd(b);
    return _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)),
                         _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
}

INLINE __m512 sum_lanes(__m512 a, __m512 b)
{
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}

/* Lane i: the sum of the lanes of s[i], the same order for all i */
INLINE __m512 sum16(const __m512 s[16])
{
    __m512 fours[4];
    for (int i = 0; i < 4; i++)
        fours[i] =
            sum_quads(sum_pairs(s[4 * i], s[4 * i + 1]), sum_pairs(s[4 * i + 2], s[4 * i + 3]));
    return sum_lanes(sum_lanes(fours[0], fours[1]), sum_lanes(fours[2], fours[3]));
}

/* Step 1 for positions block..block+count-1; beyond them the last one stands in. */
INLINE void scores(enum kernels_kv kv, const bool alone, struct tile *tile, uint32_t block,
                   uint32_t count)
{
    const uint32_t head_dim = tile->a->head_dim, n_positions = alone ? 16 : 4;
    const size_t row_bytes = kernels_kv_row_bytes(kv, head_dim);
    for (uint32_t first = 0; first < count; first += n_positions) {
        const char *k[16];
        __m512 s[16];
        for (uint32_t j = 0; j < n_positions; j++)
            k[j] = tile->k + (block + (first + j < count ? first + j : count - 1)) * row_bytes;
        for (int i = 0; i < 16; i++)
            s[i] = _mm512_setzero_ps();
        for (uint32_t at = 0; at < head_dim; at += 16) {
            __mmask16 used = used_of(at, head_dim);
            __m512 q[TOKEN_TILE];
            for (int t = 0; t < (alone ? 1 : TOKEN_TILE); t++)
                q[t] = _mm512_maskz_loadu_ps(used, tile->q[t] + at);
#pragma GCC unroll 16
            for (uint32_t j = 0; j < n_positions; j++) {
                __m512 x = cache_load(kv, k[j], at, used);
#pragma GCC unroll 4
                for (uint32_t t = 0; t < 16 / n_positions; t++)
                    s[n_positions * t + j] = _mm512_fmadd_ps(q[t], x, s[n_positions * t + j]);
            }
        }
        __m512 sums = sum16(s);
        if (alone) {
            _mm512_storeu_ps(tile->score[0] + first, sums);
            continue;
        }
        _mm_storeu_ps(tile->score[0] + first, _mm512_castps512_ps128(sums));
        _mm_storeu_ps(tile->score[1] + first, _mm512_extractf32x4_ps(sums, 1));
        _mm_storeu_ps(tile->score[2] + first, _mm512_extractf32x4_ps(sums, 2));
        _mm_storeu_ps(tile->score[3] + first, _mm512_extractf32x4_ps(sums, 3));
    }
}

/* Step 2 for token t: score becomes p. */
INLINE void soften(struct tile *tile, int t, uint32_t block)
{
    const uint32_t from = tile->begin[t] > block ? tile->begin[t] - block : 0;
    const uint32_t to = tile->end[t] > block ? tile->end[t] - block : 0;
    float *score = tile->score[t];
    tile->shrink[t] = 1;
    if (from >= POSITION_BLOCK || to <= from) {
        memset(score, 0, POSITION_BLOCK * sizeof *score);
        return;
    }
    uint64_t seen = (to < POSITION_BLOCK ? ((uint64_t)1 << to) - 1 : ~(uint64_t)0) & ~(uint64_t)0
                                                                                         << from;
    const __m512 scale = _mm512_set1_ps(tile->a->scale), none = _mm512_set1_ps(-INFINITY);
    __m512 s[4], largest = none;
    for (int i = 0; i < 4; i++) {
        s[i] = _mm512_mul_ps(_mm512_loadu_ps(score + 16 * i), scale);
        largest = _mm512_mask_max_ps(largest, (__mmask16)(seen >> 16 * i), largest, s[i]);
    }
    float max = fmaxf(tile->max[t], _mm512_reduce_max_ps(largest));
    tile->shrink[t] = _mm512_cvtss_f32(exp512(_mm512_set1_ps(tile->max[t] - max)));
    tile->max[t] = max;
    tile->sum[t] = _mm512_mul_ps(tile->sum[t], _mm512_set1_ps(tile->shrink[t]));
    for (int i = 0; i < 4; i++) {
        __m512 p = exp512(_mm512_sub_ps(s[i], _mm512_set1_ps(max)));
        p = _mm512_maskz_mov_ps((__mmask16)(seen >> 16 * i), p);
        tile->sum[t] = _mm512_add_ps(tile->sum[t], p);
        _mm512_storeu_ps(score + 16 * i, p);
    }
}

/* Step 3, n tokens (a constant) */
INLINE void mix(enum kernels_kv kv, const int n, const struct tile *tile, uint32_t block,
                uint32_t count)
{
    const uint32_t head_dim = tile->a->head_dim;
    const size_t row_bytes = kernels_kv_row_bytes(kv, head_dim);
    for (uint32_t at = 0; at < head_dim; at += 64) {
        __m512 out[TOKEN_TILE][4];
        __mmask16 used[4];
        for (uint32_t i = 0; i < 4; i++) {
            used[i] = used_of(at + 16 * i, head_dim);
            for (int t = 0; t < n; t++)
                out[t][i] =
                    _mm512_mul_ps(_mm512_maskz_loadu_ps(used[i], tile->out[t] + at + 16 * i),
                                  _mm512_set1_ps(tile->shrink[t]));
        }
        const char *row = tile->v + block * row_bytes;
        for (uint32_t j = 0; j < count; j++, row += row_bytes) {
            __m512 v[4];
            for (uint32_t i = 0; i < 4; i++)
                v[i] = cache_load(kv, row, at + 16 * i, used[i]);
#pragma GCC unroll 4
            for (int t = 0; t < n; t++) {
                __m512 p = _mm512_set1_ps(tile->score[t][j]);
                for (int i = 0; i < 4; i++)
                    out[t][i] = _mm512_fmadd_ps(p, v[i], out[t][i]);
            }
        }
        for (int t = 0; t < n; t++)
            for (uint32_t i = 0; i < 4; i++)
                _mm512_mask_storeu_ps(tile->out[t] + at + 16 * i, used[i], out[t][i]);
    }
}

INLINE void attend(enum kernels_kv kv, struct tile *tile)
{
    const uint32_t head_dim = tile->a->head_dim, last = tile->end[tile->n - 1];
    for (int t = 0; t < tile->n; t++)
        memset(tile->out[t], 0, head_dim * sizeof(float));
    uint32_t block = tile->begin[0] / POSITION_BLOCK * POSITION_BLOCK;
    for (; block < last; block += POSITION_BLOCK) {
        uint32_t count = last - block < POSITION_BLOCK ? last - block : POSITION_BLOCK;
        if (tile->n == 1)
            scores(kv, true, tile, block, count);
        else
            scores(kv, false, tile, block, count);
        for (int t = 0; t < tile->n; t++)
            soften(tile, t, block);
        switch (tile->n) {
        case 1:
            mix(kv, 1, tile, block, count);
            break;
        case 2:
            mix(kv, 2, tile, block, count);
            break;
        case 3:
            mix(kv, 3, tile, block, count);
            break;
        default:
            mix(kv, 4, tile, block, count);
        }
    }
    for (int t = 0; t < tile->n; t++) {
        const __m512 sum = _mm512_set1_ps(_mm512_reduce_add_ps(tile->sum[t]));
        for (uint32_t at = 0; at < head_dim; at += 16) {
            __mmask16 used = used_of(at, head_dim);
            __m512 out = _mm512_maskz_loadu_ps(used, tile->out[t] + at);
            _mm512_mask_storeu_ps(tile->out[t] + at, used, _mm512_div_ps(out, sum));
        }
    }
}

/* Queries first..last-1 against the keys of a head: query i is token i / n_heads of head
 * head + i % n_heads, with one token or one head. */
void attention_avx512(const struct kernels_attention *a, uint32_t head, uint32_t n_heads,
                      uint32_t first, uint32_t last, void *scratch)
{
    assert(a->n_heads % a->n_kv_heads == 0);
    if (n_heads > 1 && last - first > 1) { /* tiles are of one or the other */
        for (uint32_t h = head; h < head + n_heads; h++)
            attention_avx512(a, h, 1, first, last, scratch);
        return;
    }
    const size_t head_bytes = a->capacity * kernels_kv_row_bytes(a->kv, a->head_dim);
    const uint32_t kv_head = head / (a->n_heads / a->n_kv_heads);
    const uint32_t n = n_heads * (last - first);
    struct tile tile = {.a = a,
                        .k = (const char *)a->k + kv_head * head_bytes,
                        .v = (const char *)a->v + kv_head * head_bytes,
                        .score = scratch};
    for (uint32_t at = 0; at < n; at += TOKEN_TILE) {
        tile.n = n - at < TOKEN_TILE ? (int)(n - at) : TOKEN_TILE;
        for (int i = 0; i < TOKEN_TILE; i++) {
            const uint32_t query = at + (uint32_t)(i < tile.n ? i : tile.n - 1);
            const uint32_t t = first + query / n_heads, h = head + query % n_heads;
            tile.q[i] = a->q + t * a->q_stride + (size_t)h * a->head_dim;
            tile.out[i] = a->out + t * a->out_stride + (size_t)h * a->head_dim;
            tile.end[i] = a->pos0 + t + 1;
            tile.begin[i] = a->window && tile.end[i] > a->window ? tile.end[i] - a->window : 0;
            tile.max[i] = a->sinks ? a->sinks[h] : -INFINITY;
            tile.sum[i] = _mm512_maskz_mov_ps(1, _mm512_set1_ps(a->sinks ? 1 : 0));
        }
        switch (a->kv) {
        case KERNELS_KV_F32:
            attend(KERNELS_KV_F32, &tile);
            break;
        case KERNELS_KV_F16:
            attend(KERNELS_KV_F16, &tile);
            break;
        default:
            attend(KERNELS_KV_Q8_0, &tile);
        }
    }
}
