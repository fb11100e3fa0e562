/* synth_header: the pairs of a synthetic model's file: what it is, its dimensions, its tokenizer.
 */
#include "synth/synth_parts.h"

#include <stdio.h>
#include <string.h>

struct keys {
    struct gguf_writer *writer;
    const char *architecture;
};

static void put_u32(const struct keys *k, const char *key, uint32_t value)
{
    char full[64];
    snprintf(full, sizeof full, "%s.%s", k->architecture, key);
    gguf_writer_put_u32(k->writer, full, value);
}

static void put_f32(const struct keys *k, const char *key, float value)
{
    char full[64];
    snprintf(full, sizeof full, "%s.%s", k->architecture, key);
    gguf_writer_put_f32(k->writer, full, value);
}

static bool is(const struct keys *k, const char *architecture)
{
    return strcmp(k->architecture, architecture) == 0;
}

static void put_experts(const struct keys *k, const struct synth_experts *e)
{
    char full[64];
    put_u32(k, "expert_count", e->count);
    put_u32(k, "expert_used_count", e->used);
    if (!is(k, "llama"))
        put_u32(k, "expert_feed_forward_length", e->n_ff);
    if (is(k, "qwen2moe"))
        put_u32(k, "expert_shared_feed_forward_length", e->n_shared);
    if (!is(k, "deepseek2") && !is(k, "glm4moe"))
        return;
    put_u32(k, "leading_dense_block_count", e->dense_layers);
    put_u32(k, "expert_shared_count", e->n_shared / e->n_ff);
    put_u32(k, "expert_gating_func", e->sigmoid ? 2 : 1);
    put_f32(k, "expert_weights_scale", e->scale);
    snprintf(full, sizeof full, "%s.expert_weights_norm", k->architecture);
    gguf_writer_put_bool(k->writer, full, e->normalised != 0);
    if (e->groups > 0) {
        put_u32(k, "expert_group_count", e->groups);
        put_u32(k, "expert_group_used_count", e->groups_used);
    }
}

static void put_latent(const struct keys *k, const struct synth_latent *l)
{
    if (l->q_rank > 0)
        put_u32(k, "attention.q_lora_rank", l->q_rank);
    put_u32(k, "attention.kv_lora_rank", l->kv_rank);
    put_u32(k, "attention.key_length", l->kv_rank + l->n_rope);
    put_u32(k, "attention.value_length", l->kv_rank);
    put_u32(k, "attention.key_length_mla", l->n_nope + l->n_rope);
    put_u32(k, "attention.value_length_mla", l->n_value);
}

static void put_yarn(const struct keys *k, const struct synth_yarn *y)
{
    char full[64];
    snprintf(full, sizeof full, "%s.rope.scaling.type", k->architecture);
    gguf_writer_put_text(k->writer, full, "yarn");
    put_f32(k, "rope.scaling.factor", y->factor);
    put_u32(k, "rope.scaling.original_context_length", y->context);
    if (y->log_multiplier > 0)
        put_f32(k, "rope.scaling.yarn_log_multiplier", y->log_multiplier);
}

enum lb_status synth_put_header(struct gguf_writer *writer, const struct synth_shape *s,
                                const struct synth_mix *mix, uint64_t seed,
                                const struct synth_routing *routing, struct lb_error *err)
{
    const struct keys k = {writer, s->architecture};
    char name[128];
    snprintf(name, sizeof name, "%s %s (random weights, seed %llu)", s->name, mix->name,
             (unsigned long long)seed);
    gguf_writer_put_text(writer, "general.architecture", s->architecture);
    gguf_writer_put_text(writer, "general.name", name);
    put_u32(&k, "context_length", s->context);
    put_u32(&k, "embedding_length", s->n_embd);
    put_u32(&k, "block_count", s->n_layers);
    put_u32(&k, "feed_forward_length", s->n_ff);
    put_u32(&k, "rope.dimension_count",
            s->latent.kv_rank > 0 ? s->latent.n_rope
            : s->rope_dims > 0    ? s->rope_dims
                                  : s->head_dim);
    put_u32(&k, "attention.head_count", s->n_heads);
    put_u32(&k, "attention.head_count_kv", s->n_kv_heads);
    put_f32(&k, "attention.layer_norm_rms_epsilon", s->rms_eps);
    put_f32(&k, "rope.freq_base", s->rope_base);
    if (s->latent.kv_rank > 0) {
        put_latent(&k, &s->latent);
    } else if (is(&k, "qwen3") || s->experts.count > 0) {
        put_u32(&k, "attention.key_length", s->head_dim);
        put_u32(&k, "attention.value_length", s->head_dim);
    }
    if (s->sliding_window > 0)
        put_u32(&k, "attention.sliding_window", s->sliding_window);
    if (s->yarn.factor > 0)
        put_yarn(&k, &s->yarn);
    if (s->experts.count > 0)
        put_experts(&k, &s->experts);
    if (s->experts.count > 0) {
        gguf_writer_put_f32(writer, SYNTH_KEY_SKEW, (float)routing->skew);
        gguf_writer_put_f32(writer, SYNTH_KEY_PERSISTENCE, (float)routing->persistence);
    }
    put_u32(&k, "vocab_size", s->n_vocab);
    enum lb_status status = synth_put_vocabulary(writer, s->n_vocab, err);
    gguf_writer_put_u32(writer, "general.quantization_version", 2);
    gguf_writer_put_u32(writer, "general.file_type", mix->file_type);
    return status;
}
