/*
 * micro_model: whole passes over a real model that is resident in memory: decode steps beside the
 * read bandwidth of the memory in the same moments, and prompts. What products alone do not show
 * is in here: attention, norms, the head, and all that lies between operations.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "engine.h"
#include "kernels/generic.h"
#include "kernels/kernels.h"
#include "micro/micro.h"
#include "stats/stats.h"

#include <stdio.h>
#include <string.h>

#define BEGIN_TOKENS 16 /* before the decode step */
#define BEGIN_STEPS  2
#define MOST_STEP    8    /* tokens */
#define MOST_CALLS   1024 /* passes of one sample */
#define READ_NS      5000000

/* Decode steps of a token and of several, as drafts that are checked; prompts */
static const uint32_t step_tokens[] = {1, 2, 4, 8};
static const uint32_t prompt_tokens[] = {16, 64, 256, 512};

struct micro_model {
    const struct kernels_ops *ops; /* that the engine was opened with */
    enum kernels_order order;
    struct lb_engine *engine;
    float *logits; /* of as many tokens as a step has at most */
    uint32_t n_vocab;
    double
        outside_bytes; /* of weights outside the layers, but an embedding that is only looked up */
    int32_t tokens[512];
};

/* ---- the model ---- */

struct tensor_bytes {
    double outside, embedding; /* tensors outside the layers; one of them */
    bool has_head;
};

static void add_tensor(void *ctx, const char *name, const char *type, uint32_t n_dims,
                       const uint64_t *ne, uint64_t file_offset, uint64_t bytes)
{
    struct tensor_bytes *t = ctx;
    (void)type, (void)n_dims, (void)ne, (void)file_offset;
    if (strncmp(name, "blk.", 4) != 0)
        t->outside += (double)bytes;
    if (strcmp(name, "token_embd.weight") == 0)
        t->embedding = (double)bytes;
    t->has_head |= strcmp(name, "output.weight") == 0;
}

void micro_model_close(struct micro *m)
{
    if (!m->model)
        return;
    lb_engine_close(m->model->engine);
    lb_free(m->model->logits);
    lb_free(m->model);
    m->model = NULL;
}

/* The model, resident, with the instruction set and the order of the case. */
static enum lb_status open_model(struct micro *m, const struct micro_case *c, struct lb_error *err)
{
    if (m->model && m->model->ops == c->ops && m->model->order == c->order)
        return LB_OK;
    micro_model_close(m);
    struct tensor_bytes bytes = {0};
    struct lb_inspect inspect = {.ctx = &bytes, .tensor = add_tensor};
    struct lb_options o = lb_options_default();
    struct micro_model *model = m->model = lb_calloc(1, sizeof *model);
    if (!model)
        return lb_fail(err, LB_ERR_NOMEM, "out of memory for the model");
    o.model_path = c->variant;
    o.prefetch = "resident";
    o.kernels = c->ops->name;
    o.product = c->order == N_KERNELS_ORDERS ? "auto" : kernels_order_name(c->order);
    o.threads = (uint32_t)lb_pool_threads(m->pool);
    o.context = BEGIN_TOKENS + sizeof model->tokens / sizeof *model->tokens;
    if (lb_inspect_file(c->variant, &inspect, err) || lb_engine_open(&o, &model->engine, err))
        return err->code;
    model->outside_bytes = bytes.outside - (bytes.has_head ? bytes.embedding : 0);
    model->n_vocab = lb_engine_model(model->engine).n_vocab;
    model->logits = lb_calloc((size_t)model->n_vocab * MOST_STEP, sizeof *model->logits);
    if (!model->logits)
        return lb_fail(err, LB_ERR_NOMEM, "out of memory for logits");
    for (uint32_t i = 0; i < sizeof model->tokens / sizeof *model->tokens; i++)
        model->tokens[i] = (int32_t)(i * 7919 % model->n_vocab);
    model->ops = c->ops;
    model->order = c->order;
    return LB_OK;
}

/* ---- one sample ---- */

/* One step after BEGIN_TOKENS, every token with its logits, or a prompt. */
static enum lb_status run(struct micro_model *model, const struct micro_case *c,
                          struct lb_error *err)
{
    lb_engine_truncate(model->engine, 0, c->decode ? BEGIN_TOKENS : 0);
    return c->decode && c->n_tokens == 1
               ? lb_engine_decode(model->engine, model->tokens, 1, model->logits, err)
               : lb_engine_prefill(model->engine, 0, model->tokens, c->n_tokens, c->decode,
                                   model->logits, err);
}

/* What comes before the timed passes: the layers are loaded, if they are not yet, the engine has
 * found the orders of its products, and a decode step has something to follow. */
