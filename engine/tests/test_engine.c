/*
 * engine: bit-identical logits for every streaming setting, the identities of a run,
 * controls at run time, faults, and clear errors. The model is a synthetic one, made
 * here. LAYERBENCH_LONG=1 tries 1,000 random settings instead of 60, and faults
 * at every read instead of every fourth.
 */
#include "base/memory.h"
#include "base/random.h"
#include "engine.h"
#include "settings.h"
#include "tests/check.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#define N_PROMPT 10
#define N_DECODE 3
#define SEED     20240607u

enum { MOST_UNITS = 16384 };

static char model_path[512];
static uint32_t n_vocab;
static float *reference; /* [1 + N_DECODE][n_vocab], from the resident run */

static void make_model(void)
{
    const char *build = getenv("BUILD");
    struct lb_error err = LB_ERROR_INIT;
    snprintf(model_path, sizeof model_path, "%s/engine/tests/tiny-%d.gguf", build ? build : "build",
             (int)getpid());
    struct lb_synth synth = {.shape = "tiny", .quant = "Q4_K_M", .seed = 7, .n_layers = 6};
    CHECK(lb_synth_write(&synth, model_path, &err) == LB_OK, "%s", err.text);
}

static struct lb_options base_options(void)
{
    struct lb_options o = lb_options_default();
    o.model_path = model_path;
    o.threads = 2;
    o.context = 64;
    o.max_tokens = 6; /* the prompt is computed in two chunks */
    o.storage = "pread";
    o.log_capacity = 4096;
    o.unit_log_capacity = MOST_UNITS;
    return o;
}

/* Prefill and greedy decode; logits[1 + N_DECODE][n_vocab]. */
static enum lb_status run(struct lb_engine *e, float *logits, struct lb_error *err)
{
    int32_t prompt[N_PROMPT];
    for (int i = 0; i < N_PROMPT; i++)
        prompt[i] = 3 + 17 * i;
    if (lb_engine_prefill(e, 0, prompt, N_PROMPT, false, logits, err))
        return err->code;
    for (int step = 0; step < N_DECODE; step++) {
        const float *last = logits + (size_t)step * n_vocab;
        int32_t next = 0;
        for (uint32_t i = 1; i < n_vocab; i++)
            if (last[i] > last[next])
                next = (int32_t)i;
        if (lb_engine_decode(e, &next, 1, logits + (size_t)(step + 1) * n_vocab, err))
            return err->code;
    }
    return LB_OK;
}

static size_t logits_bytes(void)
{
    return (size_t)(1 + N_DECODE) * n_vocab * sizeof(float);
}

static void make_reference(void)
{
    struct lb_error err = LB_ERROR_INIT;
    struct lb_options o = base_options();
    struct lb_engine *e;
    o.prefetch = "resident";
    if (lb_engine_open(&o, &e, &err) != LB_OK) {
        CHECK(0, "%s", err.text);
        exit(check_done());
    }
    n_vocab = lb_engine_model(e).n_vocab;
    reference = malloc(logits_bytes());
    CHECK(run(e, reference, &err) == LB_OK, "%s", err.text);
    struct lb_stats s = lb_engine_stats(e);
    CHECK(s.hits == s.accesses && s.accesses == 6 * s.passes, "resident: every access is a hit");
    bool finite = true;
    for (size_t i = 0; i < logits_bytes() / sizeof(float); i++)
        finite &= isfinite(reference[i]) != 0;
    CHECK(finite, "logits of the synthetic model are finite");
    lb_engine_close(e);
}

