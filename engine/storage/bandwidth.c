/* bandwidth: a full queue of reads over given extents. See bandwidth.h. */
#include "storage/bandwidth.h"

#include "base/clock.h"
#include "base/memory.h"
#include "storage/busy.h"

#include <string.h>

struct reading {
    struct storage *storage;
    const struct bandwidth_options *options;
    struct bandwidth_extent whole; /* used when no extents are given */
    const struct bandwidth_extent *extents;
    size_t n_extents;
    /* the next read */
    size_t extent;
    uint64_t at; /* in the extent */
    /* buffers, one for each read in flight */
    size_t stride;
    char *arena;               /* [depth][stride] */
    uint32_t *free, n_free;    /* [depth] */
    uint32_t *want;            /* [depth] bytes that the read must bring */
    struct storage_done *done; /* [depth] */
    uint64_t submitted;        /* bytes */
};

static enum lb_status check_options(struct storage *storage, const struct bandwidth_options *o,
                                    struct lb_error *err)
{
    uint32_t align = storage ? storage_align(storage) : 1;
    if (!storage)
        return o->duration_ns > 0 && o->busy_threads > 0
                   ? LB_OK
                   : lb_fail(err, LB_ERR_INPUT,
                             "bandwidth: expected a storage, or busy threads and a duration");
    if (o->block_bytes == 0 || o->block_bytes % align || o->block_bytes > (uint32_t)1 << 30)
        return lb_fail(err, LB_ERR_INPUT,
                       "block of %u bytes: expected a multiple of %u up to 1 GiB", o->block_bytes,
                       align);
    if (o->bytes == 0 && o->duration_ns <= 0)
        return lb_fail(err, LB_ERR_INPUT, "bandwidth: expected a number of bytes or a duration");
    for (size_t i = 0; i < o->n_extents; i++) {
        const struct bandwidth_extent *e = &o->extents[i];
        if (e->bytes == 0 || e->offset % align || e->offset > storage_file_bytes(storage) ||
            e->bytes > storage_file_bytes(storage) - e->offset ||
            (e->bytes % align && e->offset + e->bytes != storage_file_bytes(storage)))
            return lb_fail(err, LB_ERR_INPUT,
                           "extent %zu (%llu bytes at %llu): expected multiples of %u inside the "
                           "file of %llu bytes",
                           i, (unsigned long long)e->bytes, (unsigned long long)e->offset, align,
                           (unsigned long long)storage_file_bytes(storage));
    }
    return LB_OK;
}

static void free_reading(struct reading *r)
{
    if (r->arena)
        storage_register_arena(r->storage, NULL, 0);
    lb_unmap(r->arena, r->stride * storage_depth(r->storage));
    lb_free(r->done);
    lb_free(r->want);
    lb_free(r->free);
}

static enum lb_status prepare(struct reading *r, struct storage *storage,
                              const struct bandwidth_options *o, struct lb_error *err)
{
    uint32_t depth = storage_depth(storage);
    *r = (struct reading){.storage = storage,
                          .options = o,
                          .whole = {0, storage_file_bytes(storage)},
                          .extents = o->n_extents ? o->extents : &r->whole,
                          .n_extents = o->n_extents ? o->n_extents : 1,
                          .stride =
                              (o->block_bytes + STORAGE_ALIGN - 1) / STORAGE_ALIGN * STORAGE_ALIGN};
    r->arena = lb_map(r->stride * depth);
    r->free = lb_calloc(depth, sizeof *r->free);
    r->want = lb_calloc(depth, sizeof *r->want);
    r->done = lb_calloc(depth, sizeof *r->done);
    if (!r->arena || !r->free || !r->want || !r->done) {
        free_reading(r);
        return lb_fail(err, LB_ERR_NOMEM, "out of memory for %u reads of %u bytes", depth,
                       o->block_bytes);
    }
    memset(r->arena, 0, r->stride * depth); /* no page faults inside the time */
    storage_register_arena(storage, r->arena, r->stride * depth);
    for (; r->n_free < depth; r->n_free++)
        r->free[r->n_free] = r->n_free;
    uint64_t total = 0;
    for (size_t i = 0; i < r->n_extents; i++)
        total += r->extents[i].bytes;
    r->at = o->start % total;
    for (; r->at >= r->extents[r->extent].bytes; r->extent++)
        r->at -= r->extents[r->extent].bytes;
    r->at -= r->at % o->block_bytes;
    return LB_OK;
}

/* The next block, in the order of the extents, again and again. */
static struct storage_read next_read(struct reading *r)
{
    const struct bandwidth_extent *e = &r->extents[r->extent];
    uint64_t rest = e->bytes - r->at;
    struct storage_read read = {.offset = e->offset + r->at, .bytes = r->options->block_bytes};
    if (rest <= read.bytes) {
        read.bytes = (uint32_t)rest;
        r->extent = (r->extent + 1) % r->n_extents;
        r->at = 0;
    } else {
        r->at += read.bytes;
    }
    return read;
}

