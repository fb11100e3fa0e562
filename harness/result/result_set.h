/*
 * result_set: results as they are compared and merged: read strictly, checked against the schema.
 *
 * Named by a word: a run directory, a result.json, a directory of run directories (its `latest` and
 * other links are left out), the name of a directory of results/baselines, or several of these with
 * commas between them. A file of Google Benchmark is one too (gbench_file.h).
 * RESULT:CELL is one cell of it, by its name or words that only it has.
 */
#ifndef RESULT_SET_H
#define RESULT_SET_H

#include "base/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct result_file {
    char *path;         /* of result.json */
    json_t *document;   /* all of it */
    const json_t *ours; /* its key "layerbench" */
};

struct result_set {
    struct result_file *files; /* in the order of their paths where they come from a directory */
    size_t count;              /* at least 1 */
    char *cell;                /* the one that was named, or NULL: all */
};

/* LB_ERR_INPUT with path, place and what was expected. Whatever the outcome, free it. */
enum lb_status result_set_read(const char *word, struct result_set *set, struct lb_error *err);
void result_set_free(struct result_set *set);

/* Moves the results of `more` to the end of `set`. */
enum lb_status result_set_join(struct result_set *set, struct result_set *more,
                               struct lb_error *err);

/* One more result.json, or a run directory. */
enum lb_status result_set_add(const char *path, struct result_set *set, struct lb_error *err);

/* "" where not recorded. */
const char *result_scenario_hash(const struct result_file *file);
const char *result_machine(const struct result_file *file); /* comparability key */
/* The machine that measured the cell: differs from result_machine() in merged results only. */
const char *result_cell_machine(const struct result_file *file, const json_t *cell);

/* The cell of that name, or NULL. */
const json_t *result_cell(const struct result_file *file, const char *name);

#endif
