/*
 * generate: continues a prompt. The text goes to stdout as it comes, timing to stderr.
 * Load ends when the engine is open; prefill is the prompt's passes; decode is one pass for each
 * generated token but the last, which is not fed back, or fewer where tokens are guessed.
 */
#include "base/clock.h"
#include "commands/commands.h"
#include "commands/text_loop.h"
#include "common/amounts.h"
#include "common/exit_codes.h"
#include "common/file_io.h"
#include "sample/op_profile.h"
#include "settings/model_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct generate {
    const char *prompt, *prompt_file, *profile;
    struct text_options sampling;
    bool special, chat, quiet;
};

static const char *const choices_profile[] = {"none", "ops", NULL};

#define FIELD(name) offsetof(struct generate, name)
static const struct option own[] = {
    {"prompt", "TEXT", "the text to continue", OPTION_TEXT, FIELD(prompt), .letter = 'p'},
    {"prompt_file", "FILE", "the text is all that is in this file; -: what comes on standard input",
     OPTION_TEXT, FIELD(prompt_file), .letter = 'f'},
    {"special", NULL, "recognise special tokens in the prompt", OPTION_FLAG, FIELD(special),
     .flags = 0},
    {"chat", NULL, "the prompt is a message: put the model's chat template around it", OPTION_FLAG,
     FIELD(chat), .flags = 0},
    {"profile", "WHAT", "ops: where the time went, by operation and layer", OPTION_CHOICE,
     FIELD(profile), .choices = choices_profile},
    {"quiet", NULL, "no summary", OPTION_FLAG, FIELD(quiet), .letter = 'q'},
};

struct timing {
    int64_t load_ns, prefill_ns;
    size_t prompt_tokens;
    struct lb_drafts drafts;
    struct op_profile prefill; /* where it is asked for */
};

static double per_second(size_t count, int64_t ns)
{
    return ns > 0 ? (double)count * 1e9 / (double)ns : 0;
}

static void print_timing(const struct timing *t)
{
    char load[32], prefill[32], decode[32];
    int64_t decode_ns = t->drafts.pass_ns + t->drafts.draft_ns;
    fprintf(stderr,
            "load %s; prefill %zu tokens in %s (%.4g tok/s); decode %llu passes in %s (%.4g "
            "tok/s)\n",
            amount_human_duration((double)t->load_ns, load, sizeof load), t->prompt_tokens,
            amount_human_duration((double)t->prefill_ns, prefill, sizeof prefill),
            per_second(t->prompt_tokens, t->prefill_ns), (unsigned long long)t->drafts.passes,
            amount_human_duration((double)decode_ns, decode, sizeof decode),
            per_second(t->drafts.tokens, decode_ns));
}

/* What guessing brought: tokens a pass, and how often each place of a draft was right. */
static void print_drafts(const struct lb_drafts *d, const char *how)
{
    char time[32], memory[32];
    fprintf(stderr,
            "speculate %s: %.2f tokens a pass; %llu drafted, %llu kept, %llu wasted; drafting took "
            "%s, %s of memory\n",
            how, d->passes > 0 ? (double)d->tokens / (double)d->passes : 0,
            (unsigned long long)d->made, (unsigned long long)d->kept,
            (unsigned long long)(d->made - d->kept),
            amount_human_duration((double)d->draft_ns, time, sizeof time),
            amount_human_size((double)d->bytes, memory, sizeof memory));
    if (d->reached[0] == 0)
        return;
    fputs("kept by place in the draft:", stderr);
    for (size_t i = 0; i < LB_DRAFT_MOST && d->reached[i] > 0; i++)
        fprintf(stderr, " %.2f", (double)d->right[i] / (double)d->reached[i]);
    fputc('\n', stderr);
}

static void print_profiles(struct lb_engine *engine, const struct op_profile *prefill)
{
    struct op_profile decode;
    if (op_profile_take(engine, &decode)) {
        op_profile_subtract(&decode, prefill);
        op_profile_print(prefill, "prefill", stderr);
        op_profile_print(&decode, "decode", stderr);
        op_profile_free(&decode);
    }
}

/* Prefill and the loop of drawing and decoding; prints as it goes. */
static enum lb_status continue_text(struct text_loop *loop, const struct generate *g,
                                    const char *prompt, const int32_t *ids, size_t n_ids,
                                    struct timing *timing, struct lb_error *err)
{
    bool ended;
    int64_t start = lb_now_ns();
    enum lb_status status = text_loop_feed(loop, false, ids, n_ids, err);
    if (status != LB_OK)
        return status;
    timing->prefill_ns = lb_now_ns() - start;
    timing->prompt_tokens = n_ids;
    if (strcmp(g->profile, "ops") == 0 && !op_profile_take(loop->engine, &timing->prefill))
        return lb_fail(err, LB_ERR_NOMEM, "out of memory for a profile");
    if (!g->chat)
        fputs(prompt, stdout);
    status = text_loop_write(loop, g->sampling.tokens, NULL, &ended, err);
    timing->drafts = lb_decoder_drafts(loop->decoder);
    return status;
}

