/*
 * test_speculate: the text does not depend on drafts. Parts: n-grams against a search of the whole
 * text, replays, the length of drafts; then decoders with random settings (drafter, its options,
 * temperature, batch, prefetch, type of keys) against decoding token by token in memory, tokens and
 * logits bit for bit, over the models of ../shared where they are present and a synthetic one.
 * LAYERBENCH_LONG=1 tries 500 settings instead of 60.
 */
#include "base/memory.h"
#include "base/random.h"
#include "draft/known.h"
#include "draft/length.h"
#include "draft/ngram.h"
#include "engine.h"
#include "kernels/kernels.h"
#include "settings.h"
#include "tests/check.h"
#include "text/sampler.h"

#include <glob.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#define SEED 20260911u

/* ---- n-grams ---- */

/* What ngram_draft must find, by looking everywhere. */
static uint32_t search(const int32_t *text, uint32_t n, uint32_t least, uint32_t longest,
                       uint32_t most, int32_t *draft)
{
    for (uint32_t length = longest; length >= least; length--)
        for (uint32_t end = n - 1; length <= n && end-- > length - 1;)
            if (memcmp(text + end + 1 - length, text + n - length, length * sizeof *text) == 0) {
                for (uint32_t i = 0; i < most; i++)
                    draft[i] = end + 1 + i < n ? text[end + 1 + i] : draft[end + 1 + i - n];
                return most;
            }
    return 0;
}

static void ngrams(void)
{
    enum { N = 300, MOST = 6 };
    struct lb_random r = {SEED};
    int32_t text[N], found[MOST], expected[MOST];
    uint32_t matches = 0;
    for (int round = 0; round < 40; round++) {
        uint32_t least = 1 + lb_random_below(&r, 3), longest = least + lb_random_below(&r, 4);
        uint32_t letters = 2 + lb_random_below(&r, 40);
        struct lb_error err = LB_ERROR_INIT;
        struct ngram *g;
        CHECK(ngram_open(least, longest, N, &g, &err) == LB_OK, "%s", err.text);
        uint64_t before = lb_memory_allocations();
        for (int again = 0; again < 2; again++) {
            ngram_clear(g);
            for (uint32_t n = 0; n < N; n++) {
                uint32_t a = ngram_draft(g, MOST, found);
                uint32_t b = n > 0 ? search(text, n, least, longest, MOST, expected) : 0;
                CHECK(a == b && memcmp(found, expected, a * sizeof *found) == 0,
                      "round %d, %u tokens of %u letters, %u to %u: %u found, expected %u", round,
                      n, letters, least, longest, a, b);
                matches += a > 0;
                text[n] = (int32_t)lb_random_below(&r, letters) - (n % 7 == 0);
                ngram_add(g, text[n]);
            }
        }
        ngram_add(g, 1); /* beyond its capacity */
        CHECK(ngram_draft(g, MOST, found) == search(text, N, least, longest, MOST, expected));
        CHECK(lb_memory_allocations() == before, "n-grams allocate");
        ngram_close(g);
    }
    CHECK(matches > 2000, "%u matches", matches);
    struct lb_error err = LB_ERROR_INIT;
    struct ngram *g;
    CHECK(ngram_open(3, 2, 10, &g, &err) == LB_ERR_INPUT && !g);
    CHECK_TEXT(err.text, "ngram_min 3, ngram_max 2: expected 1 to 16, in order");
}

/* "a b a b": the match runs into the end of the text, and goes on with itself. */
static void periodic(void)
{
    struct lb_error err = LB_ERROR_INIT;
    struct ngram *g;
    int32_t draft[6];
    CHECK(ngram_open(1, 3, 16, &g, &err) == LB_OK, "%s", err.text);
    CHECK(ngram_draft(g, 6, draft) == 0, "an empty text");
    for (int i = 0; i < 4; i++)
        ngram_add(g, i % 2);
    CHECK(ngram_draft(g, 6, draft) == 6);
    for (int i = 0; i < 6; i++)
        CHECK(draft[i] == i % 2, "place %d: %d", i, draft[i]);
    ngram_close(g);
}

/* ---- replays, lengths ---- */

