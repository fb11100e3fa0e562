/* loader: loads of units as reads by priority. See loader.h. */
#include "prefetch/loader.h"

#include "base/memory.h"
#include "plan/queue.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum { REAP_BATCH = 64 };

struct load { /* beside what queue.loads says of it */
    struct loader_request request;
    struct loader_result result;
    uint32_t extent; /* next to read from, index into layout->extents */
    uint32_t handed; /* bytes of it that were handed over */
};

struct read {
    uint32_t load; /* index */
    uint32_t bytes;
    uint64_t offset;
};

struct loader {
    const struct layout *layout;
    struct storage *storage;
    uint32_t chunk_bytes;
    struct queue queue;
    struct load *loads; /* [queue.max_loads] */
    struct read *reads; /* [queue.depth], by tag */
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
    assert(l->chunk_bytes > 0);
    uint32_t depth = options->queue_depth;
    if (depth > storage_depth(storage))
        depth = storage_depth(storage);
    enum lb_status status = queue_open(&l->queue, options->max_loads, depth, err);
    l->loads = lb_calloc(options->max_loads, sizeof *l->loads);
    l->reads = lb_calloc(depth, sizeof *l->reads);
    l->free_tags = lb_calloc(depth, sizeof *l->free_tags);
    if (status != LB_OK || !l->loads || !l->reads || !l->free_tags) {
        loader_close(l);
        return lb_fail(err, LB_ERR_NOMEM, "loader: out of memory");
    }
    for (uint32_t i = 0; i < depth; i++)
        l->free_tags[l->n_free_tags++] = i;
    *out = l;
    return LB_OK;
}

void loader_close(struct loader *loader)
{
    if (!loader)
        return;
    assert(loader_idle(loader));
    queue_close(&loader->queue);
    lb_free(loader->loads);
    lb_free(loader->reads);
    lb_free(loader->free_tags);
    lb_free(loader);
}

/* The place of a load of the unit that has not ended, or -1. */
static int64_t find(const struct loader *l, uint32_t unit)
{
    for (uint32_t i = 0; i < l->queue.max_loads; i++)
        if (l->queue.loads[i].taken && !queue_has_ended(&l->queue, i) &&
            l->loads[i].request.unit == unit)
            return i;
    return -1;
}

void loader_add(struct loader *loader, const struct loader_request *request)
{
    assert(find(loader, request->unit) < 0);
    uint32_t i = queue_add(&loader->queue, request->demand, request->for_access);
    loader->loads[i] =
        (struct load){.request = *request,
                      .result = {.unit = request->unit, .request_ns = request->request_ns},
                      .extent = loader->layout->units[request->unit].first_extent};
}

void loader_urge(struct loader *loader, uint32_t unit)
{
    int64_t i = find(loader, unit);
    if (i >= 0)
        queue_urge(&loader->queue, (uint32_t)i);
}

/* No further reads of the load; it ends when those in flight have. */
static void cancel(struct loader *l, uint32_t i)
{
    if (l->loads[i].result.error == 0 && l->queue.loads[i].waiting)
        l->loads[i].result.error = ECANCELED;
    queue_stop(&l->queue, i);
}

void loader_cancel(struct loader *loader, uint32_t unit)
{
    int64_t i = find(loader, unit);
    if (i >= 0 && loader->loads[i].result.first_ns == 0 && loader->queue.loads[i].outstanding == 0)
        cancel(loader, (uint32_t)i);
}

void loader_abort(struct loader *loader)
{
    for (uint32_t i = 0; i < loader->queue.max_loads; i++)
        if (loader->queue.loads[i].taken)
            cancel(loader, i);
}

/* ---- reads ---- */

static bool hand_over(struct loader *l, uint32_t index)
{
    struct load *load = &l->loads[index];
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
    l->reads[tag] = (struct read){index, read.bytes, read.offset};
    load->handed += read.bytes;
    if (load->handed == extent->bytes) {
        load->handed = 0;
        load->extent++;
    }
    queue_handed_over(&l->queue, index, load->extent == unit->first_extent + unit->n_extents);
    return true;
}

void loader_submit(struct loader *loader)
{
    int64_t load;
    while ((load = queue_next(&loader->queue)) >= 0)
        if (!hand_over(loader, (uint32_t)load))
            return;
}

static void complete(struct loader *l, const struct storage_done *done)
{
    assert(done->tag < l->queue.depth);
    const struct read *read = &l->reads[done->tag];
    struct loader_result *r = &l->loads[read->load].result;
    l->free_tags[l->n_free_tags++] = (uint32_t)done->tag;
    queue_completed(&l->queue, read->load);
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
            r->error = done->result < 0 ? -done->result : LOADER_SHORT;
            r->error_offset = read->offset;
            r->error_bytes = read->bytes;
        }
        queue_stop(&l->queue, read->load);
    }
}

/* Completions worth waking up for: enough to refill the queue while reads wait, to fall to the
 * low water otherwise, but never more than end the load that ends first. */
static uint32_t worth_waking(const struct loader *l)
{
    const struct queue *q = &l->queue;
    uint32_t low_water = queue_low_water(q);
    uint32_t enough = q->n_waiting > 0           ? q->depth / 4
                      : q->in_flight > low_water ? q->in_flight - low_water
                                                 : q->in_flight;
    for (uint32_t i = 0; i < q->max_loads; i++)
        if (q->loads[i].taken && !q->loads[i].waiting && q->loads[i].outstanding > 0 &&
            q->loads[i].outstanding < enough)
            enough = q->loads[i].outstanding;
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

static int64_t find_ended(const struct loader *l)
{
    for (uint32_t i = 0; i < l->queue.max_loads; i++)
        if (queue_has_ended(&l->queue, i))
            return i;
    return -1;
}

bool loader_has_ended(const struct loader *loader)
{
    return find_ended(loader) >= 0;
}

bool loader_take(struct loader *loader, struct loader_result *result)
{
    int64_t i = find_ended(loader);
    if (i < 0)
        return false;
    *result = loader->loads[i].result;
    queue_take_out(&loader->queue, (uint32_t)i);
    return true;
}

bool loader_idle(const struct loader *loader)
{
    return loader->queue.n_loads == 0;
}

bool loader_has_room(const struct loader *loader)
{
    return queue_has_room(&loader->queue);
}
