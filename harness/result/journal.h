/*
 * journal: samples.jsonl, the samples that result.json does not hold yet, one a line with the name
 * of its cell. Taking a sample so costs what is new; result.json, which is written as a whole, is
 * written now and then, and the journal is gone with that.
 */
#ifndef JOURNAL_H
#define JOURNAL_H

#include "sample/sample.h"

/* Appends one sample, failed or not (file_append: a line is never torn). */
enum lb_status journal_add(const char *path, const char *cell, const struct sample *sample,
                           struct lb_error *err);

/* Hands over every sample in order; take() owns it from then on and fails as it likes. No file: no
 * samples. A last line without its end was cut, and is left out. LB_ERR_INPUT: a line that is no
 * sample, with its number. */
enum lb_status journal_read(const char *path,
                            enum lb_status (*take)(void *ctx, const char *cell,
                                                   struct sample *sample, struct lb_error *err),
                            void *ctx, struct lb_error *err);

#endif
