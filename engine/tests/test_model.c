/* test_model: configuration and binding: what is read, in which order tensors come, and
 * the message for each way in which a model can be wrong. */
#include "base/memory.h"
#include "made_model.h"
#include "model/model.h"
#include "tests/check.h"

static void order(void)
{
    static const char *const expected[] = {
        "attn_norm.weight", "attn_q.weight",   "attn_q.bias",   "attn_k.weight",
        "attn_k.bias",      "attn_v.weight",   "attn_v.bias",   "attn_output.weight",
        "ffn_norm.weight",  "ffn_gate.weight", "ffn_up.weight", "ffn_down.weight"};
    struct made_model made = made_usual();
    struct lb_error err = LB_ERROR_INIT;
    struct gguf_file *file;
    struct model *model;
    uint32_t n;
    made.architecture = "qwen2";
    made.biases = made.tied = true;
    const char *path = made_path("order.gguf");
    made_write(&made, path);
    CHECK(gguf_open(path, quant_tensor_bytes, &file, &err) == LB_OK, "%s", err.text);
    CHECK(model_open(file, &model, &err) == LB_OK, "%s", err.text);
    const struct model_tensor *t = model_tensors(model, 1, &n);
    CHECK(n == 12, "%u", n);
    for (uint32_t i = 0; i < n && i < 12; i++) {
        CHECK(strncmp(t[i].name, "blk.1.", 6) == 0 && t[i].layer == 1);
        CHECK_TEXT(t[i].name + 6, expected[i]);
        CHECK(t[i].bytes == t[i].n_rows * t[i].row_bytes && t[i].file_offset > 0);
    }
    CHECK(t[3].n_in == 64 && t[3].n_rows == 32 && t[3].row_bytes == 256);
    CHECK(t[4].n_in == 32 && t[4].n_rows == 1);
    t = model_tensors(model, -1, &n);
    CHECK(n == 2 && t[0].layer == -1);
    CHECK_TEXT(t[0].name, "token_embd.weight");
    CHECK_TEXT(t[1].name, "output_norm.weight");
    model_close(model);
    gguf_close(file);
    unlink(path);
}

static struct model_config config_of(const struct made_model *made)
{
    struct lb_error err = LB_ERROR_INIT;
    struct gguf_file *file = NULL;
    struct model *model = NULL;
    struct model_config config = {0};
    const char *path = made_path("config.gguf");
    made_write(made, path);
    CHECK(gguf_open(path, quant_tensor_bytes, &file, &err) == LB_OK &&
              model_open(file, &model, &err) == LB_OK,
          "%s", err.text);
    if (model)
        config = *model_config(model);
    config.architecture = config.name = ""; /* their memory goes with the file */
    model_close(model);
    gguf_close(file);
    unlink(path);
    return config;
}

static void config(void)
{
    struct made_model made = made_usual();
    struct model_config c = config_of(&made);
    CHECK(c.n_layers == 2 && c.n_embd == 64 && c.n_heads == 4 && c.n_kv_heads == 2);
    CHECK(c.head_dim == 16 && c.rope_dims == 16 && c.n_ff == 96 && c.n_vocab == 50);
    CHECK(c.context_train == 64 && c.sliding_window == 0 && c.rms_eps == 1e-5f);
    CHECK(c.rope_base == 10000 && c.rope_scale == 1 && !c.rope_neox && !c.tied_embedding);
    CHECK(c.rope_kept == -1 && c.rope_slowed == 0 && c.rope_magnitude == 1);
    made.without = "llama.attention.head_count_kv";
    made.n_kv_heads = 4; /* missing: as many as heads */
    c = config_of(&made);
    CHECK(c.n_kv_heads == 4);
    made = made_usual();
    made.without = "llama.vocab_size";
    c = config_of(&made);
    CHECK(c.n_vocab == 50, "from the embedding");
    made = made_usual();
    made.architecture = "qwen3";
    made.tied = true;
    made.key_length = 24;
    made.window = 7;
    made.rope_factor = 4;
    c = config_of(&made);
    CHECK(c.head_dim == 24 && c.rope_neox && c.tied_embedding && c.sliding_window == 7);
    CHECK(c.rope_scale == 0.25f);
}

