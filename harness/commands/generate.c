/*
 * generate: continues a prompt. The text goes to stdout as it comes, timing to stderr.
 * Load ends when the engine is open; prefill is the prompt's passes; decode is one pass for each
 * generated token but the last, which is not fed back, or fewer where tokens are guessed.
 */
#include "base/clock.h"
#include "commands/commands.h"
#include "common/amounts.h"
#include "common/exit_codes.h"
#include "sample/op_profile.h"
#include "settings/model_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct generate {
    const char *prompt, *profile;
    uint32_t tokens, top_k;
    double temperature, top_p;
    uint64_t seed;
    bool special, chat, quiet;
};

static const char *const choices_profile[] = {"none", "ops", NULL};

#define FIELD(name) offsetof(struct generate, name)
static const struct option own[] = {
    {"prompt", "TEXT", "the text to continue", OPTION_TEXT, FIELD(prompt), .letter = 'p'},
    {"tokens", "N", "how many tokens to generate", OPTION_COUNT, FIELD(tokens), .letter = 'n',
     .min = 1},
    {"temperature", "T", "0: always the likeliest token", OPTION_REAL, FIELD(temperature),
     .max = 100},
    {"top_k", "K", "sample from the K likeliest; 0: all", OPTION_COUNT, FIELD(top_k), .flags = 0},
    {"top_p", "P", "sample from the likeliest that make up P", OPTION_REAL, FIELD(top_p), .max = 1},
    {"seed", "N", "of sampling", OPTION_COUNT64, FIELD(seed), .flags = 0},
    {"special", NULL, "recognise special tokens in the prompt", OPTION_FLAG, FIELD(special),
     .flags = 0},
    {"chat", NULL, "the prompt is a message: put the model's chat template around it", OPTION_FLAG,
     FIELD(chat), .flags = 0},
    {"profile", "WHAT", "ops: where the time went, by operation and layer", OPTION_CHOICE,
     FIELD(profile), .choices = choices_profile},
    {"quiet", NULL, "no summary", OPTION_FLAG, FIELD(quiet), .letter = 'q'},
};

static const struct option model_option[] = {MODEL_OPTION};

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

static void put(const char *text)
{
    fputs(text, stdout);
    fflush(stdout);
}

/* Prints what was drawn, up to a token that ends the text; false: there it ends. */
static bool put_drawn(struct lb_engine *engine, const struct lb_drawn *drawn)
{
    for (uint32_t i = 0; i < drawn->n; i++) {
        if (lb_engine_ends(engine, drawn->tokens[i]))
            return false;
        put(lb_engine_detokenize(engine, drawn->tokens[i]));
    }
    return true;
}

/* Prefill and the loop of drawing and decoding; prints as it goes. */
static enum lb_status continue_text(struct lb_engine *engine, const struct generate *g,
                                    const int32_t *ids, size_t n_ids, struct lb_decoder *decoder,
                                    struct timing *timing, struct lb_error *err)
{
    struct lb_drawn drawn;
    int64_t start = lb_now_ns();
    enum lb_status status = lb_decoder_begin(decoder, 0, ids, n_ids, &drawn, err);
    if (status != LB_OK)
        return status;
    timing->prefill_ns = lb_now_ns() - start;
    timing->prompt_tokens = n_ids;
    if (strcmp(g->profile, "ops") == 0 && !op_profile_take(engine, &timing->prefill))
        return lb_fail(err, LB_ERR_NOMEM, "out of memory for a profile");
    /* The prompt goes through the detokenizer too, so that the first new token joins it. */
    for (size_t i = 0; i < n_ids; i++)
        (void)lb_engine_detokenize(engine, ids[i]);
    if (!g->chat)
        put(g->prompt);
    /* the other sequences of a batch stay empty: they have no limit */
    uint32_t batch = lb_engine_effective(engine).batch;
    uint32_t *limits = calloc(batch, sizeof *limits);
    struct lb_drawn *all = calloc(batch, sizeof *all);
    if (!limits || !all)
        status = lb_fail(err, LB_ERR_NOMEM, "out of memory for a step");
    uint32_t left = g->tokens - 1;
    bool goes_on = put_drawn(engine, &drawn);
    while (status == LB_OK && goes_on && left > 0) {
        limits[0] = left;
        status = lb_decoder_step(decoder, limits, all, err);
        if (status == LB_OK) {
            goes_on = put_drawn(engine, &all[0]);
            left -= all[0].n;
        }
    }
    free(limits);
    free(all);
    timing->drafts = lb_decoder_drafts(decoder);
    if (status == LB_OK) {
        put(lb_engine_detokenize(engine, -1));
        put("\n");
    }
    return status;
}

