/*
 * streamer_rig: a model file of random bytes, dense or of experts, and a streamer over it whose
 * every access is held against what it may be, and its bytes against the file's.
 */
#ifndef TESTS_STREAMER_RIG_H
#define TESTS_STREAMER_RIG_H

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "prefetch/driver.h"
#include "prefetch/streamer.h"
#include "tests/check.h"
#include "tests/settings.h"
#include "tests/temporary.h"

#include <unistd.h>

enum { MOST_LAYERS = 12, TENSORS = 3, EXPERTS = 9, MOST_TENSORS = 6 * (2 + 3 * EXPERTS) };
enum { MOST_PIECES = 6 * 4 * (1 + EXPERTS) }; /* units of a mixture */

/* ---- a model file of random bytes ---- */

struct model {
    char path[TEMPORARY_PATH];
    uint8_t *bytes; /* what the file holds */
    uint64_t size;
    uint32_t n_layers, n_tensors;
    struct layout_tensor tensors[MOST_TENSORS];
};

/* The file of the tensors, which end at `at`. */
static inline void write_model(struct model *m, uint64_t at, struct lb_random *r)
{
    m->size = at + 17;
    m->bytes = lb_calloc(m->size, 1);
    for (uint64_t i = 0; i < m->size; i++)
        m->bytes[i] = (uint8_t)lb_random_next(r);
    int fd = temporary_file(m->path);
    CHECK(write(fd, m->bytes, m->size) == (ssize_t)m->size);
    close(fd);
}

static inline void make_model(struct model *m, uint32_t n_layers, bool equal, uint64_t seed)
{
    struct lb_random r = {seed};
    uint64_t at = 96;
    m->n_layers = n_layers;
    m->n_tensors = n_layers * TENSORS;
    for (uint32_t i = 0; i < m->n_tensors; i++) {
        struct layout_tensor *t = &m->tensors[i];
        *t = (struct layout_tensor){.layer = i / TENSORS, .file_offset = at};
        t->row_bytes = i % TENSORS == 1 ? 512 : 144;
        t->n_rows = i % TENSORS == 0 ? 1 : equal ? 60 : 20 + lb_random_below(&r, 130);
        at += t->row_bytes * t->n_rows;
    }
    write_model(m, at, &r);
}

/* A mixture: in each layer two tensors always needed, then gate, up and down of all experts, whose
 * slices are given expert by expert. Each part takes two frames of 8 KiB. */
static inline void make_mixture(struct model *m, uint32_t n_layers, uint64_t seed)
{
    struct lb_random r = {seed};
    uint64_t at = 96;
    uint32_t n = 0;
    m->n_layers = n_layers;
    for (uint32_t layer = 0; layer < n_layers; layer++) {
        for (uint32_t k = 0; k < 2; k++, at += 40 * 144)
            m->tensors[n++] = (struct layout_tensor){layer, 0, at, 144, 40};
        for (uint32_t e = 0; e < EXPERTS; e++)
            for (uint32_t k = 0; k < 3; k++)
                m->tensors[n++] =
                    (struct layout_tensor){layer, 1 + e, at + (k * EXPERTS + e) * 8 * 512, 512, 8};
        at += 3 * EXPERTS * 8 * 512;
    }
    m->n_tensors = n;
    write_model(m, at, &r);
}

static inline void free_model(struct model *m)
{
    unlink(m->path);
    lb_free(m->bytes);
}

/* ---- a streamer over it ---- */

struct setting {
    const char *storage;
    uint64_t unit_bytes;
    struct streamer_options o;
    struct storage_device device; /* all 0: not emulated */
    struct storage_fault fault;   /* nth 0: none */
};

struct rig {
    const struct model *m;
    struct layout *layout;
    struct storage *storage;
    struct streamer *s;
    uint32_t next; /* unit */
    bool blocking; /* off, sync */
    struct streamer_counters expected;
    uint64_t wrong; /* runs whose bytes were not the file's */
};

static inline struct streamer_options options(const char *prefetch, const char *replacement,
                                              uint32_t cache_layers)
{
    return (struct streamer_options){.prefetch = prefetch,
                                     .replacement = replacement,
                                     .scheduler = "aggressive",
                                     .protect = true,
                                     .prefetch_distance = 2,
                                     .cache_layers = cache_layers,
                                     .queue_depth = 8,
                                     .chunk_bytes = 4096};
}