static bool wants_more(const struct reading *r, int64_t start_ns)
{
    const struct bandwidth_options *o = r->options;
    return (o->bytes == 0 || r->submitted < o->bytes) &&
           (o->duration_ns <= 0 || lb_now_ns() - start_ns < o->duration_ns);
}

/* The first failure is reported; every buffer is free again. */
static enum lb_status take(struct reading *r, int n, struct bandwidth_reading *sample,
                           struct lb_error *err)
{
    enum lb_status status = LB_OK;
    for (int i = 0; i < n; i++) {
        uint32_t buffer = (uint32_t)r->done[i].tag, want = r->want[buffer];
        int32_t got = r->done[i].result;
        r->free[r->n_free++] = buffer;
        if (got < 0)
            status = lb_fail(err, LB_ERR_IO, "storage %s: read of %u bytes: %s",
                             storage_name(r->storage), want, strerror(-got));
        else if ((uint32_t)got < want)
            status = lb_fail(err, LB_ERR_IO, "storage %s: read of %u bytes gave %d",
                             storage_name(r->storage), want, got);
        else
            sample->bytes += want;
        sample->reads++;
    }
    return status;
}

/* Keeps the queue full until the sample has its bytes or its time, then waits for the rest. */
static enum lb_status run(struct reading *r, struct bandwidth_reading *sample, struct lb_error *err)
{
    enum lb_status status = LB_OK;
    int depth = (int)storage_depth(r->storage);
    int batch = r->options->batch ? (int)r->options->batch : 1;
    while (true) {
        bool more = status == LB_OK && wants_more(r, sample->start_ns);
        while (more && r->n_free > 0) {
            struct storage_read read = next_read(r);
            read.tag = r->free[--r->n_free];
            read.buffer = r->arena + read.tag * r->stride;
            r->want[read.tag] = read.bytes;
            r->submitted += read.bytes;
            if (storage_submit(r->storage, &read) == STORAGE_BUSY)
                return lb_fail(err, LB_ERR_STATE, "storage %s: busy below its queue depth",
                               storage_name(r->storage));
            more = wants_more(r, sample->start_ns);
        }
        if ((int)r->n_free == depth)
            return status;
        int n = storage_reap_batch(r->storage, r->done, more ? batch : depth, depth, -1);
        if (take(r, n, sample, err) != LB_OK)
            status = LB_ERR_IO;
    }
}

static enum lb_status measure_reads(struct storage *storage, const struct bandwidth_options *o,
                                    const struct busy *busy, struct bandwidth_reading *sample,
                                    struct lb_error *err)
{
    struct reading reading;
    enum lb_status status = prepare(&reading, storage, o, err);
    if (status != LB_OK)
        return status;
    uint64_t work = busy_work(busy);
    sample->start_ns = lb_now_ns();
    status = run(&reading, sample, err);
    sample->wall_ns = lb_now_ns() - sample->start_ns;
    sample->busy_rate = (double)(busy_work(busy) - work) / (double)sample->wall_ns * 1e9;
    free_reading(&reading);
    return status;
}

static void measure_busy_alone(int64_t duration_ns, const struct busy *busy,
                               struct bandwidth_reading *sample)
{
    struct timespec t = {.tv_sec = duration_ns / 1000000000, .tv_nsec = duration_ns % 1000000000};
    uint64_t work = busy_work(busy);
    sample->start_ns = lb_now_ns();
    do /* again where the threads got no turn: a sample holds some work */
        clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
    while (busy_work(busy) == work);
    sample->wall_ns = lb_now_ns() - sample->start_ns;
    sample->busy_rate = (double)(busy_work(busy) - work) / (double)sample->wall_ns * 1e9;
}

enum lb_status bandwidth_measure(struct storage *storage, const struct bandwidth_options *options,
                                 struct bandwidth_reading *sample, struct lb_error *err)
{
    struct busy *busy;
    *sample = (struct bandwidth_reading){0};
    enum lb_status status = check_options(storage, options, err);
    if (status == LB_OK)
        status = busy_start(options->busy_threads, options->busy_bytes, &busy, err);
    if (status != LB_OK)
        return status;
    if (storage)
        status = measure_reads(storage, options, busy, sample, err);
    else
        measure_busy_alone(options->duration_ns, busy, sample);
    busy_stop(busy);
    return status;
}

double bandwidth_of(const struct bandwidth_reading *sample)
{
    return sample->wall_ns > 0 ? (double)sample->bytes / (double)sample->wall_ns * 1e9 : 0;
}