static void replays(void)
{
    enum { N = 4000 };
    int32_t tokens[N], draft[8];
    for (int i = 0; i < N; i++)
        tokens[i] = i % 50;
    for (int tenths = 0; tenths <= 10; tenths += 5) {
        struct known k = {tokens, N, 50, tenths / 10.0, 3};
        int right = 0;
        for (uint32_t at = 0; at < N; at++) {
            uint32_t n = known_draft(&k, at, 8, draft);
            CHECK(n == (N - at < 8 ? N - at : 8), "%u tokens at %u", n, at);
            right += draft[0] == tokens[at];
            for (uint32_t i = 0; i < n; i++) { /* the same wherever the draft begins */
                int32_t alone;
                known_draft(&k, at + i, 1, &alone);
                CHECK(alone == draft[i] && alone >= 0 && alone < 50);
            }
        }
        CHECK(abs(right - N * tenths / 10) < 150, "%d of %d right, expected %d tenths", right, N,
              tenths);
    }
}

/* The length that is best where each token is right with probability `a`, a pass over k of them
 * computes (1 + k) * c and loads t beside it. */
static uint32_t best(double a, double c, double t, uint32_t most)
{
    double acceptance[DRAFT_MOST], pass_ns[DRAFT_MOST + 1];
    for (uint32_t k = 0; k < most; k++)
        acceptance[k] = a;
    for (uint32_t k = 0; k <= most; k++)
        pass_ns[k] = length_pass_ns((1 + k) * c, t, true);
    return length_best(most, acceptance, pass_ns);
}

static void best_lengths(void)
{
    CHECK(length_pass_ns(3, 5, true) == 5 && length_pass_ns(7, 5, true) == 7);
    CHECK(length_pass_ns(3, 5, false) == 8);
    CHECK(best(0.9, 1, 1000, 16) == 16, "loading covers all: %u", best(0.9, 1, 1000, 16));
    CHECK(best(0.3, 1, 1000, 16) == 16, "what is free is taken: %u", best(0.3, 1, 1000, 16));
    /* up to the 6 tokens that loading covers for nothing; beyond them another at the price of a
     * sixth of the pass, for 0.7^6 of a token beside 2.9 */
    CHECK(best(0.7, 1, 6, 16) == 5, "as far as loading covers: %u", best(0.7, 1, 6, 16));
    CHECK(best(0.99, 1000, 1, 16) == 0, "each token costs a pass: %u", best(0.99, 1000, 1, 16));
    CHECK(best(0, 1, 1000, 16) == 0 && best(0, 1000, 1, 16) == 0, "none is ever right");
    double late[] = {1, 1, 0, 1}, flat[] = {9, 9, 9, 9, 9};
    CHECK(length_best(4, late, flat) == 2, "beyond a place that is never right: %u",
          length_best(4, late, flat));
}

/* What the length is (mean) once it has settled, where each token is right with probability `a`, a
 * pass over k of them computes 1 + k * slope and loads t beside it; noise of 10%. */
static double settled(double a, double slope, double t, uint32_t most)
{
    struct length l;
    struct lb_random r = {SEED};
    double sum = 0;
    length_open(&l, most, true, true);
    for (int i = 0; i < 400; i++) {
        uint32_t k = length_next(&l), kept = 0;
        CHECK(k <= most, "%u", k);
        while (kept < k && lb_random_unit(&r) < a)
            kept++;
        length_saw(&l, k, kept);
        struct length_time took = {.compute_ns = 1e6 * (1 + k * slope), .load_ns = 1e6 * t};
        took.pass_ns =
            length_pass_ns(took.compute_ns, took.load_ns, true) * (1 + 0.1 * lb_random_unit(&r));
        length_took(&l, k, &took);
        sum += i >= 200 ? k : 0;
    }
    return sum / 200;
}

static void lengths(void)
{
    struct length l;
    length_open(&l, 7, false, true);
    length_took(&l, 7, &(struct length_time){1, 1, 0});
    CHECK(length_next(&l) == 7, "a fixed length stays");
    CHECK(fabs(length_yield(0.5, 3) - 1.875) < 1e-12 && length_yield(1, 4) == 5);
    CHECK(settled(0.9, 0, 0, 8) > 7, "free passes: as long as may be, %g", settled(0.9, 0, 0, 8));
    CHECK(settled(0.9, 0.5, 50, 8) > 7, "loading covers all: %g", settled(0.9, 0.5, 50, 8));
    CHECK(settled(0.02, 0.5, 0, 8) < 1.5, "wrong and dear: next to none, %g",
          settled(0.02, 0.5, 0, 8));
    CHECK(settled(0.9, 1, 0, 8) < 1, "each token costs a pass: %g", settled(0.9, 1, 0, 8));
    /* (1 - 0.7^(k+1)) / 0.3 / (1 + 0.2 k) is largest at k = 2 */
    double k = settled(0.7, 0.2, 0, 8);
    CHECK(k > 1 && k < 4, "in between: %g", k);
    /* the ends are tried, and what lies between is known from them: a pass over 16 computes for 17,
     * over none for 1, and loads for 6 */
    length_open(&l, 16, true, true);
    length_took(&l, length_next(&l), &(struct length_time){17, 17, 6});
    length_took(&l, length_next(&l), &(struct length_time){6, 1, 6});
    CHECK(length_next(&l) == 5, "covered by loading, and not tried before: %u", length_next(&l));
}

