/*
 * matrix: the cells of a scenario and the order in which they are measured. Pure.
 *
 * A cell is one combination of the values under "matrix" on top of "fixed". Its name is made of
 * the matrix's options in the order of the document, "prefetch=async/cache_layers=8", and is
 * stable: it does not depend on the machine, on other cells or on their order.
 */
#ifndef MATRIX_H
#define MATRIX_H

#include "settings/options.h"
#include "study/scenario.h"

#define MATRIX_MOST 10000 /* combinations of a matrix */

struct cell {
    char *name;
    struct settings settings; /* texts belong to the scenario */
    uint64_t work;            /* the same of cells that do the same work */
    bool reference;           /* added by matrix_add_references, not asked for */
    bool borrowed;            /* a reference that belongs to another shard */
    const struct peer *peer;  /* another program; NULL: this one */
    const char *skipped;      /* why it cannot be measured here, or NULL */
};

struct matrix {
    struct cell *cells;
    size_t count;
    char **notes; /* what was changed: clamped caches, merged cells */
    size_t n_notes;
};

/* All cells for a model of n_layers; caches larger than that are clamped, with a note, and
 * cells that become the same are merged. Error: nothing is left. */
enum lb_status matrix_build(const struct scenario *scenario, uint32_t n_layers,
                            struct matrix *matrix, struct lb_error *err);

/* Adds a resident cell for each kind of work that has none: the compute time of its passes is
 * the compute part of the floor. */
enum lb_status matrix_add_references(struct matrix *matrix, struct lb_error *err);

/* The cell of that name, or -1. */
int matrix_find(const struct matrix *matrix, const char *name);

/* The resident cell that does the same work as cell i, or -1. */
int matrix_reference(const struct matrix *matrix, size_t i);

/* Whether such a cell shows compute alone: all layers there, nothing slowed, one token a pass, and
 * enough memory (a limit would let the kernel drop layers that are mapped). */
bool matrix_shows_compute(const struct settings *settings);

/* The same computation: everything but how layers get there. Its results are bit-identical. */
bool matrix_same_work(const struct settings *a, const struct settings *b);

/* The same to do in the same place, so that times compare: prompt and tokens, device, limits. How
 * many threads or sequences do it is a setting. */
bool matrix_same_task(const struct settings *a, const struct settings *b);

/* Stable 64-bit hash of a cell's name (FNV-1a): shards are cut by it. */
uint64_t matrix_hash(const char *name);

/* Removes the cells whose name does not match the (extended, POSIX) regular expression. */
enum lb_status matrix_filter(struct matrix *matrix, const char *expression, struct lb_error *err);

/* Removes the cells of other programs. Error: nothing is left. */
enum lb_status matrix_leave_out_peers(struct matrix *matrix, struct lb_error *err);

struct matrix_slot {
    uint32_t cell;
    int32_t rep;  /* < 0: a warm-up repetition, not counted */
    uint32_t seq; /* place in the order of the whole run */
};

/* The order of all samples: rounds of one repetition of each cell, shuffled in every round, so
 * that slow drift of the machine meets all cells alike. *order allocated with malloc. */
enum lb_status matrix_order(const struct matrix *matrix, uint32_t repetitions, uint32_t warmup,
                            uint64_t seed, struct matrix_slot **order, size_t *count,
                            struct lb_error *err);

/* Leaves shard number `shard` of n_shards in matrix and order: the cells whose hash says so, and
 * the reference cells they need, borrowed from other shards where they belong there. */
enum lb_status matrix_cut(struct matrix *matrix, uint32_t shard, uint32_t n_shards,
                          struct matrix_slot *order, size_t *n_order, struct lb_error *err);

void matrix_free(struct matrix *matrix);

#endif
