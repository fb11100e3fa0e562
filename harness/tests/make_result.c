/*
 * make_result: writes a run's directory without measuring, for tests of what reads results. Layers
 * of one size stream over an emulated device in the simulator's virtual clock, and the program's
 * own code lays out the cells and writes the files.
 *
 *   make_result DIR [KEY=VALUE ...]
 *
 * The first repetition has the times as they are given, later ones are up to `noise` slower, by a
 * sequence that `seed` chooses: the same arguments give the same bytes.
 */
#include "plan/virtual.h"
#include "result/results.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAYER_BYTES    (4u << 20)
#define RESIDENT_BYTES (16u << 20)
#define OTHER_NS       50000
#define START_NS       7000000123 /* of the first pass; clocks do not begin with a run */
#define PROMPT_FACTOR  4          /* a prompt computes so many times as long as a decode pass */

struct made {
    const char *modes, *policies, *caches, *distances; /* lists, by commas */
    double layers, passes, reps, load_ns, compute_ns, noise, seed;
    double units; /* of a layer, each with its part of bytes and times */
    double scale; /* of all times */
};

static bool set(struct made *m, const char *argument)
{
    const struct {
        const char *key;
        const char **text;
        double *number;
    } keys[] = {
        {"modes=", &m->modes, NULL},   {"policies=", &m->policies, NULL},
        {"caches=", &m->caches, NULL}, {"distances=", &m->distances, NULL},
        {"layers=", NULL, &m->layers}, {"passes=", NULL, &m->passes},
        {"reps=", NULL, &m->reps},     {"load_ns=", NULL, &m->load_ns},
        {"units=", NULL, &m->units},   {"compute_ns=", NULL, &m->compute_ns},
        {"noise=", NULL, &m->noise},   {"seed=", NULL, &m->seed},
        {"scale=", NULL, &m->scale},
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        size_t length = strlen(keys[i].key);
        if (strncmp(argument, keys[i].key, length) != 0)
            continue;
        if (keys[i].text)
            *keys[i].text = argument + length;
        else
            *keys[i].number = atof(argument + length);
        return true;
    }
    return false;
}

/* "a,b" as an array of texts, "1,2" of numbers. */
static json_t *list(const char *texts, bool numbers)
{
    json_t *array = json_array();
    while (*texts) {
        size_t length = strcspn(texts, ",");
        json_array_append_new(array,
                              numbers ? json_integer(atoi(texts)) : json_stringn(texts, length));
        texts += length + (texts[length] == ',');
    }
    return array;
}

/* Without prefetch the distance does not matter: one cell has all. */
static json_t *exclusions(const struct made *m)
{
    json_t *array = json_array(), *distances = list(m->distances, true), *distance;
    size_t i;
    json_array_foreach(distances, i, distance)
    {
        if (i > 0 && strstr(m->modes, "off"))
            json_array_append_new(
                array, json_pack("{s:s, s:O}", "prefetch", "off", "prefetch_distance", distance));
    }
    json_decref(distances);
    return array;
}

/* One value is fixed, several are an axis; of the cache even one, since a scenario varies
 * something. */
static void vary(json_t *fixed, json_t *matrix, const char *option, json_t *values)
{
    if (json_array_size(values) > 1 || strcmp(option, "cache_layers") == 0)
        json_object_set(matrix, option, values);
    else
        json_object_set(fixed, option, json_array_get(values, 0));
    json_decref(values);
}

