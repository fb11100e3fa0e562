/*
 * options: every option of the engine and of a benchmark's work, in one table.
 *
 * struct settings is what the table fills: what the engine is opened with, and what is then
 * done with it.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "engine.h"
#include "settings/option.h"

struct settings {
    struct lb_options engine;
    uint32_t prompt_tokens;   /* prefilled before the timed decode passes; of texts, at most */
    const char *prompts;      /* path of a file of texts (prompts.h); "": random tokens */
    uint32_t generate_tokens; /* decode passes */
    const char *page_cache;   /* "as-is", "cold", "warm": the state before each sample */
    uint64_t memory_limit;    /* bytes for the whole process; 0: none */
    const char *affinity;     /* processors such as "0-3,6"; "": any */
    const char *program;      /* whose cell it is: "layerbench", or another (study/peer.h) */
    bool log_routes;          /* routes.csv: which experts were chosen */
};

/* lb_options_default() and 16 prompt tokens, 8 generated. */
struct settings settings_default(void);

/* The table, *count long; offsets are into struct settings. */
const struct option *options_table(size_t *count);
/* NULL: "unknown option 'x': did you mean 'y'?" */
const struct option *options_named(const char *name, struct lb_error *err);

/* Files that it streams from: the model and its copies. An emulated device is there for each. */
uint32_t settings_drives(const struct settings *settings);

#endif
