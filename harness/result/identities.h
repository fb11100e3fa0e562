/*
 * identities: what must hold in every sample, whatever it measured. A sample that breaks one is
 * not trusted: its cell is invalid and the run ends with EXIT_FAILED.
 */
#ifndef IDENTITIES_H
#define IDENTITIES_H

#include "sample/sample.h"

/* Checks the sample against itself and the settings of its cell: counts, times, bytes, memory.
 * Returns what does not hold as an array of texts (empty: all is well). */
json_t *identities_check(const struct sample *sample, const struct settings *settings);

/* Two samples of the same work must have computed the same: NULL, or what differs (malloc). */
char *identities_compare(const struct sample *sample, const struct sample *other,
                         const char *other_cell);

#endif