static json_t *scenario_of(const struct made *m)
{
    char bandwidth[64];
    snprintf(bandwidth, sizeof bandwidth, "%.0fB/s", LAYER_BYTES / (m->load_ns * m->scale) * 1e9);
    json_t *matrix = json_object(),
           *fixed = json_pack("{s:s, s:{s:s}, s:i}", "storage", "memory", "device", "bandwidth",
                              bandwidth, "generate_tokens", (int)m->passes);
    vary(fixed, matrix, "prefetch", list(m->modes, false));
    vary(fixed, matrix, "replacement", list(m->policies, false));
    vary(fixed, matrix, "cache_layers", list(m->caches, true));
    vary(fixed, matrix, "prefetch_distance", list(m->distances, true));
    return json_pack("{s:s, s:s, s:{s:{s:s, s:s}}, s:o, s:o, s:o, s:i}", "name", "made", "about",
                     "Which cache size and distance hide the loads of a simulated model?", "model",
                     "synth", "shape", "tiny", "quant", "Q4_K_M", "fixed", fixed, "matrix", matrix,
                     "exclude", exclusions(m), "repetitions", (int)m->reps);
}

/* ---- a sample out of the virtual clock ---- */

struct recorder {
    struct sample *sample;
    uint32_t units; /* of a layer */
};

/* Adds a unit's access to its layer's: the worst outcome, sums, ready when the last was. */
static void join(struct lb_access *layer, const struct lb_access *unit)
{
    layer->outcome = unit->outcome > layer->outcome ? unit->outcome : layer->outcome;
    layer->ready_ns = unit->ready_ns > layer->ready_ns ? unit->ready_ns : layer->ready_ns;
    layer->wait_ns += unit->wait_ns;
    layer->queue_ns += unit->queue_ns;
    layer->read_ns += unit->read_ns;
    layer->compute_ns += unit->compute_ns;
    layer->bytes += unit->bytes;
    layer->evicted += unit->evicted;
    layer->held_bytes = unit->held_bytes;
}

static void add_layer(struct sample *s, const struct lb_access *a)
{
    struct lb_stats *sums[] = {&s->all, a->prefill ? NULL : &s->decode};
    for (int i = 0; i < 2 && sums[i]; i++) {
        sums[i]->hits += a->outcome == LB_HIT;
        sums[i]->prefetched += a->outcome == LB_PREFETCHED;
        sums[i]->late += a->outcome == LB_LATE;
        sums[i]->misses += a->outcome == LB_MISS;
        sums[i]->bytes_read += a->bytes;
        sums[i]->wait_ns += a->wait_ns;
        sums[i]->compute_ns += a->compute_ns;
    }
    if (a->prefill) {
        s->prefill_ns += a->wait_ns + a->compute_ns;
        return;
    }
    s->pass_ns[a->pass - 1] += a->wait_ns + a->compute_ns;
    if (a->outcome == LB_LATE || a->outcome == LB_MISS)
        s->uncached_wait_ns += a->wait_ns;
    else
        s->cached_wait_ns += a->wait_ns;
}

static void record(void *ctx, const struct virtual_access *a)
{
    struct recorder *r = ctx;
    struct sample *s = r->sample;
    struct lb_access unit = {.pass = (uint32_t)a->pass,
                             .layer = (uint16_t)(a->unit / r->units),
                             .prefill = a->pass == 0,
                             .outcome = (uint8_t)a->outcome,
                             .unit = a->unit,
                             .evicted = a->evicted,
                             .need_ns = START_NS + (int64_t)a->need,
                             .ready_ns = START_NS + (int64_t)a->ready,
                             .wait_ns = (int64_t)a->wait,
                             .queue_ns = (int64_t)a->queue,
                             .read_ns = (int64_t)a->read,
                             .compute_ns = (int64_t)a->compute,
                             .bytes = a->bytes,
                             .held_bytes = a->held_units * (LAYER_BYTES / r->units)};
    if (a->unit % r->units == 0)
        s->log[s->n_log++] = unit;
    else
        join(&s->log[s->n_log - 1], &unit);
    if (r->units > 1)
        s->units[s->n_units++] = unit;
    if ((a->unit + 1) % r->units == 0)
        add_layer(s, &s->log[s->n_log - 1]);
}

/* In [0, 1), by Knuth's multiplicative hash of seed, cell and repetition. */
static double slower(const struct made *m, uint32_t cell, int32_t rep)
{
    uint32_t x = (uint32_t)m->seed * 104729u + cell * 7919u + (uint32_t)rep * 31337u;
    return rep == 0 ? 0 : (x * 2654435761u) / 0x1p32;
}

