/*
 * config: a model's dimensions from the keys of its GGUF file, checked so that the
 * rest of the room can rely on them: nothing is 0, heads divide, products of dimensions
 * fit 32 bits. What would change the arithmetic and is not implemented (mixtures of
 * experts) is refused, never ignored.
 */
#include "model/binding.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define DIMENSION_LIMIT (1u << 28) /* of any vector; real models stay far below */

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
    if (r->status == LB_OK && (uint64_t)c->n_heads * c->head_dim > DIMENSION_LIMIT)
        r->status = lb_fail(r->err, LB_ERR_INPUT,
                            "%s: %u heads of length %u: expected at most %u elements in all",
                            gguf_path(r->file), c->n_heads, c->head_dim, DIMENSION_LIMIT);
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
    else if (mix != 1.0f || multiplier != 0.0f)
        fail(r, LB_ERR_UNSUPPORTED,
             "rope scaling 'yarn' with yarn_ext_factor or "
             "yarn_log_multiplier is not supported");
    c->rope_kept = (float)fmax(0, floor(pair_of(c, context, fast)));
    c->rope_slowed = (float)fmin(c->rope_dims - 1.0, ceil(pair_of(c, context, slow)));
    c->rope_magnitude *= 1.0f + 0.1f * logf(factor > 0 ? factor : 1.0f);
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
    c->rope_neox = strcmp(c->architecture, "llama") != 0;
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

/* The size of the vocabulary: its key, else the tokens listed, else the rows of the embedding. */
static uint32_t vocabulary_size(struct reader *r)
{
    uint64_t n = 0;
    const struct gguf_pair *tokens = gguf_find_pair(r->file, "tokenizer.ggml.tokens");
    const struct gguf_tensor *embedding = gguf_find_tensor(r->file, "token_embd.weight");
    if (tokens && tokens->kind == GGUF_ARRAY)
        n = tokens->value.array.count;
    else if (embedding)
        n = embedding->ne[1];
    return dimension(r, "vocab_size", n == 0, n > UINT32_MAX ? UINT32_MAX : (uint32_t)n);
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

static void refuse_experts(struct reader *r)
{
    uint32_t experts = number(r, "expert_count", false, 0);
    if (r->status == LB_OK && experts > 0)
        r->status = lb_fail(r->err, LB_ERR_UNSUPPORTED,
                            "%s: a mixture of %u experts is not supported: expected a dense model",
                            gguf_path(r->file), experts);
}

enum lb_status config_read(const struct gguf_file *file, struct model_config *config,
                           struct lb_error *err)
{
    struct reader r = {.file = file, .err = err, .status = LB_OK};
    struct model_config c = {.name = ""};
    refuse_parts(&r);
    if (r.status == LB_OK)
        r.status = gguf_get_text(file, "general.architecture", true, &c.architecture, err);
    if (r.status != LB_OK)
        return r.status;
    if (strcmp(c.architecture, "llama") != 0 && strcmp(c.architecture, "qwen2") != 0 &&
        strcmp(c.architecture, "qwen3") != 0)
        return lb_fail(err, LB_ERR_UNSUPPORTED,
                       "%s: architecture '%s' is not supported: expected llama, qwen2 or qwen3",
                       gguf_path(file), c.architecture);
    r.architecture = c.architecture;
    r.status = gguf_get_text(file, "general.name", false, &c.name, err);
    refuse_experts(&r);
    c.n_layers = dimension(&r, "block_count", true, 0);
    c.n_embd = dimension(&r, "embedding_length", true, 0);
    c.n_ff = dimension(&r, "feed_forward_length", true, 0);
    c.context_train = dimension(&r, "context_length", true, 0);
    c.n_vocab = vocabulary_size(&r);
    c.sliding_window = number(&r, "attention.sliding_window", false, 0);
    c.rms_eps = real(&r, "attention.layer_norm_rms_epsilon", true, 0);
    read_heads(&r, &c);
    read_rope(&r, &c);
    if (r.status == LB_OK && !(c.rms_eps >= 0 && c.rms_eps < 1))
        fail(&r, LB_ERR_INPUT, "attention.layer_norm_rms_epsilon: expected 0 to 1");
    if (r.status == LB_OK && c.n_layers > gguf_tensor_count(file))
        r.status = lb_fail(err, LB_ERR_INPUT, "%s: %u layers announced, but only %zu tensors there",
                           gguf_path(file), c.n_layers, gguf_tensor_count(file));
    if (r.status == LB_OK)
        *config = c;
    return r.status;
}