/* The units of a layer make up its record; where a layer is one unit, none are logged. */
static void check_units(struct lb_engine *e, const struct lb_access *layers, size_t n_layers,
                        const char *what)
{
    static struct lb_access units[MOST_UNITS];
    size_t n = lb_engine_drain_units(e, units, MOST_UNITS), next = 0;
    bool several = lb_engine_effective(e).n_units > 6;
    CHECK(n == (several ? lb_engine_stats(e).unit_accesses : 0), "%s: %zu units logged", what, n);
    for (size_t i = 0; several && i < n_layers; i++) {
        struct lb_access sum = {.pass = layers[i].pass, .layer = layers[i].layer};
        int64_t end_ns = layers[i].need_ns;
        for (; next < n && units[next].pass == sum.pass && units[next].layer == sum.layer; next++) {
            const struct lb_access *u = &units[next];
            CHECK(u->need_ns >= end_ns, "%s: accesses of units overlap", what);
            end_ns = u->need_ns + u->wait_ns + u->compute_ns;
            sum.outcome = u->outcome > sum.outcome ? u->outcome : sum.outcome;
            sum.wait_ns += u->wait_ns;
            sum.compute_ns += u->compute_ns;
            sum.read_ns += u->read_ns;
            sum.bytes += u->bytes;
        }
        CHECK(sum.outcome == layers[i].outcome && sum.wait_ns == layers[i].wait_ns &&
                  sum.compute_ns == layers[i].compute_ns && sum.read_ns == layers[i].read_ns &&
                  sum.bytes == layers[i].bytes,
              "%s: the units of record %zu do not make it up", what, i);
    }
    CHECK(!several || next == n, "%s: units of no layer", what);
}

static void check_identities(struct lb_engine *e, const char *what)
{
    struct lb_stats s = lb_engine_stats(e);
    struct lb_access records[512];
    size_t n = lb_engine_drain(e, records, 512);
    uint64_t outcomes[4] = {0}, bytes = 0;
    int64_t wait = 0, compute = 0;
    for (size_t i = 0; i < n; i++) {
        outcomes[records[i].outcome]++;
        bytes += records[i].bytes;
        wait += records[i].wait_ns;
        compute += records[i].compute_ns;
        CHECK(records[i].held_bytes > 0 && records[i].held_bytes <= s.cache_bytes,
              "%s: %" PRIu64 " of %" PRIu64 " bytes held", what, records[i].held_bytes,
              s.cache_bytes);
        CHECK(records[i].layer == i % 6 && records[i].pass == i / 6, "%s: order of the log", what);
        if (records[i].outcome == LB_MISS)
            CHECK(records[i].ready_ns >= records[i].need_ns, "%s: a miss waits", what);
    }
    CHECK(n == s.accesses && lb_engine_log_dropped(e) == 0, "%s: %zu records, %" PRIu64 " accesses",
          what, n, s.accesses);
    check_units(e, records, n, what);
    CHECK(s.hits + s.prefetched + s.late + s.misses == s.accesses && s.accesses == 6 * s.passes,
          "%s: outcomes add up", what);
    CHECK(outcomes[LB_HIT] == s.hits && outcomes[LB_PREFETCHED] == s.prefetched &&
              outcomes[LB_LATE] == s.late && outcomes[LB_MISS] == s.misses,
          "%s: the log counts what the statistics count", what);
    CHECK(s.unit_hits + s.unit_prefetched + s.unit_late + s.unit_misses == s.unit_accesses,
          "%s: outcomes of units add up", what);
    CHECK(wait == s.wait_ns && compute == s.compute_ns, "%s: times of the log add up", what);
    double sum = (double)(s.compute_ns + s.wait_ns + s.other_ns);
    CHECK(fabs(sum - (double)s.wall_ns) <= 0.01 * (double)s.wall_ns + 1e5,
          "%s: compute + wait + other = %.0f of %" PRId64 " ns", what, sum, s.wall_ns);
    CHECK(bytes <= s.bytes_read, "%s: log %" PRIu64 " bytes, storage %" PRIu64, what, bytes,
          s.bytes_read);
    CHECK(s.allocations == 0, "%s: %" PRIu64 " allocations after open", what, s.allocations);
}

