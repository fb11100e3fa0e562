/*
 * stats: against values known or found by brute force, and the coverage of the bootstrap interval
 * under the gate's noise.
 */
#include "base/random.h"
#include "noise.h"
#include "stats/stats.h"
#include "tests/check.h"

#include <math.h>

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-9 * (1 + fabs(b));
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void selection(void)
{
    struct noise noise = {1};
    for (int round = 0; round < 3000; round++) {
        double x[40], sorted[40], copy[40];
        size_t n = 1 + (size_t)(noise_unit(&noise) * 40);
        double kinds = 1 + noise_unit(&noise) * (round % 3 ? 50 : 3); /* many ties, few ties */
        for (size_t i = 0; i < n; i++)
            x[i] = sorted[i] = floor(noise_unit(&noise) * kinds);
        qsort(sorted, n, sizeof *sorted, by_value);
        for (size_t k = 0; k < n; k++) {
            memcpy(copy, x, sizeof x);
            CHECK(stats_select(copy, n, k) == sorted[k], "seed 1, round %d, k %zu", round, k);
        }
        memcpy(copy, x, sizeof x);
        CHECK(stats_median(copy, n) == 0.5 * (sorted[(n - 1) / 2] + sorted[n / 2]));
    }
}

static void percentiles(void)
{
    static double x[1000];
    CHECK(stats_percentile_needs(0.9) == 64 && stats_percentile_needs(0.99) == 662);
    for (int i = 0; i < 1000; i++)
        x[i] = (i * 7919) % 1000; /* 0..999, shuffled */
    CHECK(near(stats_percentile(x, 1000, 0.99), 989.01) &&
          near(stats_percentile(x, 1000, 0.9), 899.1));
    CHECK(isnan(stats_percentile(x, 661, 0.99)) && !isnan(stats_percentile(x, 662, 0.99)));
    CHECK(isnan(stats_percentile(x, 63, 0.9)) && !isnan(stats_percentile(x, 64, 0.9)));
    CHECK(isnan(stats_percentile(x, 0, 0.5)));
}

static void summary(void)
{
    struct stats_summary s;
    const double x[] = {9, 2, 4, 4, 4, 5, 5, 7, 2, 5, 6, 7};
    CHECK(stats_summarise(x, 12, &s));
    CHECK(s.n == 12 && s.min == 2 && s.max == 9 && near(s.mean, 5) && s.median == 5);
    CHECK(near(s.sd, sqrt(46.0 / 11)) && near(s.cv, s.sd / 5));
    CHECK(near(s.robust_cv, 1.4826 * 1 / 5)); /* deviations 0 0 0 1 1 1 1 2 2 3 3 4: MAD 1 */
    CHECK(isnan(s.p90) && isnan(s.p99) && s.outliers == 0 && s.first_is_largest);
    CHECK(near(s.drift, 5.5 / 4 - 1)); /* 9 2 4 4 and 2 5 6 7 */
    CHECK(stats_summarise(x + 1, 1, &s) && s.sd == 0 && s.median == 2 && !s.first_is_largest);
    CHECK(stats_all_finite(x, 12) && !stats_all_finite((double[]){1, NAN}, 2) &&
          !stats_all_finite((double[]){-INFINITY}, 1));
    CHECK(stats_ratio(3, 2) == 1.5 && stats_ratio(0, 0) == 1 && isinf(stats_ratio(1, 0)));
}

static void outliers(void)
{
    /* median 10, MAD 1: z of 14.8 is a distance of 21.94 */
    double x[] = {8, 9, 9, 10, 10, 10, 11, 11, 12, 31.9, -12};
    bool flags[11];
    size_t count;
    CHECK(stats_outliers(x, 11, flags, &count) && count == 1 && flags[10] && !flags[9]);
    x[9] = 31.95;
    CHECK(stats_outliers(x, 11, flags, &count) && count == 2 && flags[9]);
    double flat[40];
    for (int i = 0; i < 40; i++)
        flat[i] = 5;
    CHECK(stats_outliers(flat, 40, NULL, &count) && count == 0);
    flat[7] = 6; /* MAD 0, mean deviation 1/40: z = 1 / (1.2533 / 40) */
    CHECK(stats_outliers(flat, 40, NULL, &count) && count == 1);
    CHECK(stats_outliers(NULL, 0, NULL, &count) && count == 0);
}

