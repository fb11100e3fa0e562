/* file_io: whole files, read as base/input.h and written as base/output.h say. */
#ifndef FILE_IO_H
#define FILE_IO_H

#include "base/output.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* *text allocated with malloc, with a '\0' after its *length bytes. path "-": stdin. */
enum lb_status file_read(const char *path, char **text, size_t *length, struct lb_error *err);
/* The same, to be read piece by piece; the caller closes it. NULL: LB_ERR_INPUT. */
FILE *file_open(const char *path, struct lb_error *err);
/* Could the file be written? For before the work whose result it gets; nothing is left. */
enum lb_status file_check_output(const char *path, struct lb_error *err);
enum lb_status file_replace(const char *path, const void *data, size_t length,
                            struct lb_error *err);
/* A file to be replaced that is written piece by piece, to .out. finish: all of it is there, or the
 * error of the write that failed and the old file. Either of the last two ends it. */
struct file_stream {
    struct lb_output output;
    FILE *out;
};
enum lb_status file_stream_open(const char *path, struct file_stream *s, struct lb_error *err);
enum lb_status file_stream_finish(struct file_stream *s, struct lb_error *err);
void file_stream_abandon(struct file_stream *s);
/* To the end of the file, made when it is not there, by a process of its own that a kill of this
 * one does not reach: all of it is there, or nothing. On disk when this returns. */
enum lb_status file_append(const char *path, const void *data, size_t length, struct lb_error *err);
/* With all missing parents. */
enum lb_status file_make_directory(const char *path, struct lb_error *err);
bool file_exists(const char *path);

/* Allocated text as by printf; NULL when out of memory. */
char *file_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