static void finish(struct sample *s, const struct made *m, const struct settings *settings)
{
    s->n_pass = (uint32_t)m->passes;
    s->all.passes = s->n_pass + 1;
    s->layers = (uint64_t)m->layers;
    s->all.accesses = s->all.unit_accesses = s->all.units_needed = s->all.passes * s->layers;
    s->layer_bytes = s->layers * LAYER_BYTES;
    s->decode.needed_bytes = s->n_pass * s->layer_bytes;
    s->file_bytes = s->layer_bytes + RESIDENT_BYTES;
    s->model_resident_bytes = s->all.resident_bytes = RESIDENT_BYTES;
    s->cache_layers = settings->engine.cache_layers;
    s->all.cache_bytes = s->cache_layers * LAYER_BYTES;
    s->peak_rss_bytes = RESIDENT_BYTES + s->all.cache_bytes;
    s->kernel_bytes = s->cached_before_ppm = -1;
    s->threads = 2;
    for (uint32_t i = 0; i < s->n_pass; i++) {
        s->pass_ns[i] += OTHER_NS;
        s->decode.wall_ns += s->pass_ns[i];
    }
    s->prefill_ns += OTHER_NS;
    s->ttft_ns = s->prefill_ns;
    s->decode.other_ns = s->n_pass * OTHER_NS;
    s->all.other_ns = s->decode.other_ns + OTHER_NS;
    s->all.wall_ns = s->decode.wall_ns + s->prefill_ns;
    snprintf(s->tokens_hash, sizeof s->tokens_hash, "9f2c61d000000000");
    snprintf(s->logits_hash, sizeof s->logits_hash, "5b1f7c2e00000000");
    snprintf(s->prefetch, sizeof s->prefetch, "%s", settings->engine.prefetch);
    snprintf(s->replacement, sizeof s->replacement, "%s", settings->engine.replacement);
    snprintf(s->scheduler, sizeof s->scheduler, "%s", settings->engine.scheduler);
    snprintf(s->storage, sizeof s->storage, "memory");
    snprintf(s->kernels, sizeof s->kernels, "generic");
    snprintf(s->product, sizeof s->product, "rows");
}

static enum lb_status make_sample(const struct made *m, const struct settings *settings,
                                  double factor, struct sample *s, struct lb_error *err)
{
    uint32_t per_layer = (uint32_t)m->units, n = (uint32_t)m->layers * per_layer;
    size_t n_accesses = (size_t)(m->passes + 1) * n;
    struct virtual_unit *units = calloc(n, sizeof *units);
    struct recorder recorder = {.sample = s, .units = per_layer};
    struct virtual_result result;
    s->log = calloc(n_accesses, sizeof *s->log);
    s->units = calloc(n_accesses, sizeof *s->units);
    s->pass_ns = calloc((size_t)m->passes + 1, sizeof *s->pass_ns);
    if (!units || !s->log || !s->units || !s->pass_ns) {
        free(units);
        return lb_fail(err, LB_ERR_NOMEM, "out of memory");
    }
    for (uint32_t i = 0; i < n; i++)
        units[i] =
            (struct virtual_unit){.bytes = LAYER_BYTES / per_layer,
                                  .frames = 1,
                                  .compute_ns = m->compute_ns * m->scale * factor / per_layer,
                                  .layer = i / per_layer};
    struct virtual_options options = {.units = units,
                                      .n_units = n,
                                      .prefetch = settings->engine.prefetch,
                                      .replacement = settings->engine.replacement,
                                      .scheduler = settings->engine.scheduler,
                                      .protect = true,
                                      .window = settings->engine.prefetch_distance * per_layer,
                                      .max_units = settings->engine.cache_layers * per_layer,
                                      .max_loads = 1,
                                      .seed = 1,
                                      .bandwidth =
                                          LAYER_BYTES / (m->load_ns * m->scale * factor) * 1e9,
                                      .queue_depth = 1,
                                      .chunk_bytes = LAYER_BYTES,
                                      .other_ns = OTHER_NS,
                                      .warmup = 1,
                                      .passes = (uint32_t)m->passes,
                                      .warmup_compute = PROMPT_FACTOR,
                                      .observe = record,
                                      .ctx = &recorder};
    enum lb_status status = virtual_run(&options, &result, err);
    free(units);
    s->all.wasted = result.wasted;
    s->all.evictions = result.evictions;
    finish(s, m, settings);
    return status;
}