/* Latent attention: what stands in the cache, and YaRN that lengthens queries and keys whole. */
static void latent_config(void)
{
    struct made_model made = made_mixture("deepseek2");
    struct model_config c = config_of(&made);
    CHECK(c.latent.q_rank == MADE_RANK && c.latent.kv_rank == MADE_RANK && c.n_kv_heads == 1);
    CHECK(c.latent.n_nope == 8 && c.latent.n_rope == 8 && c.latent.n_value == 8);
    CHECK(c.head_dim == MADE_RANK + 8 && c.attention_scale == 0.25f);
    CHECK(c.experts.groups == 4 && c.experts.groups_used == 2);
    made.plain_queries = true;
    made.rope_factor = 40;
    made.yarn_context = 64;
    made.yarn_multiplier = 0.0707f;
    c = config_of(&made);
    double length = 1 + 0.0707 * log(40);
    CHECK(c.latent.q_rank == 0 && c.rope_magnitude == 1 && c.rope_scale == 0.025f);
    CHECK(fabs(c.attention_scale - 0.25 * length * length) < 1e-6, "%g", (double)c.attention_scale);
}

/* `expected` without the path in front */
static void refused(struct made_model made, enum lb_status code, const char *expected)
{
    struct lb_error err = LB_ERROR_INIT;
    struct gguf_file *file = NULL;
    struct model *model = NULL;
    char text[512];
    const char *path = made_path("bad.gguf");
    made_write(&made, path);
    CHECK(gguf_open(path, quant_tensor_bytes, &file, &err) == LB_OK, "%s", err.text);
    if (file) {
        enum lb_status got = model_open(file, &model, &err);
        CHECK(got == code && !model, "%s", lb_status_name(got));
        snprintf(text, sizeof text, "%s: %s", path, expected);
        CHECK_TEXT(err.text, text);
        model_close(model);
    }
    gguf_close(file);
    unlink(path);
}

static void bad_tensors(void)
{
    struct made_model usual = made_usual(), m = usual;
    m.without = "blk.1.ffn_up.weight";
    refused(m, LB_ERR_INPUT, "tensor 'blk.1.ffn_up.weight' is missing: expected shape 64 x 96");
    m.without = "output_norm.weight";
    refused(m, LB_ERR_INPUT, "tensor 'output_norm.weight' is missing: expected shape 64");
    m = usual;
    m.reshaped = "blk.0.attn_k.weight";
    refused(m, LB_ERR_INPUT, "tensor 'blk.0.attn_k.weight': got shape 64 x 64, expected 64 x 32");
    m.reshaped = "blk.0.attn_norm.weight";
    refused(m, LB_ERR_INPUT, "tensor 'blk.0.attn_norm.weight': got shape 64 x 33, expected 64");
    m = usual;
    m.retyped = "blk.0.attn_norm.weight";
    refused(m, LB_ERR_UNSUPPORTED,
            "tensor 'blk.0.attn_norm.weight': type Q8_0 is not supported here: expected F32, F16 "
            "or BF16");
    m = usual;
    m.extra = "blk.0.attn_output.bias";
    refused(m, LB_ERR_UNSUPPORTED,
            "tensor 'blk.0.attn_output.bias' is not supported: not a part of architecture "
            "'llama' with 2 layers");
    m = usual;
    m.architecture = "qwen2";
    refused(m, LB_ERR_INPUT, "tensor 'blk.0.attn_q.bias' is missing: expected shape 64");
    m = usual;
    m.architecture = "qwen3";
    m.without = "blk.1.attn_k_norm.weight";
    refused(m, LB_ERR_INPUT, "tensor 'blk.1.attn_k_norm.weight' is missing: expected shape 16");
    /* layers beyond the ones announced */
    m = usual;
    m.key = "llama.block_count";
    m.value = 1;
    refused(m, LB_ERR_UNSUPPORTED,
            "tensor 'blk.1.ffn_down.weight' is not supported: not a part of architecture 'llama' "
            "with 1 layers");
    m.value = 3;
    refused(m, LB_ERR_INPUT, "tensor 'blk.2.attn_norm.weight' is missing: expected shape 64");
    m.value = 100000;
    refused(m, LB_ERR_INPUT, "100000 layers announced, but only 21 tensors there");
}

static void bad_number(const char *key, uint32_t value, enum lb_status code, const char *expected)
{
    struct made_model m = made_usual();
    m.key = key;
    m.value = value;
    refused(m, code, expected);
}