/* ---- decoders ---- */

enum { PROMPT = 14, DRAWN = 22, MOST_BATCH = 4, MOST_MODELS = 64 };

/* a model, and the same coarser: a draft model that is right now and then */
static const char *const made_quants[] = {"Q4_K_M", "Q2_K"};
static char made_paths[2][512];
static struct model_file {
    const char *path;
    uint32_t n_layers, n_vocab;
} models[MOST_MODELS];
static uint32_t n_models;

static void add_model(const char *path)
{
    struct lb_options o = lb_options_default();
    struct lb_error err = LB_ERROR_INIT;
    struct lb_engine *e;
    o.model_path = path;
    o.threads = 1;
    o.context = 16;
    CHECK(lb_engine_open(&o, &e, &err) == LB_OK, "%s", err.text);
    if (!e)
        return;
    struct lb_model_info info = lb_engine_model(e);
    models[n_models++] = (struct model_file){path, info.n_layers, info.n_vocab};
    lb_engine_close(e);
}

/* The same words with other weights, as a rule: a name up to its last '-' is the same. */
static const char *other_weights(const char *path, struct lb_random *r)
{
    const char *dash = strrchr(path, '-');
    size_t stem = dash ? (size_t)(dash - path) : strlen(path) - 5;
    for (int tries = 0; tries < 50; tries++) {
        const char *other = models[lb_random_below(r, n_models)].path;
        if (strncmp(path, other, stem) == 0)
            return other;
    }
    return path;
}

struct text {
    int32_t prompt[PROMPT], drawn[DRAWN];
    float *logits; /* [DRAWN][n_vocab] */
};

/* Token by token, all in memory, one sequence alone. */
static void decode_plainly(const struct model_file *m, const struct lb_options *o,
                           struct lb_sampling sampling, uint32_t sequence, struct text *t)
{
    struct lb_options plain = lb_options_default();
    struct lb_error err = LB_ERROR_INIT;
    struct lb_engine *e;
    struct sampler *s;
    struct sampler_options so = {sampling.temperature, sampling.top_k, sampling.top_p,
                                 sampling.seed};
    plain.model_path = m->path;
    plain.prefetch = "resident";
    plain.storage = "pread";
    plain.kv = o->kv;
    plain.context = o->context;
    plain.threads = 1;
    CHECK(lb_engine_open(&plain, &e, &err) == LB_OK, "%s", err.text);
    CHECK(sampler_open(&so, m->n_vocab, &s, &err) == LB_OK, "%s", err.text);
    enum lb_status status = lb_engine_prefill(e, 0, t->prompt, PROMPT, false, t->logits, &err);
    for (uint32_t i = 0; status == LB_OK && i < DRAWN; i++) {
        float *row = t->logits + (size_t)i * m->n_vocab;
        t->drawn[i] = sampler_at(s, ((uint64_t)sequence << 40) + i, row);
        if (i + 1 < DRAWN)
            status = lb_engine_decode(e, &t->drawn[i], 1, row + m->n_vocab, &err);
    }
    CHECK(status == LB_OK, "%s", err.text);
    sampler_close(s);
    lb_engine_close(e);
}

static bool same_as(const struct lb_drawn *d, const struct text *t, uint32_t from, uint32_t n_vocab)
{
    return from + d->n <= DRAWN &&
           memcmp(d->tokens, t->drawn + from, d->n * sizeof *d->tokens) == 0 &&
           memcmp(d->logits, t->logits + (size_t)from * n_vocab,
                  (size_t)d->n * n_vocab * sizeof *d->logits) == 0;
}

/* Decodes all sequences; false: a token or a logit differs from `texts`. Sequence i ends DRAWN
 * tokens after its prompt; odd ones sit out every third step. */
