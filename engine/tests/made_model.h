/*
 * made_model: writes small models with random weights, one way or another out of the
 * ordinary, for tests of the model room. All that a field leaves 0 has a usual value.
 */
#ifndef TESTS_MADE_MODEL_H
#define TESTS_MADE_MODEL_H

#include "base/random.h"
#include "gguf/gguf.h"
#include "quant/quant.h"
#include "tests/temporary.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct made_model {
    const char *architecture;
    uint32_t n_layers, n_embd, n_heads, n_kv_heads, n_ff, n_vocab;
    uint32_t key_length, rope_dims, window; /* 0: no such key */
    float rope_factor;                      /* linear scaling, or YaRN's; 0: none */
    uint32_t yarn_context;                  /* YaRN, trained for so many positions; 0: no YaRN */
    bool factors, biases, tied;
    uint32_t experts, used, shared; /* in a layer, for a token; width of the shared expert */
    uint32_t groups;                /* 0: no such keys; half of them are used */
    uint32_t dense_layers, skipped; /* without experts, at the beginning; NextN, at the end */
    bool fused;                     /* gates and ups of the experts in one tensor */
    float yarn_multiplier;          /* yarn_log_multiplier */
    float clamp;                    /* attention.clamp_kqv */
    bool plain_queries;             /* latent attention without a low rank of the queries */
    const char *poisoned; /* the first element of each row of this tensor becomes `poison` */
    float poison;
    uint32_t type; /* of matrices; vectors and routers are F32 */
    uint64_t seed;
    /* spoilt on purpose */
    const char *without;         /* leave this tensor or key out */
    const char *reshaped;        /* its rows become 32 more */
    const char *retyped;         /* becomes F16, or Q8_0 where it was F16 */
    const char *extra;           /* add a tensor of this name */
    const char *key;             /* give this number key another value */
    uint32_t value;              /* the value */
    const char *text_key, *text; /* give this text key a value */
    const char *array_key;       /* this number key holds a value for each layer, all the same */
    uint32_t array_last;         /* but for the last; 0: the same */
    uint32_t n_tokens;           /* so many tokens listed; 0: no such key */
};

#define MADE_TENSORS 256

struct made_tensor {
    char name[64];
    uint64_t ne[4];
    uint32_t type;
    bool norm; /* near 1 instead of near 0 */
};

struct made_list {
    const struct made_model *made;
    size_t n;
    struct made_tensor tensor[MADE_TENSORS];
};

/* A model of llama architecture that all rooms' code paths fit. */
static inline struct made_model made_usual(void)
{
    return (struct made_model){.architecture = "llama",
                               .n_layers = 2,
                               .n_embd = 64,
                               .n_heads = 4,
                               .n_kv_heads = 2,
                               .n_ff = 96,
                               .n_vocab = 50,
                               .seed = 1};
}

/* A mixture of experts in as small a size as its architecture allows. */
static inline struct made_model made_mixture(const char *architecture)
{
    struct made_model m = made_usual();
    m.architecture = architecture;
    m.n_layers = 3;
    m.experts = 8;
    m.used = 3;
    m.key_length = 16;
    m.biases = strcmp(architecture, "qwen2moe") == 0 || strcmp(architecture, "glm4moe") == 0 ||
               strcmp(architecture, "gpt-oss") == 0;
    if (strcmp(architecture, "qwen2moe") == 0)
        m.shared = 64;
    if (strcmp(architecture, "glm4moe") == 0 || strcmp(architecture, "deepseek2") == 0) {
        m.shared = m.n_ff;
        m.dense_layers = 1;
    }
    if (strcmp(architecture, "gpt-oss") == 0)
        m.window = 5;
    if (strcmp(architecture, "deepseek2") == 0) {
        m.rope_dims = 8;
        m.groups = 4;
        m.used = 2;
    }
    return m;
}

static inline bool made_is(const char *chosen, const char *name)
{
    return chosen && strcmp(chosen, name) == 0;
}