static inline enum lb_status open_rig(struct rig *rig, const struct model *m,
                                      const struct setting *x, struct lb_error *err)
{
    char notice[200];
    struct storage_options so = {.queue_depth = x->o.queue_depth, .io_threads = 2};
    *rig = (struct rig){.m = m,
                        .blocking = strcmp(x->o.prefetch, "off") == 0 ||
                                    strcmp(x->o.prefetch, "sync") == 0};
    enum lb_status s = storage_open(settings_storage(x->storage, m->path), m->path, &so, notice,
                                    sizeof notice, &rig->storage, err);
    if (s == LB_OK && x->fault.nth)
        s = storage_inject(rig->storage, &x->fault, &rig->storage, err);
    if (s == LB_OK && (x->device.bandwidth > 0 || x->device.latency_ns))
        s = storage_shape(rig->storage, &x->device, &rig->storage, err);
    if (s != LB_OK)
        return s;
    struct layout_options lo = {.unit_bytes = x->unit_bytes,
                                .frame_bytes = 8192,
                                .align = storage_align(rig->storage),
                                .file_bytes = m->size};
    s = layout_build(m->tensors, m->n_tensors, &lo, &rig->layout, err);
    return s == LB_OK ? streamer_open(rig->layout, rig->storage, &x->o, &rig->s, err) : s;
}

static inline void close_rig(struct rig *rig)
{
    streamer_close(rig->s);
    storage_close(rig->storage);
    layout_free(rig->layout);
}

static inline void check_sane(struct rig *rig, const char *what)
{
    struct lb_error err = LB_ERROR_INIT;
    pthread_mutex_lock(&rig->s->mu);
    CHECK(cache_sane(rig->s->cache, &err), "%s: %s", what, err.text);
    uint32_t loading = 0, prefetching = 0;
    for (uint32_t i = 0; i < rig->layout->n_units; i++) {
        bool is_loading = cache_unit(rig->s->cache, i)->state == CACHE_LOADING;
        loading += is_loading;
        prefetching += is_loading && rig->s->loads[i].prefetch;
    }
    CHECK(loading == rig->s->n_loading && prefetching == rig->s->n_prefetching, "%s", what);
    CHECK(prefetching <= rig->s->max_prefetches, "%s", what);
    pthread_mutex_unlock(&rig->s->mu);
}

static inline uint64_t wrong_runs(const struct rig *rig, uint32_t unit,
                                  const uint8_t *const *frames)
{
    const struct layout_unit *u = &rig->layout->units[unit];
    const uint8_t *map = storage_map(rig->storage);
    uint64_t wrong = 0;
    for (uint32_t i = 0; i < u->n_runs; i++) {
        const struct layout_run *run = &rig->layout->runs[u->first_run + i];
        const struct layout_tensor *t = &rig->m->tensors[run->tensor];
        uint64_t at = t->file_offset + run->first * t->row_bytes;
        const uint8_t *data = map ? map + at : frames[run->frame] + run->frame_offset;
        wrong += memcmp(data, rig->m->bytes + at, (run->last - run->first) * t->row_bytes) != 0;
    }
    return wrong;
}

/* Holds the record of an access against what it may be, and its bytes against the file's. */
static inline void record(struct rig *rig, uint32_t unit, const uint8_t *const *frames,
                          const struct streamer_access *a)
{
    struct streamer_counters *e = &rig->expected;
    const struct layout_unit *u = &rig->layout->units[unit];
    bool waited = a->outcome == STREAMER_LATE || a->outcome == STREAMER_MISS;
    rig->wrong += wrong_runs(rig, unit, frames);
    CHECK(a->unit == unit && a->layer == u->layer && a->part == u->part &&
          a->position == e->accesses);
    CHECK(a->wait_ns >= 0 && a->queue_ns >= 0 && a->read_ns >= 0 && a->reveal_ns <= a->need_ns);
    CHECK(!waited || a->ready_ns >= a->reveal_ns);
    CHECK(!waited || a->wait_ns >= a->ready_ns - a->need_ns);
    CHECK(a->outcome != STREAMER_HIT || (a->bytes == 0 && a->ready_ns == a->need_ns));
    CHECK(a->outcome == STREAMER_HIT || a->bytes == u->read_bytes);
    e->accesses++;
    e->hits += a->outcome == STREAMER_HIT;
    e->prefetched += a->outcome == STREAMER_PREFETCHED;
    e->late += a->outcome == STREAMER_LATE;
    e->misses += a->outcome == STREAMER_MISS;
    e->bytes_read += a->bytes;
}

