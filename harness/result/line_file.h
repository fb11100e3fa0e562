/* line_file: files of lines that grow sample by sample, each line of one cell's repetition; never
 * torn by a kill, mended on resume. */
#ifndef LINE_FILE_H
#define LINE_FILE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Closes the stream, which open_memstream made on *text and *length, appends its text (file_append:
 * a line is never torn) and frees it. */
enum lb_status line_file_append(const char *path, FILE *stream, char **text, size_t *length,
                                struct lb_error *err);

/* Whose line it is; "" as the cell: nobody's, always kept. False: damaged. */
typedef bool line_file_whose(const char *line, size_t length, char *cell, size_t size,
                             int32_t *rep);
typedef bool line_file_keep(void *ctx, const char *cell, int32_t rep);

/* Calls seen() for every whole line that is somebody's. Nothing there: nothing to do. */
enum lb_status line_file_each(const char *path, line_file_whose *whose,
                              void (*seen)(void *ctx, const char *cell, int32_t rep), void *ctx,
                              struct lb_error *err);

/* Drops lines that are damaged or for which keep() is false. Nothing there: nothing to do. */
enum lb_status line_file_mend(const char *path, line_file_whose *whose, line_file_keep *keep,
                              void *ctx, struct lb_error *err);

#endif