static enum lb_status fill(const struct made *m, struct results *r, struct lb_error *err)
{
    int64_t now_ns = 0;
    enum lb_status status = LB_OK;
    for (int32_t rep = 0; rep < m->reps; rep++) {
        for (uint32_t i = 0; status == LB_OK && i < r->matrix->count; i++) {
            struct sample s = {.rep = rep,
                               .seq = (uint32_t)rep * (uint32_t)r->matrix->count + i,
                               .start_ns = now_ns};
            double factor = 1 + m->noise * slower(m, i, rep);
            status = make_sample(m, &r->matrix->cells[i].settings, factor, &s, err);
            now_ns += s.all.wall_ns;
            if (status == LB_OK)
                status = results_add(r, i, &s, err);
            sample_free(&s);
        }
    }
    r->complete = true;
    results_warn_of_figures(r);
    return status == LB_OK ? results_write(r, err) : status;
}

int main(int argc, char **argv)
{
    struct made m = {.modes = "off,sync,async",
                     .policies = "lru,belady",
                     .caches = "3,6,9",
                     .distances = "1,2,4",
                     .layers = 12,
                     .passes = 4,
                     .reps = 3,
                     .load_ns = 4e6,
                     .compute_ns = 2e6,
                     .noise = 0.05,
                     .seed = 1,
                     .units = 1,
                     .scale = 1};
    for (int i = 2; i < argc; i++) {
        if (!set(&m, argv[i])) {
            fprintf(stderr, "make_result: '%s': no such key\n", argv[i]);
            return 2;
        }
    }
    if (argc < 2) {
        fprintf(stderr, "make_result: expected a directory\n");
        return 2;
    }
    struct lb_error err = {0};
    struct scenario scenario = {0};
    struct matrix matrix = {0};
    struct results results = {.scenario = &scenario,
                              .matrix = &matrix,
                              .model_path = "made.gguf",
                              .repetitions = (uint32_t)m.reps,
                              .seed = 1,
                              .log = true};
    results.model =
        (struct lb_model_facts){.architecture = "llama",
                                .n_layers = (uint32_t)m.layers,
                                .layer_bytes = (uint64_t)m.layers * LAYER_BYTES,
                                .file_bytes = (uint64_t)m.layers * LAYER_BYTES + RESIDENT_BYTES};
    results.environment = json_pack("{s:{s:s, s:s}, s:{s:s, s:s}}", "cpu_model", "value",
                                    "simulated", "source", "virtual clock", "comparability_key",
                                    "value", "this machine", "source", "made for a test");
    json_t *document = scenario_of(&m);
    char sha256[65];
    memset(sha256, 'a', 64);
    sha256[64] = 0;
    enum lb_status status = scenario_from_json(document, "made", sha256, &scenario, &err);
    if (status == LB_OK)
        status = matrix_build(&scenario, (uint32_t)m.layers, &matrix, &err);
    if (status == LB_OK)
        status = matrix_add_references(&matrix, &err);
    if (status == LB_OK)
        status = results_open(&results, argv[1], &err);
    if (status == LB_OK)
        status = fill(&m, &results, &err);
    if (status != LB_OK)
        fprintf(stderr, "make_result: %s\n", err.text);
    results_close(&results);
    matrix_free(&matrix);
    scenario_free(&scenario);
    json_decref(document);
    return status == LB_OK ? 0 : 1;
}
