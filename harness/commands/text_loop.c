/* text_loop: see text_loop.h. */
#include "commands/text_loop.h"

#include "base/clock.h"
#include "common/exit_codes.h"
#include "settings/model_options.h"

#include <stdio.h>
#include <stdlib.h>

#define SHOWN_AFTER_NS 400000000 /* what is done sooner needs no bar */

#define FIELD(name) offsetof(struct text_options, name)
static const struct option table[] = {
    {"tokens", "N", "how many tokens to generate", OPTION_COUNT, FIELD(tokens), .letter = 'n',
     .min = 1},
    {"temperature", "T", "0: always the likeliest token", OPTION_REAL, FIELD(temperature),
     .max = 100},
    {"top_k", "K", "sample from the K likeliest; 0: all", OPTION_COUNT, FIELD(top_k), .flags = 0},
    {"top_p", "P", "sample from the likeliest that make up P", OPTION_REAL, FIELD(top_p), .max = 1},
    {"seed", "N", "of sampling", OPTION_COUNT64, FIELD(seed), .flags = 0},
    {"chat_template", "FORMAT", "around messages, instead of the model's", OPTION_CHOICE,
     FIELD(chat_template), .choice_kind = "chat_template"},
    {"system", "TEXT", "a system message, before the first one", OPTION_TEXT, FIELD(system),
     .flags = 0},
};

struct cli_group text_options_group(struct text_options *sampling)
{
    return (struct cli_group){"text", table, sizeof table / sizeof *table, sampling, 0};
}

/* ---- open and close ---- */

static void show_progress(void *ctx, bool opening, uint64_t done, uint64_t total)
{
    struct progress *p = ctx;
    p->label = opening ? "load" : "prompt";
    if (lb_now_ns() - p->start_ns > SHOWN_AFTER_NS)
        progress_update(p, done, total, NULL);
}

int text_loop_open(const char *command, struct settings *settings,
                   const struct text_options *sampling, struct text_loop *loop)
{
    const struct lb_sampling how = {(float)sampling->temperature, sampling->top_k,
                                    (float)sampling->top_p, sampling->seed};
    struct lb_error err = LB_ERROR_INIT;
    *loop = (struct text_loop){.progress = progress_begin("load")};
    settings->engine.progress = show_progress;
    settings->engine.progress_ctx = &loop->progress;
    int code = model_options_open(command, settings, &loop->engine);
    progress_end(&loop->progress);
    loop->load_ns = lb_now_ns() - loop->progress.start_ns;
    if (code != EXIT_OK)
        return code;
    uint32_t batch = lb_engine_effective(loop->engine).batch;
    loop->limits = calloc(batch, sizeof *loop->limits);
    loop->drawn = calloc(batch, sizeof *loop->drawn);
    if (!loop->limits || !loop->drawn)
        lb_fail(&err, LB_ERR_NOMEM, "out of memory for a step");
    else
        lb_decoder_open(loop->engine, &settings->engine.speculation, &how, &loop->decoder, &err);
    return err.code == LB_OK ? EXIT_OK : model_options_error(command, &err);
}

void text_loop_close(struct text_loop *loop)
{
    lb_decoder_close(loop->decoder);
    lb_engine_close(loop->engine);
    free(loop->limits);
    free(loop->drawn);
}

/* ---- prompt and answer ---- */

enum lb_status text_loop_feed(struct text_loop *loop, bool append, const int32_t *ids, size_t n,
                              struct lb_error *err)
{
    loop->progress = progress_begin("prompt");
    enum lb_status status =
        append ? lb_decoder_append(loop->decoder, 0, loop->held, ids, n, loop->drawn, err)
               : lb_decoder_begin(loop->decoder, 0, ids, n, loop->drawn, err);
    progress_end(&loop->progress);
    if (status == LB_OK)
        loop->held = (append ? loop->held : 0) + (uint32_t)n;
    /* The prompt goes through the detokenizer too, so that the first new token joins it. */
    for (size_t i = 0; status == LB_OK && i < n; i++)
        (void)lb_engine_detokenize(loop->engine, ids[i]);
    return status;
}

static void put(const char *text)
{
    fputs(text, stdout);
    fflush(stdout);
}

/* Writes what was drawn, up to a token that ends the text; true: there it ends. */
static bool write_drawn(struct text_loop *loop)
{
    for (uint32_t i = 0; i < loop->drawn->n; i++) {
        const int32_t token = loop->drawn->tokens[i];
        loop->held++;
        if (lb_engine_ends(loop->engine, token))
            return true;
        put(lb_engine_detokenize(loop->engine, token));
    }
    return false;
}

enum lb_status text_loop_write(struct text_loop *loop, uint32_t tokens,
                               const volatile sig_atomic_t *stop, bool *ended, struct lb_error *err)
{
    enum lb_status status = LB_OK;
    uint32_t left = tokens - 1;
    *ended = write_drawn(loop);
    while (status == LB_OK && !*ended && left > 0 && !(stop && *stop)) {
        loop->limits[0] = left; /* the other sequences of a batch stay empty */
        status = lb_decoder_step(loop->decoder, loop->limits, loop->drawn, err);
        if (status == LB_OK) {
            left -= loop->drawn->n;
            *ended = write_drawn(loop);
        }
    }
    if (status == LB_OK) {
        put(lb_engine_detokenize(loop->engine, -1));
        put("\n");
    }
    return status;
}
