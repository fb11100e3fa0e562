/*
 * made_model: writes small models with random weights, one way or another out of the
 * ordinary, for tests of the model room. All that a field leaves 0 has a usual value.
 */
#ifndef TESTS_MADE_MODEL_H
#define TESTS_MADE_MODEL_H

#include "base/random.h"
#include "gguf/gguf.h"
#include "quant/quant.h"

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
    uint32_t type; /* of matrices; vectors are F32 */
    uint64_t seed;
    /* spoilt on purpose */
    const char *without;         /* leave this tensor or key out */
    const char *reshaped;        /* its rows become 32 more */
    const char *retyped;         /* becomes F16, or Q8_0 where it was F16 */
    const char *extra;           /* add a tensor of this name */
    const char *key;             /* give this number key another value */
    uint32_t value;              /* the value */
    const char *text_key, *text; /* give this text key a value */
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

static inline bool made_is(const char *chosen, const char *name)
{
    return chosen && strcmp(chosen, name) == 0;
}

static inline void made_add(struct made_list *list, const char *prefix, const char *suffix,
                            uint64_t n_in, uint64_t n_rows)
{
    const struct made_model *m = list->made;
    struct made_tensor *t = &list->tensor[list->n];
    bool vector = n_rows == 1;
    snprintf(t->name, sizeof t->name, "%s%s", prefix, suffix);
    if (made_is(m->without, t->name))
        return;
    *t = (struct made_tensor){.ne = {n_in, n_rows + (made_is(m->reshaped, t->name) ? 32 : 0), 1, 1},
                              .type = vector ? QUANT_F32 : m->type,
                              .norm = vector && strstr(suffix, "bias") == NULL};
    snprintf(t->name, sizeof t->name, "%s%s", prefix, suffix);
    if (made_is(m->retyped, t->name))
        t->type = t->type == QUANT_F16 || vector ? QUANT_Q8_0 : QUANT_F16;
    list->n++;
}

static inline void made_layer(struct made_list *list, uint32_t layer)
{
    const struct made_model *m = list->made;
    char prefix[32];
    uint32_t head_dim = m->key_length ? m->key_length : m->n_embd / m->n_heads;
    uint32_t q_dim = m->n_heads * head_dim, kv_dim = m->n_kv_heads * head_dim;
    snprintf(prefix, sizeof prefix, "blk.%u.", layer);
    /* not in the order of access: readers must not rely on it */
    made_add(list, prefix, "ffn_down.weight", m->n_ff, m->n_embd);
    made_add(list, prefix, "ffn_gate.weight", m->n_embd, m->n_ff);
    made_add(list, prefix, "ffn_up.weight", m->n_embd, m->n_ff);
    made_add(list, prefix, "ffn_norm.weight", m->n_embd, 1);
    made_add(list, prefix, "attn_norm.weight", m->n_embd, 1);
    made_add(list, prefix, "attn_k.weight", m->n_embd, kv_dim);
    made_add(list, prefix, "attn_v.weight", m->n_embd, kv_dim);
    made_add(list, prefix, "attn_q.weight", m->n_embd, q_dim);
    made_add(list, prefix, "attn_output.weight", q_dim, m->n_embd);
    if (m->biases) {
        made_add(list, prefix, "attn_q.bias", q_dim, 1);
        made_add(list, prefix, "attn_k.bias", kv_dim, 1);
        made_add(list, prefix, "attn_v.bias", kv_dim, 1);
    }
    if (strcmp(m->architecture, "qwen3") == 0) {
        made_add(list, prefix, "attn_q_norm.weight", head_dim, 1);
        made_add(list, prefix, "attn_k_norm.weight", head_dim, 1);
    }
}

static inline void made_tensors(struct made_list *list)
{
    const struct made_model *m = list->made;
    uint32_t head_dim = m->key_length ? m->key_length : m->n_embd / m->n_heads;
    made_add(list, "", "token_embd.weight", m->n_embd, m->n_vocab);
    for (uint32_t l = 0; l < m->n_layers; l++)
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
    if (!made_is(m->without, key))
        gguf_writer_put_u32(w, key, made_is(m->key, key) ? m->value : value);
}

static inline void made_keys(struct gguf_writer *w, const struct made_model *m)
{
    char key[96];
    gguf_writer_put_text(w, "general.architecture", m->architecture);
    gguf_writer_put_text(w, "general.name", "made");
    made_number(w, m, "block_count", m->n_layers);
    made_number(w, m, "context_length", 64);
    made_number(w, m, "embedding_length", m->n_embd);
    made_number(w, m, "feed_forward_length", m->n_ff);
    made_number(w, m, "attention.head_count", m->n_heads);
    made_number(w, m, "attention.head_count_kv", m->n_kv_heads);
    made_number(w, m, "vocab_size", m->n_vocab);
    if (m->key_length)
        made_number(w, m, "attention.key_length", m->key_length);
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
    if (m->text_key)
        gguf_writer_put_text(w, m->text_key, m->text);
    if (made_is(m->key, "llama.expert_count") || made_is(m->key, "llama.attention.value_length") ||
        made_is(m->key, "split.count"))
        gguf_writer_put_u32(w, m->key, m->value);
    snprintf(key, sizeof key, "%s.attention.layer_norm_rms_epsilon", m->architecture);
    if (!made_is(m->without, key))
        gguf_writer_put_f32(w, key, 1e-5f);
}

static inline void made_data(struct gguf_writer *w, const struct made_tensor *t,
                             struct lb_random *random, struct lb_error *err)
{
    size_t n = (size_t)(t->ne[0] * t->ne[1]), bytes = quant_row_bytes(t->type, t->ne[0]) * t->ne[1];
    float *x = malloc(n * sizeof *x);
    void *blocks = malloc(bytes);
    double spread = t->ne[1] > 1 ? 1.7 / sqrt((double)t->ne[0]) : 0.3;
    for (size_t i = 0; i < n; i++) /* uniform; factor 2 keeps scores far from flat */
        x[i] = (float)((t->norm ? 1 : 0) + 2 * spread * (lb_random_unit(random) - 0.5) * 2);
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
        gguf_writer_add_tensor(w, t->name, t->ne[1] > 1 ? 2 : 1, t->ne, t->type,
                               quant_row_bytes(t->type, t->ne[0]) * t->ne[1]);
    }
    for (size_t i = 0; i < list->n; i++)
        made_data(w, &list->tensor[i], &random, &err);
    if (gguf_writer_finish(w, &err) != LB_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    free(list);
}

/* A path for a model of this test program; removed by made_clean(). */
static char made_directory[] = "/tmp/layerbench-test-XXXXXX";

static inline const char *made_path(const char *name)
{
    static char path[sizeof made_directory + 64];
    if (strstr(made_directory, "XXXXXX") && !mkdtemp(made_directory)) {
        perror("mkdtemp");
        exit(1);
    }
    snprintf(path, sizeof path, "%s/%s", made_directory, name);
    return path;
}

static inline void made_clean(void)
{
    rmdir(made_directory);
}

#endif
