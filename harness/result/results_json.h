/* results_json: a run as the JSON document of result.json, and back. */
#ifndef RESULTS_JSON_H
#define RESULTS_JSON_H

#include "result/results.h"

/* All options of a cell, typed as in a scenario; sizes as bytes. */
json_t *results_options(const struct settings *settings);

/* NULL when out of memory or when Google Benchmark refuses. */
json_t *results_to_json(const struct results *results);

/* Its parts, for joining several documents: the samples of cells that are (or are not) borrowed,
 * then context, bandwidths, warnings, the earliest start. `origin` is noted in each sample.
 * Start times are made to count from results->started_realtime_ns, where that is set. */
enum lb_status results_take_cells(struct results *results, const json_t *document, uint32_t origin,
                                  bool borrowed, struct lb_error *err);
void results_take_rest(struct results *results, const json_t *document);

/* Takes samples, context, environment, warnings from a document of the same run; the error says
 * what is damaged or different. */
enum lb_status results_from_json(struct results *results, const json_t *document,
                                 struct lb_error *err);

#endif
