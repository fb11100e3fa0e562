/*
 * decoder: draws tokens and feeds them back, several of them a pass where drafts are right. See
 * engine.h.
 *
 * A step: 1. draft for each sequence; 2. one pass over the last token of each and its draft; 3.
 * draw from the logits after each token, as long as the draft agrees: the first token that it does
 * not agree with is drawn all the same; 4. forget the keys and values of what was not drawn.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "draft/known.h"
#include "draft/length.h"
#include "draft/ngram.h"
#include "draft_model.h"
#include "engine_state.h"
#include "text/sampler.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

_Static_assert(LB_DRAFT_MOST == DRAFT_MOST, "one longest draft");

#define SEED_OF_ERRORS 0x6c61796572u /* which tokens of a replay are wrong */

struct sequence {
    int32_t *text; /* [context + 1] prompt and what was drawn; the last is not fed yet */
    uint32_t n, n_prompt;
    struct ngram *ngram; /* or NULL */
    int32_t *known;      /* replay: what follows the first token drawn */
    uint32_t n_known;
};

struct lb_decoder {
    struct lb_engine *engine;
    struct sampler *sampler;
    enum drafter drafter;
    uint32_t batch, n_vocab, context, most; /* tokens of a draft */
    double acceptance;
    bool keeps_all; /* on purpose, so that whoever checks the text can be tested */
    struct sequence *sequences;
    struct draft_request *requests; /* [batch] */
    int32_t *drafts;                /* [batch][most] */
    int32_t *tokens;                /* [batch * (1 + most)] */
    uint32_t *counts;               /* [batch] */
    float *logits;                  /* [batch * (1 + most)][n_vocab] */
    struct draft_model *model;      /* or NULL */
    struct length length;
    struct lb_drafts sums;
};

/* ---- open and close ---- */

static enum lb_status check(const struct lb_engine *e, const struct lb_speculation *s,
                            enum drafter *drafter, struct lb_error *err)
{
    struct lb_choice choice;
    if (strcmp(s->speculate, e->options.speculation.speculate) != 0 ||
        s->draft_tokens != e->options.speculation.draft_tokens)
        return lb_fail(err, LB_ERR_INPUT,
                       "speculate: %s, %" PRIu32
                       " tokens: expected what the engine was opened with",
                       s->speculate, s->draft_tokens);
    *drafter = (enum drafter)lb_choice_find("speculate", s->speculate, &choice);
    if (strcmp(s->draft_budget, "fixed") != 0 && strcmp(s->draft_budget, "adaptive") != 0)
        return lb_fail(err, LB_ERR_INPUT, "draft_budget: '%s': expected fixed or adaptive",
                       s->draft_budget);
    if (!(s->acceptance >= 0 && s->acceptance <= 1))
        return lb_fail(err, LB_ERR_INPUT, "acceptance: %g: expected 0 to 1", s->acceptance);
    if (*drafter == DRAFTER_MODEL && (!s->draft_model || !*s->draft_model))
        return lb_fail(err, LB_ERR_INPUT,
                       "draft_model: none: expected the path of a GGUF file with speculate draft");
    return LB_OK;
}

static enum lb_status open_sequences(struct lb_decoder *d, const struct lb_speculation *s,
                                     struct lb_error *err)
{
    for (uint32_t i = 0; i < d->batch; i++) {
        struct sequence *q = &d->sequences[i];
        q->text = lb_calloc(d->context + 1, sizeof *q->text);
        if (!q->text)
            return lb_fail(err, LB_ERR_NOMEM, "decoder: out of memory");
        if (d->drafter == DRAFTER_NGRAM &&
            ngram_open(s->ngram_min, s->ngram_max, d->context + 1, &q->ngram, err))
            return err->code;
        d->sums.bytes += q->ngram ? ngram_bytes(q->ngram) : 0;
    }
    return LB_OK;
}

