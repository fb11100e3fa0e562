/*
 * prompts: texts that a benchmark's sequences begin with, from a file: one a line, or, in a file
 * .jsonl, one {"text": "..."} a line. Empty lines are left out.
 */
#ifndef PROMPTS_H
#define PROMPTS_H

#include "base/status.h"

#include <stddef.h>

struct prompts {
    char **texts;
    size_t count;
};

/* LB_ERR_INPUT: no such file, no prompt in it, a line that is none. prompts_free in any case. */
enum lb_status prompts_read(const char *path, struct prompts *prompts, struct lb_error *err);
void prompts_free(struct prompts *prompts);

#endif