static inline void made_add3(struct made_list *list, const char *prefix, const char *suffix,
                             uint64_t n_in, uint64_t n_rows, uint64_t n_slices)
{
    const struct made_model *m = list->made;
    struct made_tensor *t = &list->tensor[list->n];
    bool vector = n_rows == 1 || strstr(suffix, "exps.bias");
    snprintf(t->name, sizeof t->name, "%s%s", prefix, suffix);
    if (made_is(m->without, t->name))
        return;
    *t = (struct made_tensor){
        .ne = {n_in, n_rows + (made_is(m->reshaped, t->name) ? 32 : 0), n_slices, 1},
        .type = vector || strstr(suffix, "ffn_gate_inp") ? QUANT_F32 : m->type,
        .norm = vector && strstr(suffix, "bias") == NULL && strstr(suffix, "inp") == NULL};
    snprintf(t->name, sizeof t->name, "%s%s", prefix, suffix);
    if (made_is(m->retyped, t->name))
        t->type = t->type == QUANT_F16 || vector ? QUANT_Q8_0 : QUANT_F16;
    list->n++;
}

static inline void made_add(struct made_list *list, const char *prefix, const char *suffix,
                            uint64_t n_in, uint64_t n_rows)
{
    made_add3(list, prefix, suffix, n_in, n_rows, 1);
}

static inline uint32_t made_head_dim(const struct made_model *m)
{
    return m->key_length ? m->key_length : m->n_embd / m->n_heads;
}

#define MADE_RANK 32 /* of latent attention: of queries, and of keys and values */

static inline void made_latent(struct made_list *list, const char *prefix)
{
    const struct made_model *m = list->made;
    uint32_t key = made_head_dim(m), value = key - m->rope_dims, keys = m->n_heads * key;
    if (m->plain_queries) {
        made_add(list, prefix, "attn_q.weight", m->n_embd, keys);
    } else {
        made_add(list, prefix, "attn_q_a.weight", m->n_embd, MADE_RANK);
        made_add(list, prefix, "attn_q_a_norm.weight", MADE_RANK, 1);
        made_add(list, prefix, "attn_q_b.weight", MADE_RANK, keys);
    }
    made_add(list, prefix, "attn_kv_a_mqa.weight", m->n_embd, MADE_RANK + m->rope_dims);
    made_add(list, prefix, "attn_kv_a_norm.weight", MADE_RANK, 1);
    made_add3(list, prefix, "attn_k_b.weight", key - m->rope_dims, MADE_RANK, m->n_heads);
    made_add3(list, prefix, "attn_v_b.weight", MADE_RANK, value, m->n_heads);
    made_add(list, prefix, "attn_output.weight", m->n_heads * value, m->n_embd);
}

static inline void made_attention(struct made_list *list, const char *prefix)
{
    const struct made_model *m = list->made;
    uint32_t head_dim = made_head_dim(m);
    uint32_t q_dim = m->n_heads * head_dim, kv_dim = m->n_kv_heads * head_dim;
    made_add(list, prefix, "attn_k.weight", m->n_embd, kv_dim);
    made_add(list, prefix, "attn_v.weight", m->n_embd, kv_dim);
    made_add(list, prefix, "attn_q.weight", m->n_embd, q_dim);
    made_add(list, prefix, "attn_output.weight", q_dim, m->n_embd);
    if (m->biases) {
        made_add(list, prefix, "attn_q.bias", q_dim, 1);
        made_add(list, prefix, "attn_k.bias", kv_dim, 1);
        made_add(list, prefix, "attn_v.bias", kv_dim, 1);
    }
    if (strncmp(m->architecture, "qwen3", 5) == 0 || strcmp(m->architecture, "glm4moe") == 0) {
        made_add(list, prefix, "attn_q_norm.weight", head_dim, 1);
        made_add(list, prefix, "attn_k_norm.weight", head_dim, 1);
    }
    if (strcmp(m->architecture, "olmoe") == 0) {
        made_add(list, prefix, "attn_q_norm.weight", q_dim, 1);
        made_add(list, prefix, "attn_k_norm.weight", kv_dim, 1);
    }
    if (strcmp(m->architecture, "gpt-oss") == 0) {
        made_add(list, prefix, "attn_output.bias", m->n_embd, 1);
        made_add(list, prefix, "attn_sinks.weight", m->n_heads, 1);
    }
}