static void same_logits_for_random_settings(void)
{
    struct lb_random r = {SEED};
    float *logits = malloc(logits_bytes());
    for (int i = 0; i < settings_count(); i++) {
        struct lb_options o = settings_random(base_options(), 6, &r);
        struct lb_error err = LB_ERROR_INIT;
        struct lb_engine *e;
        char what[320];
        snprintf(what, sizeof what, "seed %u, setting %d: %s", SEED, i, settings_text(&o));
        if (lb_engine_open(&o, &e, &err) != LB_OK) {
            CHECK(0, "%s: %s", what, err.text);
            continue;
        }
        memset(logits, 0, logits_bytes());
        CHECK(run(e, logits, &err) == LB_OK, "%s: %s", what, err.text);
        CHECK(memcmp(logits, reference, logits_bytes()) == 0, "%s: logits differ", what);
        check_identities(e, what);
        lb_engine_close(e);
    }
    free(logits);
}

/* What is said to be in force is what decides. */
static void effective(void)
{
    static const struct {
        const char *prefetch, *scheduler, *replacement;
        uint32_t distance, effective_distance;
        const char *in_force;
        bool protects;
    } cases[] = {
        {"off", "aggressive", "belady", 2, 0, "none", false},
        {"sync", "aggressive", "lru", 2, 2, "fixed", true},
        {"sync", "forestall", "lru", 99, 5, "fixed", true},
        {"async", "forestall", "lru", 3, 3, "forestall", true},
        {"async", "fixed", "mru", 99, 5, "fixed", true},
        {"resident", "aggressive", "belady", 2, 0, "none", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lb_error err = LB_ERROR_INIT;
        struct lb_options o = base_options();
        struct lb_engine *e;
        if (!LB_ASYNC_PREFETCH && strcmp(cases[i].prefetch, "async") == 0)
            continue;
        o.prefetch = cases[i].prefetch;
        o.scheduler = cases[i].scheduler;
        o.replacement = cases[i].replacement;
        o.prefetch_distance = cases[i].distance;
        o.cache_layers = 3;
        CHECK(lb_engine_open(&o, &e, &err) == LB_OK, "%s", err.text);
        struct lb_effective f = lb_engine_effective(e);
        bool resident = strcmp(o.prefetch, "resident") == 0;
        CHECK_TEXT(f.prefetch, cases[i].prefetch);
        CHECK_TEXT(f.scheduler, cases[i].in_force);
        CHECK_TEXT(f.replacement, resident ? "none" : cases[i].replacement);
        CHECK(f.prefetch_distance == cases[i].effective_distance, "%s: distance %u", o.prefetch,
              f.prefetch_distance);
        CHECK(f.protect == cases[i].protects, "%s", o.prefetch);
        CHECK(f.cache_layers == (resident ? 6 : 3), "%s: %u layers", o.prefetch, f.cache_layers);
        lb_engine_close(e);
    }
}

/* A prompt longer than max_tokens reads each layer once, whatever the units, and gives the same
 * logits as with a pass for each chunk, which reads it as often. */
static void prompt_reads_once(void)
{
    static const uint64_t units[] = {0, 1, 100000};
    static const char *const modes[] = {"off", "sync", LB_ASYNC_PREFETCH ? "async" : "sync"};
    float *logits = malloc(logits_bytes());
    for (int u = 0; u < 3; u++)
        for (int m = 0; m < 3; m++)
            for (int layers = 0; layers < 2; layers++) {
                struct lb_error err = LB_ERROR_INIT;
                struct lb_options o = base_options();
                struct lb_engine *e;
                int32_t prompt[N_PROMPT];
                o.prefetch = modes[m];
                o.unit_bytes = units[u];
                o.cache_layers = 3; /* a layer may be held beside what loads */
                o.replacement = "lru";
                o.max_tokens = 3;
                o.prefill = layers ? "layers" : "chunks";
                for (int i = 0; i < N_PROMPT; i++)
                    prompt[i] = 3 + 17 * i;
                CHECK(lb_engine_open(&o, &e, &err) == LB_OK, "%s", err.text);
                CHECK(lb_engine_prefill(e, 0, prompt, N_PROMPT, false, logits, &err) == LB_OK, "%s",
                      err.text);
                CHECK(memcmp(logits, reference, n_vocab * sizeof *logits) == 0,
                      "%s, unit %d: logits", o.prefill, u);
                struct lb_stats s = lb_engine_stats(e);
                uint32_t n_units = lb_engine_effective(e).n_units;
                uint64_t passes = layers ? 1 : (N_PROMPT + 2) / 3;
                CHECK(s.passes == passes && s.unit_accesses == passes * n_units &&
                          s.allocations == 0,
                      "%s, %s, unit %d: %" PRIu64 " passes, %" PRIu64 " accesses of %u units",
                      o.prefetch, o.prefill, u, s.passes, s.unit_accesses, n_units);
                uint64_t bytes = lb_engine_model(e).layer_bytes;
                if (strcmp(o.prefetch, "off") == 0)
                    CHECK(s.bytes_read >= passes * bytes && s.bytes_read < passes * bytes * 1.1 &&
                              s.misses == s.accesses,
                          "%s, unit %d: %" PRIu64 " bytes read of %" PRIu64, o.prefill, u,
                          s.bytes_read, bytes);
                lb_engine_close(e);
            }
    free(logits);
}

/* Each kind of fault at each read: the right logits, or a clear error; then it works again. */
static void faults(void)
{
    static const char *const kinds[] = {"eio", "short", "delay", "dead"};
    static const char *const modes[] = {"off", "sync", LB_ASYNC_PREFETCH ? "async" : "sync"};
    const bool all = getenv("LAYERBENCH_LONG") != NULL;
    float *logits = malloc(logits_bytes());
    for (int k = 0; k < 4; k++)
        for (int m = 0; m < 3; m++)
            for (uint64_t nth = 1; nth < (all ? 120 : 31); nth += all ? 1 : k == 2 ? 13 : 4) {
                struct lb_error err = LB_ERROR_INIT;
                struct lb_options o = base_options();
                struct lb_engine *e;
                o.prefetch = modes[m];
                o.cache_layers = 3;
                o.fault = kinds[k];
                o.fault_nth = nth;
                CHECK(lb_engine_open(&o, &e, &err) == LB_OK, "%s", err.text);
                if (!e)
                    continue;
                enum lb_status s = run(e, logits, &err);
                CHECK(s == LB_OK || s == LB_ERR_IO, "%s %s %" PRIu64 ": %s", kinds[k], modes[m],
                      nth, err.text);
                if (s == LB_OK)
                    CHECK(!memcmp(logits, reference, logits_bytes()), "wrong logits after %s",
                          kinds[k]);
                else
                    CHECK(strstr(err.text, "layer") != NULL, "names the layer: %s", err.text);
                err = (struct lb_error)LB_ERROR_INIT;
                lb_engine_truncate(e, 0, 0);
                s = run(e, logits, &err);
                if (strcmp(kinds[k], "dead") == 0) /* it stays dead, and says so again */
                    CHECK(s == LB_ERR_IO, "dead reader: %s", err.text);
                else
                    CHECK(s == LB_OK && !memcmp(logits, reference, logits_bytes()),
                          "after a fault it works again: %s %s %" PRIu64 ": %s", kinds[k], modes[m],
                          nth, err.text);
                lb_engine_close(e);
            }
    free(logits);
}

/* The hidden slow-downs change no result, and make waits at least as long as they say (bounds from
 * below only): each miss of prefetch off waits for a latency of 2 ms, made 300% longer. */
static void slowed(void)
{
    static const char *const kinds[] = {"io", "wait", "compute"};
    const int64_t latency = 2000000;
    float *logits = malloc(logits_bytes());
    for (int k = 0; k < 3; k++)
        for (int emulated = 0; emulated < 2; emulated++) {
            struct lb_error err = LB_ERROR_INIT;
            struct lb_options o = base_options();
            struct lb_engine *e;
            o.prefetch = "off";
            o.cache_layers = 2;
            o.slow = kinds[k];
            o.slow_percent = 300;
            o.device_latency_ns = emulated ? latency : 0;
            CHECK(lb_engine_open(&o, &e, &err) == LB_OK, "%s", err.text);
            if (!e)
                continue;
            CHECK(run(e, logits, &err) == LB_OK && !memcmp(logits, reference, logits_bytes()),
                  "slow %s: %s", kinds[k], err.text);
            struct lb_stats s = lb_engine_stats(e);
            int64_t least = (int64_t)s.misses * latency * (k < 2 ? 4 : 1);
            CHECK(s.misses > 0 && (!emulated || s.wait_ns >= least),
                  "slow %s: %" PRIu64 " misses waited %" PRId64 " ns, expected at least %" PRId64,
                  kinds[k], s.misses, s.wait_ns, least);
            lb_engine_close(e);
        }
    free(logits);
}

static void expect_error(struct lb_options o, enum lb_status status, const char *text)
{
    struct lb_error err = LB_ERROR_INIT;
    struct lb_engine *e;
    CHECK(lb_engine_open(&o, &e, &err) == status && !e, "expected: %s", text);
    CHECK(strstr(err.text, text) != NULL, "got '%s', expected '%s'", err.text, text);
}

static void clear_errors(void)
{
    struct lb_options o = base_options();
    o.model_path = "no-such-model.gguf";
    expect_error(o, LB_ERR_INPUT, "no-such-model.gguf");
    o = base_options();
    o.replacement = "magic";
    expect_error(o, LB_ERR_INPUT, "replacement: 'magic': expected one of: lru");
    o = base_options();
    o.cache_layers = 0;
    o.cache_bytes = 4096;
    expect_error(o, LB_ERR_INPUT, "cache");
    o.cache_layers = 3;
    expect_error(o, LB_ERR_INPUT, "cache_bytes: 4096: expected no cache_layers (3) beside it");
    o = base_options();
    o.kernels = "mmx";
    expect_error(o, LB_ERR_INPUT, "mmx");
    o = base_options();
    o.slow = "disk";
    expect_error(o, LB_ERR_INPUT, "slow: 'disk'");
    o = base_options();
    o.slow = "io";
    o.slow_percent = -5;
    expect_error(o, LB_ERR_INPUT, "slow_percent: -5");
    o = base_options();
    o.cache_layers = 99;
    o.threads = 1; /* no second notice on one processor */
    struct lb_error err = LB_ERROR_INIT;
    struct lb_engine *e;
    CHECK(lb_engine_open(&o, &e, &err) == LB_OK, "%s", err.text);
    CHECK_TEXT(lb_engine_notice(e), "cache_layers 99 clamped to the model's 6 layers");
    float *logits = malloc(n_vocab * sizeof *logits);
    int32_t token = (int32_t)n_vocab;
    CHECK(lb_engine_prefill(e, 0, &token, 1, false, logits, &err) == LB_ERR_INPUT, "token range");
    free(logits);
    lb_engine_close(e);
}

static void failing_allocations(void)
{
    struct lb_options o = base_options();
    for (uint64_t n = 1;; n++) {
        struct lb_error err = LB_ERROR_INIT;
        struct lb_engine *e;
        lb_memory_fail_at(n);
        enum lb_status s = lb_engine_open(&o, &e, &err);
        lb_memory_fail_at(0);
        if (s == LB_OK) {
            CHECK(n > 10, "open allocates more than %" PRIu64 " times", n);
            lb_engine_close(e);
            break;
        }
        CHECK(s == LB_ERR_NOMEM && !e, "allocation %" PRIu64 ": %s", n, err.text);
    }
}

int main(void)
{
    alarm(getenv("LAYERBENCH_LONG") ? 3600 : 600); /* a hang is a failure */
    make_model();
    if (check_failures)
        return check_done();
    make_reference();
    same_logits_for_random_settings();
    effective();
    prompt_reads_once();
    faults();
    slowed();
    clear_errors();
    failing_allocations();
    unlink(model_path);
    free(reference);
    return check_done();
}
