/* draft_model: see draft_model.h. */
#include "draft_model.h"

#include "base/memory.h"
#include "engine_state.h"

#include <inttypes.h>
#include <string.h>

struct draft_model {
    struct lb_engine *engine;
    uint32_t batch, n_vocab, most; /* tokens of a draft */
    uint32_t *kept;                /* [batch] positions it holds that are text for certain, */
    uint32_t *n_fed;               /* [batch] and so many beyond: */
    int32_t *fed;                  /* [batch][most] drafts */
    uint32_t *counts;              /* [batch] tokens fed in a pass */
    int32_t *tokens;               /* [batch * (1 + most)] */
    float *logits;                 /* [batch * (1 + most)][n_vocab] */
};

static const struct gguf_array *texts_of(const struct lb_engine *e)
{
    const struct gguf_pair *pair = gguf_find_pair(e->file, "tokenizer.ggml.tokens");
    return pair && pair->kind == GGUF_ARRAY && pair->value.array.strings ? &pair->value.array
                                                                         : NULL;
}

/* Token for token where both files tell, else the number of tokens. */
static enum lb_status check_vocabulary(const struct lb_engine *draft,
                                       const struct lb_engine *target, struct lb_error *err)
{
    const struct gguf_array *a = texts_of(draft), *b = texts_of(target);
    uint32_t n = model_config(draft->model)->n_vocab,
             expected = model_config(target->model)->n_vocab;
    if (n != expected)
        return lb_fail(err, LB_ERR_INPUT,
                       "draft_model: %s: a vocabulary of %" PRIu32
                       " tokens: expected that of %s, %" PRIu32,
                       gguf_path(draft->file), n, gguf_path(target->file), expected);
    for (uint64_t i = 0; a && b && i < a->count && i < b->count; i++)
        if (a->strings[i].length != b->strings[i].length ||
            memcmp(a->strings[i].text, b->strings[i].text, a->strings[i].length) != 0)
            return lb_fail(err, LB_ERR_INPUT,
                           "draft_model: %s: token %" PRIu64 " is '%.40s': expected that of %s, "
                           "'%.40s'",
                           gguf_path(draft->file), i, a->strings[i].text, gguf_path(target->file),
                           b->strings[i].text);
    return LB_OK;
}

enum lb_status draft_model_open(struct lb_engine *target, const char *path, uint32_t draft_tokens,
                                struct draft_model **out, struct lb_error *err)
{
    *out = NULL;
    struct lb_options o = lb_options_default();
    o.model_path = path;
    o.prefetch = "resident";
    o.storage = "pread";
    o.kernels = target->options.kernels;
    o.context = target->options.context;
    o.batch = target->options.batch;
    o.kv = target->options.kv;
    o.speculation.speculate = "draft"; /* room for as many tokens a pass */
    o.speculation.draft_tokens = draft_tokens;
    struct draft_model *d = lb_calloc(1, sizeof *d);
    if (!d)
        return lb_fail(err, LB_ERR_NOMEM, "draft model: out of memory");
    enum lb_status status = lb_engine_open_beside(&o, target, &d->engine, err);
    if (status != LB_OK)
        lb_error_prefix(err, "draft_model");
    if (status == LB_OK)
        status = check_vocabulary(d->engine, target, err);
    if (status != LB_OK)
        goto fail;
    d->batch = o.batch;
    d->n_vocab = model_config(d->engine->model)->n_vocab;
    d->most = draft_tokens;
    size_t rows = (size_t)d->batch * (1 + draft_tokens);
    d->kept = lb_calloc(d->batch, sizeof *d->kept);
    d->n_fed = lb_calloc(d->batch, sizeof *d->n_fed);
    d->fed = lb_calloc((size_t)d->batch * d->most, sizeof *d->fed);
    d->counts = lb_calloc(d->batch, sizeof *d->counts);
    d->tokens = lb_calloc(rows, sizeof *d->tokens);
    d->logits = lb_calloc(rows * d->n_vocab, sizeof *d->logits);
    if (!d->kept || !d->n_fed || !d->fed || !d->counts || !d->tokens || !d->logits) {
        status = lb_fail(err, LB_ERR_NOMEM, "draft model: out of memory");
        goto fail;
    }
    *out = d;
    return LB_OK;
fail:
    draft_model_close(d);
    return status;
}

