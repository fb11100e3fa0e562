/*
 * codes: blocks whose elements stand in a code book: what IQ1, IQ2 and IQ3 hold are numbers of
 * vectors; and blocks of digits (TQ). For this room and for code that reads blocks in place
 * (kernels).
 *
 * A book is a fact of the format: which vectors of 8 (IQ3: of 4) elements there are. A vector is
 * kept as a word of 16 bits, element i in bits `bits` * i, as an index into `values`; words ascend.
 * Where the book has magnitudes, the block has a sign for each element beside them.
 */
#ifndef QUANT_CODES_H
#define QUANT_CODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct code_book {
    const char *name;
    const uint16_t *words; /* [count] */
    uint32_t count;
    int bits;          /* of an element: 2 (vectors of 8) or 4 (vectors of 4) */
    int8_t values[16]; /* those that words use; the others are 0 */
};

extern const struct code_book quant_book_iq1, quant_book_iq2_xxs, quant_book_iq2_xs,
    quant_book_iq2_s, quant_book_iq3_xxs, quant_book_iq3_s;

/* A block of 256 as integers, y[i] = d * scale[i / 16] * q[i], exact but for the products'
 * rounding; returns d. Any bytes are a block. */
typedef float quant_unpack_fn(const void *block, int16_t scale[16], int8_t q[256]);
quant_unpack_fn quant_unpack_tq1_0, quant_unpack_tq2_0, quant_unpack_iq1_s, quant_unpack_iq1_m,
    quant_unpack_iq2_xxs, quant_unpack_iq2_xs, quant_unpack_iq2_s, quant_unpack_iq3_xxs,
    quant_unpack_iq3_s;

/* ---- for the conversions of these types ---- */

/* y[n], of blocks of `bytes` */
void codes_decode(const void *blocks, float *y, size_t n, size_t bytes, quant_unpack_fn *unpack);

/* q[8] or q[4] = vector number `code`, below count, of a book of two or of four bits */
static inline void codes_eight(const struct code_book *book, uint32_t code, int8_t q[8])
{
    for (int i = 0; i < 8; i++)
        q[i] = book->values[book->words[code] >> 2 * i & 3];
}

static inline void codes_four(const struct code_book *book, uint32_t code, int8_t q[4])
{
    for (int i = 0; i < 4; i++)
        q[i] = book->values[book->words[code] >> 4 * i & 15];
}

/* q[i] = -q[i] for the bits i that are set */
static inline void codes_negate(uint32_t signs, int8_t q[8])
{
    for (int i = 0; i < 8; i++) {
        int8_t mask = (int8_t) - (int)(signs >> i & 1);
        q[i] = (int8_t)((q[i] ^ mask) - mask);
    }
}

/* Eight signs of seven bits: an even number of them is negative. */
uint8_t codes_even_signs(uint32_t seven);

/* The signs of x[8], and magnitudes without them; where `even` and one is too many, the sign of the
 * least element is the wrong one, and its magnitude negative. */
uint8_t codes_split(const float x[8], bool even, float magnitude[8]);

/* Number of the vector that is nearest to x[16 / bits] / step */
uint32_t codes_nearest(const struct code_book *book, const float *x, float step);

#define CODES_DECODE(suffix)                                                                       \
    void quant_decode_##suffix(const void *blocks, float *y, size_t n)                             \
    {                                                                                              \
        codes_decode(blocks, y, n, sizeof(struct block_##suffix), quant_unpack_##suffix);          \
    }

#endif
