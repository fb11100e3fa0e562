/*
 * peer: another program as a cell: its command, and where in what it prints the figures stand.
 *
 *   {"name": "llama-bench", "label": "llama.cpp, mapped", "about": "...",
 *    "command": ["llama-bench", "-m", "{model}", "-n", "{generate_tokens}", "-o", "json"],
 *    "read": {"tokens_per_second": "/1/avg_ts"}}
 *
 * {model} is the model file, {seed} the seed of the work, {OPTION} the value of an option
 * (settings/options.h); "{{" is a brace. A place is that of find_number.h. Options that the command
 * does not name do not vary its cells, but for those that the runner sees to (memory_limit,
 * page_cache, affinity).
 *
 * `tokens_per_second`, where it is read, makes the time of its passes; else a pass is the program's
 * wall time over generate_tokens, where the command names them, and else all of it.
 */
#ifndef PEER_H
#define PEER_H

#include "base/status.h"
#include "settings/options.h"

#include <jansson.h>

#define PEER_OURS "layerbench" /* the engine that is no peer */

struct peer {
    json_t *definition;
    const char *name, *label; /* texts of the definition */
};

/* From a definition (takes a reference), or the name of one that the program carries
 * (scenarios/engines/NAME.json). The error says what and where inside it. */
enum lb_status peer_open(json_t *value, struct peer *peer, struct lb_error *err);
void peer_close(struct peer *peer);

bool peer_uses(const struct peer *peer, const char *option);
/* Its first word as it would be started; false: there is no such program. */
bool peer_found(const struct peer *peer);
const char *peer_program(const struct peer *peer);

/* The command for a cell, NULL-terminated; NULL: out of memory. peer_arguments_free. */
char **peer_arguments(const struct peer *peer, const struct settings *settings, const char *model,
                      uint64_t seed);
void peer_arguments_free(char **arguments);

/* What it printed: numbers by their names; NULL when one is not there, and why. */
json_t *peer_printed(const struct peer *peer, const char *text, const char *messages,
                     char why[256]);

#endif
