/* cell_predictions: what the simulator says of each cell, beside what was measured. */
#ifndef CELL_PREDICTIONS_H
#define CELL_PREDICTIONS_H

#include "results.h"

/* Attaches "prediction" to every streaming cell whose floor is known: the planner under the
 * virtual clock, with the compute time of the reference cell and the bandwidth of the floor.
 * Without a background thread outcomes do not depend on time: then they must be exactly as
 * predicted ("exact"), and a difference is a warning. */
void cell_predictions(struct results *results);

#endif
