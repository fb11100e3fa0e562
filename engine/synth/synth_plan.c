/*
 * synth_plan: the tensors that a model of a shape and mix consists of.
 *
 * One table says which a layer has, in the order of their names, as converters write them.
 */
#include "base/memory.h"
#include "quant/quant.h"
#include "synth/synth_parts.h"

#include <stdio.h>
#include <string.h>

enum size {
    ONE, /* as rows: a vector */
    EMBD,
    HEADS, /* of all heads */
    KV_HEADS,
    HEAD,
    N_HEADS,
    FF,
    EXPERTS,
    EXPERT_FF,
    SHARED_FF,
    Q_RANK,
    KV_RANK,
    KV_ROW,
    NOPE,
    VALUE
};

/* Which layers have it, by what is true of shape and layer. */
enum has {
    GROUPED = 1 << 0, /* grouped-query attention */
    LATENT = 1 << 1,
    LOW_Q = 1 << 2, /* latent, queries through a low rank */
    BIASES = 1 << 3,
    HEAD_NORMS = 1 << 4,
    WHOLE_NORMS = 1 << 5, /* of q and k before they are heads */
    SINKS = 1 << 6,       /* and biases wherever gpt-oss has them */
    FFN_NORM = 1 << 7,
    POST_NORM = 1 << 8, /* the feed-forward part's norm has another name */
    DENSE = 1 << 9,
    SPARSE = 1 << 10,
    SHARED = 1 << 11,
    SHARED_GATE = 1 << 12,
    CHOICE = 1 << 13, /* bias of the choice */
    DIRECT_Q = 1 << 14,
    EXPERT_BIASES = 1 << 15,
    EVERY = 1 << 16
};

