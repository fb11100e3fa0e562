/* architecture: see architecture.h. */
#include "model/architecture.h"

#include <stdio.h>
#include <string.h>

static const struct model_architecture architectures[] = {
    {.name = "llama",
     .bit = LLAMA,
     .experts = EXPERTS_MAYBE,
     .gating = MODEL_SOFTMAX,
     .normalised = true},
    {.name = "qwen2", .bit = QWEN2, .rope_neox = true},
    {.name = "qwen3", .bit = QWEN3, .rope_neox = true},
    {.name = "qwen2moe",
     .bit = QWEN2MOE,
     .rope_neox = true,
     .experts = EXPERTS_ALWAYS,
     .gating = MODEL_SOFTMAX},
    {.name = "qwen3moe",
     .bit = QWEN3MOE,
     .rope_neox = true,
     .experts = EXPERTS_ALWAYS,
     .gating = MODEL_SOFTMAX,
     .normalised = true},
    {.name = "olmoe",
     .bit = OLMOE,
     .rope_neox = true,
     .experts = EXPERTS_ALWAYS,
     .gating = MODEL_SOFTMAX},
    {.name = "glm4moe",
     .bit = GLM4MOE,
     .rope_neox = true,
     .experts = EXPERTS_ALWAYS,
     .gating = MODEL_SIGMOID},
    {.name = "deepseek2",
     .bit = DEEPSEEK2,
     .experts = EXPERTS_ALWAYS,
     .gating = MODEL_SOFTMAX,
     .latent = true},
    {.name = "gpt-oss",
     .bit = GPT_OSS,
     .rope_neox = true,
     .experts = EXPERTS_ALWAYS,
     .gating = MODEL_SOFTMAX_OF_CHOSEN,
     .window_alternates = true,
     .swiglu = MODEL_SWIGLU_CLAMPED},
};
#define N_ARCHITECTURES (sizeof architectures / sizeof *architectures)

/* Architectures that people will try, because they are like those above but for this. */
static const struct {
    const char *name, *needs;
} neighbours[] = {
    {"arctic", "a dense feed-forward part beside the experts"},
    {"bailingmoe2", "groups of experts beside grouped-query attention"},
    {"dbrx", "layer norms with a mean, and one tensor for q, k and v"},
    {"deepseek", "shared experts beside grouped-query attention (DeepSeek V1)"},
    {"deepseek32", "sparse attention with an indexer"},
    {"ernie4_5-moe", "experts in every n-th layer only"},
    {"gemma2", "norms after each sub-layer and capped logits"},
    {"gemma3", "norms after each sub-layer and two rope bases"},
    {"glm-dsa", "sparse attention with an indexer"},
    {"glm4", "norms after each sub-layer"},
    {"granitemoe", "scaled embeddings, residuals and logits"},
    {"grok", "norms after each sub-layer and capped logits"},
    {"hunyuan-moe", "norms of q and k after the rotation"},
    {"jamba", "state-space layers"},
    {"llama4", "layers without positions, and weights applied before the experts"},
    {"minimax-m2", "a norm of whole q and k beside partial rotation and a biased choice"},
    {"phi3", "one tensor for q, k and v, and long rope factors"},
    {"phimoe", "layer norms with a mean, and long rope factors"},
    {"qwen35moe", "linear attention layers (gated delta net)"},
    {"qwen3next", "linear attention layers (gated delta net)"},
    {"qwen3vlmoe", "rope in sections and deep stacked image features"},
};

static enum lb_status refuse(const char *path, const char *name, struct lb_error *err)
{
    char names[256] = "";
    for (size_t i = 0; i < sizeof neighbours / sizeof *neighbours; i++)
        if (strcmp(neighbours[i].name, name) == 0)
            return lb_fail(err, LB_ERR_UNSUPPORTED,
                           "%s: architecture '%s' is not supported: it would need %s", path, name,
                           neighbours[i].needs);
    for (size_t i = 0, used = 0; i < N_ARCHITECTURES && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s",
                                 i == 0                     ? ""
                                 : i + 1 == N_ARCHITECTURES ? " or "
                                                            : ", ",
                                 architectures[i].name);
    return lb_fail(err, LB_ERR_UNSUPPORTED, "%s: architecture '%s' is not supported: expected %s",
                   path, name, names);
}

enum lb_status architecture_find(const char *path, const char *name,
                                 const struct model_architecture **architecture,
                                 struct lb_error *err)
{
    for (size_t i = 0; i < N_ARCHITECTURES; i++)
        if (strcmp(architectures[i].name, name) == 0) {
            *architecture = &architectures[i];
            return LB_OK;
        }
    return refuse(path, name, err);
}
