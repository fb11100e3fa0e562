/*
 * attention_avx2: causal attention of one head, one token after the other, online softmax over
 * blocks of 64 positions that begin at multiples of 64: the steps of attention_avx512.c, eight
 * positions at a time.
 */
#include "kernels/x86/exp_avx2.h"
#include "kernels/x86/simd_avx2.h"

#include <assert.h>
#include <math.h>

struct token {
    const struct kernels_attention *a;
    const char *k, *v; /* of this kv head */
    const float *q;
    float *out;
    uint32_t begin, end; /* the positions it sees */
    float max;
    __m256 sum; /* of p, in eight parts */
};

INLINE __m256i used_of(uint32_t at, uint32_t n)
{
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(n - at)), lanes);
}

/* Elements at..at+7 of a row of a cache; those from n on are 0 and not read. */
INLINE __m256 cache_load(enum kernels_kv kv, const char *row, uint32_t at, uint32_t n)
{
    if (kv == KERNELS_KV_F32) {
        const float *x = (const float *)(const void *)row + at;
        return at + 8 <= n ? _mm256_loadu_ps(x) : _mm256_maskload_ps(x, used_of(at, n));
    }
    if (kv == KERNELS_KV_Q8_0) {
        const char *block = row + at / 32 * sizeof(struct block_q8_0);
        const char *q = block + offsetof(struct block_q8_0, qs) + at % 32;
        return _mm256_mul_ps(
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)q))),
            _mm256_cvtph_ps(_mm_set1_epi16(load16(block))));
    }
    if (at + 8 <= n)
        return _mm256_cvtph_ps(load128(row + 2 * (size_t)at));
    uint16_t copy[8] = {0};
    memcpy(copy, row + 2 * (size_t)at, (n - at) * sizeof *copy);
    return _mm256_cvtph_ps(load128(copy));
}

/* Lane i: the sum of the lanes of s[i] */
INLINE __m256 sum8(const __m256 s[8])
{
    __m256 low = _mm256_hadd_ps(_mm256_hadd_ps(s[0], s[1]), _mm256_hadd_ps(s[2], s[3]));
    __m256 high = _mm256_hadd_ps(_mm256_hadd_ps(s[4], s[5]), _mm256_hadd_ps(s[6], s[7]));
    return _mm256_add_ps(_mm256_permute2f128_ps(low, high, 0x20),
                         _mm256_permute2f128_ps(low, high, 0x31));
}

/* Positions from..to-1 of a block (from 0 to 64) that begins at `block`; score has all 64. */
INLINE void scores(enum kernels_kv kv, const struct token *token, uint32_t block, uint32_t from,
                   uint32_t to, float *score)
{
    const uint32_t head_dim = token->a->head_dim;
    const size_t row_bytes = kernels_kv_row_bytes(kv, head_dim);
    for (uint32_t first = from / 8 * 8; first < to; first += 8) {
        const char *k[8];
        __m256 s[8];
        for (uint32_t j = 0; j < 8; j++) {
            uint32_t seen = first + j < from ? from : first + j < to ? first + j : to - 1;
            k[j] = token->k + (block + seen) * row_bytes;
            s[j] = _mm256_setzero_ps();
        }
        for (uint32_t at = 0; at < head_dim; at += 8) {
            __m256 q = cache_load(KERNELS_KV_F32, (const char *)token->q, at, head_dim);
            for (int j = 0; j < 8; j++)
                s[j] = _mm256_fmadd_ps(q, cache_load(kv, k[j], at, head_dim), s[j]);
        }
        _mm256_storeu_ps(score + first, _mm256_mul_ps(sum8(s), _mm256_set1_ps(token->a->scale)));
    }
}

/* score becomes p, 0 outside from..to-1; returns what earlier sums shrink by. */
INLINE float soften(struct token *token, uint32_t from, uint32_t to, float *score)
{
    float max = token->max;
    for (uint32_t j = from; j < to; j++)
        max = fmaxf(max, score[j]);
    float shrink = _mm256_cvtss_f32(exp256(_mm256_set1_ps(token->max - max)));
    token->max = max;
    token->sum = _mm256_mul_ps(token->sum, _mm256_set1_ps(shrink));
    for (uint32_t j = from / 8 * 8; j < to; j += 8) {
        __m256i beyond = used_of(j, to), before = used_of(j, from);
        __m256 p = exp256(_mm256_sub_ps(_mm256_loadu_ps(score + j), _mm256_set1_ps(max)));
        p = _mm256_and_ps(p, _mm256_castsi256_ps(_mm256_andnot_si256(before, beyond)));
        token->sum = _mm256_add_ps(token->sum, p);
        _mm256_storeu_ps(score + j, p);
    }
    return shrink;
}

