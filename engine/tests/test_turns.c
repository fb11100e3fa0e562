/*
 * test_turns: a decoder goes on with a sequence: logits and tokens are bit for bit those of the
 * whole text begun anew, whatever streams and is guessed, and only what is new is computed. Chat:
 * what stands between a conversation's messages.
 */
#include "base/random.h"
#include "engine.h"
#include "tests/check.h"
#include "tests/settings.h"
#include "tests/temporary.h"
#include "text/chat_format.h"

#include <string.h>
#include <unistd.h>

enum { VOCAB = 2048, TURNS = 4, ANSWER = 9 };

static const char *model(void)
{
    static char path[TEMPORARY_PATH];
    struct lb_synth synth = {.shape = "tiny", .quant = "Q8_0", .seed = 3, .n_layers = 4};
    struct lb_error err = LB_ERROR_INIT;
    temporary_path(path);
    CHECK(lb_synth_write(&synth, path, &err) == LB_OK, "%s", err.text);
    return path;
}

struct side {
    struct lb_engine *engine;
    struct lb_decoder *decoder;
};

static struct side open_side(const struct lb_options *o, const struct lb_sampling *sampling)
{
    struct side s = {NULL, NULL};
    struct lb_error err = LB_ERROR_INIT;
    CHECK(lb_engine_open(o, &s.engine, &err) == LB_OK &&
              lb_decoder_open(s.engine, &o->speculation, sampling, &s.decoder, &err) == LB_OK,
          "%s", err.text);
    return s;
}

static void close_side(struct side s)
{
    lb_decoder_close(s.decoder);
    lb_engine_close(s.engine);
}

/* Draws ANSWER tokens or more after `held`; *held of them count, at random not the last few. */
static void answer(struct side s, int32_t *text, uint32_t *held, struct lb_drawn drawn,
                   struct lb_random *r)
{
    uint32_t n = *held, first = n;
    struct lb_error err = LB_ERROR_INIT;
    for (;;) {
        memcpy(text + n, drawn.tokens, drawn.n * sizeof *text);
        n += drawn.n;
        if (n - first >= ANSWER)
            break;
        CHECK(lb_decoder_step(s.decoder, &(uint32_t){ANSWER}, &drawn, &err) == LB_OK, "%s",
              err.text);
    }
    *held = n - lb_random_below(r, 4);
}

static void turns(const char *path, uint64_t seed, const char *prefetch, const char *speculate)
{
    struct lb_random r = {seed};
    struct lb_options o = lb_options_default(), plain = o;
    struct lb_sampling sampling = {.temperature = 0.0F, .top_p = 1};
    struct lb_error err = LB_ERROR_INIT;
    struct lb_drawn drawn, whole;
    int32_t text[256];
    uint32_t held = 0;
    plain.model_path = o.model_path = path;
    plain.prefetch = "resident";
    plain.threads = o.threads = 2;
    plain.context = o.context = 128;
    o.prefetch = prefetch;
    o.cache_layers = 2;
    o.storage = "memory";
    o.speculation.speculate = speculate;
    o.speculation.draft_model = path;
    struct side going = open_side(&o, &sampling), anew = open_side(&plain, &sampling);
    CHECK(lb_decoder_append(going.decoder, 0, 1, text, 1, &drawn, &err) == LB_ERR_INPUT,
          "a sequence that has not begun goes on");
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        uint32_t n = 1 + lb_random_below(&r, 9);
        uint64_t passes = lb_engine_stats(going.engine).passes;
        for (uint32_t i = 0; i < n; i++)
            text[held + i] = (int32_t)lb_random_below(&r, VOCAB);
        err = (struct lb_error)LB_ERROR_INIT;
        enum lb_status status =
            turn == 0 ? lb_decoder_begin(going.decoder, 0, text, n, &drawn, &err)
                      : lb_decoder_append(going.decoder, 0, held, text + held, n, &drawn, &err);
        CHECK(status == LB_OK, "turn %u: %s", turn, err.text);
        held += n;
        CHECK(lb_engine_stats(going.engine).passes == passes + 1, "more than the new is computed");
        CHECK(lb_decoder_begin(anew.decoder, 0, text, held, &whole, &err) == LB_OK, "%s", err.text);
        CHECK(memcmp(drawn.logits, whole.logits, VOCAB * sizeof(float)) == 0,
              "%s, %s: other logits in turn %u", prefetch, speculate, turn);
        CHECK(drawn.tokens[0] == whole.tokens[0]);
        answer(going, text, &held, drawn, &r);
    }
    for (uint32_t i = 0; i < 128; i++)
        text[held + i] = 1;
    CHECK(lb_decoder_append(going.decoder, 0, held, text + held, 128, &drawn, &err) == LB_ERR_INPUT,
          "more than the context holds");
    err = (struct lb_error)LB_ERROR_INIT;
    CHECK(lb_decoder_append(going.decoder, 0, held + ANSWER, text, 1, &drawn, &err) == LB_ERR_INPUT,
          "more than the sequence has");
    close_side(going);
    close_side(anew);
}

struct told {
    uint64_t last[2], total[2], calls[2];
};

