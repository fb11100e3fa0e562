/*
 * read: memory read as fast as an instruction set can, which is what bounds decoding.
 *
 * 16 streams side by side, as the products of one token read their weights (see simd_x86.h): in
 * order, from one end to the other, reads a fifth less, and with short vectors half.
 */
#ifndef KERNELS_READ_H
#define KERNELS_READ_H

#include <stddef.h>
#include <stdint.h>

#define READ_STREAMS 16
#define READ_VISIT   128 /* bytes of a stream at a time */

typedef uint64_t read_line __attribute__((vector_size(64), aligned(8), may_alias));

static inline __attribute__((always_inline)) void read_visit(const char *at, read_line sums[2])
{
    const read_line *lines = (const void *)at;
    sums[0] += lines[0];
    sums[1] += lines[1];
}

/* As kernels_ops.read; compiled by each set with its own instructions. Streams are an odd number of
 * visits apart, which keeps them off each other's places in the caches. */
static inline __attribute__((always_inline)) uint64_t read_in_streams(const void *memory,
                                                                      size_t bytes)
{
    const size_t visits = bytes / READ_STREAMS / READ_VISIT;
    const size_t apart = (visits - (visits > 0 && visits % 2 == 0)) * READ_VISIT;
    const char *first = memory;
    read_line sums[2] = {{0}, {0}};
    uint64_t sum = 0;
    for (size_t at = 0; at < apart; at += READ_VISIT)
        for (size_t s = 0; s < READ_STREAMS; s++)
            read_visit(first + s * apart + at, sums);
    for (size_t at = READ_STREAMS * apart; at + READ_VISIT <= bytes; at += READ_VISIT)
        read_visit(first + at, sums);
    for (int i = 0; i < 8; i++)
        sum += sums[0][i] + sums[1][i];
    return sum;
}

#endif
