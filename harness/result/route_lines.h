/*
 * route_lines: routes.csv, the experts that routers chose: a line for each token and layer,
 * appended sample by sample where log_routes asks for it.
 *
 *   cell,rep,sequence,position,pass,layer,experts,weights
 *
 * Experts stand in the router's order, with a blank between them, and so do their weights.
 */
#ifndef ROUTE_LINES_H
#define ROUTE_LINES_H

#include "result/line_file.h"
#include "sample/sample.h"

/* Appends a sample's routes; the first line of the file tells the columns. */
enum lb_status route_lines_append(const char *path, const char *cell, const struct sample *sample,
                                  struct lb_error *err);
enum lb_status route_lines_mend(const char *path, line_file_keep *keep, void *ctx,
                                struct lb_error *err);

#endif
