/*
 * config: a model's dimensions from the keys of its GGUF file, checked so that the
 * rest of the room can rely on them: nothing is 0, heads divide, products of dimensions
 * fit 32 bits. What would change the arithmetic and is not implemented is refused, never
 * ignored.
 */
#include "model/architecture.h"
#include "model/binding.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define DIMENSION_LIMIT (1u << 28) /* of any vector; real models stay far below */
#define EXPERTS_LIMIT   4096u      /* in a layer */

struct reader {
    const struct gguf_file *file;
    const char *architecture;
    struct lb_error *err;
    enum lb_status status; /* the first failure */
    char key[128];         /* of the last look-up */
};

/* "ARCHITECTURE.suffix", the name under which an architecture keeps a value. */
static const char *key_of(struct reader *r, const char *suffix)
{
    snprintf(r->key, sizeof r->key, "%s.%s", r->architecture, suffix);
    return r->key;
}

static void fail(struct reader *r, enum lb_status code, const char *what)
{
    if (r->status == LB_OK)
        r->status = lb_fail(r->err, code, "%s: %s", gguf_path(r->file), what);
}

static uint32_t number(struct reader *r, const char *suffix, bool required, uint32_t fallback)
{
    uint32_t value = fallback;
    if (r->status == LB_OK)
        r->status = gguf_get_u32(r->file, key_of(r, suffix), required, &value, r->err);
    return value;
}

static bool flag(struct reader *r, const char *suffix, bool fallback)
{
    bool value = fallback;
    if (r->status == LB_OK)
        r->status = gguf_get_bool(r->file, key_of(r, suffix), false, &value, r->err);
    return value;
}

static float real(struct reader *r, const char *suffix, bool required, float fallback)
{
    float value = fallback;
    if (r->status == LB_OK)
        r->status = gguf_get_f32(r->file, key_of(r, suffix), required, &value, r->err);
    return value;
}

/* A count that must be there and lie in 1..DIMENSION_LIMIT. */
static uint32_t dimension(struct reader *r, const char *suffix, bool required, uint32_t fallback)
{
    uint32_t value = number(r, suffix, required, fallback);
    if (r->status == LB_OK && (value == 0 || value > DIMENSION_LIMIT))
        r->status = lb_fail(r->err, LB_ERR_INPUT, "%s: key '%s': got %u, expected 1 to %u",
                            gguf_path(r->file), key_of(r, suffix), value, DIMENSION_LIMIT);
    return value;
}

static void expect_divides(struct reader *r, const char *what, uint32_t value, const char *by_what,
                           uint32_t by)
{
    if (r->status == LB_OK && value % by != 0)
        r->status = lb_fail(r->err, LB_ERR_INPUT, "%s: %s %u: expected a multiple of the %s, %u",
                            gguf_path(r->file), what, value, by_what, by);
}

/* Queries, and the latent that stands for keys and values (DeepSeek-AI 2024, section 2.1). Files
 * made before the keys' and values' halves were split cannot be told apart by their keys. */
static void read_latent(struct reader *r, struct model_config *c)
{
    struct model_latent *l = &c->latent;
    c->n_heads = dimension(r, "attention.head_count", true, 0);
    c->n_kv_heads = 1;
    l->q_rank = number(r, "attention.q_lora_rank", false, 0);
    l->kv_rank = dimension(r, "attention.kv_lora_rank", true, 0);
    l->n_rope = dimension(r, "rope.dimension_count", true, 0);
    if (r->status == LB_OK && !gguf_find_pair(r->file, key_of(r, "attention.key_length_mla")))
        r->status = lb_fail(r->err, LB_ERR_UNSUPPORTED,
                            "%s: keys and values in one tensor (attn_kv_b) are not supported: "
                            "expected attn_k_b, attn_v_b and key '%s', as converters write since "
                            "2025",
                            gguf_path(r->file), r->key);
    uint32_t key = dimension(r, "attention.key_length_mla", true, 0);
    l->n_value = dimension(r, "attention.value_length_mla", true, 0);
    if (r->status != LB_OK)
        return;
    if (key <= l->n_rope) {
        r->status =
            lb_fail(r->err, LB_ERR_INPUT,
                    "%s: keys of length %u: expected more than the rope dimension count, %u",
                    gguf_path(r->file), key, l->n_rope);
        return;
    }
    l->n_nope = key - l->n_rope;
    c->head_dim = l->kv_rank + l->n_rope;
    c->attention_scale = (float)(1 / sqrt(key));
}

