/* simulate_cell: see simulate_cell.h. */
#include "predict/simulate_cell.h"

#include "predict/route_units.h"
#include "result/floor.h"

#include "draft/length.h"
#include "plan/budget.h"
#include "plan/virtual.h"
#include "storage/storage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A cell on its way. */
struct cell_run {
    const struct sim_model *model;
    const struct sim_times *times;
    const struct settings *settings;
    struct layout *layout;
    struct virtual_unit *units;
    struct virtual_options options;
    double layers_ns;                /* compute of all layers in a pass */
    struct route_units routed;       /* where there are routes */
    struct prediction_score *scores; /* [depth][layers] of predictions */
};

/* Weights that a pass computes with. */
static double needed_bytes(const struct cell_run *run)
{
    return run->routed.order ? run->routed.bytes : (double)run->layout->bytes;
}

uint32_t sim_pass_tokens(const struct settings *settings)
{
    const struct lb_speculation *s = &settings->engine.speculation;
    return strcmp(s->speculate, "off") == 0 ? 1 : 1 + s->draft_tokens;
}

double sim_pass_yield(const struct settings *settings)
{
    return length_yield(settings->engine.speculation.acceptance, sim_pass_tokens(settings) - 1);
}

static enum lb_status compute_time(struct cell_run *run, struct lb_error *err)
{
    const struct sim_times *t = run->times;
    run->layers_ns = t->layers_ns;
    for (uint32_t i = 0; t->layer_ns && i < run->model->n_layers; i++)
        run->layers_ns += t->layer_ns[i];
    if (run->layers_ns == 0 && t->compute_rate > 0)
        run->layers_ns = needed_bytes(run) / t->compute_rate * 1e9;
    if (t->token_rate > 0) {
        double tokens = (double)run->settings->engine.batch * sim_pass_tokens(run->settings);
        double arithmetic = tokens / t->token_rate * 1e9;
        run->layers_ns = arithmetic > run->layers_ns ? arithmetic : run->layers_ns;
    }
    if (run->layers_ns <= 0)
        return lb_fail(err, LB_ERR_INPUT,
                       "compute time: expected --compute, --compute-rate or "
                       "--measure");
    return LB_OK;
}

static enum lb_status make_layout(struct cell_run *run, const struct route_trace *routes,
                                  uint32_t warmup, struct lb_error *err)
{
    const struct sim_model *m = run->model;
    const struct lb_options *o = &run->settings->engine;
    struct lb_choice storage;
    lb_choice_find("storage", o->storage, &storage);
    struct layout_options lo = {.unit_bytes = o->unit_bytes,
                                .align = storage.direct ? STORAGE_ALIGN : 1,
                                .file_bytes = m->file_bytes};
    enum lb_status status = layout_build(m->tensors, m->n_tensors, &lo, &run->layout, err);
    return status == LB_OK && routes
               ? route_units_make(routes, run->layout, warmup, &run->routed, err)
               : status;
}

/* A layer's time is shared out by bytes, over those that a pass needs. */
static enum lb_status make_units(struct cell_run *run, struct lb_error *err)
{
    const struct layout *l = run->layout;
    run->units = calloc(l->n_units, sizeof *run->units);
    if (!run->units)
        return lb_fail(err, LB_ERR_NOMEM, "simulation: out of memory");
    for (uint32_t layer = 0; layer < l->n_layers; layer++) {
        double bytes = 0;
        uint32_t first = l->layer_first_unit[layer], end = l->layer_first_unit[layer + 1];
        for (uint32_t u = first; u < end; u++)
            bytes += (double)l->units[u].bytes;
        if (run->routed.order)
            bytes = run->routed.layer_bytes[layer];
        double ns = run->times->layer_ns ? run->times->layer_ns[layer]
                                         : run->layers_ns * bytes / needed_bytes(run);
        for (uint32_t u = first; u < end; u++)
            run->units[u] =
                (struct virtual_unit){.bytes = l->units[u].read_bytes,
                                      .frames = l->units[u].n_frames,
                                      .compute_ns = ns * (double)l->units[u].bytes / bytes,
                                      .layer = layer,
                                      .part = l->units[u].part};
    }
    return LB_OK;
}

