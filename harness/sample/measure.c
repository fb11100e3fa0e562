/*
 * measure: the process of one sample (command "sample"). See sample.h for the timed window.
 *
 * 1. where drafts are replayed, find out what there is to replay, with an engine of its own; 2.
 * open the engine; 3. prefill each sequence with the prompt; 4. decode generate_tokens of each,
 * always the likeliest, in as many passes or fewer; 5. collect counters and the access log; 6.
 * write it all to the descriptor the run gave, or print it as JSON (gate).
 */
#include "sample/measure.h"

#include "base/clock.h"
#include "base/control_group.h"
#include "base/random.h"
#include "common/exit_codes.h"
#include "sample/op_profile.h"
#include "sample/prediction_json.h"
#include "sample/prompts.h"
#include "sample/sample.h"
#include "settings/model_options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* accesses of units, and chosen experts, at most: bounds memory and the logs' size */
enum { UNITS_LOGGED = 32768, ROUTES_LOGGED = 1 << 20 };

/* What is needed while the passes run. */
struct work {
    struct lb_engine *engine;
    struct lb_decoder *decoder;
    const struct settings *settings;
    uint32_t n_vocab, batch, most; /* tokens of a sequence: generate_tokens and the first */
    int32_t *prompt;               /* [prompt_tokens] */
    int32_t *tokens;               /* [batch][most] */
    uint32_t *n, *limits;          /* [batch] tokens so far; those still wanted */
    struct lb_drawn *drawn;        /* [batch] */
    uint64_t *logits_hash;         /* [batch] */
    int32_t *known;                /* [batch][most] to replay, or NULL */
};

/* What the kernel fetched from storage for this process; -1: it does not say. */
static int64_t kernel_bytes(void)
{
    uint64_t bytes;
    return lb_file_number("/proc/self/io", "read_bytes:", &bytes) ? (int64_t)bytes : -1;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

/* Keeps the tokens that a sequence got, and hashes the logits they were drawn from. */
static void take(struct work *w, uint32_t sequence, const struct lb_drawn *drawn)
{
    uint64_t *hash = &w->logits_hash[sequence];
    for (size_t i = 0; i < (size_t)drawn->n * w->n_vocab; i++) {
        uint32_t bits;
        memcpy(&bits, &drawn->logits[i], sizeof bits);
        *hash = mix(*hash, bits);
    }
    memcpy(w->tokens + (size_t)sequence * w->most + w->n[sequence], drawn->tokens,
           drawn->n * sizeof *w->tokens);
    w->n[sequence] += drawn->n;
}

/* Of all tokens, the first of each sequence, the second of each, ...: how many of them came
 * together does not show. */
static uint64_t tokens_hash(const struct work *w)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < w->most; i++)
        for (uint32_t s = 0; s < w->batch; s++)
            hash = mix(hash, (uint64_t)w->tokens[(size_t)s * w->most + i]);
    return hash;
}

static uint64_t logits_hash(const struct work *w)
{
    uint64_t hash = w->logits_hash[0];
    for (uint32_t s = 1; s < w->batch; s++)
        hash = mix(hash, w->logits_hash[s]);
    return hash;
}

/* What has been added since; every field is a count or a sum of 64 bits, or means nothing here. */
static struct lb_stats since(const struct lb_stats *before, struct lb_stats now)
{
    const uint64_t *from = (const uint64_t *)before;
    uint64_t *to = (uint64_t *)&now;
    _Static_assert(sizeof now % sizeof *to == 0, "a field of another size");
    for (size_t i = 0; i < sizeof now / sizeof *to; i++)
        to[i] -= from[i];
    return now;
}

/* The end of a text, at most prompt_tokens of it, into w->prompt; *n of them. */
static enum lb_status take_text(struct work *w, const char *text, uint32_t *n, struct lb_error *err)
{
    const struct lb_text_options how = {.bos = true};
    int32_t *ids = NULL;
    size_t count = 0;
    enum lb_status status =
        lb_engine_tokenize(w->engine, text, strlen(text), how, &ids, &count, err);
    if (status == LB_OK && count == 0)
        status = lb_fail(err, LB_ERR_INPUT, "prompts: a text gives no token: '%.40s'", text);
    if (status == LB_OK) {
        *n = count < w->settings->prompt_tokens ? (uint32_t)count : w->settings->prompt_tokens;
        memcpy(w->prompt, ids + (count - *n), *n * sizeof *ids);
    }
    lb_release(ids);
    return status;
}

