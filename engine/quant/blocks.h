/*
 * blocks: the layouts of the quantised types, and the conversions behind the type
 * table. For this room and for code that reads blocks in place (kernels).
 *
 * `d` is a half: the scale of the block, `m` or `dmin` a half: its offset. Integers
 * wider than a byte are little endian; blocks have no padding and stand at even addresses.
 *
 * 32 elements to a block, nibble i of element i low, of element i + 16 high:
 *   Q4_0    y = d * (q - 8)
 *   Q4_1    y = d * q + m
 *   Q5_0    y = d * (q - 16), bit 4 of element i is bit i of qh
 *   Q5_1    y = d * q + m
 *   Q8_0    y = d * q, q int8
 *   IQ4_NL  y = d * quant_iq4_values[q]
 *   MXFP4   y = 2^(e - 128) * quant_mxfp4_values[q]: twice the values of a 4-bit float (E2M1), so
 *           that they are whole, under half of a scale that is a power of two (E8M0)
 * 256 elements to a block, in groups with integer scales of their own:
 *   Q2_K    16 groups of 16: y = d * (s & 15) * q - dmin * (s >> 4)
 *   Q3_K    16 groups of 16: y = d * (s - 32) * (q - 4)
 *   Q4_K     8 groups of 32: y = d * s * q - dmin * m
 *   Q5_K     8 groups of 32: the same with five bits
 *   Q6_K    16 groups of 16: y = d * s * (q - 32), s int8
 *   IQ4_XS   8 groups of 32: y = d * (s - 32) * quant_iq4_values[q]
 *   TQ1_0   y = d * (digit - 1), five digits of base three to a byte
 *   TQ2_0   y = d * (q - 1)
 * 256 elements to a block, as vectors of a code book (codes.h) under odd scales:
 *   IQ1_S    8 groups of 32: y = d / 8 * (2 s + 1) * (8 v + shift), vectors of 8, shift -1 or 1
 *   IQ1_M   16 groups of 16: the same
 *   IQ2_XXS  8 groups of 32: y = d / 8 * (2 s + 1) * v, vectors of 8
 *   IQ2_XS  16 groups of 16: the same
 *   IQ2_S   16 groups of 16: the same
 *   IQ3_XXS  8 groups of 32: y = d / 4 * (2 s + 1) * v, vectors of 4
 *   IQ3_S    8 groups of 32: y = d * (2 s + 1) * v, vectors of 4
 */
#ifndef QUANT_BLOCKS_H
#define QUANT_BLOCKS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct block_q4_0 {
    uint16_t d;
    uint8_t qs[16];
};

struct block_q4_1 {
    uint16_t d, m;
    uint8_t qs[16];
};

struct block_q5_0 {
    uint16_t d;
    uint8_t qh[4], qs[16];
};

struct block_q5_1 {
    uint16_t d, m;
    uint8_t qh[4], qs[16];
};

struct block_q8_0 {
    uint16_t d;
    int8_t qs[32];
};

struct block_iq4_nl {
    uint16_t d;
    uint8_t qs[16];
};

struct block_mxfp4 {
    uint8_t e;
    uint8_t qs[16];
};

/* Two bits: byte l of each half (128 elements, 32 bytes) holds elements l, l + 32, l + 64, l + 96
 */
struct block_q2_k {
    uint8_t scales[16];
    uint8_t qs[64];
    uint16_t d, dmin;
};

/* Low two bits as Q2_K; bit 2 of element l + 32 k is bit k of hmask[l]. */
struct block_q3_k {
    uint8_t hmask[32];
    uint8_t qs[64];
    uint8_t scales[12]; /* 16 x 6 bits, see block_q3_k_scale */
    uint16_t d;
};

/* 64 elements to 32 bytes: element l low nibble, l + 32 high. */
struct block_q4_k {
    uint16_t d, dmin;
    uint8_t scales[12]; /* 8 x (6 bits scale, 6 bits min), see block_k4_scale */
    uint8_t qs[128];
};

