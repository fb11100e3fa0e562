/*
 * synth: its models run. In every mix logits are finite, well spread and differ from position to
 * position, and its vocabulary encodes any text.
 */
#include "synth/synth.h"
#include "tests/temporary.h"
#include "text/tokenizer.h"
#include "whole_model.h"

#include <math.h>
#include <unistd.h>

#define N_TOKENS 12

static char path[TEMPORARY_PATH];

static double deviation(const float *x, uint32_t n)
{
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < n; i++) {
        sum += x[i];
        squares += (double)x[i] * x[i];
    }
    double mean = sum / n;
    return sqrt(squares / n - mean * mean);
}

static double cosine(const float *x, const float *y, uint32_t n)
{
    double xx = 0, yy = 0, xy = 0;
    for (uint32_t i = 0; i < n; i++) {
        xx += (double)x[i] * x[i];
        yy += (double)y[i] * y[i];
        xy += (double)x[i] * y[i];
    }
    return xy / sqrt(xx * yy);
}

static void check_logits(const char *what, const float *logits, uint32_t n_vocab)
{
    for (uint32_t k = 0; k < N_TOKENS; k++) {
        const float *row = logits + (size_t)k * n_vocab;
        double spread = deviation(row, n_vocab);
        /* rows of the head and the normalised x are independent: about 1 */
        CHECK(spread > 0.8 && spread < 1.25, "%s: logits %u have deviation %g", what, k, spread);
        double same = k ? cosine(row, row - n_vocab, n_vocab) : 0;
        CHECK(same < 0.9, "%s: logits %u and %u have cosine %.3f", what, k - 1, k, same);
    }
}

static void run(const char *shape, const char *mix, uint32_t n_layers)
{
    struct lb_error err = LB_ERROR_INIT;
    struct synth_options options = {.shape = shape, .mix = mix, .seed = 3, .n_layers = n_layers};
    struct whole_model w;
    struct whole_session s;
    int32_t ids[N_TOKENS] = {1};
    struct model_session_options session = {
        .n_sequences = 1, .context = N_TOKENS, .max_tokens = N_TOKENS};
    for (int i = 1; i < N_TOKENS; i++)
        ids[i] = 260 + 37 * i;
    CHECK(synth_write(&options, path, &err) == LB_OK, "%s", err.text);
    if (!whole_open(&w, path))
        return;
    uint32_t n_vocab = model_config(w.model)->n_vocab;
    float *logits = malloc(sizeof *logits * N_TOKENS * n_vocab);
    if (whole_session_open(&s, &w, "generic", 2, session) &&
        whole_run(&s, &w, 0, ids, N_TOKENS, N_TOKENS, logits)) {
        char what[64];
        snprintf(what, sizeof what, "%s %s", shape, mix);
        check_logits(what, logits, n_vocab);
    }
    free(logits);
    whole_session_close(&s);
    whole_close(&w);
}

/* Encodes, decodes, compares; the file is the last model written. */
static void round_trip(const char *text)
{
    struct lb_error err = LB_ERROR_INIT;
    struct gguf_file *file = NULL;
    struct tokenizer *tokenizer = NULL;
    int32_t *ids = NULL;
    size_t count = 0, length = 0;
    char out[256] = "";
    bool ok = gguf_open(path, quant_tensor_bytes, &file, &err) == LB_OK &&
              tokenizer_open(file, &tokenizer, &err) == LB_OK &&
              tokenizer_encode(tokenizer, text, strlen(text), (struct tokenizer_options){0}, &ids,
                               &count, &err) == LB_OK;
    CHECK(ok && count > 0 && count <= strlen(text) + 1, "%s: %zu ids", err.text, count);
    struct tokenizer_stream stream = {.n_held = 0};
    for (size_t i = 0; ok && i < count; i++)
        length += tokenizer_decode(tokenizer, &stream, ids[i], out + length, sizeof out - length);
    CHECK_TEXT(out, text);
    lb_free(ids);
    tokenizer_close(tokenizer);
    gguf_close(file);
}

int main(void)
{
    size_t n;
    const char *const *mixes = synth_mixes(&n);
    temporary_path(path);
    for (size_t i = 0; i < n; i++)
        run("tiny", mixes[i], 2);
    run("tiny", "Q4_K_M", 0);
    round_trip("Once upon a time, there was 1 layer.\n");
    round_trip("na\xc3\xafve \xe6\xbc\xa2\xe5\xad\x97 \xf0\x9f\x98\x80\t<s> {}");
    run("smollm-135m", "Q4_K_M", 2);
    unlink(path);
    return check_done();
}