static const struct row {
    const char *name;
    enum synth_role role;
    enum has has;
    enum size in, rows, slices;
} layer_rows[] = {
    {"attn_k.bias", SYNTH_BIAS, BIASES, KV_HEADS, ONE, ONE},
    {"attn_k.weight", SYNTH_ATTN_K, GROUPED, EMBD, KV_HEADS, ONE},
    {"attn_k_b.weight", SYNTH_ATTN_KV_B, LATENT, NOPE, KV_RANK, N_HEADS},
    {"attn_k_norm.weight", SYNTH_QK_NORM, HEAD_NORMS, HEAD, ONE, ONE},
    {"attn_k_norm.weight", SYNTH_QK_NORM, WHOLE_NORMS, KV_HEADS, ONE, ONE},
    {"attn_kv_a_mqa.weight", SYNTH_ATTN_KV_A, LATENT, EMBD, KV_ROW, ONE},
    {"attn_kv_a_norm.weight", SYNTH_NORM, LATENT, KV_RANK, ONE, ONE},
    {"attn_norm.weight", SYNTH_ATTN_NORM, EVERY, EMBD, ONE, ONE},
    {"attn_output.bias", SYNTH_BIAS, SINKS, EMBD, ONE, ONE},
    {"attn_output.weight", SYNTH_ATTN_OUTPUT, EVERY, HEADS, EMBD, ONE},
    {"attn_q.bias", SYNTH_BIAS, BIASES, HEADS, ONE, ONE},
    {"attn_q.weight", SYNTH_ATTN_Q, DIRECT_Q, EMBD, HEADS, ONE},
    {"attn_q_a.weight", SYNTH_ATTN_Q_A, LOW_Q, EMBD, Q_RANK, ONE},
    {"attn_q_a_norm.weight", SYNTH_NORM, LOW_Q, Q_RANK, ONE, ONE},
    {"attn_q_b.weight", SYNTH_ATTN_Q_B, LOW_Q, Q_RANK, HEADS, ONE},
    {"attn_q_norm.weight", SYNTH_QK_NORM, HEAD_NORMS, HEAD, ONE, ONE},
    {"attn_q_norm.weight", SYNTH_QK_NORM, WHOLE_NORMS, HEADS, ONE, ONE},
    {"attn_sinks.weight", SYNTH_BIAS, SINKS, N_HEADS, ONE, ONE},
    {"attn_v.bias", SYNTH_BIAS, BIASES, KV_HEADS, ONE, ONE},
    {"attn_v.weight", SYNTH_ATTN_V, GROUPED, EMBD, KV_HEADS, ONE},
    {"attn_v_b.weight", SYNTH_ATTN_KV_B, LATENT, KV_RANK, VALUE, N_HEADS},
    {"exp_probs_b.bias", SYNTH_CHOICE_BIAS, CHOICE, EXPERTS, ONE, ONE},
    {"ffn_down.weight", SYNTH_FFN_DOWN, DENSE, FF, EMBD, ONE},
    {"ffn_down_exps.bias", SYNTH_BIAS, EXPERT_BIASES, EMBD, EXPERTS, ONE},
    {"ffn_down_exps.weight", SYNTH_FFN_DOWN, SPARSE, EXPERT_FF, EMBD, EXPERTS},
    {"ffn_down_shexp.weight", SYNTH_FFN_DOWN, SHARED, SHARED_FF, EMBD, ONE},
    {"ffn_gate.weight", SYNTH_FFN_GATE, DENSE, EMBD, FF, ONE},
    {"ffn_gate_exps.bias", SYNTH_BIAS, EXPERT_BIASES, EXPERT_FF, EXPERTS, ONE},
    {"ffn_gate_exps.weight", SYNTH_FFN_GATE, SPARSE, EMBD, EXPERT_FF, EXPERTS},
    {"ffn_gate_inp.bias", SYNTH_BIAS, EXPERT_BIASES, EXPERTS, ONE, ONE},
    {"ffn_gate_inp.weight", SYNTH_ROUTER, SPARSE, EMBD, EXPERTS, ONE},
    {"ffn_gate_inp_shexp.weight", SYNTH_BIAS, SHARED_GATE, EMBD, ONE, ONE},
    {"ffn_gate_shexp.weight", SYNTH_FFN_GATE, SHARED, EMBD, SHARED_FF, ONE},
    {"ffn_norm.weight", SYNTH_FFN_NORM, FFN_NORM, EMBD, ONE, ONE},
    {"ffn_up.weight", SYNTH_FFN_UP, DENSE, EMBD, FF, ONE},
    {"ffn_up_exps.bias", SYNTH_BIAS, EXPERT_BIASES, EXPERT_FF, EXPERTS, ONE},
    {"ffn_up_exps.weight", SYNTH_FFN_UP, SPARSE, EMBD, EXPERT_FF, EXPERTS},
    {"ffn_up_shexp.weight", SYNTH_FFN_UP, SHARED, EMBD, SHARED_FF, ONE},
    {"post_attention_norm.weight", SYNTH_FFN_NORM, POST_NORM, EMBD, ONE, ONE},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool is(const struct synth_shape *s, const char *architecture)
{
    return strcmp(s->architecture, architecture) == 0;
}

static int what_it_has(const struct synth_shape *s, uint32_t layer)
{
    bool latent = s->latent.kv_rank > 0, oss = is(s, "gpt-oss");
    int has = EVERY;
    has |= latent ? LATENT : GROUPED;
    has |= latent && s->latent.q_rank > 0 ? LOW_Q : DIRECT_Q;
    has |= is(s, "qwen2") || is(s, "qwen2moe") || is(s, "glm4moe") || oss ? BIASES : 0;
    has |= s->head_norms || is(s, "qwen3") || is(s, "qwen3moe") ? HEAD_NORMS : 0;
    has |= is(s, "olmoe") ? WHOLE_NORMS : 0;
    has |= oss ? SINKS : 0;
    has |= is(s, "glm4moe") || oss ? POST_NORM : FFN_NORM;
    if (s->experts.count == 0 || layer < s->experts.dense_layers)
        return has | DENSE;
    has |= SPARSE;
    has |= s->experts.n_shared > 0 ? SHARED : 0;
    has |= is(s, "qwen2moe") ? SHARED_GATE : 0;
    has |= s->experts.sigmoid ? CHOICE : 0;
    return oss ? has | EXPERT_BIASES : has;
}

static uint64_t size_of(const struct synth_shape *s, enum size size, enum synth_role role)
{
    const struct synth_latent *l = &s->latent;
    switch (size) {
    case ONE:
        return 1;
    case EMBD:
        return s->n_embd;
    case HEADS: /* latent attention: of queries, or of values */
        if (l->kv_rank > 0)
            return (uint64_t)s->n_heads *
                   (role == SYNTH_ATTN_OUTPUT ? l->n_value : l->n_nope + l->n_rope);
        return (uint64_t)s->n_heads * s->head_dim;
    case KV_HEADS:
        return (uint64_t)s->n_kv_heads * s->head_dim;
    case HEAD:
        return s->head_dim;
    case N_HEADS:
        return s->n_heads;
    case FF:
        return s->n_ff;
    case EXPERTS:
        return s->experts.count;
    case EXPERT_FF:
        return s->experts.n_ff;
    case SHARED_FF:
        return s->experts.n_shared;
    case Q_RANK:
        return l->q_rank;
    case KV_RANK:
        return l->kv_rank;
    case KV_ROW:
        return l->kv_rank + l->n_rope;
    case NOPE:
        return l->n_nope;
    case VALUE:
        return l->n_value;
    }
    return 0;
}

struct list {
    const struct synth_shape *shape;
    const struct synth_mix *mix;
    struct synth_tensor *tensors;
    size_t n;
};

/* n_rows 0: a vector; slices 0: two dimensions at most. */
static void add(struct list *list, int layer, const char *name, enum synth_role role, uint64_t n_in,
                uint64_t n_rows, uint64_t slices)
{
    struct synth_tensor *t = &list->tensors[list->n++];
    *t = (struct synth_tensor){.role = role, .layer = layer, .n_dims = slices ? 3 : n_rows ? 2 : 1};
    t->ne[0] = n_in;
    t->ne[1] = n_rows ? n_rows : 1;
    t->ne[2] = slices ? slices : 1;
    t->ne[3] = 1;
    if (layer < 0)
        snprintf(t->name, sizeof t->name, "%s", name);
    else
        snprintf(t->name, sizeof t->name, "blk.%d.%s", layer, name);
    t->type = synth_type_of(list->mix, list->shape, t);
    t->bytes = quant_row_bytes(t->type, n_in) * t->ne[1] * t->ne[2];
}

static void add_layer(struct list *list, uint32_t layer)
{
    const struct synth_shape *s = list->shape;
    const int has = what_it_has(s, layer);
    for (size_t i = 0; i < COUNT(layer_rows); i++) {
        const struct row *r = &layer_rows[i];
        if (has & (int)r->has)
            add(list, (int)layer, r->name, r->role, size_of(s, r->in, r->role),
                r->rows == ONE ? 0 : size_of(s, r->rows, r->role),
                r->slices == ONE ? 0 : size_of(s, r->slices, r->role));
    }
}

#define RESIDENT_MAX 4

enum lb_status synth_plan(const struct synth_shape *shape, const char *mix,
                          struct synth_tensor **tensors, size_t *count, struct lb_error *err)
{
    struct list list = {.shape = shape, .mix = synth_find_mix(synth_mix_name(shape, mix), err)};
    *tensors = NULL;
    *count = 0;
    if (!list.mix)
        return LB_ERR_INPUT;
    list.tensors =
        lb_calloc(RESIDENT_MAX + COUNT(layer_rows) * shape->n_layers, sizeof *list.tensors);
    if (!list.tensors)
        return lb_fail(err, LB_ERR_NOMEM, "synth: out of memory for the list of tensors");
    if (!shape->tied_embedding)
        add(&list, -1, "output.weight", SYNTH_HEAD, shape->n_embd, shape->n_vocab, 0);
    add(&list, -1, "output_norm.weight", SYNTH_NORM, shape->n_embd, 0, 0);
    if (shape->rope_factors)
        add(&list, -1, "rope_freqs.weight", SYNTH_ROPE_FACTORS, shape->head_dim / 2, 0, 0);
    add(&list, -1, "token_embd.weight", SYNTH_EMBEDDING, shape->n_embd, shape->n_vocab, 0);
    for (uint32_t layer = 0; layer < shape->n_layers; layer++)
        add_layer(&list, layer);
    *tensors = list.tensors;
    *count = list.n;
    return LB_OK;
}
