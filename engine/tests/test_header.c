/*
 * header: what a model's header may say beside what its tensors say. Tensors decide; a key that
 * differs is a note; numbers that no file of this size can mean are refused before anything is
 * allocated for them.
 */
#include "engine.h"
#include "made_model.h"
#include "tests/check.h"

#include <sys/resource.h>

/* Opens the made model with an engine; the notice, or the error without the path in front. */
static const char *opened(const struct made_model *made, uint32_t context)
{
    static char text[1024];
    struct lb_options o = lb_options_default();
    struct lb_error err = LB_ERROR_INIT;
    struct lb_engine *engine;
    const char *path = made_path("header.gguf");
    made_write(made, path);
    o.model_path = path;
    o.context = context;
    o.threads = 1;
    o.storage = "pread";
    o.prefetch = "off";
    enum lb_status status = lb_engine_open(&o, &engine, &err);
    size_t prefix = strncmp(err.text, path, strlen(path)) == 0 ? strlen(path) + 2 : 0;
    snprintf(text, sizeof text, "%s",
             status == LB_OK ? lb_engine_notice(engine) : err.text + prefix);
    lb_engine_close(engine);
    unlink(path);
    return text;
}

static void vocabulary(void)
{
    struct made_model m = made_usual();
    m.n_tokens = 50;
    CHECK_TEXT(opened(&m, 0), "");
    m.n_tokens = 40; /* padded rows */
    CHECK_TEXT(opened(&m, 0), "");
    m.key = "llama.vocab_size";
    m.value = 40;
    CHECK_TEXT(opened(&m, 0), "key 'llama.vocab_size' is 40: taking the 50 rows of the embedding");
    m.value = UINT32_MAX;
    m.n_tokens = 0;
    CHECK_TEXT(opened(&m, 0),
               "key 'llama.vocab_size' is 4294967295: taking the 50 rows of the embedding");
    m = made_usual();
    m.n_tokens = 51;
    CHECK_TEXT(opened(&m, 0), "tokenizer.ggml.tokens lists 51 tokens, expected at most the 50 rows "
                              "of 'token_embd.weight'");
    m.n_tokens = 50;
    m.reshaped = "output.weight";
    CHECK_TEXT(opened(&m, 0), "tensor 'output.weight': got shape 64 x 82, expected 64 x 50");
}

static void arrays(void)
{
    static const char *const keys[] = {"llama.attention.head_count",    "llama.feed_forward_length",
                                       "llama.attention.head_count_kv", "llama.embedding_length",
                                       "llama.context_length",          "llama.block_count"};
    struct made_model m = made_usual();
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        m.array_key = keys[i];
        CHECK_TEXT(opened(&m, 0), "");
    }
    m.array_key = "llama.feed_forward_length";
    m.array_last = 128;
    CHECK_TEXT(opened(&m, 0),
               "key 'llama.feed_forward_length': a value for each layer is not supported: got 2 "
               "that differ, expected an integer from 0 to 4294967295");
}

static void context(void)
{
    struct made_model m = made_usual(); /* trained for 64 positions */
    CHECK_TEXT(opened(&m, 64), "");
    CHECK_TEXT(opened(&m, 65), "context 65: the model was trained for 64 positions");
}

static void pre_tokenizer(void)
{
    struct made_model m = made_usual();
    m.text_key = "tokenizer.ggml.model";
    m.text = "llama";
    CHECK_TEXT(opened(&m, 0), "");
    m.text = "gpt2";
    CHECK_TEXT(opened(&m, 0), "key 'tokenizer.ggml.pre' is missing: text is cut into words in the "
                              "'default' way, perhaps not as the model was trained");
}

/* Every number of the header near 2^32 and 2^31: an answer, in little memory. */
static void huge_numbers(void)
{
    static const char *const keys[] = {
        "block_count",
        "context_length",
        "embedding_length",
        "feed_forward_length",
        "attention.head_count",
        "attention.head_count_kv",
        "vocab_size",
        "attention.key_length",
        "rope.dimension_count",
        "attention.sliding_window",
        "expert_count",
        "expert_used_count",
        "expert_feed_forward_length",
        "nextn_predict_layers",
    };
    static const uint32_t values[] = {UINT32_MAX, UINT32_MAX - 1, 1u << 31, INT32_MAX, 1u << 28, 0};
    const struct rlimit less = {(rlim_t)2 << 30, (rlim_t)2 << 30};
    bool limited = !getenv("LAYERBENCH_UNLIMITED") && setrlimit(RLIMIT_DATA, &less) == 0;
    CHECK(limited, "no limit of memory");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
            struct made_model m = made_mixture("qwen3moe");
            struct lb_model_facts facts;
            struct lb_error err = LB_ERROR_INIT;
            char key[64];
            snprintf(key, sizeof key, "qwen3moe.%s", keys[i]);
            m.rope_dims = 16;
            m.window = 4;
            m.skipped = 1;
            m.key = key;
            m.value = values[k];
            const char *text = opened(&m, 0);
            CHECK(!strstr(text, "memory"), "%s %u: %s", key, m.value, text);
            const char *path = made_path("facts.gguf");
            made_write(&m, path);
            enum lb_status status = lb_model_facts(path, &facts, &err);
            CHECK(status == LB_OK ? facts.n_layers >= 1 && facts.n_layers <= 4
                                  : status != LB_ERR_NOMEM && *err.text,
                  "%s %u: %s", key, m.value, err.text);
            unlink(path);
        }
}

static void facts(void)
{
    struct made_model m = made_mixture("glm4moe");
    struct lb_model_facts facts;
    struct lb_error err = LB_ERROR_INIT;
    const char *path = made_path("facts.gguf");
    made_write(&m, path);
    CHECK(lb_model_facts(path, &facts, &err) == LB_OK, "%s", err.text);
    CHECK(facts.n_layers == 3 && facts.file_bytes > facts.layer_bytes && facts.layer_bytes > 0);
    CHECK_TEXT(facts.architecture, "glm4moe");
    uint64_t layers = facts.layer_bytes;
    m.skipped = 1; /* of the file, not of what runs */
    made_write(&m, path);
    CHECK(lb_model_facts(path, &facts, &err) == LB_OK, "%s", err.text);
    CHECK(facts.n_layers == 3 && facts.layer_bytes == layers);
    unlink(path);
}

/* Names that are nearly those of a layer's tensors. */
static void layer_names(void)
{
    static const char *const none[] = {
        "blk.-1.attn_q.weight", "blk. 1.attn_q.weight",         "blk.1.attn_q.weight ",
        "blk..attn_q.weight",   "blk.4294967296.attn_q.weight", "blk.+1.attn_q.weight",
        "blk.1attn_q.weight",   "blk.0x1.attn_q.weight",        "1.attn_q.weight"};
    uint32_t layer, rank;
    bool of_experts;
    CHECK(lb_tensor_order("blk.4294967295.attn_q.weight", &layer, &rank, &of_experts) &&
          layer == UINT32_MAX);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        CHECK(!lb_tensor_order(none[i], &layer, &rank, &of_experts), "'%s'", none[i]);
}

int main(void)
{
    vocabulary();
    arrays();
    context();
    pre_tokenizer();
    facts();
    layer_names();
    huge_numbers();
    made_clean();
    return check_done();
}
