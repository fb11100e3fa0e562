/*
 * stats_bootstrap: percentile bootstrap of ratios of medians. See stats.h.
 *
 * A resample is not built. The samples are sorted once, a resample is how many times each block was
 * drawn, and its median is found by walking the sorted samples and adding those counts.
 */
#include "stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* SplitMix64 (Steele, Lea, Flood 2014); here too, because this file stands alone. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int by_value(const void *a, const void *b)
{
    double x = ((const struct stats_blocked *)a)->value,
           y = ((const struct stats_blocked *)b)->value;
    return (x > y) - (x < y);
}

/* The samples of an arm, sorted, and the resample drawn of its blocks. */
struct arm {
    struct stats_blocked *sorted;
    size_t n;
};

/* sorted NULL: out of memory */
static void open_arm(struct arm *arm, const struct stats_blocked *samples, size_t n)
{
    arm->n = n;
    arm->sorted = malloc(n * sizeof *arm->sorted);
    if (!arm->sorted)
        return;
    memcpy(arm->sorted, samples, n * sizeof *samples);
    qsort(arm->sorted, n, sizeof *arm->sorted, by_value);
}

/* times[b]: how often block b was drawn. */
static void draw_blocks(uint32_t *times, size_t n_blocks, uint64_t *state)
{
    memset(times, 0, n_blocks * sizeof *times);
    for (size_t i = 0; i < n_blocks; i++)
        times[((next_random(state) >> 32) * n_blocks) >> 32]++;
}

static double resampled_median(const struct arm *arm, const uint32_t *times)
{
    size_t total = 0, seen = 0, i = 0;
    for (size_t k = 0; k < arm->n; k++)
        total += times[arm->sorted[k].block];
    size_t lower = (total - 1) / 2, upper = total / 2; /* counted from 0 */
    for (; (seen += times[arm->sorted[i].block]) <= lower; i++)
        ;
    double median = arm->sorted[i].value;
    if (seen <= upper) {
        do
            i++;
        while (times[arm->sorted[i].block] == 0);
        median = 0.5 * (median + arm->sorted[i].value);
    }
    return median;
}

/* The middle `level` of the estimates; reorders them. */
static struct stats_interval middle(double *estimates, struct stats_bootstrap how)
{
    size_t n = how.rounds, cut = (size_t)((1 - how.level) / 2 * (double)n);
    struct stats_interval interval = {stats_select(estimates, n, cut),
                                      stats_select(estimates, n, n - 1 - cut)};
    return interval;
}

/* b drawn by the blocks of a, or (n_b > 0) by blocks of its own. */
static bool ratio_interval(struct arm *a, size_t n_a, struct arm *b, size_t n_b,
                           struct stats_bootstrap how, struct stats_interval *interval)
{
    double *estimates = malloc(how.rounds * sizeof *estimates);
    uint32_t *times = malloc((n_a > n_b ? n_a : n_b) * sizeof *times);
    bool good = estimates && times && a->sorted && b->sorted;
    uint64_t state = how.seed;
    for (uint32_t i = 0; good && i < how.rounds; i++) {
        draw_blocks(times, n_a, &state);
        double under = resampled_median(a, times);
        if (n_b > 0)
            draw_blocks(times, n_b, &state);
        estimates[i] = stats_ratio(resampled_median(b, times), under);
    }
    if (good)
        *interval = middle(estimates, how);
    free(a->sorted);
    free(b->sorted);
    free(times);
    free(estimates);
    return good;
}

bool stats_ratio_interval_blocks(const struct stats_blocked *base, size_t n_base,
                                 const struct stats_blocked *head, size_t n_head, size_t n_blocks,
                                 struct stats_bootstrap how, struct stats_interval *interval)
{
    struct arm a = {0}, b = {0};
    open_arm(&a, base, n_base);
    open_arm(&b, head, n_head);
    return ratio_interval(&a, n_blocks, &b, 0, how, interval);
}

/* Each sample a block of its own. */
static void open_loose(struct arm *arm, const double *x, size_t n)
{
    struct stats_blocked *samples = malloc(n * sizeof *samples);
    for (size_t i = 0; samples && i < n; i++)
        samples[i] = (struct stats_blocked){x[i], (uint32_t)i};
    if (samples)
        open_arm(arm, samples, n);
    free(samples);
}

bool stats_ratio_interval(const double *base, size_t n_base, const double *head, size_t n_head,
                          struct stats_bootstrap how, struct stats_interval *interval)
{
    struct arm a = {0}, b = {0};
    open_loose(&a, base, n_base);
    open_loose(&b, head, n_head);
    return ratio_interval(&a, n_base, &b, n_head, how, interval);
}