static bool decode(struct lb_decoder *d, uint32_t batch, const struct text *texts, uint32_t n_vocab,
                   const char *what)
{
    struct lb_error err = LB_ERROR_INIT;
    struct lb_drawn drawn[MOST_BATCH];
    uint32_t n[MOST_BATCH], limits[MOST_BATCH], left = 0;
    bool same = true;
    for (uint32_t i = 0; i < batch; i++) {
        enum lb_status status = lb_decoder_begin(d, i, texts[i].prompt, PROMPT, drawn, &err);
        CHECK(status == LB_OK, "%s: %s", what, err.text);
        if (status != LB_OK || lb_decoder_know(d, i, texts[i].drawn + 1, DRAWN - 1, &err) != LB_OK)
            return false;
        same &= drawn->n == 1 && same_as(drawn, &texts[i], 0, n_vocab);
        n[i] = 1;
        left += DRAWN - 1;
    }
    for (uint32_t step = 0; left > 0; step++) {
        for (uint32_t i = 0; i < batch; i++)
            limits[i] = i % 2 == 1 && step % 3 == 2 ? 0 : DRAWN - n[i];
        if (step % 3 == 2 && limits[0] == 0 && (batch < 3 || limits[2] == 0))
            continue;
        enum lb_status status = lb_decoder_step(d, limits, drawn, &err);
        CHECK(status == LB_OK, "%s: %s", what, err.text);
        if (status != LB_OK)
            return false;
        for (uint32_t i = 0; i < batch; i++) {
            CHECK(drawn[i].n <= limits[i] && (drawn[i].n > 0) == (limits[i] > 0),
                  "%s: %u tokens of at most %u", what, drawn[i].n, limits[i]);
            same &= drawn[i].n == 0 || same_as(&drawn[i], &texts[i], n[i], n_vocab);
            n[i] += drawn[i].n;
            left -= drawn[i].n;
        }
    }
    return same;
}

static void make_prompt(struct lb_random *r, uint32_t n_vocab, int32_t *prompt)
{
    uint32_t period = 1 + lb_random_below(r, PROMPT);
    for (uint32_t i = 0; i < PROMPT; i++)
        prompt[i] = i < period ? (int32_t)lb_random_below(r, n_vocab) : prompt[i - period];
}

static struct lb_options random_options(const struct model_file *m, struct lb_random *r)
{
    static const char *const ways[] = {"ngram", "draft", "replay"};
    struct lb_options o = lb_options_default();
    o.model_path = m->path; /* whose storage is tried */
    o = settings_random(o, m->n_layers, r);
    if (lb_random_below(r, 6) == 0)
        o.prefetch = "resident";
    o.context = PROMPT + DRAWN - lb_random_below(r, 2); /* the last token is not fed */
    o.batch = 1 + lb_random_below(r, MOST_BATCH);
    o.kv = kernels_kv_name((enum kernels_kv)lb_random_below(r, N_KERNELS_KV));
    o.max_tokens = 1 + lb_random_below(r, 20);
    o.speculation.speculate = settings_pick(r, ways, 3);
    o.speculation.draft_tokens = 1 + lb_random_below(r, 8);
    o.speculation.draft_budget = lb_random_below(r, 2) ? "fixed" : "adaptive";
    o.speculation.ngram_min = 1 + lb_random_below(r, 3);
    o.speculation.ngram_max = o.speculation.ngram_min + lb_random_below(r, 3);
    o.speculation.draft_model = other_weights(m->path, r);
    o.speculation.acceptance = lb_random_below(r, 11) / 10.0;
    return o;
}

static struct lb_drafts seen[3]; /* by way, over all settings */

static void add_up(const struct lb_options *o, const struct lb_drafts *d, const char *what)
{
    static const char *const ways[] = {"ngram", "draft", "replay"};
    uint64_t reached = 0, right = 0;
    for (int i = 0; i < LB_DRAFT_MOST; i++) {
        reached += d->reached[i];
        right += d->right[i];
    }
    CHECK(d->kept == right && d->kept <= d->made && reached <= d->made && d->passes > 0 &&
              d->tokens == (uint64_t)o->batch * (DRAWN - 1) &&
              d->kept + d->passes <= d->tokens + (o->batch > 1 ? d->passes : 0),
          "%s: %" PRIu64 " tokens in %" PRIu64 " passes, %" PRIu64 " of %" PRIu64 " kept", what,
          d->tokens, d->passes, d->kept, d->made);
    for (int k = 0; k < 3; k++)
        if (strcmp(ways[k], o->speculation.speculate) == 0) {
            seen[k].made += d->made;
            seen[k].kept += d->kept;
        }
}

