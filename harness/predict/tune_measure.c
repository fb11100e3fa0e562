/* tune_measure: what the model takes, what the storage gives, what the memory leaves. */
#include "common/amounts.h"
#include "predict/tune.h"
#include "stats/stats.h"
#include "storage/bandwidth.h"
#include "storage/storage.h"

#include <string.h>
#include <sys/resource.h>

#define PROGRAM_GROWS ((uint64_t)4 << 20) /* stacks of threads, rings, what the kernel keeps */
#define ROUND         ((uint64_t)1 << 16) /* of the cache, so that it is short to write */
#define SAMPLE_NS     150000000
#define SAMPLES       5 /* of each path, in turns; the median counts */
#define SMALL_READ    4096
#define ROUTED_PASSES 64  /* whose experts are recorded, of a mixture */
#define CLEARLY       1.1 /* times the bandwidth of the paths before it: less is chance */
#define BUSY_MEMORY                                                                                \
    ((size_t)32 << 20) /* of each busy thread: beyond the caches, as weights are                   \
                        */

/* ---- memory ---- */

static enum lb_status split_memory(const struct settings *settings, uint64_t memory,
                                   struct tune_facts *f, struct lb_error *err)
{
    const uint64_t program = f->program_bytes;
    uint64_t usable = memory > program ? (uint64_t)((double)(memory - program) / 1.02) : 0;
    uint64_t fixed = f->profile.fixed_bytes, layer = f->model.layer_bytes / f->model.n_layers;
    char given[32], need[32], beside[32], each[32];
    if (usable >= fixed + layer) {
        f->cache_bytes = (usable - fixed) / ROUND * ROUND;
        return LB_OK;
    }
    return lb_fail(
        err, LB_ERR_INPUT,
        "--memory: %s is too little for '%s': expected at least %s (%s for embeddings, head, "
        "workspace and KV cache, %s for one layer); a smaller --context or --max-tokens needs less",
        amount_human_size_like(memory, (double)memory, given, sizeof given),
        settings->engine.model_path,
        amount_human_size_like(memory, (double)(fixed + layer) * 1.02 + (double)program, need,
                               sizeof need),
        amount_human_size_like(memory, (double)fixed, beside, sizeof beside),
        amount_human_size_like(memory, (double)layer, each, sizeof each));
}

/* ---- storage ---- */

/* Bytes/s of reads of `block` bytes from `start` on, or 0. */
static double rate(struct storage *storage, uint32_t block, uint64_t start, uint32_t busy,
                   struct bandwidth_reading *sample)
{
    struct bandwidth_options how = {.block_bytes = block,
                                    .start = start,
                                    .duration_ns = SAMPLE_NS,
                                    .busy_threads = busy,
                                    .busy_bytes = BUSY_MEMORY};
    return bandwidth_measure(storage, &how, sample, NULL) == LB_OK ? bandwidth_of(sample) : 0;
}

/* Bytes of one read; of small files, pieces all the same. */
static uint32_t block_of(const struct storage *storage, const struct lb_options *o)
{
    uint32_t block = o->chunk_bytes;
    while (block >= 2 * SMALL_READ && block > storage_file_bytes(storage) / 4)
        block = block / 2 / SMALL_READ * SMALL_READ;
    return block;
}

/* A small read at a time. */
static double measure_latency(const char *name, const struct lb_options *o)
{
    struct storage_options options = {.queue_depth = 1, .io_threads = 1};
    struct bandwidth_reading sample;
    struct storage *storage;
    if (storage_open(name, o->model_path, &options, NULL, 0, &storage, NULL) != LB_OK)
        return 0;
    double bytes_per_s = rate(storage, SMALL_READ, 0, o->threads, &sample);
    storage_close(storage);
    return bytes_per_s > 0 ? (double)sample.wall_ns / (double)sample.reads : 0;
}

static void measure_in_turns(struct storage *const *open, const struct lb_options *o,
                             struct tune_facts *f)
{
    struct bandwidth_reading sample;
    double rates[TUNE_PATHS][SAMPLES];
    for (uint32_t i = 0; i < SAMPLES; i++)
        for (size_t k = 0; k < f->n_paths; k++)
            rates[k][i] = rate(open[k], block_of(open[k], o),
                               storage_file_bytes(open[k]) / SAMPLES * i, o->threads, &sample);
    for (size_t k = 0; k < f->n_paths; k++) {
        f->paths[k].bandwidth = stats_median(rates[k], SAMPLES);
        f->paths[k].latency_ns = measure_latency(f->paths[k].storage, o);
    }
}