/* Each sequence gets a prompt of its own: a text, or random tokens. */
static enum lb_status prefill(struct work *w, const struct measure *m, uint64_t *length,
                              struct lb_error *err)
{
    struct lb_random random = {m->work_seed};
    struct prompts texts = {NULL, 0};
    enum lb_status status = LB_OK;
    *length = 0;
    if (*w->settings->prompts)
        status = prompts_read(w->settings->prompts, &texts, err);
    for (uint32_t s = 0; s < w->batch && status == LB_OK; s++) {
        uint32_t n = w->settings->prompt_tokens;
        for (uint32_t i = 0; i < n && texts.count == 0; i++)
            w->prompt[i] = (int32_t)lb_random_below(&random, w->n_vocab);
        if (texts.count > 0)
            status = take_text(w, texts.texts[(m->first_prompt + s) % texts.count], &n, err);
        if (status == LB_OK)
            status = lb_decoder_begin(w->decoder, s, w->prompt, n, &w->drawn[0], err);
        if (status == LB_OK)
            take(w, s, &w->drawn[0]);
        if (status == LB_OK && w->known)
            status = lb_decoder_know(w->decoder, s, w->known + (size_t)s * w->most + 1, w->most - 1,
                                     err);
        *length += n;
    }
    prompts_free(&texts);
    return status;
}

/* One pass; false in *more: it was the last. */
static enum lb_status step(struct work *w, bool *more, struct lb_error *err)
{
    for (uint32_t s = 0; s < w->batch; s++)
        w->limits[s] = w->most - w->n[s];
    enum lb_status status = lb_decoder_step(w->decoder, w->limits, w->drawn, err);
    *more = false;
    for (uint32_t s = 0; s < w->batch && status == LB_OK; s++) {
        take(w, s, &w->drawn[s]);
        *more |= w->n[s] < w->most;
    }
    return status;
}

static void take_drafts(const struct lb_drafts *d, struct sample *out)
{
    out->tokens = d->tokens;
    out->drafted = d->made;
    out->drafts_kept = d->kept;
    out->draft_ns = d->made > 0 ? d->draft_ns : 0; /* else a look at the clock */
    out->draft_bytes = d->bytes;
    memcpy(out->draft_reached, d->reached, sizeof out->draft_reached);
    memcpy(out->draft_right, d->right, sizeof out->draft_right);
}

static enum lb_status decode(struct work *w, struct sample *out, struct lb_error *err)
{
    struct lb_stats before = lb_engine_stats(w->engine);
    json_t *predicted_before = prediction_json(w->engine);
    enum lb_status status = LB_OK;
    int64_t start = lb_now_ns(), in_passes = 0;
    for (bool more = true; more;) {
        status = step(w, &more, err);
        if (status != LB_OK)
            break;
        int64_t wall = lb_engine_last_pass(w->engine).wall_ns;
        out->pass_ns[out->n_pass++] = wall;
        in_passes += wall;
    }
    out->decode = since(&before, lb_engine_stats(w->engine));
    struct lb_drafts drafts = lb_decoder_drafts(w->decoder);
    take_drafts(&drafts, out);
    out->between_ns = lb_now_ns() - start - in_passes - out->draft_ns;
    out->experts_used = lb_engine_model(w->engine).experts_used;
    out->prediction = prediction_json(w->engine);
    prediction_json_subtract(out->prediction, predicted_before);
    json_decref(predicted_before);
    return status;
}