/* Opens, decodes, and says whether the text is that of `texts`. */
static bool same_text(const struct model_file *m, const struct lb_options *o,
                      const struct lb_sampling *sampling, const struct text *texts,
                      const char *what)
{
    struct lb_error err = LB_ERROR_INIT;
    struct lb_engine *e = NULL;
    struct lb_decoder *d = NULL;
    bool same = false;
    if (lb_engine_open(o, &e, &err) == LB_OK &&
        lb_decoder_open(e, &o->speculation, sampling, &d, &err) == LB_OK) {
        same = decode(d, o->batch, texts, m->n_vocab, what);
        struct lb_drafts drafts = lb_decoder_drafts(d);
        struct lb_stats s = lb_engine_stats(e);
        add_up(o, &drafts, what);
        /* the replay's continuation is told between passes */
        CHECK(s.allocations <= o->batch, "%s: %" PRIu64 " allocations", what, s.allocations);
        CHECK(s.hits + s.prefetched + s.late + s.misses == s.accesses &&
                  s.accesses == m->n_layers * s.passes,
              "%s: outcomes add up", what);
    }
    CHECK(err.code == LB_OK, "%s: %s", what, err.text);
    lb_decoder_close(d);
    lb_engine_close(e);
    return same;
}

static void same_text_for_random_settings(int count)
{
    struct lb_random r = {SEED};
    struct text texts[MOST_BATCH];
    uint32_t broken = 0;
    for (int k = 0; k < count; k++) {
        const struct model_file *m = &models[k % (int)n_models];
        struct lb_options o = random_options(m, &r);
        struct lb_sampling sampling = {k % 2 ? 0.8f : 0, 40, 0.95f, lb_random_next(&r)};
        char what[400];
        snprintf(what, sizeof what, "setting %d: %s, %s %u of %s, batch %u, kv %s, t %g: %s", k,
                 m->path, o.speculation.speculate, o.speculation.draft_tokens,
                 o.speculation.draft_model, o.batch, o.kv, (double)sampling.temperature,
                 settings_text(&o));
        for (uint32_t i = 0; i < o.batch; i++) {
            texts[i].logits = calloc((size_t)DRAWN * m->n_vocab, sizeof(float));
            make_prompt(&r, m->n_vocab, texts[i].prompt);
            decode_plainly(m, &o, sampling, i, &texts[i]);
        }
        CHECK(same_text(m, &o, &sampling, texts, what), "%s: the text differs", what);
        if (k % 10 == 0) { /* wrong drafts kept on purpose must be seen */
            o.speculation.speculate = "replay";
            o.speculation.acceptance = 0;
            o.breaks = "drafts";
            broken++;
            CHECK(!same_text(m, &o, &sampling, texts, what), "%s: broken, and not seen", what);
        }
        for (uint32_t i = 0; i < o.batch; i++)
            free(texts[i].logits);
    }
    CHECK(broken > 0);
    for (int k = 0; k < 3; k++)
        CHECK(seen[k].kept > 0 && seen[k].kept < seen[k].made,
              "way %d: %" PRIu64 " of %" PRIu64 " kept", k, seen[k].kept, seen[k].made);
}