/* Queries, keys and values cut off at a limit (OLMo): a model that needs it is not the same
 * without. */
static void refuse_clamping(struct reader *r)
{
    float limit = real(r, "attention.clamp_kqv", false, 0);
    if (r->status == LB_OK && limit != 0)
        r->status = lb_fail(r->err, LB_ERR_UNSUPPORTED,
                            "%s: key '%s': queries, keys and values clamped to %g are not "
                            "supported",
                            gguf_path(r->file), r->key, (double)limit);
}

static void check_heads(struct reader *r, const struct model_config *c)
{
    uint64_t longest = c->head_dim;
    if (c->latent.n_nope + c->latent.n_rope > longest)
        longest = c->latent.n_nope + c->latent.n_rope;
    if (c->latent.n_value > longest)
        longest = c->latent.n_value;
    if (r->status == LB_OK && c->n_heads * longest > DIMENSION_LIMIT)
        r->status = lb_fail(r->err, LB_ERR_INPUT,
                            "%s: %u heads of length %u: expected at most %u elements in all",
                            gguf_path(r->file), c->n_heads, (uint32_t)longest, DIMENSION_LIMIT);
}

static void read_heads(struct reader *r, struct model_config *c)
{
    c->n_heads = dimension(r, "attention.head_count", true, 0);
    c->n_kv_heads = dimension(r, "attention.head_count_kv", false, c->n_heads);
    if (r->status != LB_OK)
        return;
    expect_divides(r, "head count", c->n_heads, "count of key and value heads", c->n_kv_heads);
    uint32_t head_dim = 0;
    if (!gguf_find_pair(r->file, key_of(r, "attention.key_length"))) {
        expect_divides(r, "embedding length", c->n_embd, "head count", c->n_heads);
        head_dim = c->n_embd / c->n_heads;
    }
    c->head_dim = dimension(r, "attention.key_length", false, head_dim);
    uint32_t value_dim = number(r, "attention.value_length", false, c->head_dim);
    if (r->status == LB_OK && value_dim != c->head_dim)
        r->status = lb_fail(r->err, LB_ERR_UNSUPPORTED,
                            "%s: values of length %u beside keys of length %u are not supported: "
                            "expected the same",
                            gguf_path(r->file), value_dim, c->head_dim);
    c->attention_scale = (float)(1 / sqrt(c->head_dim));
}

/* The pair that turns `turns` times over the context that the model was first trained for. */
static double pair_of(const struct model_config *c, double context, double turns)
{
    const double pi = 3.14159265358979323846;
    return c->rope_dims * log(context / (turns * 2 * pi)) / (2 * log(c->rope_base));
}

/* YaRN (Peng et al. 2023): pairs that turn often keep their speed, slow ones are scaled. */
static void read_yarn(struct reader *r, struct model_config *c, float factor)
{
    float context =
        (float)dimension(r, "rope.scaling.original_context_length", false, c->context_train);
    float fast = real(r, "rope.scaling.yarn_beta_fast", false, 32.0f);
    float slow = real(r, "rope.scaling.yarn_beta_slow", false, 1.0f);
    float mix = real(r, "rope.scaling.yarn_ext_factor", false, 1.0f);
    float multiplier = real(r, "rope.scaling.yarn_log_multiplier", false, 0.0f);
    if (r->status != LB_OK)
        return;
    if (!(fast > 0 && slow > 0 && c->rope_base > 1))
        fail(r, LB_ERR_INPUT,
             "rope scaling 'yarn': expected yarn_beta_fast and yarn_beta_slow of "
             "more than 0, and rope.freq_base of more than 1");
    else if (mix != 1.0f || (multiplier != 0.0f && c->latent.kv_rank == 0))
        fail(r, LB_ERR_UNSUPPORTED,
             "rope scaling 'yarn' with yarn_ext_factor or, outside latent attention, "
             "yarn_log_multiplier is not supported");
    c->rope_kept = (float)fmax(0, floor(pair_of(c, context, fast)));
    c->rope_slowed = (float)fmin(c->rope_dims - 1.0, ceil(pair_of(c, context, slow)));
    float log_factor = logf(factor > 0 ? factor : 1.0f);
    if (c->latent.kv_rank == 0) {
        c->rope_magnitude *= 1.0f + 0.1f * log_factor;
        return;
    }
    /* DeepSeek lengthens queries and keys whole, by what the file says, not their turned part */
    float length = 1.0f + multiplier * log_factor;
    c->attention_scale *= length * length;
}

