/*
 * perplexity: exp of the mean negative log-likelihood of a text's tokens. The text is cut into
 * windows of `window` tokens that begin with BOS where the model wants one; every token after a
 * window's first is scored from what precedes it in the window.
 */
#include "commands/commands.h"
#include "common/exit_codes.h"
#include "common/file_io.h"
#include "common/progress.h"
#include "settings/model_options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USUAL_WINDOW 512u

struct perplexity {
    uint32_t window; /* 0: auto */
};

static const char *const words_auto[] = {"auto", NULL};

static const struct option own[] = {
    {"window", "N",
     "tokens scored together, BOS included; auto: 512, or the context if that is less",
     OPTION_COUNT, offsetof(struct perplexity, window), .min = 2, .words = words_auto},
};

struct score {
    double sum; /* of -log p */
    size_t tokens, windows;
};

/* -log softmax(logits)[id] */
static double surprise(const float *logits, size_t n_vocab, int32_t id)
{
    double most = logits[0], sum = 0;
    for (size_t i = 1; i < n_vocab; i++)
        most = logits[i] > most ? logits[i] : most;
    for (size_t i = 0; i < n_vocab; i++)
        sum += exp((double)logits[i] - most);
    return log(sum) + most - (double)logits[id];
}

/* One window ids[n]: prefilled in chunks so that the logits of a chunk fit. */
static enum lb_status score_window(struct lb_engine *engine, const int32_t *ids, size_t n,
                                   float *logits, size_t chunk, struct score *score,
                                   struct lb_error *err)
{
    size_t n_vocab = lb_engine_model(engine).n_vocab;
    lb_engine_truncate(engine, 0, 0);
    for (size_t at = 0; at + 1 < n; at += chunk) {
        size_t some = n - 1 - at < chunk ? n - 1 - at : chunk;
        enum lb_status status = lb_engine_prefill(engine, 0, ids + at, some, true, logits, err);
        if (status != LB_OK)
            return status;
        for (size_t i = 0; i < some; i++)
            score->sum += surprise(logits + i * n_vocab, n_vocab, ids[at + i + 1]);
        score->tokens += some;
    }
    score->windows++;
    return LB_OK;
}

static enum lb_status score_text(struct lb_engine *engine, const int32_t *ids, size_t n,
                                 uint32_t window, struct score *score, struct lb_error *err)
{
    enum { CHUNK = 128 };
    int32_t bos = lb_engine_bos(engine);
    size_t lead = bos >= 0 ? 1 : 0, body = window - lead;
    float *logits = malloc(CHUNK * (size_t)lb_engine_model(engine).n_vocab * sizeof *logits);
    int32_t *part = malloc(window * sizeof *part);
    enum lb_status status =
        logits && part ? LB_OK : lb_fail(err, LB_ERR_NOMEM, "out of memory for a window");
    struct progress progress = progress_begin("perplexity");
    for (size_t at = 0; status == LB_OK && at < n; at += body) {
        size_t some = n - at < body ? n - at : body;
        if (lead)
            part[0] = bos;
        memcpy(part + lead, ids + at, some * sizeof *ids);
        status = score_window(engine, part, some + lead, logits, CHUNK, score, err);
        progress_update(&progress, at + some, n, NULL);
    }
    progress_end(&progress);
    free(part);
    free(logits);
    return status;
}

static enum lb_status run(struct lb_engine *engine, const char *path, uint32_t *window,
                          struct score *score, struct lb_error *err)
{
    char *text = NULL;
    int32_t *ids = NULL;
    size_t length, n = 0;
    struct lb_text_options plain = {false, false};
    uint32_t context = lb_engine_effective(engine).context;
    if (*window == 0)
        *window = context < USUAL_WINDOW ? context : USUAL_WINDOW;
    if (*window < 2 || *window > context)
        return lb_fail(err, LB_ERR_INPUT, "--window: %u: expected 2 to %u (--context)", *window,
                       context);
    if (file_read(path, &text, &length, err) == LB_OK &&
        lb_engine_tokenize(engine, text, length, plain, &ids, &n, err) == LB_OK &&
        score_text(engine, ids, n, *window, score, err) == LB_OK) {
        if (score->tokens == 0)
            lb_fail(err, LB_ERR_INPUT, "%s: %zu tokens: expected enough to score one", path, n);
        else if (!isfinite(exp(score->sum / (double)score->tokens)))
            lb_fail(err, LB_ERR_STATE,
                    "the perplexity is no number (e^%g): expected logits of a sound model",
                    score->sum / (double)score->tokens);
    }
    lb_release(ids);
    free(text);
    return err->code;
}

int command_perplexity(int argc, char **argv)
{
    struct settings settings = settings_default();
    struct perplexity p = {0};
    struct cli_group groups[] = {{"options", own, sizeof own / sizeof *own, &p, 0},
                                 model_options_file(&settings),
                                 model_options_group(&settings),
                                 {NULL, NULL, 0, NULL, 0}};
    struct cli cli = {"perplexity", "--model FILE [options] TEXTFILE",
                      "Prints how well the model predicts a text; 1 is certain.", groups};
    int code = cli_parse(&cli, &argc, argv);
    if (code >= 0)
        return code;
    if (argc != 2)
        return cli_fail("perplexity", "expected one text file (- for stdin)");
    struct lb_engine *engine;
    code = model_options_open("perplexity", &settings, &engine);
    if (code != EXIT_OK)
        return code;
    struct lb_error err = LB_ERROR_INIT;
    struct score score = {0};
    if (run(engine, argv[1], &p.window, &score, &err) == LB_OK) {
        printf("%.6g\n", exp(score.sum / (double)score.tokens));
        fprintf(stderr, "%zu tokens scored in %zu windows of at most %u\n", score.tokens,
                score.windows, p.window);
    } else {
        code = model_options_error("perplexity", &err);
    }
    lb_engine_close(engine);
    return code;
}
