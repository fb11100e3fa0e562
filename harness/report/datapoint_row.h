/*
 * datapoint_row: one cell of a result as one row for the tables that people share: processor,
 * memory, drive, shape of the model, setting, speed, share of the floor, version. No name of the
 * machine, of a file or folder, or of a person: options that name a file say "a file".
 */
#ifndef DATAPOINT_ROW_H
#define DATAPOINT_ROW_H

#include "result/result_view.h"

/* An object of these; NULL: out of memory. */
json_t *datapoint_json(struct result_view *view, const struct view_cell *cell);
/* Head and row of a table in Markdown. */
void datapoint_markdown(const json_t *datapoint, FILE *out);

#endif