static enum lb_status open_parts(struct lb_decoder *d, const struct lb_speculation *s,
                                 const struct lb_sampling *sampling, struct lb_error *err)
{
    const struct sampler_options so = {.temperature = sampling->temperature,
                                       .top_k = sampling->top_k,
                                       .top_p = sampling->top_p,
                                       .seed = sampling->seed};
    if (check(d->engine, s, &d->drafter, err) || sampler_open(&so, d->n_vocab, &d->sampler, err))
        return err->code;
    d->most = d->drafter == DRAFTER_OFF ? 0 : s->draft_tokens;
    d->acceptance = s->acceptance;
    length_open(&d->length, d->most, strcmp(s->draft_budget, "adaptive") == 0,
                strcmp(streamer_effective(d->engine->streamer).prefetch, "async") == 0);
    const size_t rows = (size_t)d->batch * (1 + d->most);
    d->sequences = lb_calloc(d->batch, sizeof *d->sequences);
    d->requests = lb_calloc(d->batch, sizeof *d->requests);
    d->drafts = lb_calloc(rows, sizeof *d->drafts);
    d->tokens = lb_calloc(rows, sizeof *d->tokens);
    d->counts = lb_calloc(d->batch, sizeof *d->counts);
    d->logits = lb_calloc(rows * d->n_vocab, sizeof *d->logits);
    if (!d->sequences || !d->requests || !d->drafts || !d->tokens || !d->counts || !d->logits)
        return lb_fail(err, LB_ERR_NOMEM, "decoder: out of memory");
    d->sums.bytes = (rows - d->batch) * d->n_vocab * sizeof *d->logits;
    if (open_sequences(d, s, err))
        return err->code;
    if (d->drafter == DRAFTER_MODEL) {
        if (draft_model_open(d->engine, s->draft_model, d->most, &d->model, err))
            return err->code;
        d->sums.bytes += draft_model_bytes(d->model);
    }
    return LB_OK;
}

enum lb_status lb_decoder_open(struct lb_engine *engine, const struct lb_speculation *speculation,
                               const struct lb_sampling *sampling, struct lb_decoder **decoder,
                               struct lb_error *err)
{
    struct lb_error local = LB_ERROR_INIT;
    *decoder = NULL;
    if (!err)
        err = &local;
    struct lb_decoder *d = lb_calloc(1, sizeof *d);
    if (!d)
        return lb_fail(err, LB_ERR_NOMEM, "decoder: out of memory");
    d->engine = engine;
    d->batch = engine->options.batch;
    d->context = engine->options.context;
    d->n_vocab = model_config(engine->model)->n_vocab;
    d->keeps_all = strcmp(engine->options.breaks, "drafts") == 0;
    enum lb_status status = open_parts(d, speculation, sampling, err);
    if (status == LB_OK)
        *decoder = d;
    else
        lb_decoder_close(d);
    return status;
}

void lb_decoder_close(struct lb_decoder *d)
{
    if (!d)
        return;
    for (uint32_t i = 0; d->sequences && i < d->batch; i++) {
        lb_free(d->sequences[i].text);
        lb_free(d->sequences[i].known);
        ngram_close(d->sequences[i].ngram);
    }
    draft_model_close(d->model);
    sampler_close(d->sampler);
    lb_free(d->sequences);
    lb_free(d->requests);
    lb_free(d->drafts);
    lb_free(d->tokens);
    lb_free(d->counts);
    lb_free(d->logits);
    lb_free(d);
}

/* ---- drawing ---- */

/* The place of a sequence's next token: its own random number, of 2^40 for each sequence. */
static uint64_t place_of(const struct lb_decoder *d, uint32_t sequence)
{
    const struct sequence *q = &d->sequences[sequence];
    return ((uint64_t)sequence << 40) + (q->n - q->n_prompt);
}

static void append(struct sequence *q, int32_t token)
{
    assert(token >= 0); /* a pass whose logits are no numbers has failed */
    q->text[q->n++] = token;
    if (q->ngram)
        ngram_add(q->ngram, token);
}

static enum lb_status check_prompt(const struct lb_decoder *d, uint32_t sequence, size_t held,
                                   size_t n, struct lb_error *err)
{
    if (sequence < d->batch && n >= 1 && held <= d->context && n <= d->context - held)
        return LB_OK;
    return lb_fail(err, LB_ERR_INPUT,
                   "prompt of %zu tokens for sequence %" PRIu32 ": expected 1 to %zu"
                   " and a sequence below %" PRIu32,
                   n, sequence, held < d->context ? d->context - held : 0, d->batch);
}

/* The first token after what the sequence holds. */
static void draw_first(struct lb_decoder *d, uint32_t sequence, struct lb_drawn *drawn)
{
    struct sequence *q = &d->sequences[sequence];
    append(q, sampler_at(d->sampler, place_of(d, sequence), d->logits));
    *drawn = (struct lb_drawn){.n = 1, .tokens = q->text + q->n - 1, .logits = d->logits};
}