static inline void made_experts(struct made_list *list, const char *prefix)
{
    const struct made_model *m = list->made;
    made_add3(list, prefix, "ffn_down_exps.weight", m->n_ff, m->n_embd, m->experts);
    if (m->fused) {
        made_add3(list, prefix, "ffn_gate_up_exps.weight", m->n_embd, 2ull * m->n_ff, m->experts);
    } else {
        made_add3(list, prefix, "ffn_gate_exps.weight", m->n_embd, m->n_ff, m->experts);
        made_add3(list, prefix, "ffn_up_exps.weight", m->n_embd, m->n_ff, m->experts);
    }
    made_add(list, prefix, "ffn_gate_inp.weight", m->n_embd, m->experts);
    if (strcmp(m->architecture, "gpt-oss") == 0) {
        made_add(list, prefix, "ffn_gate_inp.bias", m->experts, 1);
        made_add(list, prefix, "ffn_gate_exps.bias", m->n_ff, m->experts);
        made_add(list, prefix, "ffn_up_exps.bias", m->n_ff, m->experts);
        made_add(list, prefix, "ffn_down_exps.bias", m->n_embd, m->experts);
    }
    if (m->dense_layers > 0)
        made_add(list, prefix, "exp_probs_b.bias", m->experts, 1);
    if (m->shared > 0) {
        made_add(list, prefix, "ffn_gate_shexp.weight", m->n_embd, m->shared);
        made_add(list, prefix, "ffn_up_shexp.weight", m->n_embd, m->shared);
        made_add(list, prefix, "ffn_down_shexp.weight", m->shared, m->n_embd);
    }
    if (strcmp(m->architecture, "qwen2moe") == 0)
        made_add(list, prefix, "ffn_gate_inp_shexp.weight", m->n_embd, 1);
}

static inline void made_layer(struct made_list *list, uint32_t layer)
{
    const struct made_model *m = list->made;
    char prefix[32];
    snprintf(prefix, sizeof prefix, "blk.%u.", layer);
    bool post = strcmp(m->architecture, "glm4moe") == 0 || strcmp(m->architecture, "gpt-oss") == 0;
    /* not in the order of access: readers must not rely on it */
    if (m->experts == 0 || layer < m->dense_layers) {
        made_add(list, prefix, "ffn_down.weight", m->n_ff, m->n_embd);
        made_add(list, prefix, "ffn_gate.weight", m->n_embd, m->n_ff);
        made_add(list, prefix, "ffn_up.weight", m->n_embd, m->n_ff);
    } else {
        made_experts(list, prefix);
    }
    made_add(list, prefix, post ? "post_attention_norm.weight" : "ffn_norm.weight", m->n_embd, 1);
    made_add(list, prefix, "attn_norm.weight", m->n_embd, 1);
    if (strcmp(m->architecture, "deepseek2") == 0)
        made_latent(list, prefix);
    else
        made_attention(list, prefix);
}

static inline void made_tensors(struct made_list *list)
{
    const struct made_model *m = list->made;
    uint32_t head_dim = m->key_length ? m->key_length : m->n_embd / m->n_heads;
    made_add(list, "", "token_embd.weight", m->n_embd, m->n_vocab);
    for (uint32_t l = 0; l < m->n_layers + m->skipped; l++)
        made_layer(list, l);
    made_add(list, "", "output_norm.weight", m->n_embd, 1);
    if (!m->tied)
        made_add(list, "", "output.weight", m->n_embd, m->n_vocab);
    if (m->factors)
        made_add(list, "", "rope_freqs.weight", (m->rope_dims ? m->rope_dims : head_dim) / 2, 1);
    if (m->extra)
        made_add(list, "", m->extra, m->n_embd, 1);
}

