/*
 * generate: continues a prompt. The text goes to stdout as it comes, timing to stderr.
 * Load ends when the engine is open; prefill is the prompt's passes; decode is one pass for each
 * generated token but the last, which is not fed back.
 */
#include "base/clock.h"
#include "commands/commands.h"
#include "common/exit_codes.h"
#include "common/values.h"
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
    int64_t load_ns, prefill_ns, decode_ns;
    size_t prompt_tokens, generated, decoded;
    struct op_profile prefill; /* where it is asked for */
};

static double per_second(size_t count, int64_t ns)
{
    return ns > 0 ? (double)count * 1e9 / (double)ns : 0;
}

static void print_timing(const struct timing *t)
{
    char load[32], prefill[32], decode[32];
    fprintf(stderr,
            "load %s; prefill %zu tokens in %s (%.4g tok/s); decode %zu passes in %s (%.4g "
            "tok/s)\n",
            value_human_duration((double)t->load_ns, load, sizeof load), t->prompt_tokens,
            value_human_duration((double)t->prefill_ns, prefill, sizeof prefill),
            per_second(t->prompt_tokens, t->prefill_ns), t->decoded,
            value_human_duration((double)t->decode_ns, decode, sizeof decode),
            per_second(t->decoded, t->decode_ns));
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

/* Prefill and the loop of sampling and decoding; prints as it goes. */
static enum lb_status continue_text(struct lb_engine *engine, const struct generate *g,
                                    const int32_t *ids, size_t n_ids, struct lb_sampler *sampler,
                                    float *logits, struct timing *timing, struct lb_error *err)
{
    int64_t start = lb_now_ns();
    enum lb_status status = lb_engine_prefill(engine, 0, ids, n_ids, false, logits, err);
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
    for (uint32_t i = 0; i < g->tokens; i++) {
        int32_t id = lb_sampler_next(sampler, logits);
        timing->generated++;
        if (lb_engine_ends(engine, id))
            break;
        put(lb_engine_detokenize(engine, id));
        if (i + 1 == g->tokens)
            break;
        start = lb_now_ns();
        status = lb_engine_decode(engine, &id, 1, logits, err);
        if (status != LB_OK)
            return status;
        timing->decode_ns += lb_now_ns() - start;
        timing->decoded++;
    }
    put(lb_engine_detokenize(engine, -1));
    put("\n");
    return LB_OK;
}

static int generate(struct lb_engine *engine, const struct generate *g, struct timing *timing)
{
    struct lb_error err = LB_ERROR_INIT;
    struct lb_sampling sampling = {(float)g->temperature, g->top_k, (float)g->top_p, g->seed};
    struct lb_text_options how = {.bos = true, .special = g->special || g->chat};
    struct lb_sampler *sampler = NULL;
    const char *prompt = g->prompt;
    char *chat = NULL;
    int32_t *ids = NULL;
    size_t n_ids = 0;
    uint32_t n_vocab = lb_engine_model(engine).n_vocab;
    uint32_t context = lb_engine_effective(engine).context;
    float *logits = malloc(n_vocab * sizeof *logits);
    if (!logits) {
        lb_fail(&err, LB_ERR_NOMEM, "out of memory for logits");
        goto done;
    }
    if (lb_sampler_open(&sampling, n_vocab, &sampler, &err) != LB_OK ||
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
        continue_text(engine, g, ids, n_ids, sampler, logits, timing, &err);
done:
    lb_release(ids);
    lb_release(chat);
    lb_sampler_close(sampler);
    free(logits);
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
    settings.engine.profile = strcmp(g.profile, "ops") == 0;
    struct timing timing = {0};
    struct lb_engine *engine;
    int64_t start = lb_now_ns();
    code = model_options_open("generate", &settings, &engine);
    if (code != EXIT_OK)
        return code;
    timing.load_ns = lb_now_ns() - start;
    code = generate(engine, &g, &timing);
    if (code == EXIT_OK && !g.quiet) {
        print_timing(&timing);
        model_options_summary(engine);
        if (settings.engine.profile)
            print_profiles(engine, &timing.prefill);
    }
    op_profile_free(&timing.prefill);
    lb_engine_close(engine);
    return code;
}
