/*
 * histogram: counts of integer values (nanoseconds) in a fixed amount of memory, after the
 * HdrHistogram: every power of two is cut into 128 equal buckets, so a value read back is off by at
 * most 1/256 of itself; values below 128 are exact. Count, sum, least and greatest are exact.
 */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BITS    7
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_BITS) << HISTOGRAM_BITS)

struct histogram { /* all zero: empty */
    uint64_t count;
    uint64_t min, max; /* of the values; 0 when empty */
    double sum;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Negative values count as 0. */
void histogram_add(struct histogram *histogram, int64_t value);
/* NaN when empty. */
double histogram_mean(const struct histogram *histogram);
/* The value that a share q (0 to 1) of all values does not exceed, or NaN where there are too few
 * to tell (stats_percentile_needs); the median needs one value. */
double histogram_percentile(const struct histogram *histogram, double q);
/* Bounds of a bucket, for plots: values from *from to *to, both included. */
void histogram_bounds(size_t bucket, uint64_t *from, uint64_t *to);

#endif
