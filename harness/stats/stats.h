/*
 * stats: what is computed from samples. Pure functions of their arguments: no clock, no files, no
 * engine, and a random generator of their own that the caller seeds.
 *
 * Samples are finite numbers (callers check with stats_all_finite). Functions that need memory
 * return false when there is none; nothing else fails.
 */
#ifndef STATS_H
#define STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool stats_all_finite(const double *x, size_t n);

/* The k-th smallest of x[n], k from 0; reorders x. O(n). */
double stats_select(double *x, size_t n, size_t k);
/* Median of x[n], n > 0; reorders x. */
double stats_median(double *x, size_t n);

/* The fewest samples from which the percentile q (0.5 to 1) may be told: 64 for 0.9, 662 for 0.99;
 * with fewer, the chance that not one lies beyond it exceeds 0.13%. */
size_t stats_percentile_needs(double q);
/* Percentile by linear interpolation between order statistics (Hyndman and Fan, type 7), or NaN
 * where n does not allow it; reorders x. */
double stats_percentile(double *x, size_t n, double q);

/* The median of n values, and how far the values that it was taken from leave it open. THE
 * estimate of a median here, in tables, CSV, figures and report alike.
 *
 * From STATS_INTERVAL_NEEDS values on low..high is a 95% interval: the k-th smallest and the k-th
 * largest value hold the median of the distribution with the probability 1 - 2 P(Binomial(n, 1/2) <
 * k), whatever the distribution, and k is the largest for which that is at least 0.95. With fewer
 * values no interval reaches 0.95, and low..high is from the least to the most value. n = 0: NAN.
 */
struct stats_estimate {
    double median, low, high;
    size_t n;
    double coverage; /* of low..high: the probability above */
};
#define STATS_INTERVAL_NEEDS 6
struct stats_estimate stats_estimate(double *x, size_t n); /* reorders x */
/* What low..high is, for people: "95% interval", "least to most" or, of several n, both. */
const char *stats_estimate_name(size_t least_n, size_t most_n);

struct stats_summary {
    size_t n;
    double min, max, mean, median;
    double sd;        /* with n - 1; 0 for one sample */
    double cv;        /* sd / mean */
    double robust_cv; /* 1.4826 MAD / median: what the cv would be without the spikes */
    double p90, p99;  /* NaN where n does not allow them */
    size_t outliers;  /* see stats_outliers */
    double drift;     /* median of the last third / median of the first third - 1; 0 below 9 */
    bool first_is_largest;
};

/* x[n] in the order of measurement, n > 0. */
bool stats_summarise(const double *x, size_t n, struct stats_summary *summary);

/* Flags samples whose modified z, 0.6745 |x - median| / MAD (Iglewicz and Hoaglin 1993), exceeds
 * 14.8; where the MAD is 0, with 1.2533 times the mean deviation in place of MAD / 0.6745. flags[n]
 * may be NULL. *count: how many. They are to be shown, never removed. */
bool stats_outliers(const double *x, size_t n, bool *flags, size_t *count);

/* ---- bootstrap: percentile intervals from `rounds` resamples ---- */

struct stats_bootstrap {
    double level; /* 0.95, 0.99 */
    uint32_t rounds;
    uint64_t seed;
};

struct stats_interval {
    double low, high;
};

/* A sample and the block it was measured in (blocks count from 0). */
struct stats_blocked {
    double value;
    uint32_t block;
};

/* Of median(head) / median(base), the arms resampled each by itself. */
bool stats_ratio_interval(const double *base, size_t n_base, const double *head, size_t n_head,
                          struct stats_bootstrap how, struct stats_interval *interval);
/* The same for samples taken in blocks such as ABBA: whole blocks are resampled, so that what all
 * samples of a block share (slow drift) does not widen the interval. Every block has samples of
 * both arms. */
bool stats_ratio_interval_blocks(const struct stats_blocked *base, size_t n_base,
                                 const struct stats_blocked *head, size_t n_head, size_t n_blocks,
                                 struct stats_bootstrap how, struct stats_interval *interval);
/* head / base; 1 where both are 0. */
double stats_ratio(double head, double base);

/* ---- tests ---- */

/* One-sided Mann-Whitney U: the probability, if both came from one distribution, that `head` ranks
 * as high against `base` as it does, or higher. Exact for up to 50 samples together, ties included
 * (the distribution of the sum of midranks over all ways to choose the arms); beyond, the normal
 * approximation with correction for ties and continuity. */
bool stats_mann_whitney(const double *base, size_t n_base, const double *head, size_t n_head,
                        double *p);

/* Holm's step-down correction of p[n]; may be in place. */
bool stats_holm(const double *p, size_t n, double *adjusted);

double stats_normal_tail(double z);     /* P(Z > z) */
double stats_normal_quantile(double p); /* z with P(Z < z) = p, 0 < p < 1 */

#endif
