/*
 * scenario_file: a scenario as a file: JSON with // and block comments, and with "include".
 *
 * An included file's keys are those of the document, unless it has its own; of `fixed` and `matrix`
 * that holds of each option by itself, wherever it stands. Paths are looked up beside the file that
 * names them: included files always, `model.path` and options that are files first there, then as
 * they stand.
 */
#ifndef SCENARIO_FILE_H
#define SCENARIO_FILE_H

#include "study/scenario.h"

/* Of a file, or of the name of a scenario that comes with the program: the document with what it
 * includes in it; sha256: of all bytes read. */
enum lb_status scenario_document(const char *path, json_t **document, char sha256[65],
                                 struct lb_error *err);
enum lb_status scenario_read(const char *path, struct scenario *scenario, struct lb_error *err);

/* Of a document that is not that of a file's bytes. */
enum lb_status scenario_hash(const json_t *document, char sha256[65], struct lb_error *err);

/* Puts an option under `part` ("fixed" or "matrix") of the document, and out of the other; takes
 * the value over. */
void scenario_put(json_t *document, const char *part, const char *option, json_t *value);

#endif