static int generate(struct text_loop *loop, const struct generate *g, const char *prompt,
                    struct timing *timing)
{
    struct lb_error err = LB_ERROR_INIT;
    struct lb_text_options how = {.bos = true, .special = g->special || g->chat};
    char *chat = NULL;
    int32_t *ids = NULL;
    size_t n_ids = 0;
    uint32_t context = lb_engine_effective(loop->engine).context;
    const struct lb_turn turn = {.message = prompt,
                                 .chat_template = g->sampling.chat_template,
                                 .system = g->sampling.system};
    if (g->chat && lb_engine_chat(loop->engine, &turn, &chat, &err) != LB_OK)
        goto done;
    const char *text = chat ? chat : prompt;
    if (lb_engine_tokenize(loop->engine, text, strlen(text), how, &ids, &n_ids, &err) != LB_OK)
        goto done;
    model_options_note_bos("generate", lb_engine_bos(loop->engine), ids, n_ids);
    if (n_ids == 0)
        lb_fail(&err, LB_ERR_INPUT, "--prompt: '': expected text that gives at least one token");
    else if (n_ids + g->sampling.tokens - 1 > context)
        lb_fail(&err, LB_ERR_INPUT,
                "%zu tokens of prompt and %u to generate: expected at most %u (--context)", n_ids,
                g->sampling.tokens, context);
    else
        continue_text(loop, g, prompt, ids, n_ids, timing, &err);
done:
    lb_release(ids);
    lb_release(chat);
    return err.code == LB_OK ? EXIT_OK : model_options_error("generate", &err);
}

/* *prompt: of --prompt or of the file, then in *owned. -1 to go on, or the exit code. */
static int find_prompt(const struct generate *g, const char **prompt, char **owned)
{
    struct lb_error err = LB_ERROR_INIT;
    size_t length = 0;
    *prompt = g->prompt;
    if (!g->prompt == !g->prompt_file)
        return cli_fail("generate", "%s: expected --prompt TEXT or --prompt-file FILE",
                        g->prompt ? "two prompts" : "no prompt");
    if (!g->prompt_file)
        return -1;
    if (file_read(g->prompt_file, owned, &length, &err) != LB_OK)
        return model_options_open_error("generate", &err);
    if (strlen(*owned) != length)
        return cli_fail("generate", "--prompt-file: %s: expected text, not a byte 0 at %zu",
                        g->prompt_file, strlen(*owned));
    *prompt = *owned;
    return -1;
}

int command_generate(int argc, char **argv)
{
    struct settings settings = settings_default();
    struct generate g = {
        .sampling = {.tokens = 64, .top_k = 40, .top_p = 0.95, .chat_template = "auto"},
        .profile = "none"};
    struct cli_group groups[] = {{"options", own, sizeof own / sizeof *own, &g, 0},
                                 text_options_group(&g.sampling),
                                 model_options_file(&settings),
                                 model_options_group(&settings),
                                 {NULL, NULL, 0, NULL, 0}};
    struct cli cli = {"generate", "--model FILE --prompt TEXT [options]",
                      "Continues a prompt: text to stdout, timing to stderr.", groups};
    const char *prompt;
    char *owned = NULL;
    int code = cli_parse(&cli, &argc, argv);
    if (code >= 0)
        return code;
    if (argc > 1)
        return cli_fail("generate", "'%s': expected options only; the text goes after --prompt",
                        argv[1]);
    if (g.sampling.system && !g.chat)
        return cli_fail("generate", "--system: expected with --chat: it is part of a template");
    const struct lb_speculation *speculation = &settings.engine.speculation;
    if (strcmp(speculation->speculate, "replay") == 0)
        return cli_fail("generate", "--speculate replay: expected off, ngram or draft: what is "
                                    "replayed is known only in a run");
    settings.engine.profile = strcmp(g.profile, "ops") == 0;
    struct timing timing = {0};
    struct text_loop loop = {.engine = NULL};
    code = find_prompt(&g, &prompt, &owned);
    if (code < 0)
        code = text_loop_open("generate", &settings, &g.sampling, &loop);
    timing.load_ns = loop.load_ns;
    if (code == EXIT_OK)
        code = generate(&loop, &g, prompt, &timing);
    if (code == EXIT_OK && !g.quiet) {
        print_timing(&timing);
        if (strcmp(speculation->speculate, "off") != 0)
            print_drafts(&timing.drafts, speculation->speculate);
        model_options_summary(loop.engine);
        if (settings.engine.profile)
            print_profiles(loop.engine, &timing.prefill);
    }
    op_profile_free(&timing.prefill);
    text_loop_close(&loop);
    free(owned);
    return code;
}