static void bad_keys(void)
{
    struct made_model usual = made_usual(), m = usual;
    m.architecture = "mamba";
    refused(m, LB_ERR_UNSUPPORTED,
            "architecture 'mamba' is not supported: expected llama, qwen2, qwen3, qwen2moe, "
            "qwen3moe, olmoe, glm4moe, deepseek2 or gpt-oss");
    m.architecture = "qwen3next";
    refused(m, LB_ERR_UNSUPPORTED,
            "architecture 'qwen3next' is not supported: it would need linear attention layers "
            "(gated delta net)");
    bad_number("llama.expert_count", 8, LB_ERR_INPUT,
               "key 'llama.expert_used_count' is missing, expected an integer from 0 to "
               "4294967295");
    bad_number("llama.attention.head_count", 5, LB_ERR_INPUT,
               "head count 5: expected a multiple of the count of key and value heads, 2");
    bad_number("llama.attention.head_count", 6, LB_ERR_INPUT,
               "embedding length 64: expected a multiple of the head count, 6");
    bad_number("llama.embedding_length", 0, LB_ERR_INPUT,
               "key 'llama.embedding_length': got 0, expected 1 to 268435456");
    bad_number("llama.attention.head_count_kv", 0, LB_ERR_INPUT,
               "key 'llama.attention.head_count_kv': got 0, expected 1 to 268435456");
    bad_number("llama.attention.value_length", 8, LB_ERR_UNSUPPORTED,
               "values of length 8 beside keys of length 16 are not supported: expected the same");
    m = usual;
    m.rope_dims = 18;
    refused(m, LB_ERR_INPUT,
            "rope dimension count 18: expected an even number up to the head length, 16");
    m = usual;
    m.text_key = "llama.rope.scaling.type";
    m.text = "longrope";
    refused(m, LB_ERR_UNSUPPORTED,
            "rope scaling 'longrope' is not supported: expected none, linear or yarn");
    m = usual;
    bad_number("split.count", 3, LB_ERR_UNSUPPORTED,
               "one of 3 files of a split model is not supported: expected a model in one file "
               "(merge them first)");
    m = usual;
    m.text_key = "llama.rope.scaling.factor";
    m.text = "two";
    struct lb_error err = LB_ERROR_INIT;
    struct gguf_file *file;
    struct model *model;
    const char *path = made_path("kind.gguf");
    made_write(&m, path);
    CHECK(gguf_open(path, quant_tensor_bytes, &file, &err) == LB_OK);
    CHECK(model_open(file, &model, &err) == LB_ERR_INPUT && !model);
    CHECK(strstr(err.text, "llama.rope.scaling.factor"), "%s", err.text);
    gguf_close(file);
    unlink(path);
}

static void bad_mixture(const char *architecture, const char *without, const char *reshaped,
                        const char *key, uint32_t value, const char *expected)
{
    struct made_model m = made_mixture(architecture);
    m.without = without;
    m.reshaped = reshaped;
    m.key = key;
    m.value = value;
    refused(m, LB_ERR_INPUT, expected);
}

static void bad_experts(void)
{
    bad_mixture("llama", "blk.1.ffn_up_exps.weight", NULL, NULL, 0,
                "tensor 'blk.1.ffn_up_exps.weight' is missing: expected shape 64 x 96 x 8");
    bad_mixture("qwen3moe", "blk.2.ffn_gate_inp.weight", NULL, NULL, 0,
                "tensor 'blk.2.ffn_gate_inp.weight' is missing: expected shape 64 x 8");
    bad_mixture("olmoe", NULL, "blk.0.ffn_down_exps.weight", NULL, 0,
                "tensor 'blk.0.ffn_down_exps.weight': got shape 96 x 96 x 8, expected 96 x 64 x 8");
    bad_mixture("olmoe", NULL, NULL, "olmoe.expert_used_count", 9,
                "key 'olmoe.expert_used_count': got 9, expected 1 to the expert count, 8");
    bad_mixture("olmoe", NULL, NULL, "olmoe.expert_used_count", 0,
                "key 'olmoe.expert_used_count': got 0, expected 1 to the expert count, 8");
    bad_mixture("glm4moe", NULL, NULL, "glm4moe.expert_count", 5000,
                "key 'glm4moe.expert_count': got 5000, expected 1 to 4096");
    bad_mixture("glm4moe", "glm4moe.expert_count", NULL, NULL, 0,
                "key 'glm4moe.expert_count' is missing, expected an integer from 0 to 4294967295");
    bad_mixture("deepseek2", NULL, NULL, "deepseek2.expert_group_count", 3,
                "expert count 8: expected a multiple of the count of expert groups, 3");
    bad_mixture("deepseek2", NULL, NULL, "deepseek2.expert_group_used_count", 5,
                "5 of 4 groups of 2 experts used: expected groups of 2 or more, and at least 2 "
                "experts in those used");
    bad_mixture("deepseek2", NULL, NULL, "deepseek2.rope.dimension_count", 16,
                "keys of length 16: expected more than the rope dimension count, 16");
    bad_mixture("gpt-oss", "blk.0.attn_sinks.weight", NULL, NULL, 0,
                "tensor 'blk.0.attn_sinks.weight' is missing: expected shape 4");
    struct made_model m = made_mixture("deepseek2");
    m.without = "deepseek2.attention.key_length_mla";
    refused(m, LB_ERR_UNSUPPORTED,
            "keys and values in one tensor (attn_kv_b) are not supported: expected attn_k_b, "
            "attn_v_b and key 'deepseek2.attention.key_length_mla', as converters write since "
            "2025");
    m = made_mixture("olmoe");
    m.clamp = 8;
    refused(m, LB_ERR_UNSUPPORTED,
            "key 'olmoe.attention.clamp_kqv': queries, keys and values clamped to 8 are not "
            "supported");
    m = made_mixture("llama");
    m.architecture = "qwen3";
    refused(m, LB_ERR_UNSUPPORTED,
            "a mixture of 8 experts is not supported in architecture 'qwen3'");
}