/* Paths that are not clearly faster than one before them are left out, or noise would choose. */
static void keep_faster(struct tune_facts *f)
{
    size_t kept = 0;
    for (size_t k = 0; k < f->n_paths; k++) {
        double best = kept > 0 ? CLEARLY * f->paths[kept - 1].bandwidth : 0;
        if (f->paths[k].bandwidth > best)
            f->paths[kept++] = f->paths[k];
    }
    f->n_paths = kept;
}

/* Every direct path there is; the page cache's only where there is none, because its memory is
 * nobody's to plan with. */
static enum lb_status measure_paths(const struct lb_options *o, struct tune_facts *f,
                                    struct lb_error *err)
{
    struct storage_options options = {
        .queue_depth = o->queue_depth, .io_threads = o->io_threads, .copies = o->model_copy};
    struct storage *open[TUNE_PATHS];
    enum lb_status status = LB_OK;
    size_t n;
    const struct storage_ops *const *list = storage_list(&n);
    while (status == LB_OK && n-- > 0 && f->n_paths < TUNE_PATHS) { /* the best come last */
        if (!storage_is_tried(list[n]) || (f->n_paths > 0 && !list[n]->direct))
            continue;
        struct lb_error why = LB_ERROR_INIT;
        status =
            storage_open(list[n]->name, o->model_path, &options, NULL, 0, &open[f->n_paths], &why);
        if (status == LB_OK)
            f->paths[f->n_paths++] = (struct tune_path){.storage = list[n]->name};
        else
            status = status == LB_ERR_UNSUPPORTED ? LB_OK : lb_fail(err, status, "%s", why.text);
    }
    size_t n_open = f->n_paths;
    if (status == LB_OK)
        measure_in_turns(open, o, f);
    for (size_t k = 0; k < n_open; k++)
        storage_close(open[k]);
    keep_faster(f);
    if (status == LB_OK && f->n_paths == 0)
        status = lb_fail(err, LB_ERR_IO, "'%s': no storage back-end can read it", o->model_path);
    return status;
}

enum lb_status tune_measure(const struct settings *settings, uint64_t memory, const char *routes,
                            struct tune_facts *f, struct lb_error *err)
{
    const struct lb_options *o = &settings->engine;
    struct settings profiled = *settings;
    profiled.engine.cache_layers = 1;
    profiled.engine.cache_bytes = 0;
    struct rusage usage;
    *f = (struct tune_facts){.model_state = lb_file_state_at(o->model_path),
                             .program_bytes = PROGRAM_GROWS};
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        f->program_bytes += (uint64_t)usage.ru_maxrss * 1024;
    enum lb_status status = sim_model_of_file(o->model_path, &f->model, err);
    if (status == LB_OK)
        status = sim_profile_measure(&profiled, &f->profile, err);
    if (status == LB_OK)
        status = split_memory(settings, memory, f, err);
    if (status == LB_OK && routes && !f->model.experts)
        status =
            lb_fail(err, LB_ERR_INPUT, "--routes: '%s' is no mixture of experts", o->model_path);
    if (status == LB_OK && routes)
        status = route_trace_read(routes, NULL, &f->routes, err);
    else if (status == LB_OK && f->model.experts) {
        profiled.engine.cache_layers = 0;
        profiled.engine.cache_bytes = f->cache_bytes;
        /* a short context leaves room for fewer, after a prompt */
        uint32_t half = o->context / 2, n = half > 0 && half < ROUTED_PASSES ? half : ROUTED_PASSES;
        status = route_trace_decode(&profiled.engine, n, &f->routes, err);
    }
    if (status != LB_OK)
        return status;
    if (o->device_bandwidth == 0)
        return measure_paths(o, f, err);
    f->paths[f->n_paths++] = (struct tune_path){.storage = o->storage,
                                                .bandwidth = o->device_bandwidth,
                                                .latency_ns = (double)o->device_latency_ns};
    return LB_OK;
}

void tune_free(struct tune_facts *facts)
{
    sim_profile_free(&facts->profile);
    route_trace_free(&facts->routes);
    sim_model_free(&facts->model);
}
