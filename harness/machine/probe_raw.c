/* probe_raw: one raw sample of a file or of the memory. See probe_raw.h. */
#include "machine/probe_raw.h"

#include "machine/page_cache.h"
#include "storage/bandwidth.h"

#include <stdio.h>

#define BUSY_BYTES ((size_t)128 << 20) /* for each thread: more than the caches hold */

static enum lb_status open_storage(const struct probe_raw_work *work,
                                   struct probe_raw_reading *sample, struct storage **storage,
                                   struct lb_error *err)
{
    const struct lb_options *o = work->options;
    struct storage_options how = {.queue_depth = o->queue_depth,
                                  .io_threads = o->io_threads,
                                  .copies = o->model_copy,
                                  .advice = o->advice};
    struct storage_device device = {.bandwidth = o->device_bandwidth,
                                    .latency_ns = o->device_latency_ns,
                                    .queue_depth = o->device_queue_depth};
    enum lb_status status = storage_open(o->storage, work->path, &how, NULL, 0, storage, err);
    if (status == LB_OK)
        snprintf(sample->used, sizeof sample->used, "%s", storage_name(*storage));
    if (status == LB_OK && (device.bandwidth > 0 || device.latency_ns > 0 || device.queue_depth))
        status = storage_shape(*storage, &device, storage, err);
    return status;
}

static void keep(const struct bandwidth_reading *from, struct probe_raw_reading *sample)
{
    sample->start_ns = from->start_ns;
    sample->wall_ns = from->wall_ns;
    sample->bytes = from->bytes;
    sample->bandwidth = bandwidth_of(from);
    sample->busy_rate = from->busy_rate;
}

enum lb_status probe_raw_measure(const struct probe_raw_work *work,
                                 struct probe_raw_reading *sample, struct lb_error *err)
{
    struct storage *storage;
    *sample = (struct probe_raw_reading){0};
    enum lb_status status = open_storage(work, sample, &storage, err);
    if (status != LB_OK)
        return status;
    /* Known only now, after a fallback. Closed first: pages that are mapped cannot be dropped. */
    bool cached = storage_align(storage) == 1 && !storage_copied(storage);
    if (cached) {
        storage_close(storage);
        status = page_cache_prepare(work->path, "cold", err);
        if (status == LB_OK)
            status = open_storage(work, sample, &storage, err);
        if (status != LB_OK)
            return status;
    }
    struct bandwidth_reading got;
    struct bandwidth_options options = {.block_bytes = work->options->chunk_bytes,
                                        .start = work->start,
                                        .duration_ns = work->duration_ns,
                                        .busy_threads = work->busy_threads,
                                        .busy_bytes = BUSY_BYTES};
    /* not twice around the file: the second time would come from the page cache */
    if (cached)
        options.bytes = storage_file_bytes(storage);
    status = bandwidth_measure(storage, &options, &got, err);
    keep(&got, sample);
    storage_close(storage);
    return status;
}

enum lb_status probe_memory_measure(uint32_t threads, int64_t duration_ns,
                                    struct probe_raw_reading *sample, struct lb_error *err)
{
    struct bandwidth_reading got;
    struct bandwidth_options options = {
        .duration_ns = duration_ns, .busy_threads = threads, .busy_bytes = BUSY_BYTES};
    *sample = (struct probe_raw_reading){0};
    enum lb_status status = bandwidth_measure(NULL, &options, &got, err);
    keep(&got, sample);
    sample->bandwidth = got.busy_rate;
    return status;
}