/* ---- Mann-Whitney by looking at every way to choose the arms ---- */

static double u_statistic(const double *all, size_t n, unsigned head)
{
    double u = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++)
            if ((head >> i & 1) && !(head >> k & 1))
                u += all[i] > all[k] ? 1 : all[i] == all[k] ? 0.5 : 0;
    return u;
}

static double brute_force(const double *all, size_t n, size_t n_head, unsigned observed)
{
    double at = u_statistic(all, n, observed);
    size_t hits = 0, ways = 0;
    for (unsigned mask = 0; mask < 1u << n; mask++) {
        if ((size_t)__builtin_popcount(mask) != n_head)
            continue;
        ways++;
        hits += u_statistic(all, n, mask) >= at;
    }
    return (double)hits / (double)ways;
}

static void mann_whitney_exact(void)
{
    struct noise noise = {2};
    double p;
    for (int round = 0; round < 60; round++) {
        double base[6], head[6], all[12];
        size_t n_base = 1 + (size_t)(noise_unit(&noise) * 6);
        size_t n_head = 1 + (size_t)(noise_unit(&noise) * 6), n = n_base + n_head;
        for (size_t i = 0; i < n; i++) {
            all[i] = floor(noise_unit(&noise) * (round % 2 ? 1000 : 5)); /* even rounds: ties */
            if (i < n_base)
                base[i] = all[i];
            else
                head[i - n_base] = all[i];
        }
        unsigned observed = ((1u << n_head) - 1) << n_base;
        double expected = brute_force(all, n, n_head, observed);
        CHECK(stats_mann_whitney(base, n_base, head, n_head, &p) && near(p, expected),
              "seed 2, round %d: got %.12g, expected %.12g", round, p, expected);
    }
    /* one way in 184756 */
    double low[10], high[10];
    for (int i = 0; i < 10; i++)
        low[i] = i, high[i] = 100 + i;
    CHECK(stats_mann_whitney(low, 10, high, 10, &p) && near(p, 1.0 / 184756));
    CHECK(stats_mann_whitney(high, 10, low, 10, &p) && near(p, 1));
    CHECK(stats_mann_whitney(low, 0, high, 10, &p) && p == 1);
}

#define LARGE 26

/* P(U >= u) for two arms of 26 without ties, from the number of ways by Mann and Whitney's
 * recursion: the greatest value is one of head's (it beats all b of base) or one of base's. */
static double tail_by_recursion(int u)
{
    static double ways[LARGE + 1][LARGE + 1][LARGE * LARGE + 1];
    for (int a = 0; a <= LARGE; a++)
        for (int b = 0; b <= LARGE; b++)
            for (int v = 0; v <= a * b; v++)
                ways[a][b][v] = a == 0 || b == 0 ? 1
                                                 : (v >= b ? ways[a - 1][b][v - b] : 0) +
                                                       (v <= a * (b - 1) ? ways[a][b - 1][v] : 0);
    double tail = 0, total = 0;
    for (int v = 0; v <= LARGE * LARGE; v++) {
        total += ways[LARGE][LARGE][v];
        tail += v >= u ? ways[LARGE][LARGE][v] : 0;
    }
    return tail / total;
}