void draft_model_close(struct draft_model *d)
{
    if (!d)
        return;
    lb_engine_close(d->engine);
    lb_free(d->kept);
    lb_free(d->n_fed);
    lb_free(d->fed);
    lb_free(d->counts);
    lb_free(d->tokens);
    lb_free(d->logits);
    lb_free(d);
}

uint64_t draft_model_bytes(const struct draft_model *d)
{
    struct lb_stats s = lb_engine_stats(d->engine);
    return s.resident_bytes + s.cache_bytes + s.kv_bytes +
           (uint64_t)d->batch * (1 + d->most) * d->n_vocab * sizeof *d->logits;
}

void draft_model_forget(struct draft_model *d, uint32_t sequence)
{
    d->kept[sequence] = d->n_fed[sequence] = 0;
}

/* Afterwards sequence i holds all of its text but 1 to 1 + most tokens, and nothing else. */
static enum lb_status catch_up(struct draft_model *d, uint32_t i, const struct draft_request *r,
                               struct lb_error *err)
{
    const int32_t *fed = d->fed + (size_t)i * d->most;
    for (uint32_t k = 0; k < d->n_fed[i] && d->kept[i] + 1 < r->n && r->text[d->kept[i]] == fed[k];
         k++)
        d->kept[i]++;
    d->n_fed[i] = 0;
    lb_engine_truncate(d->engine, i, d->kept[i]);
    uint32_t behind = r->n - d->kept[i];
    if (behind <= 1 + d->most)
        return LB_OK;
    enum lb_status status =
        lb_engine_prefill(d->engine, i, r->text + d->kept[i], behind - 1, false, NULL, err);
    if (status == LB_OK)
        d->kept[i] = r->n - 1;
    return status;
}

/* Draws the k-th token of each draft from the last of its rows. */
static void draw(struct draft_model *d, struct sampler *sampler,
                 const struct draft_request *requests, uint32_t k)
{
    uint32_t row = 0;
    for (uint32_t i = 0; i < d->batch; i++) {
        row += d->counts[i];
        if (d->counts[i] == 0)
            continue;
        requests[i].draft[k] =
            sampler_at(sampler, requests[i].place + k, d->logits + (size_t)(row - 1) * d->n_vocab);
    }
}

enum lb_status draft_model_draft(struct draft_model *d, struct sampler *sampler,
                                 const struct draft_request *requests, struct lb_error *err)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < d->batch; i++) {
        enum lb_status status = requests[i].most > 0 ? catch_up(d, i, &requests[i], err) : LB_OK;
        if (status != LB_OK)
            return status;
        most = requests[i].most > most ? requests[i].most : most;
    }
    for (uint32_t k = 0; k < most; k++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < d->batch; i++) {
            const struct draft_request *r = &requests[i];
            const int32_t *from = k == 0 ? r->text + d->kept[i] : r->draft + k - 1;
            d->counts[i] = r->most <= k ? 0 : k == 0 ? r->n - d->kept[i] : 1;
            memcpy(d->tokens + n, from, d->counts[i] * sizeof *from);
            n += d->counts[i];
        }
        enum lb_status status =
            lb_engine_verify(d->engine, d->tokens, d->counts, d->batch, d->logits, err);
        if (status != LB_OK)
            return status;
        draw(d, sampler, requests, k);
    }
    for (uint32_t i = 0; i < d->batch; i++) {
        if (requests[i].most == 0)
            continue;
        d->kept[i] = requests[i].n;
        d->n_fed[i] = requests[i].most - 1; /* the last one was drawn only */
        memcpy(d->fed + (size_t)i * d->most, requests[i].draft, d->n_fed[i] * sizeof *d->fed);
    }
    return LB_OK;
}
