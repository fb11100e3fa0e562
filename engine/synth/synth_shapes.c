/* synth_shapes: shapes of known models. */
#include "synth/synth_parts.h"

#include <stdio.h>
#include <string.h>

#define DENSE(name_, architecture_, layers, embd, heads, kv_heads, dim, ff, vocab, context_, base, \
              tied, eps, factors)                                                                  \
    .name = name_, .architecture = architecture_, .n_layers = layers, .n_embd = embd,              \
    .n_heads = heads, .n_kv_heads = kv_heads, .head_dim = dim, .n_ff = ff, .n_vocab = vocab,       \
    .context = context_, .rope_base = base, .tied_embedding = tied, .rms_eps = eps,                \
    .rope_factors = factors

/* What two shapes share. */
#define GPT_OSS                                                                                    \
    .architecture = "gpt-oss", .n_embd = 2880, .n_heads = 64, .n_kv_heads = 8, .head_dim = 64,     \
    .n_ff = 2880, .n_vocab = 201088, .context = 131072, .rope_base = 1.5e5f, .rms_eps = 1e-5f,     \
    .sliding_window = 128, .yarn = {.factor = 32, .context = 4096}, .mix = "MXFP4_MOE"
#define GPT_OSS_EXPERTS .used = 4, .n_ff = 2880
#define DEEPSEEK                                                                                   \
    .architecture = "deepseek2", .n_layers = 61, .n_embd = 7168, .n_kv_heads = 1, .head_dim = 576, \
    .n_ff = 18432, .rms_eps = 1e-6f,                                                               \
    .latent = {.q_rank = 1536, .kv_rank = 512, .n_nope = 128, .n_rope = 64, .n_value = 128}
#define DEEPSEEK_EXPERTS .used = 8, .n_ff = 2048, .n_shared = 2048, .sigmoid = 1, .normalised = 1

