/* layer_lines: layers.jsonl, one line an access; appended sample by sample, mended on resume. */
#ifndef LAYER_LINES_H
#define LAYER_LINES_H

#include "sample/sample.h"

/* Appends a sample's log (file_append: a line is never torn). */
enum lb_status layer_lines_append(const char *path, const char *cell, const struct sample *sample,
                                  struct lb_error *err);

/* Drops lines that are damaged or for which keep() is false. Nothing there: nothing to do. */
enum lb_status layer_lines_mend(const char *path,
                                bool (*keep)(void *ctx, const char *cell, int32_t rep), void *ctx,
                                struct lb_error *err);

#endif
