/*
 * codes_avx2: IQ3_XXS and IQ3_S as vectors of signed bytes.
 *
 * A word of the book is four nibbles, so that 16 codes are two vectors of 32 elements: 16 words are
 * put together from memory, taken apart into nibbles, and those looked up among the book's values.
 */
#ifndef KERNELS_CODES_AVX2_H
#define KERNELS_CODES_AVX2_H

#include "kernels/x86/simd_avx2.h"
#include "quant/codes.h"

/* Eight words of a book, of codes first..first+3 and second..second+3 */
INLINE __m128i eight_words(const uint16_t *words, const uint16_t *first, const uint16_t *second)
{
    __m128i v = _mm_cvtsi32_si128(words[first[0]]);
    v = _mm_insert_epi16(v, words[first[1]], 1);
    v = _mm_insert_epi16(v, words[first[2]], 2);
    v = _mm_insert_epi16(v, words[first[3]], 3);
    v = _mm_insert_epi16(v, words[second[0]], 4);
    v = _mm_insert_epi16(v, words[second[1]], 5);
    v = _mm_insert_epi16(v, words[second[2]], 6);
    return _mm_insert_epi16(v, words[second[3]], 7);
}

/* 64 magnitudes, of 16 codes */
INLINE void magnitudes64(const struct code_book *book, const uint16_t codes[16], __m256i q[2])
{
    const __m256i values = _mm256_broadcastsi128_si256(load128(book->values));
    const __m256i low = _mm256_set1_epi8(15);
    __m256i words = _mm256_set_m128i(eight_words(book->words, codes + 4, codes + 12),
                                     eight_words(book->words, codes, codes + 8));
    __m256i even = _mm256_and_si256(words, low);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi16(words, 4), low);
    q[0] = _mm256_shuffle_epi8(values, _mm256_unpacklo_epi8(even, odd));
    q[1] = _mm256_shuffle_epi8(values, _mm256_unpackhi_epi8(even, odd));
}

/* Bit i of `bits` set: byte i all ones */
INLINE __m256i spread_bits(uint32_t bits)
{
    const __m256i byte_of =
        _mm256_set_epi64x(0x0303030303030303, 0x0202020202020202, 0x0101010101010101, 0);
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32((int32_t)bits), byte_of);
    return _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit);
}

INLINE __m256i negate(__m256i q, uint32_t signs)
{
    __m256i negative = spread_bits(signs);
    return _mm256_sub_epi8(_mm256_xor_si256(q, negative), negative);
}

INLINE void bytes_iq3_s(const struct block_iq3_s *b, __m256i q[8])
{
    const __m256i bit = _mm256_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096,
                                          8192, 16384, (short)0x8000);
    uint16_t codes[64];
    for (int i = 0; i < 4; i++) {
        __m256i ninth = _mm256_set1_epi16(load16(b->qh + 2 * i));
        ninth = _mm256_cmpeq_epi16(_mm256_and_si256(ninth, bit), bit);
        __m256i code = _mm256_cvtepu8_epi16(load128(b->qs + 16 * i));
        code = _mm256_or_si256(code, _mm256_slli_epi16(_mm256_srli_epi16(ninth, 15), 8));
        _mm256_storeu_si256((void *)(codes + 16 * i), code);
    }
    for (int i = 0; i < 4; i++)
        magnitudes64(&quant_book_iq3_s, codes + 16 * i, q + 2 * i);
    for (int j = 0; j < 8; j++)
        q[j] = negate(q[j], block_word(b->signs + 4 * j));
}

INLINE void bytes_iq3_xxs(const struct block_iq3_xxs *b, __m256i q[8])
{
    uint16_t codes[64];
    uint32_t signs[8];
    for (int i = 0; i < 4; i++)
        _mm256_storeu_si256((void *)(codes + 16 * i),
                            _mm256_cvtepu8_epi16(load128(b->qs + 16 * i)));
    /* seven bits each to bytes, and on top of them their parity */
    __m256i words = load256(b->words), fields = _mm256_setzero_si256();
    for (int i = 0; i < 4; i++) {
        __m256i field = _mm256_and_si256(_mm256_srli_epi32(words, 7 * i), _mm256_set1_epi32(127));
        fields = _mm256_or_si256(fields, _mm256_slli_epi32(field, 8 * i));
    }
    const __m256i odd = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, -128, -128, 0, -128, 0, 0, -128, -128, 0, 0, -128, 0, -128, -128, 0));
    __m256i halves = _mm256_xor_si256(fields, _mm256_srli_epi16(fields, 4));
    halves = _mm256_and_si256(halves, _mm256_set1_epi8(15));
    _mm256_storeu_si256((void *)signs, _mm256_or_si256(fields, _mm256_shuffle_epi8(odd, halves)));
    for (int i = 0; i < 4; i++)
        magnitudes64(&quant_book_iq3_xxs, codes + 16 * i, q + 2 * i);
    for (int j = 0; j < 8; j++)
        q[j] = negate(q[j], signs[j]);
}

/* 8 scales as 16 odd words, each twice */
INLINE __m256i odd_scales(__m256i s)
{
    s = _mm256_add_epi32(_mm256_add_epi32(s, s), _mm256_set1_epi32(1));
    return _mm256_or_si256(s, _mm256_slli_epi32(s, 16));
}

INLINE __m256i scales_iq3_s(const struct block_iq3_s *b)
{
    __m256i nibbles = _mm256_srlv_epi32(_mm256_set1_epi32(load32(b->scales)),
                                        _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28));
    return odd_scales(_mm256_and_si256(nibbles, _mm256_set1_epi32(15)));
}

INLINE __m256i scales_iq3_xxs(const struct block_iq3_xxs *b)
{
    return odd_scales(_mm256_srli_epi32(load256(b->words), 28));
}

#endif
