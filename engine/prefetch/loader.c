/* loader: loads of units as reads by priority. See loader.h. */
#include "prefetch/loader.h"

#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum { REAP_BATCH = 64 };

enum load_state { LOAD_FREE, LOAD_ACTIVE, LOAD_ENDED };

struct load {
    enum load_state state;
    struct loader_request request;
    struct loader_result result;
    uint32_t extent;      /* next to read from, index into layout->extents */
    uint32_t handed;      /* bytes of it that were handed over */
    uint32_t outstanding; /* reads in flight */
    bool handed_all;      /* no more reads to hand over: all done, failed or aborted */
};

struct read {
    uint32_t load; /* index */
    uint32_t bytes;
    uint64_t offset;
};

struct loader {
    const struct layout *layout;
    struct storage *storage;
    uint32_t chunk_bytes, depth, low_water;
    struct load *loads;
    uint32_t max_loads, n_loads, n_waiting; /* taken; with reads to hand over */
    struct read *reads;                     /* [depth], by tag */
    uint32_t *free_tags, n_free_tags;
};

enum lb_status loader_open(const struct layout *layout, struct storage *storage,
                           const struct loader_options *options, struct loader **out,
                           struct lb_error *err)
{
    *out = NULL;
    struct loader *l = lb_calloc(1, sizeof *l);
    if (!l)
        return lb_fail(err, LB_ERR_NOMEM, "loader: out of memory");
    l->layout = layout;
    l->storage = storage;
    l->chunk_bytes = options->chunk_bytes / STORAGE_ALIGN * STORAGE_ALIGN;
    l->depth = options->queue_depth;
    if (l->depth > storage_depth(storage))
        l->depth = storage_depth(storage);
    l->low_water = l->depth == 1 ? 0 : l->depth < 8 ? 1 : l->depth / 4;
    l->max_loads = options->max_loads;
    assert(l->chunk_bytes > 0 && l->depth > 0 && l->max_loads > 0);
    l->loads = lb_calloc(l->max_loads, sizeof *l->loads);
    l->reads = lb_calloc(l->depth, sizeof *l->reads);
    l->free_tags = lb_calloc(l->depth, sizeof *l->free_tags);
    if (!l->loads || !l->reads || !l->free_tags) {
        loader_close(l);
        return lb_fail(err, LB_ERR_NOMEM, "loader: out of memory");
    }
    for (uint32_t i = 0; i < l->depth; i++)
        l->free_tags[l->n_free_tags++] = i;
    *out = l;
    return LB_OK;
}

void loader_close(struct loader *loader)
{
    if (!loader)
        return;
    assert(loader->n_loads == 0);
    lb_free(loader->loads);
    lb_free(loader->reads);
    lb_free(loader->free_tags);
    lb_free(loader);
}

static struct load *find(struct loader *l, uint32_t unit)
{
    for (uint32_t i = 0; i < l->max_loads; i++)
        if (l->loads[i].state == LOAD_ACTIVE && l->loads[i].request.unit == unit)
            return &l->loads[i];
    return NULL;
}

void loader_add(struct loader *loader, const struct loader_request *request)
{
    assert(loader->n_loads < loader->max_loads && !find(loader, request->unit));
    struct load *load = loader->loads;
    while (load->state != LOAD_FREE)
        load++;
    *load = (struct load){.state = LOAD_ACTIVE,
                          .request = *request,
                          .result = {.unit = request->unit, .request_ns = request->request_ns},
                          .extent = loader->layout->units[request->unit].first_extent};
    loader->n_loads++;
    loader->n_waiting++;
}

void loader_urge(struct loader *loader, uint32_t unit)
{
    struct load *load = find(loader, unit);
    if (load)
        load->request.demand = true;
}

/* No further reads of the load; it ends when those in flight have. */
static void stop_handing(struct loader *l, struct load *load)
{
    if (!load->handed_all) {
        load->handed_all = true;
        l->n_waiting--;
    }
    if (load->outstanding == 0)
        load->state = LOAD_ENDED;
}

static void cancel(struct loader *l, struct load *load)
{
    if (load->result.error == 0 && !load->handed_all)
        load->result.error = ECANCELED;
    stop_handing(l, load);
}

void loader_cancel(struct loader *loader, uint32_t unit)
{
    struct load *load = find(loader, unit);
    if (load && load->result.first_ns == 0 && load->outstanding == 0)
        cancel(loader, load);
}

void loader_abort(struct loader *loader)
{
    for (uint32_t i = 0; i < loader->max_loads; i++)
        if (loader->loads[i].state == LOAD_ACTIVE)
            cancel(loader, &loader->loads[i]);
}

/* ---- reads ---- */

static bool needed_before(const struct loader_request *a, const struct loader_request *b)
{
    return a->demand != b->demand ? a->demand : a->for_access < b->for_access;
}