/* out = out * shrink + sum p v, 32 elements in registers */
INLINE void mix(enum kernels_kv kv, const struct token *token, uint32_t block, uint32_t from,
                uint32_t to, const float *p, float shrink)
{
    const uint32_t head_dim = token->a->head_dim;
    const size_t row_bytes = kernels_kv_row_bytes(kv, head_dim);
    for (uint32_t at = 0; at < head_dim; at += 32) {
        __m256 out[4];
        uint32_t n = head_dim - at < 32 ? (head_dim - at + 7) / 8 : 4;
        for (uint32_t i = 0; i < n; i++)
            out[i] = _mm256_mul_ps(
                cache_load(KERNELS_KV_F32, (const char *)token->out, at + 8 * i, head_dim),
                _mm256_set1_ps(shrink));
        for (uint32_t j = from; j < to; j++) {
            const char *row = token->v + (block + j) * row_bytes;
            const __m256 weight = _mm256_set1_ps(p[j]);
            for (uint32_t i = 0; i < n; i++)
                out[i] = _mm256_fmadd_ps(weight, cache_load(kv, row, at + 8 * i, head_dim), out[i]);
        }
        for (uint32_t i = 0; i < n; i++)
            _mm256_maskstore_ps(token->out + at + 8 * i, used_of(at + 8 * i, head_dim), out[i]);
    }
}

INLINE void attend(enum kernels_kv kv, struct token *token)
{
    const uint32_t head_dim = token->a->head_dim;
    float score[POSITION_BLOCK];
    memset(token->out, 0, head_dim * sizeof(float));
    for (uint32_t block = token->begin / POSITION_BLOCK * POSITION_BLOCK; block < token->end;
         block += POSITION_BLOCK) {
        uint32_t from = token->begin > block ? token->begin - block : 0;
        uint32_t to = token->end - block < POSITION_BLOCK ? token->end - block : POSITION_BLOCK;
        scores(kv, token, block, from, to, score);
        float shrink = soften(token, from, to, score);
        mix(kv, token, block, from, to, score, shrink);
    }
    float sum = sum_floats(token->sum);
    for (uint32_t i = 0; i < head_dim; i++)
        token->out[i] /= sum;
}

static void one_head(const struct kernels_attention *a, uint32_t head, uint32_t first,
                     uint32_t last)
{
    assert(a->n_heads % a->n_kv_heads == 0);
    const size_t head_bytes = a->capacity * kernels_kv_row_bytes(a->kv, a->head_dim);
    const uint32_t kv_head = head / (a->n_heads / a->n_kv_heads);
    for (uint32_t t = first; t < last; t++) {
        struct token token = {.a = a,
                              .k = (const char *)a->k + kv_head * head_bytes,
                              .v = (const char *)a->v + kv_head * head_bytes,
                              .q = a->q + t * a->q_stride + (size_t)head * a->head_dim,
                              .out = a->out + t * a->out_stride + (size_t)head * a->head_dim,
                              .end = a->pos0 + t + 1,
                              .max = a->sinks ? a->sinks[head] : -INFINITY,
                              .sum = _mm256_setr_ps(a->sinks ? 1 : 0, 0, 0, 0, 0, 0, 0, 0)};
        token.begin = a->window && token.end > a->window ? token.end - a->window : 0;
        switch (a->kv) {
        case KERNELS_KV_F32:
            attend(KERNELS_KV_F32, &token);
            break;
        case KERNELS_KV_F16:
            attend(KERNELS_KV_F16, &token);
            break;
        default:
            attend(KERNELS_KV_Q8_0, &token);
        }
    }
}

void attention_avx2(const struct kernels_attention *a, uint32_t head, uint32_t n_heads,
                    uint32_t first, uint32_t last, void *scratch)
{
    (void)scratch;
    for (uint32_t h = head; h < head + n_heads; h++)
        one_head(a, h, first, last);
}
