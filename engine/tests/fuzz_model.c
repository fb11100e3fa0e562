/*
 * fuzz: the header of a GGUF file, to two tokens of prefill and one of decode. The input is the
 * header; data follows that is finite in every type, so that what is mutated is what decides.
 */
#include "engine.h"
#include "tests/fuzz_input.h"

enum { DATA = 96 << 10 };

static void use_vocabulary(const char *path)
{
    static const char text[] = "Once <s>upon</s> 12345 don't\n \xf0\x9f\x98\x80\xff";
    struct lb_text_options how = {.bos = true, .special = true};
    struct lb_error err = LB_ERROR_INIT;
    struct lb_vocab *vocab;
    int32_t *ids = NULL;
    size_t n = 0;
    enum lb_status status = lb_vocab_open(path, &vocab, &err);
    if (status == LB_OK)
        status = lb_vocab_tokenize(vocab, text, sizeof text - 1, how, &ids, &n, &err);
    fuzz_check_error(status, &err);
    if (status == LB_OK)
        (void)lb_vocab_bos(vocab);
    lb_release(ids);
    lb_vocab_close(vocab);
}

static void use_engine(const char *path)
{
    struct lb_options o = lb_options_default();
    struct lb_error err = LB_ERROR_INIT;
    struct lb_engine *engine;
    o.model_path = path;
    o.threads = 1;
    o.context = 8;
    o.max_tokens = 4;
    o.storage = "memory";
    o.prefetch = "off";
    o.kernels = "generic";
    enum lb_status status = lb_engine_open(&o, &engine, &err);
    fuzz_check_error(status, &err);
    if (status != LB_OK)
        return;
    uint32_t n_vocab = lb_engine_model(engine).n_vocab;
    int32_t ids[2] = {0, (int32_t)n_vocab - 1};
    float *logits = malloc(n_vocab * sizeof *logits);
    char *chat = NULL;
    FUZZ_CHECK(logits);
    status = lb_engine_prefill(engine, 0, ids, 2, false, logits, &err);
    if (status == LB_OK)
        status = lb_engine_decode(engine, ids, 1, logits, &err);
    fuzz_check_error(status, &err);
    for (int32_t id = 0; id < 64; id++)
        lb_engine_detokenize(engine, id);
    lb_engine_detokenize(engine, -1);
    err = (struct lb_error)LB_ERROR_INIT;
    fuzz_check_error(lb_engine_chat(engine, &(struct lb_turn){.message = "hello"}, &chat, &err),
                     &err);
    lb_release(chat);
    free(logits);
    lb_engine_close(engine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t tail[DATA];
    struct lb_model_facts facts;
    struct lb_error err = LB_ERROR_INIT;
    if (size > 64 << 10)
        return 0;
    memset(tail, 0x3c, sizeof tail); /* 1.1 as a half, 0.011 as a float */
    const char *path = fuzz_file(data, size, tail, sizeof tail);
    fuzz_check_error(lb_model_facts(path, &facts, &err), &err);
    use_vocabulary(path);
    use_engine(path);
    return 0;
}
