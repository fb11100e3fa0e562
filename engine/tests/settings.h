/* settings: streaming settings drawn at random, for tests of what they must not change. */
#ifndef TESTS_SETTINGS_H
#define TESTS_SETTINGS_H

#include "base/random.h"
#include "engine.h"
#include "storage/storage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How many settings a test tries: LAYERBENCH_LONG=1 asks for many. */
static inline int settings_count(void)
{
    return getenv("LAYERBENCH_LONG") ? 1000 : 60;
}

static inline const char *settings_pick(struct lb_random *r, const char *const *list, uint32_t n)
{
    return list[lb_random_below(r, n)];
}

static inline const char *settings_choice(struct lb_random *r, const char *kind)
{
    struct lb_choice choice = {.name = NULL};
    uint32_t n = 0;
    while (lb_choice_at(kind, n, &choice))
        n++;
    lb_choice_at(kind, lb_random_below(r, n), &choice);
    return choice.name;
}

/* The storage, or what there is where it does not work (containers, file systems in memory). */
static inline const char *settings_storage(const char *name, const char *path)
{
    return storage_available(name, path, NULL) ? name : "auto";
}

/* Streaming settings drawn at random, on top of `o`; the cache holds 1 to `layers` layers. */
static inline struct lb_options settings_random(struct lb_options o, uint32_t layers,
                                                struct lb_random *r)
{
    static const char *const prefetch[] = {"off", "sync", LB_ASYNC_PREFETCH ? "async" : "sync"};
    static const char *const scheduler[] = {"fixed", "horizon", "aggressive", "conservative",
                                            "forestall"};
    static const char *const storage[] = {"memory", "mmap", "pread", "direct", "uring"};
    static const uint64_t units[] = {0, 1, 2, 2, 65536, 300000, 1u << 20};
    o.prefetch = settings_pick(r, prefetch, 3);
    o.replacement = settings_choice(r, "replacement");
    while (strcmp(o.predict = settings_choice(r, "predict"), "clairvoyant") == 0)
        ; /* of replays */
    o.predict_depth = 1 + lb_random_below(r, 4);
    o.scheduler = settings_pick(r, scheduler, 5);
    o.storage = settings_storage(settings_pick(r, storage, 5), o.model_path);
    o.unit_bytes = units[lb_random_below(r, 7)];
    o.cache_layers = 1 + lb_random_below(r, layers);
    o.prefetch_distance = lb_random_below(r, 5);
    o.protect = lb_random_below(r, 2);
    o.threads = 1 + lb_random_below(r, 3);
    o.queue_depth = 1 + lb_random_below(r, 16);
    o.chunk_bytes = 4096u << lb_random_below(r, 9);
    o.io_threads = 1 + lb_random_below(r, 3);
    o.seed = lb_random_next(r);
    if (lb_random_below(r, 4) == 0)
        o.device_bandwidth = 2e9;
    return o;
}

/* One line that names a setting, so that a failure can be repeated. */
static inline const char *settings_text(const struct lb_options *o)
{
    static char text[256];
    snprintf(text, sizeof text,
             "%s %s %s %s predict %s %u resident %s unit %" PRIu64 " C %u bytes %" PRIu64
             " d %u protect %d",
             o->prefetch, o->replacement, o->scheduler, o->storage, o->predict, o->predict_depth,
             o->resident, o->unit_bytes, o->cache_layers, o->cache_bytes, o->prefetch_distance,
             o->protect);
    return text;
}

#endif