/* rope_scale: the factor on positions, 1 / rope.scaling.factor. Llama 3.1's scaling comes as a
 * tensor of factors, not as keys. */
static void read_rope_scaling(struct reader *r, struct model_config *c)
{
    const char *type = NULL;
    if (r->status == LB_OK)
        r->status = gguf_get_text(r->file, key_of(r, "rope.scaling.type"), false, &type, r->err);
    /* before there was a type, a factor alone meant linear */
    float factor = real(r, "rope.scale_linear", false, 1.0f);
    factor = real(r, "rope.scaling.factor", false, factor);
    c->rope_scale = 1.0f;
    c->rope_kept = -1.0f;
    c->rope_slowed = 0.0f;
    c->rope_magnitude = real(r, "rope.scaling.attn_factor", false, 1.0f);
    if (r->status != LB_OK || (type && strcmp(type, "none") == 0))
        return;
    bool yarn = type && strcmp(type, "yarn") == 0;
    if (type && !yarn && strcmp(type, "linear") != 0)
        r->status = lb_fail(r->err, LB_ERR_UNSUPPORTED,
                            "%s: rope scaling '%s' is not supported: expected none, linear or yarn",
                            gguf_path(r->file), type);
    else if (!(factor >= 0) || factor > 1e6f)
        r->status =
            lb_fail(r->err, LB_ERR_INPUT, "%s: rope scaling factor %g: expected 0 (none) to 1e6",
                    gguf_path(r->file), (double)factor);
    else if (factor > 0)
        c->rope_scale = 1.0f / factor;
    if (r->status == LB_OK && yarn)
        read_yarn(r, c, factor);
}

static void read_rope(struct reader *r, struct model_config *c)
{
    c->rope_dims = dimension(r, "rope.dimension_count", false, c->head_dim);
    c->rope_base = real(r, "rope.freq_base", false, 10000.0f);
    if (r->status == LB_OK && (c->rope_dims % 2 != 0 || c->rope_dims > c->head_dim))
        r->status = lb_fail(r->err, LB_ERR_INPUT,
                            "%s: rope dimension count %u: expected an even number up to the head "
                            "length, %u",
                            gguf_path(r->file), c->rope_dims, c->head_dim);
    if (r->status == LB_OK && !(c->rope_base > 0 && c->rope_base < 1e30f))
        fail(r, LB_ERR_INPUT, "rope.freq_base: expected a positive number");
    read_rope_scaling(r, c);
}

/* The size of the vocabulary is what the embedding has rows for: the key may be of the model that
 * this one was made from. Fewer tokens than rows are padding, more are none that can be used. */
static void read_vocabulary(struct reader *r, struct model_config *c)
{
    const struct gguf_pair *tokens = gguf_find_pair(r->file, "tokenizer.ggml.tokens");
    const struct gguf_tensor *embedding = gguf_find_tensor(r->file, "token_embd.weight");
    uint64_t listed = tokens && tokens->kind == GGUF_ARRAY ? tokens->value.array.count : 0;
    uint64_t rows = embedding && embedding->ne[0] == c->n_embd ? embedding->ne[1] : 0;
    uint64_t n = rows ? rows : listed;
    uint32_t key = number(r, "vocab_size", n == 0, 0);
    n = n ? n : key;
    if (r->status != LB_OK)
        return;
    if (n == 0 || n > DIMENSION_LIMIT)
        r->status = lb_fail(r->err, LB_ERR_INPUT, "%s: %llu tokens: expected 1 to %u",
                            gguf_path(r->file), (unsigned long long)n, DIMENSION_LIMIT);
    else if (listed > n)
        r->status = lb_fail(r->err, LB_ERR_INPUT,
                            "%s: tokenizer.ggml.tokens lists %llu tokens, expected at most the "
                            "%llu rows of 'token_embd.weight'",
                            gguf_path(r->file), (unsigned long long)listed, (unsigned long long)n);
    else if (rows && key && key != rows)
        snprintf(c->note, sizeof c->note, "key '%s' is %u: taking the %llu rows of the embedding",
                 key_of(r, "vocab_size"), key, (unsigned long long)rows);
    c->n_vocab = (uint32_t)n;
}