/* One access in order. compute_ns: spun while the unit is held. */
static inline enum lb_status step(struct rig *rig, int64_t compute_ns, struct lb_error *err)
{
    const uint8_t *const *frames;
    struct streamer_access a;
    uint32_t unit = rig->next;
    uint64_t reads = streamer_counters(rig->s).reads;
    enum lb_status s = streamer_acquire(rig->s, unit, &frames, &a, err);
    if (s != LB_OK)
        return s;
    /* Reading ahead inside an access makes it wait, whatever the unit's own outcome. */
    CHECK(!rig->blocking || streamer_counters(rig->s).reads == reads || a.wait_ns > 0);
    record(rig, unit, frames, &a);
    for (int64_t end = lb_now_ns() + compute_ns; lb_now_ns() < end;)
        ;
    streamer_release(rig->s, unit);
    rig->next = (unit + 1) % rig->layout->n_units;
    return LB_OK;
}

static inline void check_counters(struct rig *rig, const char *what)
{
    struct streamer_counters c = streamer_counters(rig->s), *e = &rig->expected;
    CHECK(c.accesses == e->accesses && c.hits == e->hits && c.prefetched == e->prefetched &&
              c.late == e->late && c.misses == e->misses,
          "%s", what);
    CHECK(c.hits + c.prefetched + c.late + c.misses == c.accesses, "%s", what);
    CHECK(c.prefetches_used == c.prefetched + c.late, "%s", what);
    CHECK(c.prefetches_completed >= c.prefetches_used + c.wasted, "%s", what);
    CHECK(c.prefetches_completed <= c.prefetches_used + c.wasted + c.units_cached, "%s", what);
    CHECK(c.prefetches_started >=
              c.prefetches_completed + c.prefetches_cancelled + c.prefetches_failed,
          "%s", what);
    CHECK(c.bytes_read >= e->bytes_read, "%s", what);
    CHECK(c.frames_cached <= c.frames_capacity, "%s", what);
}

/* Everything that runs has ended: what was started is accounted for to the last. */
static inline void check_settled(struct rig *rig, const char *what)
{
    streamer_stop(rig->s);
    struct streamer_counters c = streamer_counters(rig->s);
    CHECK(c.prefetches_started ==
              c.prefetches_completed + c.prefetches_cancelled + c.prefetches_failed,
          "%s", what);
    uint64_t unused = 0;
    for (uint32_t i = 0; i < rig->layout->n_units; i++)
        unused += cache_unit(rig->s->cache, i)->fresh;
    CHECK(c.prefetches_completed == c.prefetches_used + c.wasted + unused, "%s", what);
    check_sane(rig, what);
    check_counters(rig, what);
}

/* ---- its settings ---- */

static const char *const prefetches[] = {"off", "sync", LB_ASYNC_PREFETCH ? "async" : "sync",
                                         "resident"};
static const char *const storages[] = {"memory", "pread", "direct", "mmap"};

static inline struct setting random_setting(struct lb_random *r, const struct model *m)
{
    static const uint64_t units[] = {LAYOUT_UNIT_LAYER, LAYOUT_UNIT_TENSOR, 8192, 30000};
    size_t n_policies, n_schedulers;
    const struct cache_policy *const *policies = cache_policies(&n_policies);
    const struct planner_scheduler *const *schedulers = planner_schedulers(&n_schedulers);
    struct setting x = {.storage = storages[lb_random_below(r, 4)],
                        .unit_bytes = units[lb_random_below(r, 4)]};
    x.o = options(prefetches[lb_random_below(r, 12) ? lb_random_below(r, 3) : 3],
                  policies[lb_random_below(r, (uint32_t)n_policies)]->name,
                  1 + lb_random_below(r, m->n_layers + 1));
    x.o.scheduler = schedulers[lb_random_below(r, (uint32_t)n_schedulers)]->name;
    x.o.protect = lb_random_below(r, 2);
    x.o.prefetch_distance = lb_random_below(r, m->n_layers + 2);
    x.o.max_loads = lb_random_below(r, 2) ? 0 : 1 + lb_random_below(r, 4);
    x.o.queue_depth = 1 + lb_random_below(r, 12);
    x.o.chunk_bytes = 4096u << lb_random_below(r, 5);
    x.o.seed = lb_random_next(r);
    if (lb_random_below(r, 3) == 0) {
        x.o.cache_bytes = 200000 + lb_random_below(r, 400000);
        x.o.cache_layers = 0;
    }
    if (lb_random_below(r, 3) == 0) {
        x.device.bandwidth = 5e8;
        x.device.latency_ns = lb_random_below(r, 50000);
    }
    return x;
}

#endif