enum lb_status lb_decoder_begin(struct lb_decoder *d, uint32_t sequence, const int32_t *tokens,
                                size_t n, struct lb_drawn *drawn, struct lb_error *err)
{
    struct lb_error local = LB_ERROR_INIT;
    if (!err)
        err = &local;
    if (check_prompt(d, sequence, 0, n, err) != LB_OK)
        return err->code;
    struct sequence *q = &d->sequences[sequence];
    q->n = q->n_prompt = 0;
    lb_engine_truncate(d->engine, sequence, 0);
    if (d->model)
        draft_model_forget(d->model, sequence);
    if (q->ngram)
        ngram_clear(q->ngram);
    enum lb_status status =
        lb_engine_prefill(d->engine, sequence, tokens, n, false, d->logits, err);
    if (status != LB_OK)
        return status;
    for (size_t i = 0; i < n; i++)
        append(q, tokens[i]);
    q->n_prompt = q->n;
    draw_first(d, sequence, drawn);
    return LB_OK;
}

/* Forgets what a sequence has drawn beyond its first `held` tokens. */
static void forget_beyond(struct lb_decoder *d, uint32_t sequence, uint32_t held)
{
    struct sequence *q = &d->sequences[sequence];
    if (held == q->n)
        return;
    q->n = 0;
    if (q->ngram)
        ngram_clear(q->ngram);
    while (q->n < held)
        append(q, q->text[q->n]);
    if (d->model)
        draft_model_forget(d->model, sequence);
    lb_engine_truncate(d->engine, sequence, held - 1);
}

enum lb_status lb_decoder_append(struct lb_decoder *d, uint32_t sequence, uint32_t held,
                                 const int32_t *tokens, size_t n, struct lb_drawn *drawn,
                                 struct lb_error *err)
{
    struct lb_error local = LB_ERROR_INIT;
    if (!err)
        err = &local;
    struct sequence *q = sequence < d->batch ? &d->sequences[sequence] : NULL;
    if (!q || held < 1 || held > q->n)
        return lb_fail(err, LB_ERR_INPUT,
                       "sequence %" PRIu32 ": %" PRIu32
                       " tokens that stay: expected 1 to as many as it has",
                       sequence, held);
    if (check_prompt(d, sequence, held, n, err) != LB_OK)
        return err->code;
    forget_beyond(d, sequence, held);
    memcpy(q->text + held, tokens, n * sizeof *tokens);
    /* what was drawn last has not been fed */
    enum lb_status status =
        lb_engine_prefill(d->engine, sequence, q->text + held - 1, n + 1, false, d->logits, err);
    if (status != LB_OK)
        return status;
    for (size_t i = 0; i < n; i++)
        append(q, tokens[i]);
    draw_first(d, sequence, drawn);
    return LB_OK;
}

enum lb_status lb_decoder_know(struct lb_decoder *d, uint32_t sequence, const int32_t *tokens,
                               uint32_t n, struct lb_error *err)
{
    struct sequence *q = &d->sequences[sequence];
    int32_t *known = lb_calloc(n + (n == 0), sizeof *known);
    if (!known)
        return lb_fail(err, LB_ERR_NOMEM, "decoder: out of memory");
    memcpy(known, tokens, n * sizeof *known);
    lb_free(q->known);
    q->known = known;
    q->n_known = n;
    return LB_OK;
}

/* ---- a step ---- */

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* requests[i].draft and how long it is, for each sequence that takes part. */
static enum lb_status draft(struct lb_decoder *d, const uint32_t *limits, struct lb_error *err)
{
    const uint32_t most = length_next(&d->length);
    for (uint32_t i = 0; i < d->batch; i++) {
        const struct sequence *q = &d->sequences[i];
        struct draft_request *r = &d->requests[i];
        *r = (struct draft_request){.text = q->text,
                                    .n = q->n,
                                    .place = place_of(d, i),
                                    .draft = d->drafts + (size_t)i * d->most};
        if (limits[i] == 0 || q->n == 0 || q->n > d->context)
            continue;
        r->most = least(most, least(limits[i] - 1, d->context - q->n));
        if (d->drafter == DRAFTER_NGRAM) {
            r->most = ngram_draft(q->ngram, r->most, r->draft);
        } else if (d->drafter == DRAFTER_REPLAY) {
            const struct known known = {q->known, q->n_known, d->n_vocab, d->acceptance,
                                        SEED_OF_ERRORS + i};
            r->most = known_draft(&known, q->n - q->n_prompt - 1, r->most, r->draft);
        }
    }
    return d->model ? draft_model_draft(d->model, d->sampler, d->requests, err) : LB_OK;
}