static void tell(void *ctx, bool opening, uint64_t done, uint64_t total)
{
    struct told *t = ctx;
    CHECK(done >= t->last[opening] && done <= total, "%llu after %llu of %llu",
          (unsigned long long)done, (unsigned long long)t->last[opening],
          (unsigned long long)total);
    t->last[opening] = done;
    t->total[opening] = total;
    t->calls[opening]++;
}

static void progress(const char *path)
{
    struct told t = {{0}, {0}, {0}};
    struct lb_options o = lb_options_default();
    struct lb_sampling sampling = {.top_p = 1};
    struct lb_error err = LB_ERROR_INIT;
    struct lb_drawn drawn;
    int32_t text[50] = {1};
    o.model_path = path;
    o.cache_layers = 2;
    o.max_tokens = 16;
    o.prefill = "chunks";
    o.progress = tell;
    o.progress_ctx = &t;
    struct side s = open_side(&o, &sampling);
    CHECK(t.calls[1] > 1 && t.last[1] == t.total[1] && t.calls[0] == 0, "of opening");
    CHECK(lb_decoder_begin(s.decoder, 0, text, 50, &drawn, &err) == LB_OK, "%s", err.text);
    CHECK(t.calls[0] == 4 * 4 && t.last[0] == t.total[0] && t.total[0] == 50 * 4,
          "%llu calls in a prompt", (unsigned long long)t.calls[0]);
    CHECK(lb_decoder_step(s.decoder, &(uint32_t){1}, &drawn, &err) == LB_OK, "%s", err.text);
    CHECK(t.calls[0] == 16, "a decode step is no prompt");
    close_side(s);
    t = (struct told){{0}, {0}, {0}};
    o.cache_layers = 0;
    o.prefetch = "resident";
    close_side(open_side(&o, &sampling));
    CHECK(t.last[1] == t.total[1], "of opening, resident");
}

static void between(const char *path)
{
    struct lb_options o = lb_options_default();
    struct lb_engine *engine;
    struct lb_error err = LB_ERROR_INIT;
    char *text;
    o.model_path = path;
    CHECK(lb_engine_open(&o, &engine, &err) == LB_OK, "%s", err.text);
    static const struct {
        struct lb_turn turn;
        const char *text;
    } cases[] = {
        {{"a", "chatml", false, false, NULL},
         "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n"},
        {{"a", "chatml", true, true, NULL},
         "\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n"},
        {{"a", "chatml", true, false, NULL},
         "<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n"},
        {{"a", "llama-2", true, true, NULL}, "<s>[INST] a [/INST]"},
        {{"a", "llama-2", true, false, NULL}, "</s><s>[INST] a [/INST]"},
        {{"a", "chatml", false, false, "be short"},
         "<|im_start|>system\nbe short<|im_end|>\n<|im_start|>user\na<|im_end|>\n"
         "<|im_start|>assistant\n"},
        {{"a", "chatml", true, true, "be short"},
         "\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n"},
        {{"a", "chatml", false, false, ""},
         "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n"},
        {{"a", "llama-3", false, false, "s"},
         "<|start_header_id|>system<|end_header_id|>\n\ns<|eot_id|>"
         "<|start_header_id|>user<|end_header_id|>\n\na<|eot_id|>"
         "<|start_header_id|>assistant<|end_header_id|>\n\n"},
        {{"a", "phi-3", false, false, "s"},
         "<|system|>\ns<|end|>\n<|user|>\na<|end|>\n<|assistant|>\n"},
        {{"a", "zephyr", false, false, "s"}, "<|system|>\ns</s>\n<|user|>\na</s>\n<|assistant|>\n"},
        {{"a", "deepseek", false, false, "s"}, "s<\uFF5CUser\uFF5C>a<\uFF5CAssistant\uFF5C>"},
        {{"a", "llama-2", false, false, "s"}, "[INST] <<SYS>>\ns\n<</SYS>>\n\na [/INST]"},
        {{"a", "mistral", false, false, "s"}, "[INST] s\n\na [/INST]"},
        {{"a", "mistral", true, true, "s"}, "<s>[INST] a [/INST]"},
        {{"a", "llama-3", true, false, NULL},
         "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\na<|eot_id|>"
         "<|start_header_id|>assistant<|end_header_id|>\n\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK(lb_engine_chat(engine, &cases[i].turn, &text, &err) == LB_OK, "%s", err.text);
        CHECK_TEXT(text, cases[i].text);
        lb_release(text);
    }
    CHECK(lb_engine_chat(engine, &(struct lb_turn){.message = "a", .chat_template = "none"}, &text,
                         &err) == LB_ERR_INPUT);
    for (size_t i = 0; chat_at(i); i++)
        CHECK(*chat_at(i)->end, "%s: no end of an answer", chat_at(i)->name);
    lb_engine_close(engine);
}

int main(void)
{
    static const char *const ways[] = {"resident", "off", "sync", "async"};
    static const char *const guesses[] = {"off", "ngram", "draft"};
    const char *path = model();
    for (uint64_t i = 0; i < 4; i++)
        for (uint64_t k = 0; k < 3; k++)
            turns(path, 10 * i + k + 1, ways[i], guesses[k]);
    progress(path);
    between(path);
    unlink(path);
    return check_done();
}
