/* histogram: see histogram.h. */
#include "stats/histogram.h"

#include "stats/stats.h"

#include <math.h>

#define PER_OCTAVE (1u << HISTOGRAM_BITS)

/* Values below PER_OCTAVE are their own bucket; above, the octave and the bits after the first. */
static size_t bucket_of(uint64_t value)
{
    if (value < PER_OCTAVE)
        return (size_t)value;
    unsigned shift = 63 - HISTOGRAM_BITS - (unsigned)__builtin_clzll(value);
    return ((size_t)shift << HISTOGRAM_BITS) + (size_t)(value >> shift);
}

void histogram_bounds(size_t bucket, uint64_t *from, uint64_t *to)
{
    if (bucket < 2 * PER_OCTAVE) {
        *from = *to = bucket;
        return;
    }
    unsigned shift = (unsigned)(bucket >> HISTOGRAM_BITS) - 1;
    *from = (uint64_t)((bucket & (PER_OCTAVE - 1)) + PER_OCTAVE) << shift;
    *to = *from + ((uint64_t)1 << shift) - 1;
}

void histogram_add(struct histogram *h, int64_t value)
{
    uint64_t v = value < 0 ? 0 : (uint64_t)value;
    if (h->count == 0 || v < h->min)
        h->min = v;
    if (v > h->max)
        h->max = v;
    h->count++;
    h->sum += (double)v;
    h->buckets[bucket_of(v)]++;
}

double histogram_mean(const struct histogram *h)
{
    return h->count ? h->sum / (double)h->count : NAN;
}

double histogram_percentile(const struct histogram *h, double q)
{
    bool extreme = q > 0 && q < 1 && q != 0.5;
    if (h->count == 0 || (extreme && h->count < stats_percentile_needs(fmax(q, 1 - q))))
        return NAN;
    uint64_t wanted = (uint64_t)ceil(q * (double)h->count), seen = 0, from, to;
    if (wanted <= 1)
        return (double)h->min;
    if (wanted >= h->count)
        return (double)h->max;
    size_t i = 0;
    while ((seen += h->buckets[i]) < wanted)
        i++;
    histogram_bounds(i, &from, &to);
    return fmin(fmax(0.5 * ((double)from + (double)to), (double)h->min), (double)h->max);
}