static void clear_errors(void)
{
    struct lb_options o = lb_options_default();
    struct lb_error err = LB_ERROR_INIT;
    struct lb_sampling sampling = {0, 40, 0.95f, 0};
    struct lb_engine *e;
    struct lb_decoder *d;
    struct lb_drawn drawn;
    float logits[1];
    o.model_path = models[0].path;
    o.threads = 1;
    o.context = 4;
    o.speculation.speculate = "magic";
    CHECK(lb_engine_open(&o, &e, &err) == LB_ERR_INPUT);
    CHECK_TEXT(err.text, "speculate: 'magic': expected one of: off ngram draft replay");
    err = (struct lb_error)LB_ERROR_INIT;
    o.speculation.speculate = "draft";
    CHECK(lb_engine_open(&o, &e, &err) == LB_OK, "%s", err.text);
    CHECK(lb_decoder_open(e, &o.speculation, &sampling, &d, &err) == LB_ERR_INPUT && !d);
    CHECK_TEXT(err.text,
               "draft_model: none: expected the path of a GGUF file with speculate draft");
    err = (struct lb_error)LB_ERROR_INIT;
    o.speculation.draft_model = "no-such-model.gguf";
    CHECK(lb_decoder_open(e, &o.speculation, &sampling, &d, &err) == LB_ERR_INPUT && !d);
    CHECK(strncmp(err.text, "draft_model: no-such-model.gguf: ", 33) == 0, "%s", err.text);
    uint32_t counts[] = {99};
    err = (struct lb_error)LB_ERROR_INIT;
    CHECK(lb_engine_verify(e, NULL, counts, 1, logits, &err) == LB_ERR_INPUT);
    CHECK_TEXT(err.text, "verify: 99 tokens of 1 sequences: expected 1 to 5 of at most 1");
    lb_engine_close(e);
    o.speculation.speculate = "off";
    err = (struct lb_error)LB_ERROR_INIT;
    CHECK(lb_engine_open(&o, &e, &err) == LB_OK, "%s", err.text);
    CHECK(lb_decoder_open(e, &o.speculation, &sampling, &d, &err) == LB_OK, "%s", err.text);
    uint32_t limit = 3;
    CHECK(lb_decoder_step(d, &limit, &drawn, &err) == LB_ERR_INPUT);
    CHECK_TEXT(err.text,
               "sequence 0: has not begun: expected a prompt and room in the context (4)");
    const int32_t prompt[] = {1, 2, 3, 4};
    err = (struct lb_error)LB_ERROR_INIT;
    CHECK(lb_decoder_begin(d, 0, prompt, 4, &drawn, &err) == LB_OK, "%s", err.text);
    CHECK(lb_decoder_step(d, &limit, &drawn, &err) == LB_ERR_INPUT);
    CHECK_TEXT(err.text, "sequence 0: context full: expected a prompt and room in the context (4)");
    lb_decoder_close(d);
    lb_engine_close(e);
}

/* Another vocabulary is refused; so is one of the same size with other words. */
static void other_vocabulary(void)
{
    struct lb_sampling sampling = {0, 40, 0.95f, 0};
    for (uint32_t i = 0; i < n_models; i++) {
        if (models[i].n_vocab == models[0].n_vocab)
            continue;
        struct lb_options o = lb_options_default();
        struct lb_error err = LB_ERROR_INIT;
        struct lb_engine *e;
        struct lb_decoder *d;
        o.model_path = models[0].path;
        o.speculation.speculate = "draft";
        o.speculation.draft_model = models[i].path;
        CHECK(lb_engine_open(&o, &e, &err) == LB_OK, "%s", err.text);
        CHECK(lb_decoder_open(e, &o.speculation, &sampling, &d, &err) == LB_ERR_INPUT);
        CHECK(strstr(err.text, ": a vocabulary of ") != NULL, "%s", err.text);
        lb_engine_close(e);
        return;
    }
}

int main(void)
{
    struct lb_error err = LB_ERROR_INIT;
    const char *build = getenv("BUILD");
    glob_t shared = {.gl_pathc = 0};
    alarm(getenv("LAYERBENCH_LONG") ? 3600 : 600); /* a hang is a failure */
    ngrams();
    periodic();
    replays();
    best_lengths();
    lengths();
    for (int i = 0; i < 2; i++) {
        const struct lb_synth synth = {
            .shape = "tiny", .quant = made_quants[i], .seed = 7, .n_layers = 4};
        snprintf(made_paths[i], sizeof made_paths[i], "%s/engine/tests/speculate%d-%s.gguf",
                 build ? build : "build", (int)getpid(), made_quants[i]);
        CHECK(lb_synth_write(&synth, made_paths[i], &err) == LB_OK, "%s", err.text);
        add_model(made_paths[i]);
    }
    if (check_shared()) {
        char pattern[2][1100];
        snprintf(pattern[0], sizeof pattern[0], "%.1000s/models/*.gguf", check_shared());
        snprintf(pattern[1], sizeof pattern[1], "%.1000s/experts/models/*.gguf", check_shared());
        glob(pattern[0], 0, NULL, &shared);
        glob(pattern[1], GLOB_APPEND, NULL, &shared);
        for (size_t i = 0; i < shared.gl_pathc && n_models < MOST_MODELS; i++)
            add_model(shared.gl_pathv[i]);
    } else {
        puts("skipped: reference models: ../shared is not there");
    }
    if (check_failures == 0) {
        same_text_for_random_settings(getenv("LAYERBENCH_LONG") ? 500 : 60);
        clear_errors();
        other_vocabulary();
    }
    globfree(&shared);
    for (int i = 0; i < 2; i++)
        unlink(made_paths[i]);
    return check_done();
}
