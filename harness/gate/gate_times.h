/*
 * gate_times: times of two binaries on this machine, now, in turns; and the verdict on them.
 *
 * 1. a warm-up sample of each arm and cell, not recorded; 2. a pilot of 5 blocks a cell, whose
 * noise says how many samples that cell needs; 3. the rest of them (once more raised, when the
 * noise of all samples asks for more); 4. the verdict by gate_rule; 5. every metric that is flagged
 * is measured again with as many fresh samples, and counts only if they agree. The number of
 * samples depends on the noise alone, never on the difference of the arms, so that looking does not
 * bias.
 *
 * Noise comes in spells, of other work on this machine or its host. A cell that is too noisy to
 * judge is measured anew up to 3 times, a little later; what was measured before is set aside:
 * kept, reported, and not judged.
 *
 * Resident cells are bound by the memory, and which way of reading it is the faster one changes
 * within seconds: how fast it is read, in order and in streams, is taken before and after each of
 * their blocks, and stands beside the verdict.
 */
#ifndef GATE_TIMES_H
#define GATE_TIMES_H

#include "gate/compare_rows.h"
#include "gate/gate_arm.h"
#include "gate/gate_rule.h"
#include "machine/memory_rate.h"

struct gate_time_sample {
    uint32_t seq, cell, block;
    bool head, confirming;
    bool set_aside;   /* too noisy: its cell was measured anew */
    int64_t start_ns; /* since the gate began */
    double *values;   /* one a metric */
};

/* The memory before and after a block */
struct gate_memory {
    uint32_t cell, block;
    struct memory_rate rate[2];
};

struct gate_times_plan {
    struct gate_arm arms[2]; /* base, head */
    const struct gate_cell *cells;
    size_t n_cells;
    const struct compare_metric **metrics;
    size_t n_metrics;
    struct gate_rule rule;
    uint64_t seed;
    uint32_t timeout_s;
    uint32_t pause_s;       /* before what is too noisy is measured anew */
    const char *machine[2]; /* comparability key; [1] may be set between measuring and judging */
    void (*progress)(void *ctx, uint32_t done, uint32_t expected, const char *cell);
    void *progress_ctx;
};

struct gate_times_row {
    const struct gate_cell *cell;
    const struct compare_metric *metric;
    char *name; /* "CELL metric" */
    struct gate_result result;
    struct gate_result first; /* before it was confirmed */
    bool measured_again;
};

struct gate_times {
    struct gate_times_row *rows; /* cells x metrics */
    size_t n_rows;
    struct gate_time_sample *samples; /* in the order of measurement */
    size_t n_samples;
    struct gate_memory *memory; /* of blocks of resident cells */
    size_t n_memory;
    char (*failed)[256]; /* of each cell: "" or why it could not be measured */
    char (*work)[2][64]; /* token hash of each cell and arm */
};

/* Measures and judges. Free it in any case. */
enum lb_status gate_times_measure(const struct gate_times_plan *plan, struct gate_times *times,
                                  struct lb_error *err);
/* The median of how fast memory was read around a cell's blocks; false: that was not measured. */
bool gate_times_memory(const struct gate_times *times, uint32_t cell, struct memory_rate *median);
void gate_times_free(struct gate_times *times);

#endif
