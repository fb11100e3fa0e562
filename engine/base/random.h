/* random: a small deterministic generator (SplitMix64, Steele, Lea, Flood 2014). */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>

struct lb_random {
    uint64_t state;
};

static inline uint64_t lb_random_next(struct lb_random *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* A generator whose next number is the n-th (from 0) of the one that begins with this seed. */
static inline struct lb_random lb_random_at(uint64_t seed, uint64_t n)
{
    return (struct lb_random){seed + n * 0x9e3779b97f4a7c15u};
}

/* Uniform in [0, 1). */
static inline double lb_random_unit(struct lb_random *r)
{
    return (double)(lb_random_next(r) >> 11) * 0x1p-53;
}

/* Uniform in [0, n), n > 0. */
static inline uint32_t lb_random_below(struct lb_random *r, uint32_t n)
{
    return (uint32_t)(((lb_random_next(r) >> 32) * (uint64_t)n) >> 32);
}

#endif
