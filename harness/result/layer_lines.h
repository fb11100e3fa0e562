/* layer_lines: layers.jsonl, one line an access; appended sample by sample, mended on resume. */
#ifndef LAYER_LINES_H
#define LAYER_LINES_H

#include "result/line_file.h"
#include "sample/sample.h"

/* Appends a sample's log (file_append: a line is never torn). */
enum lb_status layer_lines_append(const char *path, const char *cell, const struct sample *sample,
                                  struct lb_error *err);
/* Calls seen() for every whole line. No such file: none. */
enum lb_status layer_lines_each(const char *path,
                                void (*seen)(void *ctx, const char *cell, int32_t rep), void *ctx,
                                struct lb_error *err);
enum lb_status layer_lines_mend(const char *path, line_file_keep *keep, void *ctx,
                                struct lb_error *err);

#endif