/* A part of a split model lacks tensors, or the header: saying so helps more than naming one. */
static void refuse_parts(struct reader *r)
{
    uint32_t parts = 1;
    r->status = gguf_get_u32(r->file, "split.count", false, &parts, r->err);
    if (r->status == LB_OK && parts > 1)
        r->status = lb_fail(r->err, LB_ERR_UNSUPPORTED,
                            "%s: one of %u files of a split model is not supported: expected a "
                            "model in one file (merge them first)",
                            gguf_path(r->file), parts);
}

static void read_gating(struct reader *r, const struct model_architecture *a,
                        struct model_experts *e)
{
    uint32_t gating = number(r, "expert_gating_func", false, 0); /* 0: the architecture's own */
    if (r->status == LB_OK && gating > 3)
        r->status = lb_fail(r->err, LB_ERR_UNSUPPORTED,
                            "%s: key '%s': %u is not supported: expected 0 to 3",
                            gguf_path(r->file), r->key, gating);
    e->gating = gating == 0 ? a->gating : (enum model_gating)(gating - 1);
    e->normalised = flag(r, "expert_weights_norm", a->normalised);
    e->scale = real(r, "expert_weights_scale", false, 1.0f);
    if (e->scale == 0) /* not set */
        e->scale = 1;
}

/* Groups of equal size; the best ones must hold all that a token uses. */
static void read_groups(struct reader *r, struct model_experts *e)
{
    e->groups = number(r, "expert_group_count", false, 1);
    e->groups = e->groups > 0 ? e->groups : 1;
    e->groups_used = number(r, "expert_group_used_count", false, e->groups);
    if (r->status != LB_OK || e->groups == 1)
        return;
    expect_divides(r, "expert count", e->count, "count of expert groups", e->groups);
    if (r->status == LB_OK &&
        (e->groups_used < 1 || e->groups_used > e->groups ||
         (uint64_t)e->count / e->groups * e->groups_used < e->used || e->count / e->groups < 2))
        r->status =
            lb_fail(r->err, LB_ERR_INPUT,
                    "%s: %u of %u groups of %u experts used: expected groups of 2 or more, "
                    "and at least %u experts in those used",
                    gguf_path(r->file), e->groups_used, e->groups, e->count / e->groups, e->used);
}

/* The shared expert's width: a key of its own, or a multiple of an expert's. */
static void read_shared(struct reader *r, const struct model_config *c, bool by_key,
                        struct model_experts *e)
{
    if (by_key) {
        e->n_shared = dimension(r, "expert_shared_feed_forward_length", false, c->n_ff);
        return;
    }
    uint32_t n = number(r, "expert_shared_count", false, 0);
    if (r->status == LB_OK && (uint64_t)n * e->n_ff > DIMENSION_LIMIT)
        fail(r, LB_ERR_INPUT, "expert_shared_count: too many shared experts");
    else
        e->n_shared = n * e->n_ff;
}

