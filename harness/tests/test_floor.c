/*
 * floor: the clairvoyant bound against a search through everything that a cache could do, and
 * against the formula of a cyclic scan.
 */
#include "base/random.h"
#include "result/floor.h"
#include "tests/check.h"

#include <math.h>

enum { N = 4, LENGTH = 9 };

/* Bytes that must still be read from access i on, what lies in the cache being held[]: tries every
 * content that fits, of whole bytes. */
static int search(const uint32_t *units, int i, const int *held, const int *bytes_of, int cache)
{
    if (i == LENGTH)
        return 0;
    int best = 1000, read = bytes_of[units[i]] - held[units[i]], keep[N];
    for (keep[0] = 0; keep[0] <= bytes_of[0]; keep[0]++)
        for (keep[1] = 0; keep[1] <= bytes_of[1]; keep[1]++)
            for (keep[2] = 0; keep[2] <= bytes_of[2]; keep[2]++)
                for (keep[3] = 0; keep[3] <= bytes_of[3]; keep[3]++) {
                    bool there = keep[0] + keep[1] + keep[2] + keep[3] == cache;
                    for (uint32_t u = 0; u < N; u++)
                        there &= keep[u] <= (u == units[i] ? bytes_of[u] : held[u]);
                    if (!there)
                        continue;
                    int rest = search(units, i + 1, keep, bytes_of, cache);
                    best = rest < best ? rest : best;
                }
    return read + best;
}

static void any_accesses(void)
{
    struct lb_random r = {5};
    for (int round = 0; round < 60; round++) {
        uint32_t units[LENGTH];
        int bytes_of[N], least = 1000, start[N], cache = 1 + (int)lb_random_below(&r, 3);
        double bytes[N];
        for (int i = 0; i < LENGTH; i++)
            units[i] = lb_random_below(&r, N);
        for (int u = 0; u < N; u++)
            bytes[u] = bytes_of[u] = 1 + (int)lb_random_below(&r, 2);
        for (start[0] = 0; start[0] <= bytes_of[0]; start[0]++)
            for (start[1] = 0; start[1] <= bytes_of[1]; start[1]++)
                for (start[2] = 0; start[2] <= bytes_of[2]; start[2]++)
                    for (start[3] = 0; start[3] <= bytes_of[3]; start[3]++) {
                        if (start[0] + start[1] + start[2] + start[3] != cache)
                            continue;
                        int read = search(units, 0, start, bytes_of, cache);
                        least = read < least ? read : least;
                    }
        double bound = floor_clairvoyant(units, LENGTH, bytes, N, cache);
        CHECK(bound == least, "seed 5, round %d, cache %d: %g, not %d", round, cache, bound, least);
    }
}

static void cyclic_scan(void)
{
    enum { UNITS = 7, PASSES = 5 };
    uint32_t units[UNITS * PASSES];
    double bytes[UNITS], all = 0;
    for (uint32_t i = 0; i < UNITS * PASSES; i++)
        units[i] = i % UNITS;
    for (uint32_t u = 0; u < UNITS; u++)
        all += bytes[u] = 100 + 37 * (double)u;
    for (double cache = 0; cache < 2 * all; cache += 93) {
        double bound = floor_clairvoyant(units, UNITS * PASSES, bytes, UNITS, cache);
        CHECK(fabs(bound - PASSES * floor_least(all, cache)) < 1e-6, "cache %g: %g", cache, bound);
    }
}

int main(void)
{
    any_accesses();
    cyclic_scan();
    return check_done();
}