static void mann_whitney_large(void)
{
    struct noise noise = {3};
    double p, base[60], head[60];
    for (int i = 0; i < 60; i++)
        base[i] = head[i] = 7;
    CHECK(stats_mann_whitney(base, 60, head, 60, &p) && p == 1);
    for (int round = 0; round < 30; round++) {
        int u = 0;
        for (int i = 0; i < LARGE; i++) {
            base[i] = noise_unit(&noise);
            head[i] = noise_unit(&noise) + 0.02 * round;
        }
        for (int i = 0; i < LARGE * LARGE; i++)
            u += head[i / LARGE] > base[i % LARGE];
        double exact = tail_by_recursion(u);
        stats_mann_whitney(base, LARGE, head, LARGE, &p);
        CHECK(fabs(p - exact) < 2e-3, "seed 3, round %d: got %g, expected %g", round, p, exact);
    }
    /* under the null hypothesis p is uniform: 2000 draws, n = 40, an upper bound at 1% and 5% */
    int below_1 = 0, below_5 = 0;
    for (int round = 0; round < 2000; round++) {
        for (int i = 0; i < 40; i++) {
            base[i] = floor(20 * noise_normal(&noise)); /* with ties */
            head[i] = floor(20 * noise_normal(&noise));
        }
        stats_mann_whitney(base, 40, head, 40, &p);
        below_1 += p < 0.01;
        below_5 += p < 0.05;
    }
    CHECK(below_1 >= 8 && below_1 <= 34, "%d of 2000", below_1); /* 20 +- 3 sd */
    CHECK(below_5 >= 71 && below_5 <= 129, "%d of 2000", below_5);
}

static void holm(void)
{
    double p[] = {0.01, 0.04, 0.03, 0.005}, a[4];
    CHECK(stats_holm(p, 4, a));
    CHECK(near(a[3], 0.02) && near(a[0], 0.03) && near(a[2], 0.06) && near(a[1], 0.06));
    CHECK(stats_holm((double[]){0.6, 0.9}, 2, a) && a[0] == 1 && a[1] == 1);
    CHECK(stats_holm(NULL, 0, NULL));
}

static void normal(void)
{
    CHECK(near(stats_normal_tail(0), 0.5) && fabs(stats_normal_tail(1.959963985) - 0.025) < 1e-9);
    CHECK(fabs(stats_normal_quantile(0.975) - 1.959963985) < 1e-8);
    CHECK(fabs(stats_normal_quantile(0.01) + 2.326347874) < 1e-8);
}

/* ---- bootstrap ---- */

#define BLOCKS 4

/* Every resample of four blocks (256, equally likely), the ratio of each. */
static void all_ratios(const double base[BLOCKS][2], const double head[BLOCKS][2], double *ratios)
{
    for (int code = 0; code < 256; code++) {
        double a[2 * BLOCKS], b[2 * BLOCKS];
        for (int i = 0, c = code; i < BLOCKS; i++, c /= 4) {
            memcpy(a + 2 * i, base[c % 4], sizeof base[0]);
            memcpy(b + 2 * i, head[c % 4], sizeof head[0]);
        }
        ratios[code] = stats_median(b, 2 * BLOCKS) / stats_median(a, 2 * BLOCKS);
    }
    qsort(ratios, 256, sizeof *ratios, by_value);
}

/* P(Binomial(n, 1/2) < k), from Pascal's triangle */
static double below(int n, int k)
{
    double row[64] = {1}, sum = 0;
    for (int i = 1; i <= n; i++)
        for (int j = i; j > 0; j--)
            row[j] += row[j - 1];
    for (int j = 0; j < k; j++)
        sum += row[j];
    return sum * pow(0.5, n);
}

/* From 6 values on the narrowest order statistics that hold the median in 95% of the cases, else
 * all of them. */
static void estimate_exact(void)
{
    for (int n = 1; n <= 60; n++) {
        double x[60];
        for (int i = 0; i < n; i++)
            x[i] = n - i; /* 1..n, falling */
        struct stats_estimate e = stats_estimate(x, (size_t)n);
        int k = (int)e.low;
        CHECK(e.n == (size_t)n && e.median == (n + 1) / 2.0 && e.high == n + 1 - k, "n %d", n);
        CHECK(fabs(e.coverage - (1 - 2 * below(n, k))) < 1e-12, "n %d: coverage %g", n, e.coverage);
        if (n < STATS_INTERVAL_NEEDS)
            CHECK(k == 1 && e.coverage < 0.95, "n %d: least to most", n);
        else
            CHECK(e.coverage >= 0.95 && 1 - 2 * below(n, k + 1) < 0.95, "n %d: k %d", n, k);
    }
    CHECK_TEXT(stats_estimate_name(6, 9), "95% interval");
    CHECK_TEXT(stats_estimate_name(1, 5), "least to most");
}