/* As Q4_K; bit 4 of element l of group j is bit j of qh[l]. */
struct block_q5_k {
    uint16_t d, dmin;
    uint8_t scales[12];
    uint8_t qh[32];
    uint8_t qs[128];
};

/* For each half of 128: element l + 32 t has its low four bits in ql[l + 32 (t & 1)], nibble
 * t >> 1, and its high two in qh[l], bits 2 t. */
struct block_q6_k {
    uint8_t ql[128];
    uint8_t qh[64];
    int8_t scales[16];
    uint16_t d;
};

/* Nibbles as IQ4_NL, 16 bytes to each group of 32. */
struct block_iq4_xs {
    uint16_t d, scales_h;
    uint8_t scales_l[4];
    uint8_t qs[128];
};

/* The first 32 bytes hold elements l, l + 32 .. l + 128, 16 more 160 + l, 160 + l + 16 .., the last
 * four 240 + l, 240 + l + 4 ..; see blocks_ternary.c. */
struct block_tq1_0 {
    uint8_t qs[52];
    uint16_t d;
};

/* As Q2_K */
struct block_tq2_0 {
    uint8_t qs[64];
    uint16_t d;
};

/* 32 codes of eleven bits; for each group four times the upper three of a code, three bits of
 * scale, and whether the shift is -1. */
struct block_iq1_s {
    uint16_t d;
    uint8_t qs[32];
    uint16_t qh[8];
};

/* 32 codes of eleven bits; for each a nibble, low first: the upper three, and whether the shift is
 * -1. Scales are three bits each, four to a word, and on top of them a nibble of d, low first. */
struct block_iq1_m {
    uint8_t qs[32], qh[16];
    uint16_t scales[4];
};

/* For each group of 32 four codes, then a word: see IQ3_XXS. */
struct block_iq2_xxs {
    uint16_t d;
    uint8_t qs[64];
};

/* 32 codes of nine bits, seven signs on top: see IQ3_XXS; a nibble of scale for each group, low
 * first. */
struct block_iq2_xs {
    uint16_t d, qs[32];
    uint8_t scales[8];
};

/* 32 codes of ten bits, the upper two of code i are bits 2 (i % 4) of qh[i / 4]; a sign for each
 * element; scales as IQ2_XS. */
struct block_iq2_s {
    uint16_t d;
    uint8_t qs[32], signs[32], qh[8], scales[8];
};

/* 64 codes; then for each group a little-endian word: four times seven signs, the eighth such that
 * an even number is negative, and four bits of scale on top. */
struct block_iq3_xxs {
    uint16_t d;
    uint8_t qs[64], words[32];
};

/* 64 codes of nine bits, the ninth of code c is bit c % 8 of qh[c / 8]; a sign for each element, a
 * nibble of scale for each group, low first. */
struct block_iq3_s {
    uint16_t d;
    uint8_t qs[64], qh[8], signs[32], scales[4];
};

_Static_assert(sizeof(struct block_q4_0) == 18 && sizeof(struct block_q4_1) == 20 &&
                   sizeof(struct block_q5_0) == 22 && sizeof(struct block_q5_1) == 24 &&
                   sizeof(struct block_q8_0) == 34 && sizeof(struct block_iq4_nl) == 18 &&
                   sizeof(struct block_mxfp4) == 17 && sizeof(struct block_q2_k) == 84 &&
                   sizeof(struct block_q3_k) == 110 && sizeof(struct block_q4_k) == 144 &&
                   sizeof(struct block_q5_k) == 176 && sizeof(struct block_q6_k) == 210 &&
                   sizeof(struct block_iq4_xs) == 136 && sizeof(struct block_iq3_xxs) == 98 &&
                   sizeof(struct block_iq1_s) == 50 && sizeof(struct block_iq1_m) == 56 &&
                   sizeof(struct block_tq1_0) == 54 && sizeof(struct block_tq2_0) == 66 &&
                   sizeof(struct block_iq3_s) == 110 && sizeof(struct block_iq2_xxs) == 66 &&
                   sizeof(struct block_iq2_xs) == 74 && sizeof(struct block_iq2_s) == 82,
               "block layouts are those of the file");