/* The tokens of the pass: of each sequence the last one, and its draft. */
static enum lb_status gather(struct lb_decoder *d, const uint32_t *limits, struct lb_error *err)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < d->batch; i++) {
        const struct draft_request *r = &d->requests[i];
        d->counts[i] = limits[i] > 0 ? 1 + r->most : 0;
        if (limits[i] == 0)
            continue;
        if (r->n == 0 || r->n > d->context)
            return lb_fail(err, LB_ERR_INPUT,
                           "sequence %" PRIu32 ": %s: expected a prompt and room in the context "
                           "(%" PRIu32 ")",
                           i, r->n == 0 ? "has not begun" : "context full", d->context);
        d->tokens[n] = r->text[r->n - 1];
        memcpy(d->tokens + n + 1, r->draft, r->most * sizeof *d->tokens);
        n += d->counts[i];
    }
    return LB_OK;
}

/* Draws after each token of sequence i as long as its draft agrees. */
static void draw(struct lb_decoder *d, uint32_t i, const float *logits, struct lb_drawn *drawn)
{
    const struct draft_request *r = &d->requests[i];
    struct sequence *q = &d->sequences[i];
    uint32_t kept = 0;
    for (bool agrees = true; agrees;) {
        int32_t token = sampler_at(d->sampler, r->place + kept, logits + (size_t)kept * d->n_vocab);
        if (kept < r->most && d->keeps_all)
            token = r->draft[kept];
        agrees = kept < r->most && token == r->draft[kept];
        append(q, token);
        kept += agrees;
    }
    lb_engine_truncate(d->engine, i, q->n - 1);
    *drawn = (struct lb_drawn){
        .n = kept + 1, .drafted = r->most, .tokens = q->text + r->n, .logits = logits};
    length_saw(&d->length, r->most, kept);
    d->sums.tokens += kept + 1;
    d->sums.made += r->most;
    d->sums.kept += kept;
    for (uint32_t k = 0; k < r->most && k <= kept; k++) {
        d->sums.reached[k]++;
        d->sums.right[k] += k < kept;
    }
}

/* The storage's time with loads so far; where nothing is learnt from it, 0. */
static int64_t load_ns(const struct lb_decoder *d)
{
    return d->length.adapts ? streamer_counters(d->engine->streamer).load_ns : 0;
}

enum lb_status lb_decoder_step(struct lb_decoder *d, const uint32_t *limits, struct lb_drawn *drawn,
                               struct lb_error *err)
{
    struct lb_error local = LB_ERROR_INIT;
    if (!err)
        err = &local;
    int64_t begin_ns = lb_now_ns(), loads_before_ns = load_ns(d);
    enum lb_status status = draft(d, limits, err);
    int64_t drafted_ns = lb_now_ns();
    if (status == LB_OK)
        status = gather(d, limits, err);
    if (status == LB_OK)
        status = lb_engine_verify(d->engine, d->tokens, d->counts, d->batch, d->logits, err);
    if (status != LB_OK)
        return status;
    d->sums.passes++;
    d->sums.draft_ns += drafted_ns - begin_ns;
    d->sums.pass_ns += d->engine->feed.pass.wall_ns;
    uint32_t longest = 0, row = 0;
    for (uint32_t i = 0; i < d->batch; i++) {
        drawn[i] = (struct lb_drawn){.n = 0};
        if (d->counts[i] == 0)
            continue;
        draw(d, i, d->logits + (size_t)row * d->n_vocab, &drawn[i]);
        row += d->counts[i];
        longest = d->requests[i].most > longest ? d->requests[i].most : longest;
    }
    int64_t pass_ns = drafted_ns - begin_ns + d->engine->feed.pass.wall_ns;
    const struct length_time took = {.pass_ns = (double)pass_ns,
                                     .compute_ns = (double)(pass_ns - d->engine->feed.pass.wait_ns),
                                     .load_ns = (double)(load_ns(d) - loads_before_ns)};
    length_took(&d->length, longest, &took);
    return LB_OK;
}

struct lb_drafts lb_decoder_drafts(const struct lb_decoder *d)
{
    return d->sums;
}
