/*
 * test_experts: mixtures of experts through the engine: the same bits for every streaming setting,
 * a prompt and single tokens alike, a batch and single sequences alike. Models with random weights,
 * one of each architecture. LAYERBENCH_LONG=1 tries 1,000 random settings instead of 60.
 */
#include "engine.h"
#include "made_model.h"
#include "settings.h"
#include "tests/check.h"

#include <dirent.h>

#define N_PROMPT  11
#define N_DECODE  4
#define N_RESULTS (1 + N_DECODE)
#define BATCH     2
#define N_LAYERS  3
#define SEED      20260101u

static const char *const architectures[] = {"llama",   "olmoe",   "qwen2moe", "qwen3moe",
                                            "glm4moe", "gpt-oss", "deepseek2"};
#define N_ARCHITECTURES (sizeof architectures / sizeof *architectures)

struct subject {
    char path[4096];
    uint32_t n_vocab;
    float *reference; /* [N_RESULTS][n_vocab]: resident */
};

static struct lb_options base_options(const struct subject *m)
{
    struct lb_options o = lb_options_default();
    o.model_path = m->path;
    o.threads = 2;
    o.context = 64;
    o.batch = BATCH;
    o.max_tokens = 6; /* the prompt takes two passes */
    o.storage = "pread";
    o.log_capacity = 4096;
    return o;
}

static int32_t token(int i)
{
    return 3 + 13 * i % 280;
}

/* A prompt, then single tokens: its last logits, and theirs. */
static bool run(const struct lb_options *o, const struct subject *m, float *logits,
                struct lb_stats *stats, const char *what)
{
    struct lb_error err = LB_ERROR_INIT;
    struct lb_engine *e;
    int32_t prompt[N_PROMPT];
    for (int i = 0; i < N_PROMPT; i++)
        prompt[i] = token(i);
    bool ok = lb_engine_open(o, &e, &err) == LB_OK;
    CHECK(ok, "%s: %s", what, err.text);
    ok = ok && lb_engine_prefill(e, 0, prompt, N_PROMPT, false, logits, &err) == LB_OK;
    for (int step = 0; ok && step < N_DECODE; step++) {
        int32_t next = token(N_PROMPT + step);
        ok = lb_engine_decode(e, &next, 1, logits + (size_t)(step + 1) * m->n_vocab, &err) == LB_OK;
    }
    CHECK(ok, "%s: %s", what, err.text);
    if (ok)
        *stats = lb_engine_stats(e);
    lb_engine_close(e);
    return ok;
}

static size_t logits_bytes(const struct subject *m)
{
    return N_RESULTS * (size_t)m->n_vocab * sizeof(float);
}

static void make_subject(struct subject *m, const char *architecture)
{
    struct made_model made = made_mixture(architecture);
    struct lb_stats stats = {0};
    made.n_embd = 256;
    made.n_ff = 128;
    made.shared = made.shared > 0 ? 128 : 0;
    made.n_vocab = 300;
    made.key_length = 64;
    if (made.rope_dims > 0)
        made.rope_dims = 32;
    made.type = QUANT_Q8_0;
    snprintf(m->path, sizeof m->path, "%s", made_path(architecture));
    made_write(&made, m->path);
    m->n_vocab = 300;
    m->reference = calloc(1, logits_bytes(m));
    struct lb_options o = base_options(m);
    o.prefetch = "resident";
    run(&o, m, m->reference, &stats, architecture);
    CHECK(stats.passes == 2 + N_DECODE && stats.hits == stats.accesses, "%s", architecture);
}

/* The smallest cache that these settings can do with, as the refusals of smaller ones say it. */
static uint64_t least_cache(struct lb_options o)
{
    o.cache_layers = 0;
    o.cache_bytes = 1;
    for (int tries = 0; tries < 3; tries++) {
        struct lb_error err = LB_ERROR_INIT;
        struct lb_engine *e;
        enum lb_status status = lb_engine_open(&o, &e, &err);
        lb_engine_close(e);
        if (status == LB_OK)
            return o.cache_bytes;
        const char *least = strstr(err.text, "at least ");
        CHECK(status == LB_ERR_INPUT && least, "%s", err.text);
        o.cache_bytes = least ? strtoull(least + strlen("at least "), NULL, 10) : 0;
    }
    CHECK(false, "no cache is large enough");
    return 1 << 30;
}