static inline void made_number(struct gguf_writer *w, const struct made_model *m,
                               const char *suffix, uint32_t value)
{
    char key[96];
    snprintf(key, sizeof key, "%s.%s", m->architecture, suffix);
    if (made_is(m->array_key, key)) {
        uint32_t values[8];
        for (uint32_t i = 0; i < m->n_layers; i++)
            values[i] = value;
        if (m->array_last > 0)
            values[m->n_layers - 1] = m->array_last;
        gguf_writer_put_array(w, key, GGUF_U32, values, m->n_layers);
    } else if (!made_is(m->without, key)) {
        gguf_writer_put_u32(w, key, made_is(m->key, key) ? m->value : value);
    }
}

static inline void made_tokens(struct gguf_writer *w, uint32_t n)
{
    const char *texts[256];
    for (uint32_t i = 0; i < n && i < 256; i++)
        texts[i] = "t";
    gguf_writer_put_texts(w, "tokenizer.ggml.tokens", texts, n < 256 ? n : 256);
}

/* A key that is there unless its value is 0. */
static inline void made_real(struct gguf_writer *w, const struct made_model *m, const char *suffix,
                             float value)
{
    char key[96];
    snprintf(key, sizeof key, "%s.%s", m->architecture, suffix);
    if (value != 0)
        gguf_writer_put_f32(w, key, value);
}

static inline void made_expert_keys(struct gguf_writer *w, const struct made_model *m)
{
    made_number(w, m, "expert_count", m->experts);
    made_number(w, m, "expert_used_count", m->used);
    made_number(w, m, "expert_feed_forward_length", m->n_ff);
    if (strcmp(m->architecture, "qwen2moe") == 0)
        made_number(w, m, "expert_shared_feed_forward_length", m->shared);
    else if (m->shared > 0)
        made_number(w, m, "expert_shared_count", m->shared / m->n_ff);
    if (m->dense_layers > 0) {
        made_number(w, m, "leading_dense_block_count", m->dense_layers);
        made_number(w, m, "expert_gating_func", 2);
    }
    if (m->groups > 0) {
        made_number(w, m, "expert_group_count", m->groups);
        made_number(w, m, "expert_group_used_count", m->groups / 2);
    }
}

static inline void made_keys(struct gguf_writer *w, const struct made_model *m)
{
    char key[96];
    gguf_writer_put_text(w, "general.architecture", m->architecture);
    gguf_writer_put_text(w, "general.name", "made");
    made_number(w, m, "block_count", m->n_layers + m->skipped);
    made_number(w, m, "context_length", 64);
    made_number(w, m, "embedding_length", m->n_embd);
    made_number(w, m, "feed_forward_length", m->n_ff);
    made_number(w, m, "attention.head_count", m->n_heads);
    made_number(w, m, "attention.head_count_kv", m->n_kv_heads);
    made_number(w, m, "vocab_size", m->n_vocab);
    if (strcmp(m->architecture, "deepseek2") == 0) {
        made_number(w, m, "attention.kv_lora_rank", MADE_RANK);
        if (!m->plain_queries)
            made_number(w, m, "attention.q_lora_rank", MADE_RANK);
        made_number(w, m, "attention.key_length_mla", m->key_length);
        made_number(w, m, "attention.value_length_mla", m->key_length - m->rope_dims);
    } else if (m->key_length) {
        made_number(w, m, "attention.key_length", m->key_length);
    }
    if (m->experts)
        made_expert_keys(w, m);
    if (m->skipped)
        made_number(w, m, "nextn_predict_layers", m->skipped);
    if (m->rope_dims)
        made_number(w, m, "rope.dimension_count", m->rope_dims);
    if (m->window)
        made_number(w, m, "attention.sliding_window", m->window);
    if (m->rope_factor > 0) {
        snprintf(key, sizeof key, "%s.rope.scaling.type", m->architecture);
        gguf_writer_put_text(w, key, m->yarn_context ? "yarn" : "linear");
        snprintf(key, sizeof key, "%s.rope.scaling.factor", m->architecture);
        gguf_writer_put_f32(w, key, m->rope_factor);
        if (m->yarn_context)
            made_number(w, m, "rope.scaling.original_context_length", m->yarn_context);
    }
    made_real(w, m, "rope.scaling.yarn_log_multiplier", m->yarn_multiplier);
    made_real(w, m, "attention.clamp_kqv", m->clamp);
    if (m->n_tokens > 0)
        made_tokens(w, m->n_tokens);
    if (m->text_key)
        gguf_writer_put_text(w, m->text_key, m->text);
    if ((made_is(m->key, "llama.expert_count") && m->experts == 0) ||
        made_is(m->key, "llama.attention.value_length") || made_is(m->key, "split.count"))
        gguf_writer_put_u32(w, m->key, m->value);
    snprintf(key, sizeof key, "%s.attention.layer_norm_rms_epsilon", m->architecture);
    if (!made_is(m->without, key))
        gguf_writer_put_f32(w, key, 1e-5f);
}

