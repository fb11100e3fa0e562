/*
 * environment: what machine, kernel, disk and build a result comes from.
 *
 * Each entry is {"value", "source"}, or {"value": null, "reason"} where the machine does not say.
 * Under "before" and "after" stand the entries that change while a run goes on.
 */
#ifndef ENVIRONMENT_H
#define ENVIRONMENT_H

#include <jansson.h>
#include <stdio.h>

/* model: the model file, or NULL; directory: where the result goes (or ".").  */
json_t *environment_collect(const char *model, const char *directory);
/* Fills "after". */
void environment_finish(json_t *environment);

/* Version, revision, compiler and kernels of this program, a line each. */
void environment_print_build(FILE *out);

/* Texts: what makes figures unstable on this machine (governor, load, steal, swap, ...). */
json_t *environment_warnings(const json_t *environment);
/* Texts: what has changed between "before" and "after" that makes figures doubtful. */
json_t *environment_changes(const json_t *environment);

/* Hash of the entries that have to be the same for times to be compared. */
void environment_key(const json_t *environment, char text[65]);

/* For the parts in other files: one entry. environment_file takes the first line of a file. */
void environment_put(json_t *object, const char *name, json_t *value, const char *source);
void environment_null(json_t *object, const char *name, const char *reason);
void environment_file(json_t *object, const char *name, const char *path);

/* environment_disk.c: the file system and block device that `path` lies on, as `prefix`_*. */
void environment_disk(json_t *object, const char *prefix, const char *path);

#endif