static void collect(struct work *w, struct sample *out)
{
    struct lb_effective e = lb_engine_effective(w->engine);
    struct lb_model_info info = lb_engine_model(w->engine);
    struct rusage usage;
    out->all = lb_engine_stats(w->engine);
    out->all.resident_bytes += out->draft_bytes;
    out->layers = info.n_layers;
    out->log_dropped = lb_engine_log_dropped(w->engine);
    out->file_bytes = info.file_bytes;
    out->layer_bytes = info.layer_bytes;
    out->model_resident_bytes = info.resident_bytes;
    out->cache_layers = e.cache_layers;
    out->threads = e.threads;
    out->drives = e.drives;
    snprintf(out->tokens_hash, sizeof out->tokens_hash, "%016" PRIx64, tokens_hash(w));
    snprintf(out->logits_hash, sizeof out->logits_hash, "%016" PRIx64, logits_hash(w));
    snprintf(out->prefetch, sizeof out->prefetch, "%s", e.prefetch);
    snprintf(out->replacement, sizeof out->replacement, "%s", e.replacement);
    snprintf(out->scheduler, sizeof out->scheduler, "%s", e.scheduler);
    snprintf(out->predict, sizeof out->predict, "%s", e.predict);
    snprintf(out->storage, sizeof out->storage, "%s", e.storage);
    snprintf(out->kernels, sizeof out->kernels, "%s", e.kernels);
    snprintf(out->product, sizeof out->product, "%s", e.product);
    snprintf(out->notice, sizeof out->notice, "%s", lb_engine_notice(w->engine));
    uint64_t kib = 0;
    (void)lb_file_number("/proc/self/status", "VmHWM:", &kib);
    out->peak_rss_bytes = kib * 1024;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        out->major_faults = (uint64_t)usage.ru_majflt;
        out->cpu_ns = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000000) +
                      (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * INT64_C(1000);
    }
}

/* The decode passes, with every operation timed where that is asked for. */
static enum lb_status profiled_decode(struct work *w, struct sample *out, struct lb_error *err)
{
    struct op_profile before = {0}, after = {0};
    if (!w->settings->engine.profile)
        return decode(w, out, err);
    enum lb_status status = op_profile_take(w->engine, &before)
                                ? decode(w, out, err)
                                : lb_fail(err, LB_ERR_NOMEM, "out of memory for a profile");
    if (status == LB_OK && op_profile_take(w->engine, &after)) {
        op_profile_subtract(&after, &before);
        out->profile = op_profile_json(&after);
    }
    op_profile_free(&before);
    op_profile_free(&after);
    return status;
}

static enum lb_status no_memory(struct lb_error *err)
{
    return lb_fail(err, LB_ERR_NOMEM, "out of memory for the sample");
}

static void close_work(struct work *w)
{
    lb_decoder_close(w->decoder);
    lb_engine_close(w->engine);
    free(w->prompt);
    free(w->tokens);
    free(w->n);
    free(w->limits);
    free(w->drawn);
    free(w->logits_hash);
}

/* The engine is open. */
static enum lb_status open_work(struct work *w, struct lb_error *err)
{
    const struct lb_sampling likeliest = {.temperature = 0, .top_p = 1};
    w->n_vocab = lb_engine_model(w->engine).n_vocab;
    w->batch = lb_engine_effective(w->engine).batch;
    w->most = w->settings->generate_tokens + 1;
    w->prompt = malloc(w->settings->prompt_tokens * sizeof *w->prompt);
    w->tokens = malloc((size_t)w->batch * w->most * sizeof *w->tokens);
    w->n = calloc(w->batch, sizeof *w->n);
    w->limits = calloc(w->batch, sizeof *w->limits);
    w->drawn = calloc(w->batch, sizeof *w->drawn);
    w->logits_hash = calloc(w->batch, sizeof *w->logits_hash);
    if (!w->prompt || !w->tokens || !w->n || !w->limits || !w->drawn || !w->logits_hash)
        return no_memory(err);
    return lb_decoder_open(w->engine, &w->settings->engine.speculation, &likeliest, &w->decoder,
                           err);
}

/* What there is to replay: the same work without drafts, in an engine that is closed again. */
static int learn(const struct measure *m, const struct settings *settings, int32_t **known)
{
    struct settings plain = *settings;
    struct work w = {.settings = &plain};
    struct lb_error err = LB_ERROR_INIT;
    plain.engine.speculation.speculate = "off";
    plain.engine.log_capacity = plain.engine.unit_log_capacity = 0;
    plain.engine.route_log_capacity = 0;
    int code = model_options_open("sample", &plain, &w.engine);
    if (code != EXIT_OK)
        return code;
    bool more = true;
    uint64_t length;
    enum lb_status status = open_work(&w, &err);
    if (status == LB_OK)
        status = prefill(&w, m, &length, &err);
    while (status == LB_OK && more)
        status = step(&w, &more, &err);
    if (status == LB_OK) {
        *known = w.tokens;
        w.tokens = NULL;
    }
    close_work(&w);
    return status == LB_OK ? EXIT_OK : model_options_error("sample", &err);
}

