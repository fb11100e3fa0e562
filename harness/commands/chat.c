/*
 * chat: a conversation: messages from stdin, a line each; answers to stdout. What was said stays in
 * the KV cache, so that each turn costs its own tokens only.
 */
#include "commands/commands.h"
#include "commands/text_loop.h"
#include "common/exit_codes.h"
#include "settings/model_options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct chat {
    struct text_options sampling;
    bool quiet;
    struct text_loop loop;
    bool begun, ended; /* the last answer, by the model itself */
    uint64_t turns;
};

static const struct option own[] = {
    {"quiet", NULL, "no summary at the end", OPTION_FLAG, offsetof(struct chat, quiet),
     .letter = 'q'},
};

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* The ids of a message, with the template around it. */
static enum lb_status ids_of(struct chat *c, const char *message, int32_t **ids, size_t *n,
                             struct lb_error *err)
{
    const struct lb_turn turn = {message, c->sampling.chat_template, .follows = c->begun,
                                 .ended = c->ended, .system = c->sampling.system};
    const struct lb_text_options how = {.bos = !c->begun, .special = true};
    char *text = NULL;
    enum lb_status status = lb_engine_chat(c->loop.engine, &turn, &text, err);
    if (status == LB_OK)
        status = lb_engine_tokenize(c->loop.engine, text, strlen(text), how, ids, n, err);
    lb_release(text);
    return status;
}

static enum lb_status answer(struct chat *c, const char *message, struct lb_error *err)
{
    const uint32_t context = lb_engine_effective(c->loop.engine).context;
    int32_t *ids = NULL;
    size_t n = 0;
    enum lb_status status = ids_of(c, message, &ids, &n, err);
    if (status == LB_OK && c->begun && c->loop.held + n >= context) {
        fprintf(stderr,
                "layerbench chat: the context of %u tokens (--context) is full: what was said "
                "before is forgotten\n",
                context);
        c->begun = false;
        lb_release(ids);
        status = ids_of(c, message, &ids, &n, err);
    }
    if (status == LB_OK && n >= context)
        status = lb_fail(err, LB_ERR_INPUT,
                         "a message of %zu tokens: expected less than %u (--context)", n, context);
    if (status == LB_OK)
        status = text_loop_feed(&c->loop, c->begun, ids, n, err);
    lb_release(ids);
    if (status != LB_OK)
        return status;
    c->begun = true;
    c->turns++;
    uint32_t room = context - c->loop.held;
    return text_loop_write(&c->loop, c->sampling.tokens < room ? c->sampling.tokens : room,
                           &interrupted, &c->ended, err);
}

/* A line without its end, false: there are no more. Ctrl-C begins the line anew. */
static bool read_message(char **line, size_t *room)
{
    const bool asks = isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1;
    for (;;) {
        interrupted = 0;
        if (asks)
            fputs("> ", stderr);
        errno = 0;
        ssize_t n = getline(line, room, stdin);
        if (n >= 0) {
            (*line)[strcspn(*line, "\r\n")] = '\0';
            return true;
        }
        if (asks)
            fputc('\n', stderr);
        if (errno != EINTR)
            return false;
        clearerr(stdin);
    }
}

static int converse(struct chat *c)
{
    struct lb_error err = LB_ERROR_INIT;
    struct sigaction old, ours = {.sa_handler = interrupt};
    char *line = NULL;
    size_t room = 0;
    int32_t *ids = NULL;
    size_t n;
    const uint32_t context = lb_engine_effective(c->loop.engine).context;
    /* what no message can mend is refused before anything is typed */
    enum lb_status status = ids_of(c, "", &ids, &n, &err);
    lb_release(ids);
    if (status == LB_OK && n >= context)
        status =
            lb_fail(&err, LB_ERR_INPUT,
                    "--system: %zu tokens with the template: expected less than %u (--context)", n,
                    context);
    sigaction(SIGINT, &ours, &old);
    while (status == LB_OK && read_message(&line, &room)) {
        if (*line)
            status = answer(c, line, &err);
        if (status == LB_ERR_INPUT) { /* this message: the next may be better */
            model_options_error("chat", &err);
            err = (struct lb_error)LB_ERROR_INIT;
            status = LB_OK;
        }
    }
    sigaction(SIGINT, &old, NULL);
    free(line);
    return status == LB_OK ? EXIT_OK : model_options_error("chat", &err);
}

int command_chat(int argc, char **argv)
{
    struct settings settings = settings_default();
    struct chat c = {.sampling = {.tokens = 1024,
                                  .top_k = 40,
                                  .top_p = 0.95,
                                  .temperature = 0.7,
                                  .chat_template = "auto"}};
    struct cli_group groups[] = {{"options", own, sizeof own / sizeof *own, &c, 0},
                                 text_options_group(&c.sampling),
                                 model_options_file(&settings),
                                 model_options_group(&settings),
                                 {NULL, NULL, 0, NULL, 0}};
    struct cli cli = {"chat", "--model FILE [options]",
                      "Answers messages, a line of standard input each, in the model's own chat\n"
                      "template; what was said stays in the KV cache. Ctrl-C ends an answer, the\n"
                      "end of the input (Ctrl-D) ends the program.",
                      groups};
    int code = cli_parse(&cli, &argc, argv);
    if (code >= 0)
        return code;
    if (argc > 1)
        return cli_fail("chat", "'%s': expected options only; messages come on standard input",
                        argv[1]);
    if (strcmp(settings.engine.speculation.speculate, "replay") == 0)
        return cli_fail("chat", "--speculate replay: expected off, ngram or draft");
    code = text_loop_open("chat", &settings, &c.sampling, &c.loop);
    if (code == EXIT_OK)
        code = converse(&c);
    if (code == EXIT_OK && !c.quiet && c.turns > 0) {
        fprintf(stderr, "%llu messages, %u of %u tokens of context\n", (unsigned long long)c.turns,
                c.loop.held, lb_engine_effective(c.loop.engine).context);
        model_options_summary(c.loop.engine);
    }
    text_loop_close(&c.loop);
    return code;
}
