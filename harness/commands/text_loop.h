/*
 * text_loop: what generate and chat have in common: how tokens are sampled, a prompt that is fed,
 * an answer that is written to stdout as it comes, and how far loading and the prompt are, on a
 * terminal.
 */
#ifndef TEXT_LOOP_H
#define TEXT_LOOP_H

#include "common/progress.h"
#include "engine.h"
#include "settings/cli.h"
#include "settings/options.h"

#include <signal.h>

struct text_options {
    uint32_t tokens, top_k;
    double temperature, top_p;
    uint64_t seed;
    const char *chat_template, *system; /* of messages */
};
/* Their options, with the defaults that *sampling has. */
struct cli_group text_options_group(struct text_options *sampling);

struct text_loop {
    struct progress progress;
    struct lb_engine *engine;
    struct lb_decoder *decoder;
    uint32_t *limits;       /* [batch] */
    struct lb_drawn *drawn; /* [batch] the first one's tokens are not written yet */
    uint32_t held;          /* tokens of the sequence that count */
    int64_t load_ns;
};

/* Opens the engine with messages (model_options_open), then a decoder; the exit code. Close it in
 * any case. */
int text_loop_open(const char *command, struct settings *settings,
                   const struct text_options *sampling, struct text_loop *loop);
void text_loop_close(struct text_loop *loop);

/* Feeds the ids; append: after what the sequence holds. */
enum lb_status text_loop_feed(struct text_loop *loop, bool append, const int32_t *ids, size_t n,
                              struct lb_error *err);
/* Writes up to so many tokens, until one ends the text (*ended) or *stop (may be NULL) is set. */
enum lb_status text_loop_write(struct text_loop *loop, uint32_t tokens,
                               const volatile sig_atomic_t *stop, bool *ended,
                               struct lb_error *err);

#endif