static void random_settings(const struct subject *subjects)
{
    struct lb_random r = {SEED};
    for (int i = 0; i < settings_count(); i++) {
        const struct subject *m = &subjects[(size_t)i % N_ARCHITECTURES];
        struct lb_options o = settings_random(base_options(m), N_LAYERS, &r);
        struct lb_stats s;
        float *logits = calloc(1, logits_bytes(m));
        char what[512];
        if (o.unit_bytes > 0 && lb_random_below(&r, 3) == 0)
            o.resident = "dense";
        if (o.resident[0] == 'd' || lb_random_below(&r, 2)) {
            o.cache_bytes = least_cache(o) + lb_random_below(&r, 2) * lb_random_below(&r, 1 << 19);
            o.cache_layers = 0;
        }
        snprintf(what, sizeof what, "seed %u, setting %d: %s: %s", SEED, i,
                 architectures[(size_t)i % N_ARCHITECTURES], settings_text(&o));
        if (run(&o, m, logits, &s, what)) {
            CHECK(memcmp(logits, m->reference, logits_bytes(m)) == 0, "%s: logits differ", what);
            CHECK(s.hits + s.prefetched + s.late + s.misses == s.accesses, "%s: outcomes add up",
                  what);
            CHECK(s.unit_accesses == s.units_needed,
                  "%s: %" PRIu64 " units needed, %" PRIu64 " had", what, s.units_needed,
                  s.unit_accesses);
            CHECK(s.allocations == 0, "%s: %" PRIu64 " allocations after open", what,
                  s.allocations);
        }
        free(logits);
    }
}

/* Two sequences in one pass give what each gives alone; single tokens what a prompt gives. */
static void batch_and_single(const struct subject *m)
{
    struct lb_error err = LB_ERROR_INIT;
    struct lb_options o = base_options(m);
    struct lb_engine *e;
    const size_t n = m->n_vocab;
    float *prompt = calloc(N_PROMPT * n, sizeof *prompt), *pair = calloc(2 * n, sizeof *pair);
    int32_t tokens[N_PROMPT];
    for (int i = 0; i < N_PROMPT; i++)
        tokens[i] = token(i);
    o.cache_layers = 1;
    bool ok = lb_engine_open(&o, &e, &err) == LB_OK &&
              lb_engine_prefill(e, 0, tokens, N_PROMPT, true, prompt, &err) == LB_OK;
    lb_engine_truncate(e, 0, 0);
    for (int i = 0; ok && i < N_PROMPT;
         i++) { /* sequence 1 lags: it gets token 0 again and again */
        int32_t both[] = {tokens[i], tokens[0]};
        ok = lb_engine_decode(e, both, 2, pair, &err) == LB_OK;
        CHECK(memcmp(pair, prompt + (size_t)i * n, n * sizeof *pair) == 0, "%s: token %d", m->path,
              i);
        CHECK(i > 0 || memcmp(pair + n, prompt, n * sizeof *pair) == 0, "%s: the other", m->path);
    }
    CHECK(ok, "%s", err.text);
    lb_engine_close(e);
    free(prompt);
    free(pair);
}

/* Chunks of a prompt that go through a layer together ask for each expert once, however many of
 * them chose it, and give every token the bits of a resident pass for each chunk. An expert that
 * more tokens chose than are computed together comes once too. */