static int generate(struct lb_engine *engine, const struct generate *g,
                    const struct lb_speculation *speculation, struct timing *timing)
{
    struct lb_error err = LB_ERROR_INIT;
    struct lb_sampling sampling = {(float)g->temperature, g->top_k, (float)g->top_p, g->seed};
    struct lb_text_options how = {.bos = true, .special = g->special || g->chat};
    struct lb_decoder *decoder = NULL;
    const char *prompt = g->prompt;
    char *chat = NULL;
    int32_t *ids = NULL;
    size_t n_ids = 0;
    uint32_t context = lb_engine_effective(engine).context;
    if (lb_decoder_open(engine, speculation, &sampling, &decoder, &err) != LB_OK ||
        (g->chat && lb_engine_chat(engine, prompt, &chat, &err) != LB_OK))
        goto done;
    if (chat)
        prompt = chat;
    if (lb_engine_tokenize(engine, prompt, strlen(prompt), how, &ids, &n_ids, &err) != LB_OK)
        goto done;
    model_options_note_bos("generate", lb_engine_bos(engine), ids, n_ids);
    if (n_ids == 0)
        lb_fail(&err, LB_ERR_INPUT, "--prompt: '': expected text that gives at least one token");
    else if (n_ids + g->tokens - 1 > context)
        lb_fail(&err, LB_ERR_INPUT,
                "%zu tokens of prompt and %u to generate: expected at most %u (--context)", n_ids,
                g->tokens, context);
    else
        continue_text(engine, g, ids, n_ids, decoder, timing, &err);
done:
    lb_release(ids);
    lb_release(chat);
    lb_decoder_close(decoder);
    return err.code == LB_OK ? EXIT_OK : model_options_error("generate", &err);
}

int command_generate(int argc, char **argv)
{
    struct settings settings = settings_default();
    struct generate g = {.tokens = 64, .top_k = 40, .top_p = 0.95, .profile = "none"};
    struct cli_group groups[] = {{"options", own, sizeof own / sizeof *own, &g, 0},
                                 {"model", model_option, 1, &settings, 0},
                                 model_options_group(&settings),
                                 {NULL, NULL, 0, NULL, 0}};
    struct cli cli = {"generate", "--model FILE --prompt TEXT [options]",
                      "Continues a prompt: text to stdout, timing to stderr.", groups};
    int code = cli_parse(&cli, &argc, argv);
    if (code >= 0)
        return code;
    if (argc > 1)
        return cli_fail("generate", "'%s': expected options only; the text goes after --prompt",
                        argv[1]);
    if (!g.prompt)
        return cli_fail("generate", "no prompt: expected --prompt TEXT");
    const struct lb_speculation *speculation = &settings.engine.speculation;
    if (strcmp(speculation->speculate, "replay") == 0)
        return cli_fail("generate", "--speculate replay: expected off, ngram or draft: what is "
                                    "replayed is known only in a run");
    settings.engine.profile = strcmp(g.profile, "ops") == 0;
    struct timing timing = {0};
    struct lb_engine *engine;
    int64_t start = lb_now_ns();
    code = model_options_open("generate", &settings, &engine);
    if (code != EXIT_OK)
        return code;
    timing.load_ns = lb_now_ns() - start;
    code = generate(engine, &g, speculation, &timing);
    if (code == EXIT_OK && !g.quiet) {
        print_timing(&timing);
        if (strcmp(speculation->speculate, "off") != 0)
            print_drafts(&timing.drafts, speculation->speculate);
        model_options_summary(engine);
        if (settings.engine.profile)
            print_profiles(engine, &timing.prefill);
    }
    op_profile_free(&timing.prefill);
    lb_engine_close(engine);
    return code;
}
