/*
 * gbench_shim: Google Benchmark behind C. The only way into it.
 *
 * A list of benchmarks is registered, run by the library in that order, and reported by its JSON
 * reporter into a text. Times are manual: what a repetition hands over, one time an iteration.
 * Names are given as they are (the library's "/iterations:8/manual_time" is left off), so that
 * results with different numbers of repetitions can be compared. cpu_time is 0: the work happens
 * in other processes, whose CPU time is among the counters.
 */
#ifndef GBENCH_SHIM_H
#define GBENCH_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gbench_counter {
    const char *name;
    double value;
};

enum { GBENCH_COUNTERS = 24 };

/* What one repetition gave; texts and times stay the callback's. */
struct gbench_result {
    const int64_t *iteration_ns; /* as many as the benchmark's iterations */
    struct gbench_counter counters[GBENCH_COUNTERS];
    size_t n_counters;
    const char *error; /* NULL: fine; else the benchmark must have one repetition only, because
                        * the library's statistics abort on a failed one among others */
};

struct gbench_benchmark {
    const char *name;
    uint32_t iterations, repetitions;
    /* called once for each repetition, 0, 1, ... */
    void (*repetition)(void *ctx, uint32_t index, struct gbench_result *result);
    void *ctx;
};

/* Runs them all; *json is allocated with malloc. False when out of memory or when the library
 * refuses. */
bool gbench_run(const struct gbench_benchmark *benchmarks, size_t count, char **json);

#ifdef __cplusplus
}
#endif

#endif