static void prompt_asks_once(const struct subject *m)
{
    static const char *const modes[] = {"resident", "off", LB_ASYNC_PREFETCH ? "async" : "sync"};
    const size_t bytes = (size_t)N_PROMPT * m->n_vocab * sizeof(float);
    float *reference = malloc(bytes), *logits = malloc(bytes);
    int32_t tokens[N_PROMPT];
    for (int i = 0; i < N_PROMPT; i++)
        tokens[i] = token(i % 7);
    for (int mode = 0; mode < 3; mode++)
        for (uint32_t most = 1; most <= 4; most += 1 + (most > 1)) {
            struct lb_error err = LB_ERROR_INIT;
            struct lb_options o = base_options(m);
            struct lb_engine *e;
            o.max_tokens = most;
            o.batch = 1;
            o.prefetch = modes[mode];
            o.cache_bytes = least_cache(o) * 4;
            bool ok = lb_engine_open(&o, &e, &err) == LB_OK &&
                      lb_engine_prefill(e, 0, tokens, N_PROMPT, true, mode > 0 ? logits : reference,
                                        &err) == LB_OK;
            CHECK(ok, "%s: %s", m->path, err.text);
            struct lb_stats s = lb_engine_stats(e);
            if (mode > 0) {
                CHECK(memcmp(logits, reference, bytes) == 0, "%s, %s, %u tokens: logits", m->path,
                      o.prefetch, most);
                CHECK(s.passes == 1 && s.unit_accesses == s.units_needed, "%" PRIu64, s.passes);
                CHECK(s.unit_accesses <= lb_engine_effective(e).n_units &&
                          (mode > 1 || s.bytes_read <= lb_engine_model(e).layer_bytes * 11 / 10),
                      "%s, %s: %" PRIu64 " accesses of %u units, %" PRIu64 " bytes", m->path,
                      o.prefetch, s.unit_accesses, lb_engine_effective(e).n_units, s.bytes_read);
                CHECK(s.allocations == 0);
            }
            lb_engine_close(e);
        }
    free(reference);
    free(logits);
}

/* A layer's access counts the evictions of all its units; all of them are those that happened. */
static void check_evicted(struct lb_engine *e, const struct lb_access *units, size_t n)
{
    static struct lb_access layers[4096];
    uint64_t of_units = 0, of_layers = 0;
    size_t n_layers = lb_engine_drain(e, layers, 4096);
    for (size_t i = 0; i < n; i++)
        of_units += units[i].evicted;
    for (size_t i = 0; i < n_layers; i++)
        of_layers += layers[i].evicted;
    CHECK(of_units > 0 && of_units == lb_engine_stats(e).evictions && of_layers == of_units,
          "%llu in units, %llu in layers", (unsigned long long)of_units,
          (unsigned long long)of_layers);
}

/* What every pass needs is there all the time where it is asked for, and only then. */
static void dense_stays(const struct subject *m)
{
    static struct lb_access units[4096];
    static const char *const resident[] = {"none", "dense"};
    for (int k = 0; k < 2; k++) {
        struct lb_error err = LB_ERROR_INIT;
        struct lb_options o = base_options(m);
        struct lb_engine *e;
        float *logits = calloc(m->n_vocab, sizeof *logits);
        o.unit_log_capacity = 4096;
        o.prefetch = "off";
        o.resident = "dense";
        o.cache_bytes = least_cache(o);
        o.resident = resident[k];
        o.replacement = "lru";
        bool ok = lb_engine_open(&o, &e, &err) == LB_OK;
        for (int step = 0; ok && step < 20; step++) {
            int32_t next = token(step);
            ok = lb_engine_decode(e, &next, 1, logits, &err) == LB_OK;
        }
        CHECK(ok, "%s", err.text);
        size_t n = ok ? lb_engine_drain_units(e, units, 4096) : 0, missed[2] = {0};
        for (size_t i = 0; i < n; i++)
            missed[units[i].part > 0] += units[i].outcome != LB_HIT;
        CHECK(n == 20 * N_LAYERS * (1 + 3), "%zu", n);
        check_evicted(e, units, n);
        CHECK(missed[1] > 0 && (k ? missed[0] == 0 : missed[0] > 0), "%s: %zu %zu missed",
              resident[k], missed[0], missed[1]);
        lb_engine_close(e);
        free(logits);
    }
    struct lb_error err = LB_ERROR_INIT;
    struct lb_options o = base_options(m);
    struct lb_engine *e;
    o.resident = "dense";
    o.unit_bytes = 0;
    CHECK(lb_engine_open(&o, &e, &err) == LB_ERR_INPUT);
    CHECK_TEXT(err.text,
               "resident: dense: expected a mixture of experts, and a unit smaller than a "
               "layer");
}