/* Of 2,000 samples of 9 and of 20 skewed values at least 95% hold the true median, less chance
 * (three standard deviations). */
static void estimate_holds_the_median(void)
{
    struct lb_random r = {11};
    for (int n = 9; n <= 20; n += 11) {
        int held = 0;
        for (int round = 0; round < 2000; round++) {
            double x[20];
            for (int i = 0; i < n; i++)
                x[i] = -log(1 - lb_random_unit(&r)); /* exponential: median ln 2 */
            struct stats_estimate e = stats_estimate(x, (size_t)n);
            held += e.low <= log(2) && log(2) <= e.high;
        }
        CHECK(held >= 1900 - 30, "seed 11, n %d: %d of 2000 hold the median", n, held);
        CHECK(held < 1990, "seed 11, n %d: %d of 2000: wider than it need be", n, held);
    }
}

static void bootstrap_exact(void)
{
    static const double base[BLOCKS][2] = {{10, 11}, {12, 9}, {14, 10.5}, {8, 13}};
    static const double head[BLOCKS][2] = {{11, 13}, {12, 15}, {9, 14}, {16, 10}};
    struct stats_blocked a[2 * BLOCKS], b[2 * BLOCKS];
    double ratios[256];
    all_ratios(base, head, ratios);
    for (uint32_t i = 0; i < 2 * BLOCKS; i++) {
        a[i] = (struct stats_blocked){base[i / 2][i % 2], i / 2};
        b[i] = (struct stats_blocked){head[i / 2][i % 2], i / 2};
    }
    for (double level = 0.5; level < 0.96; level += 0.15) {
        struct stats_interval got;
        struct stats_bootstrap how = {level, 200000, 9};
        CHECK(stats_ratio_interval_blocks(a, 8, b, 8, BLOCKS, how, &got));
        /* the exact quantile, give or take 2 of 256 resamples */
        int cut = (int)((1 - level) / 2 * 256);
        int down = cut < 2 ? 0 : cut - 2;
        CHECK(got.low >= ratios[down] && got.low <= ratios[cut + 2], "level %g: %g", level,
              got.low);
        CHECK(got.high >= ratios[255 - cut - 2] && got.high <= ratios[255 - down], "level %g: %g",
              level, got.high);
    }
    struct stats_interval one, again;
    struct stats_bootstrap how = {0.95, 1000, 4};
    double x[] = {3, 1, 2};
    CHECK(stats_ratio_interval(x, 3, x, 3, how, &one) &&
          stats_ratio_interval(x, 3, x, 3, how, &again));
    CHECK(one.low == again.low && one.high == again.high && one.low < 1 && one.high > 1);
}

/* How often the 95% interval holds the true ratio, under the gate's noise. */
static void coverage(size_t n, double cv, double effect)
{
    enum { TRIALS = 600 };
    struct gate_value samples[200];
    struct noise noise = {77};
    int held = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        struct stats_blocked arms[2][100];
        size_t count[2] = {0};
        struct stats_bootstrap how = {0.95, 4000, (uint64_t)trial};
        struct stats_interval i;
        noise_measure(&noise, samples, n, cv, effect);
        for (size_t k = 0; k < 2 * n; k++)
            arms[samples[k].head][count[samples[k].head]++] =
                (struct stats_blocked){samples[k].value, samples[k].block};
        CHECK(stats_ratio_interval_blocks(arms[0], n, arms[1], n, n / 2, how, &i));
        held += i.low <= 1 + effect && 1 + effect <= i.high;
    }
    CHECK(held >= 0.93 * TRIALS && held <= 0.97 * TRIALS,
          "n %zu, cv %g, effect %g: %d of %d intervals hold the effect", n, cv, effect, held,
          TRIALS);
}

int main(void)
{
    selection();
    percentiles();
    summary();
    outliers();
    mann_whitney_exact();
    mann_whitney_large();
    holm();
    normal();
    estimate_exact();
    estimate_holds_the_median();
    bootstrap_exact();
    coverage(20, 0.01, 0);
    coverage(40, 0.02, 0.03);
    coverage(60, 0.03, 0.05);
    return check_done();
}
