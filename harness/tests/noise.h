/*
 * noise: samples of an ABBA measurement as simulated for the gate: log-normal noise, 5% of the
 * samples with a spike of 10 to 50%, and a drift that wanders by 2% in all over the run.
 */
#ifndef NOISE_H
#define NOISE_H

#include "gate/gate_rule.h"

#include <math.h>

struct noise {
    uint64_t state;
};

static inline double noise_unit(struct noise *noise)
{
    uint64_t z = (noise->state += 0x9e3779b97f4a7c15u); /* SplitMix64 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static inline double noise_normal(struct noise *noise)
{
    return sqrt(-2 * log(1 - noise_unit(noise))) * cos(6.283185307179586 * noise_unit(noise));
}

/* samples[2 n]: n of each arm in blocks of four, ABBA or BAAB at random; head is slower by
 * `effect`. cv is that of the log-normal part. */
static inline void noise_measure(struct noise *noise, struct gate_value *samples, size_t n,
                                 double cv, double effect)
{
    double phase = noise_unit(noise);
    bool turned = false;
    for (size_t i = 0; i < 2 * n; i++) {
        size_t place = i % 4;
        if (place == 0)
            turned = noise_unit(noise) < 0.5;
        bool head = (place == 1 || place == 2) != turned;
        double at = (double)i / (double)(2 * n);
        double value = 1e7 * (1 + 0.01 * sin(6.283185307179586 * (at / 2 + phase)));
        value *= exp(cv * noise_normal(noise));
        if (noise_unit(noise) < 0.05)
            value *= 1.1 + 0.4 * noise_unit(noise);
        samples[i] =
            (struct gate_value){head ? value * (1 + effect) : value, (uint32_t)(i / 4), head};
    }
}

#endif
