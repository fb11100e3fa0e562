/*
 * gate_counts: what is the same on every machine, compared exactly with a committed baseline.
 *
 * Each cell runs once with the generic kernels, whose arithmetic does not depend on the processor.
 * Counted with prefetch off, sync and resident: outcomes, reads, bytes, evictions, wasted
 * prefetches. With async the outcomes depend on time; there, as everywhere: accesses, passes, the
 * allocations of the decode passes, and the hash of the tokens.
 *
 *   {"schema_version": 1, "scenario": "gate", "scenario_sha256": "...",
 *    "cells": {"NAME": {"accesses": 120, ..., "tokens_hash": "..."}}}
 */
#ifndef GATE_COUNTS_H
#define GATE_COUNTS_H

#include "gate/gate_arm.h"

#include <stdbool.h>

enum gate_count_kind {
    GATE_COUNT_EQUAL,
    GATE_COUNT_CHANGED, /* the same work, done another way */
    GATE_COUNT_WORK,    /* other tokens: not the same work */
    GATE_COUNT_FAILED,  /* not measured, or not in the baseline */
};

struct gate_count {
    enum gate_count_kind kind;
    const char *cell;
    char quantity[32];
    char expected[64], got[64];
};

struct gate_counts {
    struct gate_count *list; /* one for each quantity of the baseline and of the cells */
    size_t n, n_differ;
    json_t *measured; /* "cells" as it would stand in the baseline */
};

/* Measures all cells with the arm. Free it in any case. */
enum lb_status gate_counts_measure(const struct gate_arm *arm, const struct gate_cell *cells,
                                   size_t n, uint32_t timeout_s, struct gate_counts *counts,
                                   struct lb_error *err);

/* Compares with the baseline in the file; LB_ERR_INPUT when it is not there, damaged, or of
 * another scenario. */
enum lb_status gate_counts_compare(struct gate_counts *counts, const struct gate_cell *cells,
                                   size_t n, const char *path, const char *scenario_sha256,
                                   struct lb_error *err);

/* Writes what was measured as the new baseline; LB_ERR_STATE when a cell failed. */
enum lb_status gate_counts_write(const struct gate_counts *counts, const char *path,
                                 const struct scenario *scenario, struct lb_error *err);

int gate_counts_exit_code(const struct gate_counts *counts);
void gate_counts_free(struct gate_counts *counts);

#endif
