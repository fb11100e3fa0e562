/*
 * gbench_file: a file of Google Benchmark, of any origin, as a result: its benchmarks are cells,
 * its repetitions samples.
 *
 * A sample holds real_time and cpu_time in ns and each counter under its name; aggregates are left
 * out, so that a file of aggregates alone has cells without samples.
 */
#ifndef GBENCH_FILE_H
#define GBENCH_FILE_H

#include <jansson.h>
#include <stdbool.h>

/* Whether the document is one, and none of layerbench's. */
bool gbench_file_is(const json_t *document);
/* Gives it a key "layerbench". False: out of memory. */
bool gbench_file_import(json_t *document);
/* Whether a result has come this way. */
bool gbench_file_imported(const json_t *ours);

#endif
