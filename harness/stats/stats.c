/* stats: descriptive statistics and rank tests. See stats.h; bootstrap: stats_bootstrap.c. */
#include "stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EXACT_UP_TO 50 /* samples of both arms; about a million steps there */

bool stats_all_finite(const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

/* ---- order statistics ---- */

static void swap(double *a, double *b)
{
    double t = *a;
    *a = *b;
    *b = t;
}

/* Hoare's selection with the median of three as pivot. */
double stats_select(double *x, size_t n, size_t k)
{
    size_t low = 0, high = n - 1;
    while (high > low) {
        size_t middle = low + (high - low) / 2;
        if (x[middle] < x[low])
            swap(&x[middle], &x[low]);
        if (x[high] < x[low])
            swap(&x[high], &x[low]);
        if (x[high] < x[middle])
            swap(&x[high], &x[middle]);
        double pivot = x[middle];
        size_t i = low, j = high;
        for (;;) {
            while (x[i] < pivot)
                i++;
            while (pivot < x[j])
                j--;
            if (i >= j)
                break;
            swap(&x[i++], &x[j--]);
        }
        /* now x[low..j] <= pivot <= x[j+1..high] */
        if (k <= j)
            high = j;
        else
            low = j + 1;
    }
    return x[k];
}

/* The smallest of x[from..n): what follows the (from - 1)-th after a selection. */
static double least(const double *x, size_t from, size_t n)
{
    double m = x[from];
    for (size_t i = from + 1; i < n; i++)
        m = x[i] < m ? x[i] : m;
    return m;
}

double stats_median(double *x, size_t n)
{
    if (n % 2)
        return stats_select(x, n, n / 2);
    double lower = stats_select(x, n, n / 2 - 1);
    return 0.5 * (lower + least(x, n / 2, n));
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct stats_estimate stats_estimate(double *x, size_t n)
{
    struct stats_estimate e = {.median = NAN, .low = NAN, .high = NAN, .n = n};
    if (n == 0)
        return e;
    qsort(x, n, sizeof *x, ascending);
    double probability = pow(0.5, (double)n), below = probability; /* P(Binomial < k) */
    size_t k = 1;
    while (k < n / 2) {
        probability *= (double)(n - k + 1) / (double)k;
        if (below + probability > 0.025)
            break;
        below += probability;
        k++;
    }
    e.median = n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
    e.low = x[k - 1];
    e.high = x[n - k];
    e.coverage = 1 - 2 * below;
    return e;
}

const char *stats_estimate_name(size_t least_n, size_t most_n)
{
    return least_n >= STATS_INTERVAL_NEEDS ? "95% interval"
           : most_n < STATS_INTERVAL_NEEDS ? "least to most"
                                           : "95% interval (below 6 runs: least to most)";
}

size_t stats_percentile_needs(double q)
{
    return (size_t)ceil(log(0.00129) / log(q));
}

double stats_percentile(double *x, size_t n, double q)
{
    if (n == 0 || n < stats_percentile_needs(q))
        return NAN;
    double at = q * (double)(n - 1);
    size_t k = (size_t)at;
    double lower = stats_select(x, n, k);
    return k + 1 < n ? lower + (at - (double)k) * (least(x, k + 1, n) - lower) : lower;
}

/* ---- summary ---- */

/* Median of |x - centre|; scratch[n]. */
static double median_deviation(const double *x, size_t n, double centre, double *scratch)
{
    for (size_t i = 0; i < n; i++)
        scratch[i] = fabs(x[i] - centre);
    return stats_median(scratch, n);
}

static double median_of(const double *x, size_t n, double *scratch)
{
    memcpy(scratch, x, n * sizeof *x);
    return stats_median(scratch, n);
}

bool stats_outliers(const double *x, size_t n, bool *flags, size_t *count)
{
    double *scratch = malloc((n + 1) * sizeof *scratch);
    if (!scratch)
        return false;
    double median = n ? median_of(x, n, scratch) : 0;
    double scale = n ? median_deviation(x, n, median, scratch) / 0.6745 : 0;
    free(scratch);
    if (scale == 0) {
        for (size_t i = 0; i < n; i++)
            scale += 1.2533 * fabs(x[i] - median) / (double)n;
    }
    *count = 0;
    for (size_t i = 0; i < n; i++) {
        bool out = scale > 0 && fabs(x[i] - median) / scale > 14.8;
        *count += out;
        if (flags)
            flags[i] = out;
    }
    return true;
}

static void moments(const double *x, struct stats_summary *s)
{
    double sum = 0, squares = 0;
    s->min = s->max = x[0];
    for (size_t i = 0; i < s->n; i++) {
        sum += x[i];
        s->min = fmin(s->min, x[i]);
        s->max = fmax(s->max, x[i]);
    }
    s->mean = sum / (double)s->n;
    for (size_t i = 0; i < s->n; i++)
        squares += (x[i] - s->mean) * (x[i] - s->mean);
    s->sd = s->n > 1 ? sqrt(squares / (double)(s->n - 1)) : 0;
    s->cv = s->mean != 0 ? s->sd / s->mean : 0;
}

bool stats_summarise(const double *x, size_t n, struct stats_summary *s)
{
    *s = (struct stats_summary){.n = n};
    if (!stats_outliers(x, n, NULL, &s->outliers))
        return false;
    double *scratch = malloc(n * sizeof *scratch);
    if (!scratch)
        return false;
    moments(x, s);
    s->median = median_of(x, n, scratch);
    double mad = median_deviation(x, n, s->median, scratch);
    s->robust_cv = s->median != 0 ? 1.4826 * mad / s->median : 0;
    memcpy(scratch, x, n * sizeof *x);
    s->p90 = stats_percentile(scratch, n, 0.90);
    s->p99 = stats_percentile(scratch, n, 0.99);
    if (n >= 9) {
        double first = median_of(x, n / 3, scratch);
        s->drift = stats_ratio(median_of(x + n - n / 3, n / 3, scratch), first) - 1;
    }
    s->first_is_largest = n > 1 && x[0] == s->max;
    free(scratch);
    return true;
}

double stats_ratio(double head, double base)
{
    return head == base ? 1 : head / base;
}

/* ---- normal distribution ---- */

double stats_normal_tail(double z)
{
    return 0.5 * erfc(z / sqrt(2));
}

double stats_normal_quantile(double p)
{
    double low = -40, high = 40;
    for (int i = 0; i < 100; i++) {
        double middle = 0.5 * (low + high);
        if (1 - stats_normal_tail(middle) < p)
            low = middle;
        else
            high = middle;
    }
    return 0.5 * (low + high);
}

/* ---- Mann-Whitney ---- */

struct ranked {
    double value;
    bool head;
    uint32_t rank2; /* twice the midrank: an integer */
};

static int by_value(const void *a, const void *b)
{
    double x = ((const struct ranked *)a)->value, y = ((const struct ranked *)b)->value;
    return (x > y) - (x < y);
}

/* Sorts and ranks; returns the sum of t^3 - t over groups of t equal values. */
static double rank_all(struct ranked *all, size_t n)
{
    double ties = 0;
    qsort(all, n, sizeof *all, by_value);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && all[end].value == all[i].value; end++)
            ;
        double t = (double)(end - i);
        ties += t * t * t - t;
        for (size_t k = i; k < end; k++)
            all[k].rank2 = (uint32_t)(i + 1 + end); /* first and last rank: i + 1 and end */
    }
    return ties;
}