static enum lb_status make_options(struct cell_run *run, struct lb_error *err)
{
    const struct lb_options *o = &run->settings->engine;
    double bandwidth = o->device_bandwidth > 0
                           ? o->device_bandwidth * settings_drives(run->settings)
                           : run->times->bandwidth;
    if (bandwidth <= 0)
        return lb_fail(err, LB_ERR_INPUT, "storage bandwidth: expected --device or --measure");
    uint32_t depth = o->queue_depth;
    uint32_t of_devices = o->device_queue_depth * settings_drives(run->settings);
    if (of_devices && of_devices < depth)
        depth = of_devices;
    struct budget budget;
    bool all = strcmp(o->prefetch, "resident") == 0;
    if (!all && o->cache_layers == 0 && o->cache_bytes == 0)
        return lb_fail(err, LB_ERR_INPUT, "cache size: expected --cache-layers or --cache-bytes");
    enum lb_status status = budget_find(run->layout, all ? run->layout->n_layers : o->cache_layers,
                                        o->cache_bytes, &budget, err);
    run->options = (struct virtual_options){
        .units = run->units,
        .n_units = run->layout->n_units,
        .prefetch = o->prefetch,
        .replacement = o->replacement,
        .half_life = o->half_life,
        .predict = o->predict,
        .predict_depth = o->predict_depth,
        .by_layer = strcmp(o->cache_scope, "layer") == 0,
        .scheduler = o->scheduler,
        .protect = o->protect,
        .keep_always = strcmp(o->resident, "dense") == 0,
        .window = budget_distance(run->layout, o->prefetch_distance),
        .max_units = budget.units,
        .max_frames = budget.frames,
        .max_loads = o->max_loads,
        .seed = o->seed,
        .bandwidth = bandwidth,
        .latency_ns = (double)o->device_latency_ns,
        .queue_depth = depth,
        .chunk_bytes =
            o->chunk_bytes < run->layout->frame_bytes ? o->chunk_bytes : run->layout->frame_bytes,
        .other_ns = run->times->other_ns,
        .warmup_compute = run->times->first_pass};
    return status;
}

/* The cache as bytes read. */
static double cached_bytes(const struct cell_run *run)
{
    const struct layout *l = run->layout;
    return (double)run->options.max_frames / (double)budget_all(l) * (double)l->read_bytes;
}

/* Of routes: bytes that a pass must read, were all of them known beforehand. */
static enum lb_status clairvoyant(const struct cell_run *run, double *bytes, struct lb_error *err)
{
    const uint32_t n = run->layout->n_units;
    double *bytes_of = malloc(n * sizeof *bytes_of), least = NAN;
    for (uint32_t i = 0; bytes_of && i < n; i++)
        bytes_of[i] = (double)run->units[i].bytes;
    if (bytes_of)
        least = floor_clairvoyant(run->routed.order, run->routed.length, bytes_of, n,
                                  cached_bytes(run));
    free(bytes_of);
    *bytes = least / (double)run->routed.passes;
    return isnan(least) ? lb_fail(err, LB_ERR_NOMEM, "simulation: out of memory") : LB_OK;
}

/* Loads of the offline optimum: belady, one read a unit, so that it costs next to nothing; of
 * routes the clairvoyant bound. */
static enum lb_status optimum(const struct cell_run *run, double *bytes, struct lb_error *err)
{
    struct virtual_options o = run->options;
    struct virtual_result r;
    if (run->routed.order)
        return clairvoyant(run, bytes, err);
    o.prefetch = "off";
    o.predict = "off";
    o.replacement = "belady";
    o.chunk_bytes = UINT32_MAX;
    enum lb_status status = virtual_run(&o, &r, err);
    *bytes = status == LB_OK ? (double)r.bytes / o.passes : 0;
    return status;
}