static void read_experts(struct reader *r, const struct model_architecture *a,
                         struct model_config *c)
{
    struct model_experts *e = &c->experts;
    e->count = number(r, "expert_count", a->experts == EXPERTS_ALWAYS, 0);
    if (r->status != LB_OK || (e->count == 0 && a->experts != EXPERTS_ALWAYS))
        return;
    if (a->experts == EXPERTS_NEVER)
        r->status = lb_fail(r->err, LB_ERR_UNSUPPORTED,
                            "%s: a mixture of %u experts is not supported in architecture '%s'",
                            gguf_path(r->file), e->count, c->architecture);
    else if (e->count == 0 || e->count > EXPERTS_LIMIT)
        r->status = lb_fail(r->err, LB_ERR_INPUT, "%s: key '%s': got %u, expected 1 to %u",
                            gguf_path(r->file), key_of(r, "expert_count"), e->count, EXPERTS_LIMIT);
    e->used = number(r, "expert_used_count", true, 0);
    if (r->status == LB_OK && (e->used == 0 || e->used > e->count))
        r->status = lb_fail(r->err, LB_ERR_INPUT,
                            "%s: key '%s': got %u, expected 1 to the expert count, %u",
                            gguf_path(r->file), r->key, e->used, e->count);
    e->n_ff = dimension(r, "expert_feed_forward_length", false, c->n_ff);
    if (a->bit & (GLM4MOE | DEEPSEEK2))
        e->dense_layers = number(r, "leading_dense_block_count", false, 0);
    if (e->dense_layers > c->n_layers)
        e->dense_layers = c->n_layers;
    if (a->bit & (QWEN2MOE | GLM4MOE | DEEPSEEK2))
        read_shared(r, c, a->bit == QWEN2MOE, e);
    read_gating(r, a, e);
    read_groups(r, e);
}

/* Layers that predict further tokens (NextN) come last and are not run. */
static void read_layers(struct reader *r, struct model_config *c)
{
    uint32_t blocks = number(r, "block_count", true, 0);
    if (r->status == LB_OK && blocks > gguf_tensor_count(r->file))
        r->status =
            lb_fail(r->err, LB_ERR_INPUT, "%s: %u layers announced, but only %zu tensors there",
                    gguf_path(r->file), blocks, gguf_tensor_count(r->file));
    blocks = dimension(r, "block_count", true, 0);
    uint32_t further = number(r, "nextn_predict_layers", false, 0);
    if (r->status == LB_OK && further >= blocks)
        r->status =
            lb_fail(r->err, LB_ERR_INPUT, "%s: key '%s': got %u, expected fewer than %u layers",
                    gguf_path(r->file), r->key, further, blocks);
    c->n_layers = blocks - further;
    c->n_skipped = further;
}

enum lb_status config_read(const struct gguf_file *file, struct model_config *config,
                           const struct model_architecture **architecture, struct lb_error *err)
{
    struct reader r = {.file = file, .err = err, .status = LB_OK};
    struct model_config c = {.name = ""};
    refuse_parts(&r);
    if (r.status == LB_OK)
        r.status = gguf_get_text(file, "general.architecture", true, &c.architecture, err);
    if (r.status != LB_OK)
        return r.status;
    const struct model_architecture *a;
    r.status = architecture_find(gguf_path(file), c.architecture, &a, err);
    if (r.status != LB_OK)
        return r.status;
    r.architecture = c.architecture;
    c.rope_neox = a->rope_neox;
    c.window_alternates = a->window_alternates;
    c.swiglu = a->swiglu;
    r.status = gguf_get_text(file, "general.name", false, &c.name, err);
    read_layers(&r, &c);
    c.n_embd = dimension(&r, "embedding_length", true, 0);
    c.n_ff = dimension(&r, "feed_forward_length", true, 0);
    c.context_train = dimension(&r, "context_length", true, 0);
    read_vocabulary(&r, &c);
    c.sliding_window = number(&r, "attention.sliding_window", false, 0);
    c.rms_eps = real(&r, "attention.layer_norm_rms_epsilon", true, 0);
    read_experts(&r, a, &c);
    if (a->latent)
        read_latent(&r, &c);
    else
        read_heads(&r, &c);
    check_heads(&r, &c);
    refuse_clamping(&r);
    read_rope(&r, &c);
    if (r.status == LB_OK && !(c.rms_eps >= 0 && c.rms_eps < 1))
        fail(&r, LB_ERR_INPUT, "attention.layer_norm_rms_epsilon: expected 0 to 1");
    if (r.status == LB_OK) {
        *config = c;
        *architecture = a;
    }
    return r.status;
}
