/*
 * simulate_against: the cells of a measured result, predicted from what its own resident cells say
 * of compute and from the bandwidth recorded for each cell; never from the cell's own times.
 */
#ifndef SIMULATE_AGAINST_H
#define SIMULATE_AGAINST_H

#include "predict/simulate_cell.h"
#include "result/results.h"

#include <jansson.h>
#include <stdio.h>

struct sim_check {
    const char *cell; /* name; belongs to the document */
    struct sim_prediction prediction;
    double measured_ns;    /* a decode pass: median over the samples of their means */
    double measured_bytes; /* read in it */
    double error;          /* |predicted / measured - 1| of the time */
};

struct sim_checks {
    json_t *document;
    struct sim_check *list;
    size_t count;
    size_t n_unrouted; /* streaming cells of a mixture whose routes were not recorded */
    size_t n_left_out; /* streaming cells with samples, but without a bandwidth or a reference */
};

/* path: a result.json or the directory it lies in. Free them whatever the outcome. */
enum lb_status sim_check_result(const char *path, struct sim_checks *checks, struct lb_error *err);
void sim_checks_free(struct sim_checks *checks);

/* `simulate --against`: a line a cell, then median and 95th percentile of the errors. */
void sim_print_checks(const struct sim_checks *checks, FILE *out);
/* 0, or -1 when out of memory. */
int sim_print_checks_json(const struct sim_checks *checks, FILE *out);

/* Attaches "prediction" to the cells of a run that has been written, and writes it again. What
 * cannot be predicted is a warning. */
enum lb_status sim_attach(struct results *results, struct lb_error *err);

#endif