static enum lb_status passes(struct work *w, const struct measure *m, int64_t opened_at,
                             struct sample *out, struct lb_error *err)
{
    const struct settings *s = w->settings;
    if (open_work(w, err) != LB_OK)
        return err->code;
    out->pass_ns = calloc(s->generate_tokens, sizeof *out->pass_ns);
    out->log = malloc((m->log_capacity + 1) * sizeof *out->log);
    out->units = malloc(UNITS_LOGGED * sizeof *out->units);
    out->routes = malloc((s->log_routes ? ROUTES_LOGGED : 1) * sizeof *out->routes);
    if (!out->pass_ns || !out->log || !out->units || !out->routes)
        return no_memory(err);
    int64_t bytes_before = kernel_bytes();
    out->first_prompt = m->first_prompt;
    enum lb_status status = prefill(w, m, &out->prompt_length, err);
    if (status != LB_OK)
        return status;
    out->prefill_ns = lb_engine_stats(w->engine).wall_ns;
    out->ttft_ns = lb_now_ns() - opened_at;
    status = profiled_decode(w, out, err);
    if (status != LB_OK)
        return status;
    int64_t bytes_after = kernel_bytes();
    out->kernel_bytes = bytes_before < 0 || bytes_after < 0 ? -1 : bytes_after - bytes_before;
    collect(w, out);
    out->n_log = lb_engine_drain(w->engine, out->log, m->log_capacity);
    out->n_units = lb_engine_drain_units(w->engine, out->units, UNITS_LOGGED);
    out->n_routes = lb_engine_drain_routes(w->engine, out->routes, ROUTES_LOGGED);
    uint64_t dropped = s->log_routes ? lb_engine_routes_dropped(w->engine) : 0;
    if (dropped > 0)
        snprintf(out->notice, sizeof out->notice,
                 "log_routes: %" PRIu64 " chosen experts found no room in the log, of %d", dropped,
                 ROUTES_LOGGED);
    for (size_t i = 0; i < out->n_log; i++) {
        const struct lb_access *a = &out->log[i];
        bool there = a->outcome == LB_HIT || a->outcome == LB_PREFETCHED;
        if (!a->prefill)
            *(there ? &out->cached_wait_ns : &out->uncached_wait_ns) += a->wait_ns;
    }
    return LB_OK;
}

static bool write_result(const struct measure *m, const struct sample *out)
{
    if (m->json) {
        json_t *object = sample_to_json(out);
        bool written = object && json_dumpf(object, stdout, JSON_COMPACT) == 0;
        json_decref(object);
        return written && fflush(stdout) == 0;
    }
    FILE *result = fdopen((int)m->result_fd, "wb");
    bool written = result && sample_write(out, result);
    if (result)
        fclose(result);
    return written;
}

int measure(const struct measure *m, struct settings *settings)
{
    struct work w = {.settings = settings};
    struct sample out = {0};
    struct lb_error err = LB_ERROR_INIT;
    settings->engine.log_capacity = m->log_capacity;
    settings->engine.unit_log_capacity = m->log_capacity ? UNITS_LOGGED : 0;
    settings->engine.route_log_capacity = settings->log_routes ? ROUTES_LOGGED : 0;
    settings->engine.profile = m->profile;
    if (strcmp(settings->engine.speculation.speculate, "replay") == 0) {
        int code = learn(m, settings, &w.known);
        if (code != EXIT_OK)
            return code;
    }
    int64_t start = lb_now_ns();
    int code = model_options_open("sample", settings, &w.engine);
    if (code != EXIT_OK) {
        free(w.known);
        return code;
    }
    out.load_ns = lb_now_ns() - start;
    if (passes(&w, m, start, &out, &err) != LB_OK)
        code = model_options_error("sample", &err);
    close_work(&w);
    if (code == EXIT_OK && !write_result(m, &out)) {
        fprintf(stderr, "layerbench sample: cannot write the result: %s\n", strerror(errno));
        code = EXIT_FAILED;
    }
    free(w.known);
    sample_free(&out);
    return code;
}
