/*
 * micro_cost: what the machinery itself costs: one logged event, and one access of the layer cache
 * that hits. No model, no computation.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "base/ring.h"
#include "cache/layout.h"
#include "engine.h"
#include "micro/micro.h"
#include "prefetch/streamer.h"
#include "stats/stats.h"
#include "storage/storage.h"

#include <string.h>

#define EVENTS      65536
#define BATCH       1024 /* events timed at once: a clock reading is as long as an event */
#define LAYERS      32
#define LAYER_BYTES 32768
#define ACCESSES    32768

/* ---- one logged event: the clock is read, a record is filled in and goes into the ring ---- */

static void push_batch(struct lb_ring *ring, uint32_t first)
{
    for (uint32_t i = first; i < first + BATCH; i++) {
        int64_t now = lb_now_ns();
        struct lb_access record = {
            .pass = i, .layer = (uint16_t)(i % LAYERS), .need_ns = now, .ready_ns = now};
        lb_ring_push(ring, &record);
    }
}

static enum lb_status drain_batch(struct lb_ring *ring, struct lb_access *records, uint32_t first,
                                  struct lb_error *err)
{
    size_t n = lb_ring_drain(ring, records, BATCH);
    for (uint32_t i = 0; i < n; i++)
        if (records[i].pass != first + i)
            return lb_fail(err, LB_ERR_STATE, "wrong result: event %u came out as %u", first + i,
                           records[i].pass);
    if (n != BATCH || lb_ring_dropped(ring) > 0)
        return lb_fail(err, LB_ERR_STATE, "wrong result: %zu of %d events came out", n, BATCH);
    return LB_OK;
}

static enum lb_status measure_event(struct micro *m, struct micro_case *c,
                                    struct micro_result *sample, struct lb_error *err)
{
    double batches[EVENTS / BATCH];
    struct lb_ring *ring = lb_ring_open(BATCH, sizeof(struct lb_access));
    struct lb_access *records = lb_calloc(BATCH, sizeof *records);
    enum lb_status status = LB_OK;
    (void)m;
    if (!ring || !records)
        status = lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", c->name);
    for (uint32_t i = 0; status == LB_OK && i < EVENTS / BATCH; i++) {
        int64_t start = lb_now_ns();
        push_batch(ring, i * BATCH);
        batches[i] = (double)(lb_now_ns() - start) / BATCH;
        status = drain_batch(ring, records, i * BATCH, err);
    }
    if (status == LB_OK) {
        sample->iterations = EVENTS;
        sample->ns = stats_median(batches, EVENTS / BATCH);
    }
    lb_ring_close(ring);
    lb_free(records);
    return status;
}

/* ---- one access that hits: acquire and release of a unit that is there ---- */

struct rig {
    struct storage *storage;
    struct layout *layout;
    struct streamer *streamer;
    double *ns; /* [ACCESSES] */
};

static void close_rig(struct rig *rig)
{
    streamer_close(rig->streamer);
    layout_free(rig->layout);
    storage_close(rig->storage);
    lb_free(rig->ns);
}

static enum lb_status open_rig(struct micro *m, const struct micro_case *c, struct rig *rig,
                               struct lb_error *err)
{
    struct storage_options options = {.queue_depth = 8, .io_threads = 1};
    struct streamer_options how = {.prefetch = c->variant,
                                   .replacement = "belady",
                                   .scheduler = "aggressive",
                                   .protect = true,
                                   .prefetch_distance = 2,
                                   .cache_layers = LAYERS,
                                   .queue_depth = 8,
                                   .chunk_bytes = LAYER_BYTES};
    struct layout_tensor tensors[LAYERS];
    for (uint32_t i = 0; i < LAYERS; i++)
        tensors[i] = (struct layout_tensor){.layer = i,
                                            .file_offset = (uint64_t)i * LAYER_BYTES,
                                            .row_bytes = LAYER_BYTES / 64,
                                            .n_rows = 64};
    *rig = (struct rig){.ns = lb_calloc(ACCESSES, sizeof *rig->ns)};
    if (!rig->ns)
        return lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", c->name);
    enum lb_status status = storage_open("pread", m->file, &options, NULL, 0, &rig->storage, err);
    if (status == LB_OK) {
        struct layout_options cut = {.align = storage_align(rig->storage),
                                     .file_bytes = m->file_bytes};
        status = layout_build(tensors, LAYERS, &cut, &rig->layout, err);
    }
    if (status == LB_OK)
        status = streamer_open(rig->layout, rig->storage, &how, &rig->streamer, err);
    return status;
}

static enum lb_status pass(struct rig *rig, double *ns, uint64_t *hits, struct lb_error *err)
{
    for (uint32_t unit = 0; unit < LAYERS; unit++) {
        const uint8_t *const *frames;
        struct streamer_access access;
        int64_t start = lb_now_ns();
        enum lb_status status = streamer_acquire(rig->streamer, unit, &frames, &access, err);
        if (status != LB_OK)
            return status;
        streamer_release(rig->streamer, unit);
        ns[unit] = (double)(lb_now_ns() - start);
        *hits += access.outcome == STREAMER_HIT;
    }
    return LB_OK;
}

static enum lb_status measure_hit(struct micro *m, struct micro_case *c,
                                  struct micro_result *sample, struct lb_error *err)
{
    struct rig rig;
    uint64_t hits = 0;
    enum lb_status status = open_rig(m, c, &rig, err);
    for (int i = 0; i < 2 && status == LB_OK; i++) /* until every unit has been used */
        status = pass(&rig, rig.ns, &hits, err);
    hits = 0;
    for (uint32_t i = 0; i < ACCESSES && status == LB_OK; i += LAYERS)
        status = pass(&rig, rig.ns + i, &hits, err);
    if (status == LB_OK && hits != ACCESSES)
        status = lb_fail(err, LB_ERR_STATE, "wrong result: %llu of %d accesses hit",
                         (unsigned long long)hits, ACCESSES);
    if (status == LB_OK) {
        sample->iterations = ACCESSES;
        sample->ns = stats_median(rig.ns, ACCESSES);
        sample->p99_ns = stats_percentile(rig.ns, ACCESSES, 0.99);
    }
    close_rig(&rig);
    return status;
}

enum lb_status micro_list_costs(struct micro_list *list, struct lb_error *err)
{
    struct lb_choice choice;
    struct micro_case *c = micro_add(list, "event/log");
    if (!c)
        return lb_fail(err, LB_ERR_NOMEM, "out of memory for benchmarks");
    c->measure = measure_event;
    c->events = EVENTS;
    for (size_t i = 0; lb_choice_at("prefetch", i, &choice); i++) {
        if (!choice.available)
            continue;
        c = micro_add(list, "cache/hit/%s", choice.name);
        if (!c)
            return lb_fail(err, LB_ERR_NOMEM, "out of memory for benchmarks");
        c->measure = measure_hit;
        c->events = ACCESSES;
        c->variant = choice.name;
    }
    return LB_OK;
}