/* The load whose read goes next, or NULL. */
static struct load *most_needed(struct loader *l)
{
    struct load *best = NULL;
    for (uint32_t i = 0; l->n_waiting > 0 && i < l->max_loads; i++) {
        struct load *load = &l->loads[i];
        if (load->state == LOAD_ACTIVE && !load->handed_all &&
            (!best || needed_before(&load->request, &best->request)))
            best = load;
    }
    return best;
}

static bool hand_over(struct loader *l, struct load *load)
{
    const struct layout_unit *unit = &l->layout->units[load->request.unit];
    const struct layout_extent *extent = &l->layout->extents[load->extent];
    uint32_t left = extent->bytes - load->handed, tag = l->free_tags[l->n_free_tags - 1];
    struct storage_read read = {.offset = extent->file_offset + load->handed,
                                .bytes = left < l->chunk_bytes ? left : l->chunk_bytes,
                                .tag = tag};
    if (load->request.frames)
        read.buffer = load->request.frames[extent->frame] + extent->frame_offset + load->handed;
    if (storage_submit(l->storage, &read) == STORAGE_BUSY)
        return false;
    l->n_free_tags--;
    l->reads[tag] = (struct read){(uint32_t)(load - l->loads), read.bytes, read.offset};
    load->outstanding++;
    load->handed += read.bytes;
    if (load->handed == extent->bytes) {
        load->handed = 0;
        load->extent++;
    }
    if (load->extent == unit->first_extent + unit->n_extents)
        stop_handing(l, load);
    return true;
}

void loader_submit(struct loader *loader)
{
    struct load *load;
    while (loader->n_free_tags > 0 && (load = most_needed(loader)) != NULL)
        if (!hand_over(loader, load))
            return;
}

static void complete(struct loader *l, const struct storage_done *done)
{
    assert(done->tag < l->depth);
    const struct read *read = &l->reads[done->tag];
    struct load *load = &l->loads[read->load];
    struct loader_result *r = &load->result;
    l->free_tags[l->n_free_tags++] = (uint32_t)done->tag;
    load->outstanding--;
    if (r->first_ns == 0 || done->submit_ns < r->first_ns)
        r->first_ns = done->submit_ns;
    if (done->done_ns > r->done_ns)
        r->done_ns = done->done_ns;
    r->reads++;
    if (done->result > 0)
        r->bytes += (uint64_t)done->result;
    if (done->result < 0 || (uint32_t)done->result != read->bytes) {
        r->read_errors++;
        if (r->error == 0 || r->error == ECANCELED) {
            r->error = done->result < 0 ? -done->result : EIO;
            r->error_offset = read->offset;
            r->error_bytes = read->bytes;
        }
        stop_handing(l, load);
    } else if (load->handed_all && load->outstanding == 0) {
        load->state = LOAD_ENDED;
    }
}

/* Completions worth waking up for: enough to refill the queue while reads wait, to fall to the
 * low water otherwise, but never more than end the load that ends first. */
static uint32_t worth_waking(const struct loader *l)
{
    uint32_t in_flight = l->depth - l->n_free_tags;
    uint32_t enough = l->n_waiting > 0           ? l->depth / 4
                      : in_flight > l->low_water ? in_flight - l->low_water
                                                 : in_flight;
    for (uint32_t i = 0; i < l->max_loads; i++)
        if (l->loads[i].state == LOAD_ACTIVE && l->loads[i].handed_all &&
            l->loads[i].outstanding < enough)
            enough = l->loads[i].outstanding;
    return enough > 0 ? enough : 1;
}

void loader_reap(struct loader *loader, int64_t timeout_ns)
{
    struct storage_done done[REAP_BATCH];
    int min = (int)worth_waking(loader);
    int n = storage_reap_batch(loader->storage, done, min, REAP_BATCH, timeout_ns);
    for (int i = 0; i < n; i++)
        complete(loader, &done[i]);
}

bool loader_has_ended(const struct loader *loader)
{
    for (uint32_t i = 0; i < loader->max_loads; i++)
        if (loader->loads[i].state == LOAD_ENDED)
            return true;
    return false;
}

bool loader_take(struct loader *loader, struct loader_result *result)
{
    for (uint32_t i = 0; i < loader->max_loads; i++) {
        struct load *load = &loader->loads[i];
        if (load->state != LOAD_ENDED)
            continue;
        *result = load->result;
        load->state = LOAD_FREE;
        loader->n_loads--;
        return true;
    }
    return false;
}

bool loader_idle(const struct loader *loader)
{
    return loader->n_loads == 0;
}

bool loader_has_room(const struct loader *loader)
{
    return loader->n_waiting == 0 && loader->n_loads < loader->max_loads &&
           loader->depth - loader->n_free_tags <= loader->low_water;
}
