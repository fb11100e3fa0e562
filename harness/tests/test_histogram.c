/* histogram: buckets without gaps, error of a value read back, ten million values, merging. */
#include "noise.h"
#include "stats/histogram.h"
#include "tests/check.h"

#include <math.h>

static void buckets(void)
{
    uint64_t expected = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t from, to;
        histogram_bounds(i, &from, &to);
        CHECK(from == expected && to >= from, "bucket %zu", i);
        CHECK(to - from <= from / 128, "bucket %zu is wider than 1/128 of its values", i);
        expected = to + 1;
    }
    CHECK(expected == (uint64_t)1 << 63, "the buckets end at %llu", (unsigned long long)expected);
    static struct histogram h;
    static const int64_t edges[] = {0, 1, 127, 128, 255, 256, 257, 1000000007, INT64_MAX};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        memset(&h, 0, sizeof h);
        histogram_add(&h, edges[i]);
        for (size_t b = 0; b < HISTOGRAM_BUCKETS; b++) {
            uint64_t from, to;
            histogram_bounds(b, &from, &to);
            bool inside = (uint64_t)edges[i] >= from && (uint64_t)edges[i] <= to;
            CHECK((h.buckets[b] == 1) == inside, "%lld in bucket %zu", (long long)edges[i], b);
        }
        CHECK(histogram_percentile(&h, 0.5) == (double)edges[i]);
    }
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void percentiles(void)
{
    enum { COUNT = 200000 };
    static struct histogram h;
    int64_t *x = malloc(COUNT * sizeof *x);
    struct noise noise = {5};
    double sum = 0;
    for (int i = 0; i < COUNT; i++) {
        x[i] = (int64_t)(1000 * exp(3 * noise_normal(&noise))); /* 1 ns to 1 s */
        histogram_add(&h, x[i]);
        sum += (double)x[i];
    }
    qsort(x, COUNT, sizeof *x, by_value);
    static const double qs[] = {0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999};
    for (size_t i = 0; i < sizeof qs / sizeof *qs; i++) {
        double exact = (double)x[(size_t)ceil(qs[i] * COUNT) - 1];
        double got = histogram_percentile(&h, qs[i]);
        CHECK(fabs(got - exact) <= exact / 256, "q %g: got %g, expected %g", qs[i], got, exact);
    }
    CHECK(histogram_percentile(&h, 0) == (double)x[0]);
    CHECK(histogram_percentile(&h, 1) == (double)x[COUNT - 1]);
    CHECK(fabs(histogram_mean(&h) - sum / COUNT) < 1e-6 * sum / COUNT);
    free(x);
}

static void few(void)
{
    static struct histogram h;
    CHECK(isnan(histogram_percentile(&h, 0.5)) && isnan(histogram_mean(&h)));
    histogram_add(&h, -5);
    CHECK(h.count == 1 && h.max == 0 && histogram_percentile(&h, 0.5) == 0);
    for (int i = 1; i < 661; i++)
        histogram_add(&h, i);
    CHECK(isnan(histogram_percentile(&h, 0.99)) && isnan(histogram_percentile(&h, 0.01)));
    CHECK(!isnan(histogram_percentile(&h, 0.9)));
    histogram_add(&h, 661);
    CHECK(!isnan(histogram_percentile(&h, 0.99)));
    CHECK(h.count == 662 && h.min == 0 && h.max == 661);
}

static void ten_million(void)
{
    static struct histogram h;
    struct noise noise = {6};
    for (int i = 0; i < 10000000; i++)
        histogram_add(&h, (int64_t)(noise_unit(&noise) * 1e6));
    CHECK(h.count == 10000000);
    CHECK(fabs(histogram_percentile(&h, 0.99) - 990000) < 990000 / 200);
    CHECK(sizeof h < 64 << 10, "%zu bytes", sizeof h);
}

int main(void)
{
    buckets();
    percentiles();
    few();
    ten_million();
    return check_done();
}
