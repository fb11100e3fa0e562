/*
 * document: result.json as it lies on disk. The only reader of the file; what its samples and cells
 * mean is for whoever asked (result_view.h tolerantly, result_set.h strictly, results.h to go on).
 */
#ifndef DOCUMENT_H
#define DOCUMENT_H

#include "base/status.h"

#include <jansson.h>

#define RESULT_SCHEMA_VERSION 1 /* layerbench.schema_version */

/* Where a result has that file: `result` is its directory, or its result.json under whatever name;
 * malloc, NULL when out of memory. */
char *document_file(const char *result, const char *name);

/* Parses the file; *document is the caller's to json_decref, NULL on failure. LB_ERR_INPUT: it
 * cannot be read, begins with a byte-order mark, or is not JSON. The error names file and place. */
enum lb_status document_read(const char *path, json_t **document, struct lb_error *err);

/* LB_ERR_INPUT when it has no key "layerbench" (another program's), or names a version that is not
 * known here. */
enum lb_status document_check(const char *path, const json_t *document, struct lb_error *err);

#endif
