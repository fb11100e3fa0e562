/* simulate_profile: see simulate_profile.h. */
#include "predict/simulate_profile.h"

#include "engine.h"
#include "predict/simulate_cell.h"

#include <stdlib.h>
#include <string.h>

enum { DECODE_PASSES = 2 };

/* The engine's log of the passes so far, `n` records, taken into the profile. */
static void take_log(struct sim_profile *p, const struct lb_access *log, size_t n)
{
    double prompt = 0, decode = 0, bytes = 0, read_ns = 0;
    for (size_t i = 0; i < n; i++) {
        const struct lb_access *a = &log[i];
        bytes += (double)a->bytes;
        read_ns += (double)a->read_ns;
        if (a->prefill) {
            prompt += (double)a->compute_ns;
        } else {
            p->layer_ns[a->layer] += (double)a->compute_ns / DECODE_PASSES;
            decode += (double)a->compute_ns / DECODE_PASSES;
        }
    }
    p->prompt_factor = decode > 0 ? prompt / decode : 1;
    p->bandwidth = read_ns > 0 ? bytes / read_ns * 1e9 : 0;
}

static enum lb_status run_passes(struct lb_engine *engine, const struct settings *settings,
                                 int32_t *tokens, const uint32_t *counts, float *logits,
                                 struct sim_profile *p, struct lb_error *err)
{
    uint32_t n = settings->prompt_tokens < settings->engine.max_tokens
                     ? settings->prompt_tokens
                     : settings->engine.max_tokens;
    enum lb_status status = lb_engine_prefill(engine, 0, tokens, n, false, NULL, err);
    for (int i = 0; status == LB_OK && i < DECODE_PASSES; i++) {
        status = lb_engine_verify(engine, tokens, counts, settings->engine.batch, logits, err);
        p->other_ns += (double)lb_engine_last_pass(engine).other_ns / DECODE_PASSES;
    }
    return status;
}

enum lb_status sim_profile_measure(const struct settings *settings, struct sim_profile *profile,
                                   struct lb_error *err)
{
    struct lb_options o = settings->engine;
    struct lb_engine *engine;
    size_t capacity = (DECODE_PASSES + 1) * 4096;
    memset(profile, 0, sizeof *profile);
    o.prefetch = "off";
    o.log_capacity = capacity;
    enum lb_status status = lb_engine_open(&o, &engine, err);
    if (status != LB_OK)
        return status;
    struct lb_model_info info = lb_engine_model(engine);
    const uint32_t each = sim_pass_tokens(settings), step = each * o.batch;
    uint32_t most = settings->prompt_tokens > step ? settings->prompt_tokens : step;
    int32_t *tokens = calloc(most, sizeof *tokens);
    uint32_t *counts = calloc(o.batch, sizeof *counts);
    float *logits = calloc((size_t)step * info.n_vocab, sizeof *logits);
    struct lb_access *log = calloc(capacity, sizeof *log);
    profile->n_layers = info.n_layers;
    profile->layer_ns = calloc(info.n_layers, sizeof *profile->layer_ns);
    if (!tokens || !counts || !logits || !log || !profile->layer_ns)
        status = lb_fail(err, LB_ERR_NOMEM, "profile: out of memory");
    for (uint32_t i = 0; tokens && i < most; i++)
        tokens[i] = (int32_t)(i % info.n_vocab);
    for (uint32_t i = 0; counts && i < o.batch; i++)
        counts[i] = each;
    if (status == LB_OK)
        status = run_passes(engine, settings, tokens, counts, logits, profile, err);
    if (status == LB_OK)
        take_log(profile, log, lb_engine_drain(engine, log, capacity));
    struct lb_stats stats = lb_engine_stats(engine);
    profile->fixed_bytes = stats.resident_bytes + stats.kv_bytes;
    profile->kv_bytes = stats.kv_bytes;
    profile->context = lb_engine_effective(engine).context;
    free(log);
    free(logits);
    free(counts);
    free(tokens);
    lb_engine_close(engine);
    if (status != LB_OK)
        sim_profile_free(profile);
    return status;
}

void sim_profile_free(struct sim_profile *profile)
{
    free(profile->layer_ns);
    profile->layer_ns = NULL;
}