/* P(sum of doubled ranks of n_head chosen out of n >= observed). ways[k][s]: in how many ways k of
 * the items so far have the sum s. */
static bool exact_tail(const struct ranked *all, size_t n, size_t n_head, size_t observed,
                       double *p)
{
    size_t sums = n * (n + 1) + 1; /* the sum of all doubled ranks, and 0 */
    double *ways = calloc((n_head + 1) * sums, sizeof *ways);
    if (!ways)
        return false;
    ways[0] = 1;
    size_t reached = 0;
    for (size_t i = 0; i < n; i++) {
        size_t rank = all[i].rank2;
        reached += rank;
        for (size_t k = i + 1 < n_head ? i + 1 : n_head; k > 0; k--) {
            double *to = ways + k * sums;
            const double *from = ways + (k - 1) * sums;
            for (size_t s = rank; s <= reached; s++)
                to[s] += from[s - rank];
        }
    }
    double tail = 0, total = 0;
    for (size_t s = 0; s < sums; s++) {
        total += ways[n_head * sums + s];
        if (s >= observed)
            tail += ways[n_head * sums + s];
    }
    free(ways);
    *p = tail / total;
    return true;
}

static double normal_approximation(size_t n_base, size_t n_head, double ties, double rank_sum)
{
    double a = (double)n_head, b = (double)n_base, n = a + b;
    double u = rank_sum - a * (a + 1) / 2, mean = a * b / 2;
    double variance = a * b / 12 * (n + 1 - ties / (n * (n - 1)));
    return variance > 0 ? stats_normal_tail((u - mean - 0.5) / sqrt(variance)) : 1;
}

bool stats_mann_whitney(const double *base, size_t n_base, const double *head, size_t n_head,
                        double *p)
{
    size_t n = n_base + n_head, observed = 0;
    *p = 1;
    if (n_base == 0 || n_head == 0)
        return true;
    struct ranked *all = malloc(n * sizeof *all);
    if (!all)
        return false;
    for (size_t i = 0; i < n; i++)
        all[i] = i < n_base ? (struct ranked){base[i], false, 0}
                            : (struct ranked){head[i - n_base], true, 0};
    double ties = rank_all(all, n);
    for (size_t i = 0; i < n; i++)
        observed += all[i].head ? all[i].rank2 : 0;
    bool good = true;
    if (n <= EXACT_UP_TO)
        good = exact_tail(all, n, n_head, observed, p);
    else
        *p = normal_approximation(n_base, n_head, ties, (double)observed / 2);
    free(all);
    return good;
}

/* ---- Holm ---- */

struct indexed {
    double p;
    size_t at;
};

static int by_p(const void *a, const void *b)
{
    double x = ((const struct indexed *)a)->p, y = ((const struct indexed *)b)->p;
    return (x > y) - (x < y);
}

bool stats_holm(const double *p, size_t n, double *adjusted)
{
    if (n == 0)
        return true;
    struct indexed *order = malloc(n * sizeof *order);
    if (!order)
        return false;
    for (size_t i = 0; i < n; i++)
        order[i] = (struct indexed){p[i], i};
    qsort(order, n, sizeof *order, by_p);
    double so_far = 0;
    for (size_t i = 0; i < n; i++) {
        so_far = fmax(so_far, fmin(1, (double)(n - i) * order[i].p));
        adjusted[order[i].at] = so_far;
    }
    free(order);
    return true;
}