extern const int8_t quant_iq4_values[16], quant_mxfp4_values[16];

/* The scale of MXFP4; finite and above 0 for every e */
float block_mxfp4_scale(uint8_t e);

/* Scale (0 to 63) of group j, 0 to 15, of Q3_K: low four bits in nibbles of bytes 0 to 7, high
 * two in bytes 8 to 11. */
static inline int block_q3_k_scale(const uint8_t scales[12], int j)
{
    int low = j < 8 ? scales[j] & 15 : scales[j - 8] >> 4;
    return low | (scales[8 + j % 4] >> 2 * (j / 4) & 3) << 4;
}

/* Scale and min (0 to 63) of group j, 0 to 7, of Q4_K and Q5_K: groups 0 to 3 in the low six
 * bits of bytes j and j + 4; groups 4 to 7 in the nibbles of byte j + 4, with their high two bits
 * on top of bytes j - 4 and j. */
static inline int block_k4_scale(const uint8_t scales[12], int j, int *min)
{
    if (j < 4) {
        *min = scales[j + 4] & 63;
        return scales[j] & 63;
    }
    *min = scales[j + 4] >> 4 | scales[j] >> 6 << 4;
    return (scales[j + 4] & 15) | scales[j - 4] >> 6 << 4;
}

/* Scale (0 to 63) of group j, 0 to 7, of IQ4_XS. */
static inline int block_iq4_xs_scale(const struct block_iq4_xs *b, int j)
{
    return (b->scales_l[j / 2] >> 4 * (j % 2) & 15) | (b->scales_h >> 2 * j & 3) << 4;
}

/* The scale of IQ1_M, a half */
static inline uint16_t block_iq1_m_d(const struct block_iq1_m *b)
{
    uint32_t d = 0;
    for (int k = 0; k < 4; k++)
        d |= (uint32_t)(b->scales[k] >> 12) << 4 * k;
    return (uint16_t)d;
}

static inline void block_iq1_m_set_d(struct block_iq1_m *b, uint16_t d)
{
    for (int k = 0; k < 4; k++)
        b->scales[k] = (uint16_t)((b->scales[k] & 0xfff) | (d >> 4 * k & 15) << 12);
}

/* Four bytes of a block as a word */
static inline uint32_t block_word(const uint8_t *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

#define BLOCK_CONVERSIONS(suffix)                                                                  \
    void quant_decode_##suffix(const void *blocks, float *y, size_t n);                            \
    void quant_encode_##suffix(const float *x, void *blocks, size_t n);

BLOCK_CONVERSIONS(f32)
BLOCK_CONVERSIONS(f16)
BLOCK_CONVERSIONS(bf16)
BLOCK_CONVERSIONS(q4_0)
BLOCK_CONVERSIONS(q4_1)
BLOCK_CONVERSIONS(q5_0)
BLOCK_CONVERSIONS(q5_1)
BLOCK_CONVERSIONS(q8_0)
BLOCK_CONVERSIONS(iq4_nl)
BLOCK_CONVERSIONS(mxfp4)
BLOCK_CONVERSIONS(q2_k)
BLOCK_CONVERSIONS(q3_k)
BLOCK_CONVERSIONS(q4_k)
BLOCK_CONVERSIONS(q5_k)
BLOCK_CONVERSIONS(q6_k)
BLOCK_CONVERSIONS(iq4_xs)
BLOCK_CONVERSIONS(tq1_0)
BLOCK_CONVERSIONS(tq2_0)
BLOCK_CONVERSIONS(iq1_s)
BLOCK_CONVERSIONS(iq1_m)
BLOCK_CONVERSIONS(iq2_xxs)
BLOCK_CONVERSIONS(iq2_xs)
BLOCK_CONVERSIONS(iq2_s)
BLOCK_CONVERSIONS(iq3_xxs)
BLOCK_CONVERSIONS(iq3_s)

#undef BLOCK_CONVERSIONS

#endif
