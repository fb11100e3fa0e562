/*
 * sweep: options set and varied on the command line, with a scenario file or instead of one.
 *
 * NAME=VALUE sets an option, NAME=VALUES varies it. VALUES: values with commas between them, each
 * one or a range, FIRST-LAST, FIRST-LAST+STEP or FIRST-LAST*FACTOR (1-8*2 is 1,2,4,8). A text that
 * is a value as a whole is one, such as the processors 0-3,6; an option that is varied again gets
 * more values.
 */
#ifndef SWEEP_H
#define SWEEP_H

#include "base/status.h"
#include "settings/option.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct sweep_list {
    const char **texts;
    size_t count;
};

struct sweep {
    struct sweep_list set, vary;
};

/* False: out of memory. */
bool sweep_add(struct sweep_list *list, const char *text);
void sweep_free(struct sweep *sweep);

/* The option's value as it would stand in a scenario; NULL: it is none. */
json_t *sweep_value(const struct option *o, const char *text, struct lb_error *err);

/* "cache_layers=2,4": its option, and its values, as they would stand in a scenario, to the list
 * that *lists (an object) has for the option. NULL: an error. */
const struct option *sweep_values(const char *text, json_t *lists, struct lb_error *err);

/* A document for the model alone, to be given a matrix by sweep_apply. */
json_t *sweep_document(const struct sweep *sweep, const char *model);
/* Puts the options into the document, in place of what it says of them. */
enum lb_status sweep_apply(const struct sweep *sweep, json_t *document, struct lb_error *err);

#endif