/* The log of routes: for every layer with experts and every token that came to it, the experts in
 * the router's order, whose normalised weights add up. */
static void routes_are_logged(const struct subject *m)
{
    static struct lb_route routes[4096];
    struct lb_error err = LB_ERROR_INIT;
    struct lb_options o = base_options(m);
    struct lb_engine *e;
    int32_t tokens[N_PROMPT];
    float *logits = calloc(m->n_vocab, sizeof *logits);
    for (int i = 0; i < N_PROMPT; i++)
        tokens[i] = token(i);
    o.route_log_capacity = 4096;
    o.prefill = "chunks";
    bool ok = lb_engine_open(&o, &e, &err) == LB_OK &&
              lb_engine_prefill(e, 1, tokens, N_PROMPT, false, logits, &err) == LB_OK;
    CHECK(ok, "%s", err.text);
    size_t n = lb_engine_drain_routes(e, routes, 4096);
    /* two passes of 6 and 5 tokens; in the last layer but one token of the second */
    CHECK(n == 3 * (2 * N_PROMPT + 1) && lb_engine_routes_dropped(e) == 0, "%zu", n);
    for (size_t i = 0; i + 3 <= n; i += 3) {
        const struct lb_route *r = &routes[i];
        double sum = 0;
        for (uint16_t k = 0; k < 3; k++) {
            CHECK(r[k].layer == r->layer && r[k].pass == r->position / 6 && r[k].sequence == 1);
            CHECK(r[k].position == r->position && r[k].place == k && r[k].expert < 8);
            CHECK(k == 0 || (r[k].weight <= r[k - 1].weight && r[k].expert != r[k - 1].expert));
            sum += r[k].weight;
        }
        CHECK(sum > 0.999 && sum < 1.001, "weights add up to %g", sum);
        CHECK(r->layer < 2 || r->position == N_PROMPT - 1, "the last layer");
    }
    lb_engine_close(e);
    free(logits);
}

/* Models of each architecture, with types as they come: streamed through the smallest cache they
 * give the bits of the resident run, by every set of kernels. */
static void model_streamed(const char *path)
{
    struct subject m = {.n_vocab = 1024};
    struct lb_choice kernels;
    struct lb_stats stats;
    snprintf(m.path, sizeof m.path, "%s", path);
    m.reference = calloc(1, logits_bytes(&m));
    float *streamed = calloc(1, logits_bytes(&m));
    for (size_t i = 0; lb_choice_at("kernels", i, &kernels); i++) {
        struct lb_options o = base_options(&m);
        char what[4200];
        snprintf(what, sizeof what, "%s, %s", path, kernels.name);
        o.kernels = kernels.name;
        o.prefetch = "resident";
        if (!run(&o, &m, m.reference, &stats, what))
            continue;
        o.prefetch = base_options(&m).prefetch;
        o.cache_bytes = least_cache(o);
        if (run(&o, &m, streamed, &stats, what))
            CHECK(memcmp(streamed, m.reference, logits_bytes(&m)) == 0, "%s: logits differ", what);
    }
    free(m.reference);
    free(streamed);
}

static void shared_models(void)
{
    char folder[2048], path[4096];
    if (!check_shared())
        return;
    snprintf(folder, sizeof folder, "%.1000s/experts/models", check_shared());
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (strstr(e->d_name, ".gguf"))
            model_streamed(path);
    }
    if (dir)
        closedir(dir);
}

int main(void)
{
    struct subject subjects[N_ARCHITECTURES];
    for (size_t i = 0; i < N_ARCHITECTURES; i++)
        make_subject(&subjects[i], architectures[i]);
    random_settings(subjects);
    shared_models();
    routes_are_logged(&subjects[0]);
    dense_stays(&subjects[1]);
    for (size_t i = 0; i < N_ARCHITECTURES; i++) {
        batch_and_single(&subjects[i]);
        prompt_asks_once(&subjects[i]);
        unlink(subjects[i].path);
        free(subjects[i].reference);
    }
    made_clean();
    return check_done();
}