static void describe(const struct cell_run *run, const struct virtual_result *r,
                     struct sim_prediction *p)
{
    const struct virtual_options *o = &run->options;
    const struct layout *l = run->layout;
    double passes = o->passes, all = (double)l->read_bytes;
    p->pass_ns = r->time_ns / passes;
    p->wait_ns = r->wait_ns / passes;
    p->compute_ns = r->compute_ns / passes;
    double needed = run->routed.order ? run->routed.read_bytes : all;
    double least = run->routed.order ? p->optimum_bytes : floor_least(needed, cached_bytes(run));
    struct floor floor = floor_of(p->compute_ns, needed, least, o->bandwidth);
    p->floor_ns = floor.ns;
    p->hit = (double)r->layers.hits / passes;
    p->prefetched = (double)r->layers.prefetched / passes;
    p->late = (double)r->layers.late / passes;
    p->miss = (double)r->layers.misses / passes;
    p->bytes = (double)r->bytes / passes;
    p->loads = p->bytes / (all / l->n_layers);
    p->wasted = (double)r->wasted / passes;
    p->evictions = (double)r->evictions / passes;
    p->in_flight = r->in_flight;
    p->c_over_t = floor.all_load_ns > 0 ? run->layers_ns / floor.all_load_ns : 0;
    p->tokens_a_pass = run->settings->engine.batch * sim_pass_yield(run->settings);
    p->tokens_per_s = p->tokens_a_pass / p->pass_ns * 1e9;
    p->cache_bytes = o->max_frames * l->frame_bytes;
    p->n_units = l->n_units;
    p->predict_depth = run->scores ? o->predict_depth : 0;
    p->predicted = r->prediction;
    for (uint32_t i = 0; i < p->predict_depth * l->n_layers; i++) {
        struct prediction_score *sum = &p->scores[i / l->n_layers];
        sum->guessed += run->scores[i].guessed;
        sum->right += run->scores[i].right;
        sum->needed += run->scores[i].needed;
    }
}

/* Room for what predictions are worth, where there are any. */
static enum lb_status make_scores(struct cell_run *run, struct lb_error *err)
{
    struct virtual_options *o = &run->options;
    if (!o->routes || strcmp(o->predict, "off") == 0)
        return LB_OK;
    if (o->predict_depth > SIM_MOST_DEPTH)
        return lb_fail(err, LB_ERR_INPUT, "predict_depth: %u: expected at most %d",
                       o->predict_depth, SIM_MOST_DEPTH);
    o->scores = run->scores =
        calloc((size_t)o->predict_depth * run->layout->n_layers, sizeof *run->scores);
    return run->scores ? LB_OK : lb_fail(err, LB_ERR_NOMEM, "simulation: out of memory");
}

enum lb_status sim_predict(const struct sim_model *model, const struct sim_times *times,
                           const struct sim_accesses *accesses, const struct settings *settings,
                           uint32_t warmup, uint32_t passes, struct sim_prediction *prediction,
                           struct lb_error *err)
{
    struct cell_run run = {.model = model, .times = times, .settings = settings};
    struct virtual_result result;
    enum lb_status status = make_layout(&run, accesses->routes, warmup, err);
    if (status == LB_OK && !accesses->compute_ns)
        status = compute_time(&run, err);
    if (status == LB_OK)
        status = make_units(&run, err);
    if (status == LB_OK)
        status = make_options(&run, err);
    if (status == LB_OK && accesses->order && run.layout->n_units != run.layout->n_layers)
        status = lb_fail(err, LB_ERR_INPUT, "access pattern: expected --unit layer");
    run.options.routes = accesses->routes ? &run.routed.routes : NULL;
    run.options.order = accesses->order;
    run.options.length = accesses->length;
    run.options.compute_of = accesses->compute_ns;
    run.options.warmup = warmup;
    run.options.passes = passes;
    *prediction = (struct sim_prediction){.predict_depth = 0};
    if (status == LB_OK)
        status = make_scores(&run, err);
    if (status == LB_OK)
        status = virtual_run(&run.options, &result, err);
    if (status == LB_OK)
        status = optimum(&run, &prediction->optimum_bytes, err);
    if (status == LB_OK)
        describe(&run, &result, prediction);
    free(run.scores);
    free(run.units);
    route_units_free(&run.routed);
    layout_free(run.layout);
    return status;
}