static inline void made_data(struct gguf_writer *w, const struct made_tensor *t,
                             const struct made_model *m, struct lb_random *random,
                             struct lb_error *err)
{
    size_t rows = (size_t)(t->ne[1] * t->ne[2]), n = (size_t)t->ne[0] * rows;
    size_t bytes = quant_row_bytes(t->type, t->ne[0]) * rows;
    float *x = malloc(n * sizeof *x);
    void *blocks = malloc(bytes);
    double spread = t->ne[1] > 1 ? 1.7 / sqrt((double)t->ne[0]) : 0.3;
    for (size_t i = 0; i < n; i++) /* uniform; factor 2 keeps scores far from flat */
        x[i] = (float)((t->norm ? 1 : 0) + 2 * spread * (lb_random_unit(random) - 0.5) * 2);
    for (size_t row = 0; made_is(m->poisoned, t->name) && row < rows; row++)
        x[row * (size_t)t->ne[0]] = m->poison;
    quant_info(t->type)->quantize(x, blocks, n);
    gguf_writer_data(w, blocks, bytes, err);
    free(x);
    free(blocks);
}

/* Writes the model to `path`; ends the test program when that fails. */
static inline void made_write(const struct made_model *m, const char *path)
{
    struct lb_error err = LB_ERROR_INIT;
    struct gguf_writer *w;
    struct made_list *list = calloc(1, sizeof *list);
    struct lb_random random = {m->seed};
    list->made = m;
    made_tensors(list);
    if (gguf_writer_open(path, &w, &err) != LB_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    made_keys(w, m);
    for (size_t i = 0; i < list->n; i++) {
        const struct made_tensor *t = &list->tensor[i];
        gguf_writer_add_tensor(w, t->name,
                               t->ne[2] > 1   ? 3
                               : t->ne[1] > 1 ? 2
                                              : 1,
                               t->ne, t->type,
                               quant_row_bytes(t->type, t->ne[0]) * t->ne[1] * t->ne[2]);
    }
    for (size_t i = 0; i < list->n; i++)
        made_data(w, &list->tensor[i], m, &random, &err);
    if (gguf_writer_finish(w, &err) != LB_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    free(list);
}

/* A path for a model of this test program; the folder is removed by made_clean(). */
static char made_directory[TEMPORARY_PATH];

static inline const char *made_path(const char *name)
{
    static char path[sizeof made_directory + 64];
    if (!*made_directory)
        temporary_folder(made_directory);
    snprintf(path, sizeof path, "%s/%s", made_directory, name);
    return path;
}

static inline void made_clean(void)
{
    rmdir(made_directory);
}

#endif