static const struct synth_shape shapes[] = {
    /* layers, width, heads, kv heads, head size, ff, vocabulary, context, base, tied, eps, factors
     */
    {DENSE("tiny", "llama", 12, 512, 8, 4, 64, 1280, 2048, 2048, 1e4f, 0, 1e-5f, 0)},
    {DENSE("tiny-32", "llama", 32, 512, 8, 4, 64, 1280, 2048, 2048, 1e4f, 0, 1e-5f, 0)},
    {DENSE("smollm-135m", "llama", 30, 576, 9, 3, 64, 1536, 49152, 2048, 1e4f, 1, 1e-5f, 0)},
    {DENSE("tinyllama-1.1b", "llama", 22, 2048, 32, 4, 64, 5632, 32000, 2048, 1e4f, 0, 1e-5f, 0)},
    {DENSE("llama-2-7b", "llama", 32, 4096, 32, 32, 128, 11008, 32000, 4096, 1e4f, 0, 1e-5f, 0)},
    {DENSE("llama-2-13b", "llama", 40, 5120, 40, 40, 128, 13824, 32000, 4096, 1e4f, 0, 1e-5f, 0)},
    {DENSE("llama-2-70b", "llama", 80, 8192, 64, 8, 128, 28672, 32000, 4096, 1e4f, 0, 1e-5f, 0)},
    {DENSE("llama-3-8b", "llama", 32, 4096, 32, 8, 128, 14336, 128256, 8192, 5e5f, 0, 1e-5f, 0)},
    {DENSE("llama-3.1-405b", "llama", 126, 16384, 128, 8, 128, 53248, 128256, 131072, 5e5f, 0,
           1e-5f, 1)},
    {DENSE("mistral-7b", "llama", 32, 4096, 32, 8, 128, 14336, 32000, 32768, 1e4f, 0, 1e-5f, 0)},
    {DENSE("qwen2-0.5b", "qwen2", 24, 896, 14, 2, 64, 4864, 151936, 32768, 1e6f, 1, 1e-6f, 0)},
    {DENSE("qwen3-0.6b", "qwen3", 28, 1024, 16, 8, 128, 3072, 151936, 40960, 1e6f, 1, 1e-6f, 0)},
    {.name = "tiny-moe",
     .architecture = "qwen3moe",
     .n_layers = 8,
     .n_embd = 512,
     .n_heads = 8,
     .n_kv_heads = 4,
     .head_dim = 64,
     .n_ff = 1024,
     .n_vocab = 4096,
     .context = 2048,
     .rope_base = 1e4f,
     .rms_eps = 1e-6f,
     .experts = {.count = 64, .used = 4, .n_ff = 256, .normalised = 1}},
    {.name = "olmoe-1b-7b",
     .architecture = "olmoe",
     .n_layers = 16,
     .n_embd = 2048,
     .n_heads = 16,
     .n_kv_heads = 16,
     .head_dim = 128,
     .n_ff = 1024,
     .n_vocab = 50304,
     .context = 4096,
     .rope_base = 1e4f,
     .rms_eps = 1e-5f,
     .experts = {.count = 64, .used = 8, .n_ff = 1024}},
    {.name = "mixtral-8x7b",
     .architecture = "llama",
     .n_layers = 32,
     .n_embd = 4096,
     .n_heads = 32,
     .n_kv_heads = 8,
     .head_dim = 128,
     .n_ff = 14336,
     .n_vocab = 32000,
     .context = 32768,
     .rope_base = 1e6f,
     .rms_eps = 1e-5f,
     .experts = {.count = 8, .used = 2, .n_ff = 14336, .normalised = 1}},
    {.name = "gpt-oss-20b", .n_layers = 24, .experts = {.count = 32, GPT_OSS_EXPERTS}, GPT_OSS},
    {.name = "gpt-oss-120b", .n_layers = 36, .experts = {.count = 128, GPT_OSS_EXPERTS}, GPT_OSS},
    {.name = "deepseek-v2-lite",
     .architecture = "deepseek2",
     .n_layers = 27,
     .n_embd = 2048,
     .n_heads = 16,
     .n_kv_heads = 1,
     .head_dim = 576,
     .n_ff = 10944,
     .n_vocab = 102400,
     .context = 163840,
     .rope_base = 1e4f,
     .rms_eps = 1e-6f,
     .experts =
         {.count = 64, .used = 6, .n_ff = 1408, .n_shared = 2816, .dense_layers = 1, .scale = 1},
     .latent = {.kv_rank = 512, .n_nope = 128, .n_rope = 64, .n_value = 128},
     .yarn = {.factor = 40, .log_multiplier = 0.0707f, .context = 4096}},
    {.name = "qwen3-30b-a3b",
     .architecture = "qwen3moe",
     .n_layers = 48,
     .n_embd = 2048,
     .n_heads = 32,
     .n_kv_heads = 4,
     .head_dim = 128,
     .n_ff = 6144,
     .n_vocab = 151936,
     .context = 40960,
     .rope_base = 1e6f,
     .rms_eps = 1e-6f,
     .experts = {.count = 128, .used = 8, .n_ff = 768, .normalised = 1}},
    {.name = "glm-4.5-air", /* without its last layer, which predicts further tokens */
     .architecture = "glm4moe",
     .n_layers = 46,
     .n_embd = 4096,
     .n_heads = 96,
     .n_kv_heads = 8,
     .head_dim = 128,
     .n_ff = 10944,
     .n_vocab = 151552,
     .context = 131072,
     .rope_base = 1e6f,
     .rms_eps = 1e-5f,
     .rope_dims = 64,
     .experts = {.count = 128,
                 .used = 8,
                 .n_ff = 1408,
                 .n_shared = 1408,
                 .dense_layers = 1,
                 .sigmoid = 1,
                 .normalised = 1,
                 .scale = 1}},
    {.name = "qwen3-235b-a22b",
     .architecture = "qwen3moe",
     .n_layers = 94,
     .n_embd = 4096,
     .n_heads = 64,
     .n_kv_heads = 4,
     .head_dim = 128,
     .n_ff = 12288,
     .n_vocab = 151936,
     .context = 40960,
     .rope_base = 1e6f,
     .rms_eps = 1e-6f,
     .experts = {.count = 128, .used = 8, .n_ff = 1536, .normalised = 1}},
    {.name = "deepseek-v3",
     .n_heads = 128,
     .n_vocab = 129280,
     .context = 163840,
     .rope_base = 1e4f,
     .experts = {.count = 256,
                 .dense_layers = 3,
                 .groups = 8,
                 .groups_used = 4,
                 .scale = 2.5f,
                 DEEPSEEK_EXPERTS},
     .yarn = {.factor = 40, .log_multiplier = 0.1f, .context = 4096},
     DEEPSEEK},
    {.name = "kimi-k2",
     .n_heads = 64,
     .n_vocab = 163840,
     .context = 131072,
     .rope_base = 5e4f,
     .experts = {.count = 384, .dense_layers = 1, .scale = 2.827f, DEEPSEEK_EXPERTS},
     .yarn = {.factor = 32, .log_multiplier = 0.1f, .context = 4096},
     DEEPSEEK},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

const struct synth_shape *synth_shapes(size_t *count)
{
    *count = COUNT(shapes);
    return shapes;
}

const struct synth_shape *synth_find_shape(const char *name, struct lb_error *err)
{
    char known[512] = "";
    for (size_t i = 0; i < COUNT(shapes); i++) {
        if (strcmp(shapes[i].name, name) == 0)
            return &shapes[i];
        size_t n = strlen(known);
        snprintf(known + n, sizeof known - n, " %s", shapes[i].name);
    }
    lb_fail(err, LB_ERR_INPUT, "shape: unknown shape '%s', expected one of:%s", name, known);
    return NULL;
}
