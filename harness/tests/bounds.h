/* bounds: what a count of successes says of their rate, with 95% confidence (exact binomial). */
#ifndef BOUNDS_H
#define BOUNDS_H

#include <math.h>
#include <stdbool.h>

/* P(at most k of n) for probability p. */
static inline double bounds_binomial(int k, int n, double p)
{
    double sum = 0;
    for (int i = 0; i <= k; i++)
        sum += exp(lgamma(n + 1.0) - lgamma(i + 1.0) - lgamma(n - i + 1.0) + i * log(p) +
                   (n - i) * log(1 - p));
    return sum;
}

/* The rate is at most / at least `rate`: if it were that, so few / so many would be rarer than 5%.
 */
static inline bool bounds_at_most(int found, int runs, double rate)
{
    return bounds_binomial(found, runs, rate) <= 0.05;
}

static inline bool bounds_at_least(int found, int runs, double rate)
{
    return 1 - bounds_binomial(found - 1, runs, rate) <= 0.05;
}

#endif
