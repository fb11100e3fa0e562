/*
 * measure: the process of one sample (command "sample"). See sample.h for the timed window.
 *
 * 1. open the engine; 2. prefill each sequence with the prompt; 3. decode generate_tokens passes,
 * always with the likeliest token; 4. collect counters and the access log; 5. write it all to
 * the descriptor the run gave, or print it as JSON (gate).
 */
#include "sample/measure.h"

#include "base/clock.h"
#include "base/random.h"
#include "common/exit_codes.h"
#include "sample/op_profile.h"
#include "sample/sample.h"
#include "settings/model_options.h"

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
    const struct settings *settings;
    uint32_t n_vocab, batch;
    int32_t *tokens; /* prompt, then one token of each sequence */
    float *logits;   /* [batch][n_vocab] */
    uint64_t tokens_hash, logits_hash;
};

/* "read_bytes" of /proc/self/io: what the kernel fetched from storage for this process. */
static int64_t kernel_bytes(void)
{
    char line[128];
    long long bytes = -1;
    FILE *in = fopen("/proc/self/io", "r");
    while (in && fgets(line, sizeof line, in) && sscanf(line, "read_bytes: %lld", &bytes) != 1)
        ;
    if (in)
        fclose(in);
    return bytes;
}

static uint64_t peak_rss(void)
{
    char line[256];
    unsigned long long kib = 0;
    FILE *in = fopen("/proc/self/status", "r");
    while (in && fgets(line, sizeof line, in) && sscanf(line, "VmHWM: %llu kB", &kib) != 1)
        ;
    if (in)
        fclose(in);
    return kib * 1024;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

/* Picks the likeliest token of each sequence, and hashes tokens and logits. */
static void choose(struct work *w, uint32_t first, uint32_t n)
{
    for (uint32_t s = 0; s < n; s++) {
        const float *row = w->logits + (size_t)s * w->n_vocab;
        uint32_t best = 0;
        for (uint32_t i = 1; i < w->n_vocab; i++)
            best = row[i] > row[best] ? i : best;
        for (uint32_t i = 0; i < w->n_vocab; i++) {
            uint32_t bits;
            memcpy(&bits, &row[i], sizeof bits);
            w->logits_hash = mix(w->logits_hash, bits);
        }
        w->tokens[first + s] = (int32_t)best;
        w->tokens_hash = mix(w->tokens_hash, best);
    }
}

static struct sample_sums sums_of(const struct lb_stats *s)
{
    return (struct sample_sums){.hit = s->hits,
                                .prefetched = s->prefetched,
                                .late = s->late,
                                .miss = s->misses,
                                .bytes_read = s->bytes_read,
                                .wall_ns = s->wall_ns,
                                .compute_ns = s->compute_ns,
                                .wait_ns = s->wait_ns,
                                .other_ns = s->other_ns};
}

static struct sample_sums minus(struct sample_sums a, struct sample_sums b)
{
    return (struct sample_sums){.hit = a.hit - b.hit,
                                .prefetched = a.prefetched - b.prefetched,
                                .late = a.late - b.late,
                                .miss = a.miss - b.miss,
                                .bytes_read = a.bytes_read - b.bytes_read,
                                .wall_ns = a.wall_ns - b.wall_ns,
                                .compute_ns = a.compute_ns - b.compute_ns,
                                .wait_ns = a.wait_ns - b.wait_ns,
                                .other_ns = a.other_ns - b.other_ns};
}

/* Each sequence gets a prompt of its own; the tokens chosen after it go to tokens[s]. */
static enum lb_status prefill(struct work *w, uint64_t seed, struct sample *out,
                              struct lb_error *err)
{
    struct lb_random random = {seed};
    uint32_t n = w->settings->prompt_tokens;
    int32_t *prompt = w->tokens + w->batch;
    for (uint32_t s = 0; s < w->batch; s++) {
        for (uint32_t i = 0; i < n; i++)
            prompt[i] = (int32_t)lb_random_below(&random, w->n_vocab);
        enum lb_status status = lb_engine_prefill(w->engine, s, prompt, n, false, w->logits, err);
        if (status != LB_OK)
            return status;
        choose(w, s, 1);
    }
    out->prefill_ns = lb_engine_stats(w->engine).wall_ns;
    return LB_OK;
}

static enum lb_status decode(struct work *w, struct sample *out, struct lb_error *err)
{
    struct lb_stats before = lb_engine_stats(w->engine);
    int64_t start = lb_now_ns(), in_passes = 0;
    for (uint32_t i = 0; i < w->settings->generate_tokens; i++) {
        enum lb_status status = lb_engine_decode(w->engine, w->tokens, w->batch, w->logits, err);
        if (status != LB_OK)
            return status;
        int64_t wall = lb_engine_last_pass(w->engine).wall_ns;
        out->pass_ns[out->n_pass++] = wall;
        in_passes += wall;
        choose(w, 0, w->batch);
    }
    struct lb_stats after = lb_engine_stats(w->engine);
    out->between_ns = lb_now_ns() - start - in_passes;
    out->decode = minus(sums_of(&after), sums_of(&before));
    out->needed_bytes = after.needed_bytes - before.needed_bytes;
    out->experts_needed = after.experts_needed - before.experts_needed;
    out->expert_layers = after.expert_layers - before.expert_layers;
    out->experts_used = lb_engine_model(w->engine).experts_used;
    out->expert_choices = after.expert_choices - before.expert_choices;
    out->expert_units = after.expert_units - before.expert_units;
    out->expert_hits = after.expert_hits - before.expert_hits;
    out->expert_bytes = after.expert_bytes - before.expert_bytes;
    out->expert_hit_bytes = after.expert_hit_bytes - before.expert_hit_bytes;
    out->allocations = after.allocations - before.allocations;
    return LB_OK;
}

static void collect(struct work *w, struct sample *out)
{
    struct lb_stats s = lb_engine_stats(w->engine);
    struct lb_effective e = lb_engine_effective(w->engine);
    struct lb_model_info info = lb_engine_model(w->engine);
    struct rusage usage;
    out->all = sums_of(&s);
    out->passes = s.passes;
    out->accesses = s.accesses;
    out->unit_accesses = s.unit_accesses;
    out->units_needed = s.units_needed;
    out->layers = info.n_layers;
    out->log_dropped = lb_engine_log_dropped(w->engine);
    out->wasted = s.wasted;
    out->evictions = s.evictions;
    out->protected_evictions = s.protected_evictions;
    out->prefetches_started = s.prefetches_started;
    out->prefetches_completed = s.prefetches_completed;
    out->prefetches_cancelled = s.prefetches_cancelled;
    out->prefetches_used = s.prefetches_used;
    out->prefetches_failed = s.prefetches_failed;
    out->prefetch_mean_ns = s.prefetch_mean_ns;
    out->reads = s.reads;
    out->read_errors = s.read_errors;
    out->file_bytes = info.file_bytes;
    out->layer_bytes = info.layer_bytes;
    out->model_resident_bytes = info.resident_bytes;
    out->resident_bytes = s.resident_bytes;
    out->cache_bytes = s.cache_bytes;
    out->kv_bytes = s.kv_bytes;
    out->cache_layers = e.cache_layers;
    out->threads = e.threads;
    out->products_rows = s.products_rows;
    out->products_streams = s.products_streams;
    out->product_changes = s.product_changes;
    snprintf(out->tokens_hash, sizeof out->tokens_hash, "%016" PRIx64, w->tokens_hash);
    snprintf(out->logits_hash, sizeof out->logits_hash, "%016" PRIx64, w->logits_hash);
    snprintf(out->prefetch, sizeof out->prefetch, "%s", e.prefetch);
    snprintf(out->replacement, sizeof out->replacement, "%s", e.replacement);
    snprintf(out->scheduler, sizeof out->scheduler, "%s", e.scheduler);
    snprintf(out->storage, sizeof out->storage, "%s", e.storage);
    snprintf(out->kernels, sizeof out->kernels, "%s", e.kernels);
    snprintf(out->product, sizeof out->product, "%s", e.product);
    snprintf(out->notice, sizeof out->notice, "%s", lb_engine_notice(w->engine));
    out->peak_rss_bytes = peak_rss();
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

static enum lb_status passes(struct work *w, const struct measure *m, int64_t opened_at,
                             struct sample *out, struct lb_error *err)
{
    const struct settings *s = w->settings;
    size_t n_tokens = w->batch + s->prompt_tokens;
    w->tokens = malloc(n_tokens * sizeof *w->tokens);
    w->logits = malloc((size_t)w->batch * w->n_vocab * sizeof *w->logits);
    out->pass_ns = calloc(s->generate_tokens, sizeof *out->pass_ns);
    out->log = malloc((m->log_capacity + 1) * sizeof *out->log);
    out->units = malloc(UNITS_LOGGED * sizeof *out->units);
    out->routes = malloc((s->log_routes ? ROUTES_LOGGED : 1) * sizeof *out->routes);
    if (!w->tokens || !w->logits || !out->pass_ns || !out->log || !out->units || !out->routes)
        return lb_fail(err, LB_ERR_NOMEM, "out of memory for the sample");
    int64_t bytes_before = kernel_bytes();
    enum lb_status status = prefill(w, m->work_seed, out, err);
    if (status != LB_OK)
        return status;
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
    int64_t start = lb_now_ns();
    int code = model_options_open("sample", settings, &w.engine);
    if (code != EXIT_OK)
        return code;
    out.load_ns = lb_now_ns() - start;
    w.n_vocab = lb_engine_model(w.engine).n_vocab;
    w.batch = lb_engine_effective(w.engine).batch;
    if (passes(&w, m, start, &out, &err) != LB_OK)
        code = model_options_error("sample", &err);
    lb_engine_close(w.engine);
    if (code == EXIT_OK && !write_result(m, &out)) {
        fputs("layerbench sample: cannot write the result\n", stderr);
        code = EXIT_FAILED;
    }
    free(w.tokens);
    free(w.logits);
    sample_free(&out);
    return code;
}
