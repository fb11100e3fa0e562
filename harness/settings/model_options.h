/*
 * model_options: what all commands that open a model have in common: --model, the engine's
 * options, opening with messages, and the summary of what happened.
 */
#ifndef MODEL_OPTIONS_H
#define MODEL_OPTIONS_H

#include "settings/cli.h"
#include "settings/options.h"

/* The option --model, and all engine options without the benchmark's. */
struct cli_group model_options_file(struct settings *settings);
struct cli_group model_options_group(struct settings *settings);

/* Opens with messages: prints the error (as "layerbench COMMAND: ...") and returns the exit code
 * for it, or prints the engine's notice if there is one and returns EXIT_OK. */
int model_options_open(const char *command, const struct settings *settings,
                       struct lb_engine **engine);

/* Prints err and returns the exit code: bad input 2, anything else 5. When a file was being
 * opened, one that cannot be read is bad input too. */
int model_options_error(const char *command, const struct lb_error *err);
int model_options_open_error(const char *command, const struct lb_error *err);

/* A note on stderr where the ids of a text that was to begin with `bos` (-1: none) begin with two.
 */
void model_options_note_bos(const char *command, int32_t bos, const int32_t *ids, size_t n);

/* Accesses by outcome, bytes read and waits since open, on stderr. */
void model_options_summary(struct lb_engine *engine);

#endif
