/*
 * burn_time UNITS: a program that takes UNITS times about 50 us of one processor, and prints what
 * it took: for the tests of everything that measures another program.
 */
#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    long units = argc == 2 ? strtol(argv[1], NULL, 10) : 0;
    if (units < 1) {
        fputs("burn_time: expected a number of units\n", stderr);
        return 2;
    }
    int64_t start = lb_now_ns();
    uint64_t state = 88172645463325252u;
    for (long i = 0; i < units * 25000; i++) { /* each step waits for the one before */
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    int64_t took = lb_now_ns() - start;
    printf("{\"units\": %ld, \"took_ns\": %" PRId64
           ", \"units_per_second\": %.6g, \"hash\": %" PRIu64 "}\n",
           units, took, (double)units * 1e9 / (double)took, state);
    return 0;
}