static enum lb_status begin(struct micro_model *model, const struct micro_case *c,
                            struct lb_error *err)
{
    lb_engine_truncate(model->engine, 0, 0);
    enum lb_status status =
        lb_engine_prefill(model->engine, 0, model->tokens, BEGIN_TOKENS, false, NULL, err);
    for (int i = 0; status == LB_OK && c->decode && i < BEGIN_STEPS; i++)
        status = run(model, c, err);
    return status;
}

/* The same tokens have to give the same logits, pass after pass. */
static enum lb_status check(const struct micro_model *model, struct micro_case *c,
                            struct lb_error *err)
{
    uint32_t hash = micro_hash(model->logits, model->n_vocab * sizeof *model->logits);
    if (c->output_hash != 0 && c->output_hash != hash)
        return lb_fail(err, LB_ERR_STATE, "wrong result: logits changed from pass to pass");
    c->output_hash = hash;
    return LB_OK;
}

static enum lb_status measure(struct micro *m, struct micro_case *c, struct micro_result *sample,
                              struct lb_error *err)
{
    const bool decode = c->decode; /* prompts are far below what memory gives */
    double calls_ns[MOST_CALLS];
    enum lb_status status = open_model(m, c, err);
    if (status == LB_OK)
        status = begin(m->model, c, err);
    struct memory_rate before = {0};
    if (decode)
        before = micro_memory_rate(m, READ_NS);
    uint64_t needed = status == LB_OK ? lb_engine_stats(m->model->engine).needed_bytes : 0;
    int64_t start = lb_now_ns();
    while (status == LB_OK && sample->iterations < MOST_CALLS &&
           (sample->iterations == 0 || lb_now_ns() - start < m->sample_ns)) {
        int64_t called = lb_now_ns();
        status = run(m->model, c, err);
        calls_ns[sample->iterations++] = (double)(lb_now_ns() - called);
        if (status == LB_OK)
            status = check(m->model, c, err);
    }
    if (status != LB_OK)
        return status;
    sample->ns = stats_median(calls_ns, sample->iterations);
    sample->tokens = c->n_tokens;
    sample->output_hash = c->output_hash;
    if (decode) {
        sample->memory = micro_mean_rate(before, micro_memory_rate(m, READ_NS));
        needed = lb_engine_stats(m->model->engine).needed_bytes - needed;
        sample->bytes = m->model->outside_bytes + (double)needed / (double)sample->iterations;
    }
    return LB_OK;
}

static struct micro_case *add_pass(struct micro_list *list, const struct kernels_ops *ops,
                                   const char *path, bool decode, uint32_t n_tokens, uint32_t order)
{
    char what[32] = "";
    if (order < N_KERNELS_ORDERS)
        snprintf(what, sizeof what, "/%s", kernels_order_name(order));
    else if (n_tokens > 1)
        snprintf(what, sizeof what, "/tokens:%u", n_tokens);
    struct micro_case *c =
        micro_add(list, "model/%s/%s%s", decode ? "decode" : "prompt", ops->name, what);
    if (!c)
        return NULL;
    c->measure = measure;
    c->ops = ops;
    c->order = (enum kernels_order)order;
    c->variant = path;
    c->decode = decode;
    c->n_tokens = n_tokens;
    return c;
}

/* Decode steps in the order that the engine finds, those of one token also in each by itself, and
 * prompts */
static bool add_passes(struct micro_list *list, const struct kernels_ops *ops, const char *path)
{
    /* a long prompt of a large model takes the portable kernels minutes */
    const uint32_t most = ops == &kernels_generic ? 16 : UINT32_MAX;
    for (uint32_t order = 0; ops->order_tokens && order < N_KERNELS_ORDERS; order++)
        if (!add_pass(list, ops, path, true, 1, order))
            return false;
    for (size_t i = 0; i < sizeof step_tokens / sizeof *step_tokens; i++)
        if (!add_pass(list, ops, path, true, step_tokens[i], N_KERNELS_ORDERS))
            return false;
    for (size_t i = 0; i < sizeof prompt_tokens / sizeof *prompt_tokens; i++)
        if (prompt_tokens[i] <= most &&
            !add_pass(list, ops, path, false, prompt_tokens[i], N_KERNELS_ORDERS))
            return false;
    return true;
}

enum lb_status micro_list_model(struct micro_list *list, const char *path, struct lb_error *err)
{
    const struct lb_inspect nothing = {.ctx = NULL};
    size_t n_sets;
    const struct kernels_ops *const *sets = kernels_list(&n_sets);
    if (!path)
        return LB_OK;
    if (lb_inspect_file(path, &nothing, err) != LB_OK) {
        lb_error_prefix(err, "--model");
        return err->code;
    }
    for (size_t k = 0; k < n_sets; k++)
        if (sets[k]->available() && !add_passes(list, sets[k], path))
            return lb_fail(err, LB_ERR_NOMEM, "out of memory for benchmarks");
    return LB_OK;
}