/* Layers may differ: what each has, and where an expert's rows lie. */
static void mixture(void)
{
    struct made_model made = made_mixture("glm4moe");
    struct lb_error err = LB_ERROR_INIT;
    struct gguf_file *file;
    struct model *model;
    uint32_t n;
    made.fused = true;
    made.skipped = 1;
    const char *path = made_path("mixture.gguf");
    made_write(&made, path);
    CHECK(gguf_open(path, quant_tensor_bytes, &file, &err) == LB_OK, "%s", err.text);
    CHECK(model_open(file, &model, &err) == LB_OK, "%s", err.text);
    const struct model_config *c = model_config(model);
    CHECK(c->n_layers == 3 && c->n_skipped == 1 && c->experts.count == 8 && c->experts.used == 3);
    CHECK(c->experts.gating == MODEL_SIGMOID && c->experts.dense_layers == 1);
    CHECK(c->experts.n_shared == 96 && c->experts.groups == 1 && c->experts.scale == 1);
    const struct model_tensor *t = model_tensors(model, 0, &n);
    CHECK_TEXT(t[n - 1].name, "blk.0.ffn_down.weight");
    t = model_tensors(model, 2, &n);
    CHECK(n > 3 && t[n - 4].experts == 0 && t[n - 3].experts == 8 && t[n - 1].experts == 8);
    CHECK_TEXT(t[n - 3].name, "blk.2.ffn_gate_up_exps.weight");
    CHECK(t[n - 3].name == t[n - 2].name && t[n - 3].n_rows == 96 && t[n - 2].n_rows == 96);
    CHECK(t[n - 2].file_offset == t[n - 3].file_offset + 96 * t[n - 3].row_bytes);
    CHECK(t[n - 3].expert_stride == 192 * t[n - 3].row_bytes);
    CHECK(t[n - 1].expert_stride == t[n - 1].bytes && t[n - 1].bytes == 64 * t[n - 1].row_bytes);
    model_close(model);
    gguf_close(file);
    unlink(path);
}

static void failing_allocations(void)
{
    struct made_model made = made_usual();
    struct lb_error err = LB_ERROR_INIT;
    struct gguf_file *file;
    const char *path = made_path("memory.gguf");
    made_write(&made, path);
    CHECK(gguf_open(path, quant_tensor_bytes, &file, &err) == LB_OK, "%s", err.text);
    for (uint64_t n = 1;; n++) {
        struct model *model;
        err.code = LB_OK;
        lb_memory_fail_at(n);
        enum lb_status status = model_open(file, &model, &err);
        lb_memory_fail_at(0);
        model_close(model);
        if (status == LB_OK) {
            CHECK(n == 4, "%llu allocations", (unsigned long long)n - 1);
            break;
        }
        CHECK(status == LB_ERR_NOMEM && !model && strstr(err.text, "out of memory"));
    }
    gguf_close(file);
    unlink(path);
}

int main(void)
{
    order();
    config();
    latent_config();
    bad_tensors();
    bad_keys();
    bad_experts();
    mixture();
    failing_allocations();
    made_clean();
    return check_done();
}
