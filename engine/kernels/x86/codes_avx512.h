/*
 * codes_avx512: IQ3_XXS and IQ3_S as vectors of bytes.
 *
 * The 64 codes of a block are one vector; where each of the four elements of a code's vector is
 * looked up for all of them at once, in a table that registers hold: 256 bytes, for IQ3_S two
 * entries to a byte.
 */
#ifndef KERNELS_CODES_AVX512_H
#define KERNELS_CODES_AVX512_H

#include "kernels/x86/simd_avx512.h"

/* [element][code]: magnitudes; of IQ3_S those of code and code + 256, in the low and the high
 * nibble. Written once, by codes_ready. */
extern uint8_t codes_iq3_xxs[4][256], codes_iq3_s[4][256];

/* Before the first use of the tables; threads may call it at the same time. */
void codes_ready(void);

/* Entries of a table of 256 at the bytes of `at`; `upper` is set where they are 128 and more. */
INLINE __m512i look_up256(const uint8_t table[256], __m512i at, __mmask64 upper)
{
    __m512i low = _mm512_permutex2var_epi8(load512(table), at, load512(table + 64));
    __m512i high = _mm512_permutex2var_epi8(load512(table + 128), at, load512(table + 192));
    return _mm512_mask_mov_epi8(low, upper, high);
}

/* Byte 16 l + 4 k + i of a vector to 16 k + 4 l + i, which the interleaving below undoes */
INLINE __m512i transpose_fours(__m512i v)
{
    const __m512i to = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_permutexvar_epi32(to, v);
}

/* Four elements of each of 64 codes, a vector for each element, to 256 elements in order */
INLINE void interleave(const __m512i element[4], __m512i q[4])
{
    __m512i a = _mm512_unpacklo_epi8(element[0], element[1]);
    __m512i b = _mm512_unpackhi_epi8(element[0], element[1]);
    __m512i c = _mm512_unpacklo_epi8(element[2], element[3]);
    __m512i d = _mm512_unpackhi_epi8(element[2], element[3]);
    q[0] = _mm512_unpacklo_epi16(a, c);
    q[1] = _mm512_unpackhi_epi16(a, c);
    q[2] = _mm512_unpacklo_epi16(b, d);
    q[3] = _mm512_unpackhi_epi16(b, d);
}

/* offset - q where a sign is set, else offset + q */
INLINE void add_signed(int offset, const uint64_t signs[4], __m512i q[4])
{
    const __m512i middle = _mm512_set1_epi8((char)offset);
    for (int k = 0; k < 4; k++)
        q[k] = _mm512_mask_sub_epi8(_mm512_add_epi8(middle, q[k]), signs[k], middle, q[k]);
}

/* 256 weights + offset */
INLINE void bytes_iq3_s(const struct block_iq3_s *b, int offset, __m512i q[4])
{
    uint64_t ninth, signs[4];
    memcpy(&ninth, b->qh, sizeof ninth);
    memcpy(signs, b->signs, sizeof signs);
    const __m512i codes = transpose_fours(load512(b->qs)), low = _mm512_set1_epi8(15);
    const __mmask64 upper = _mm512_movepi8_mask(codes);
    const __mmask64 second = _mm512_movepi8_mask(transpose_fours(_mm512_movm_epi8(ninth)));
    __m512i element[4];
    for (int i = 0; i < 4; i++) {
        __m512i both = look_up256(codes_iq3_s[i], codes, upper);
        element[i] = _mm512_mask_gf2p8affine_epi64_epi8(_mm512_and_si512(both, low), second, both,
                                                        _mm512_set1_epi64(HIGH_NIBBLE), 0);
    }
    interleave(element, q);
    add_signed(offset, signs, q);
}

INLINE void bytes_iq3_xxs(const struct block_iq3_xxs *b, int offset, __m512i q[4])
{
    /* seven bits each, to bytes; their parity to bit 7 */
    const __m256i sevens = _mm256_set1_epi64x(0x352e2720150e0700);
    const __m256i with_parity = _mm256_set1_epi64x(0x010204081020407f);
    __m256i bytes =
        _mm256_multishift_epi64_epi8(sevens, _mm256_loadu_si256((const void *)b->words));
    uint64_t signs[4];
    _mm256_storeu_si256((void *)signs, _mm256_gf2p8affine_epi64_epi8(bytes, with_parity, 0));
    const __m512i codes = transpose_fours(load512(b->qs));
    const __mmask64 upper = _mm512_movepi8_mask(codes);
    __m512i element[4];
    for (int i = 0; i < 4; i++)
        element[i] = look_up256(codes_iq3_xxs[i], codes, upper);
    interleave(element, q);
    add_signed(offset, signs, q);
}

/* Bytes s & 15 to odd scales */
INLINE __m512i odd_scales(__m512i s)
{
    s = _mm512_and_si512(s, _mm512_set1_epi8(15));
    return _mm512_add_epi8(_mm512_add_epi8(s, s), _mm512_set1_epi8(1));
}

/* The scales of four blocks, 16 bytes each */
INLINE __m512i scales_iq3_s(const uint8_t *const blocks[4])
{
    const size_t at = offsetof(struct block_iq3_s, scales);
    const __m512i block = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    const __m512i fours =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3));
    __m512i own = _mm512_permutexvar_epi32(
        block,
        _mm512_castsi128_si512(_mm_setr_epi32(load32(blocks[0] + at), load32(blocks[1] + at),
                                              load32(blocks[2] + at), load32(blocks[3] + at))));
    own = _mm512_shuffle_epi8(own, fours);
    return odd_scales(_mm512_srlv_epi16(own, _mm512_set1_epi32(4 << 16)));
}

INLINE __m512i scales_iq3_xxs(const uint8_t *const blocks[4])
{
    const size_t at = offsetof(struct block_iq3_xxs, words);
    const __m512i tops = _mm512_add_epi8(
        _mm512_broadcast_i32x4(
            _mm_setr_epi8(3, 3, 7, 7, 11, 11, 15, 15, 19, 19, 23, 23, 27, 27, 31, 31)),
        _mm512_set_epi64(0x6060606060606060, 0x6060606060606060, 0x4040404040404040,
                         0x4040404040404040, 0x2020202020202020, 0x2020202020202020, 0, 0));
    __m512i first = _mm512_castsi256_si512(_mm256_loadu_si256((const void *)(blocks[0] + at)));
    first = _mm512_inserti64x4(first, _mm256_loadu_si256((const void *)(blocks[1] + at)), 1);
    __m512i second = _mm512_castsi256_si512(_mm256_loadu_si256((const void *)(blocks[2] + at)));
    second = _mm512_inserti64x4(second, _mm256_loadu_si256((const void *)(blocks[3] + at)), 1);
    return odd_scales(_mm512_srli_epi16(_mm512_permutex2var_epi8(first, tops, second), 4));
}

#endif
