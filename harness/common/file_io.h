/*
 * file_io: whole files. Written to a temporary name beside the target, synced, renamed: a reader
 * sees the old file or the new one, whatever happens in between.
 */
#ifndef FILE_IO_H
#define FILE_IO_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* *text allocated with malloc, with a '\0' after its *length bytes. path "-": stdin. */
enum lb_status file_read(const char *path, char **text, size_t *length, struct lb_error *err);
enum lb_status file_replace(const char *path, const void *data, size_t length,
                            struct lb_error *err);
/* To the end of the file, made when it is not there, by a process of its own that a kill of this
 * one does not reach: all of it is there, or nothing. On disk when this returns. */
enum lb_status file_append(const char *path, const void *data, size_t length, struct lb_error *err);
/* With all missing parents. */
enum lb_status file_make_directory(const char *path, struct lb_error *err);
bool file_exists(const char *path);

/* Allocated text as by printf; NULL when out of memory. */
char *file_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
