/* pool: compute threads with short spinning and futex parking. See pool.h. */
#include "base/pool.h"

#include "base/memory.h"
#include "base/pause.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPINS  4000 /* pauses before parking: 30 to 100 us on current processors */
#define CLOSED (1u << 31)

struct worker {
    struct lb_pool *pool;
    pthread_t thread;
    int index;
};

struct lb_pool {
    /* fixed after open */
    int n_threads;
    struct worker *workers; /* n_threads - 1 */
    /* written by the caller while the crew is empty and closed */
    lb_pool_fn fn;
    void *ctx;
    /* atomic */
    _Alignas(64) _Atomic uint32_t generation; /* moves by one a job; parked workers wait on it */
    _Atomic bool closing;
    _Alignas(64) _Atomic uint32_t parked; /* workers asleep on generation */
    _Alignas(64) _Atomic uint32_t crew;   /* workers in the job; CLOSED: nobody may join */
    _Atomic bool caller_parked;           /* the caller sleeps on crew */
};

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, (uint32_t *)word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, (uint32_t *)word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Returns the generation after `seen`, or a later one. */
static uint32_t wait_for_change(struct lb_pool *pool, uint32_t seen)
{
    uint32_t now;
    for (int i = 0; i < SPINS; i++) {
        now = atomic_load_explicit(&pool->generation, memory_order_acquire);
        if (now != seen)
            return now;
        lb_pause();
    }
    atomic_fetch_add(&pool->parked, 1);
    while ((now = atomic_load(&pool->generation)) == seen)
        futex_wait(&pool->generation, seen);
    atomic_fetch_sub(&pool->parked, 1);
    return now;
}

/* False when the job is over already. */
static bool join_crew(struct lb_pool *pool)
{
    uint32_t crew = atomic_load(&pool->crew);
    while (!(crew & CLOSED))
        if (atomic_compare_exchange_weak(&pool->crew, &crew, crew + 1))
            return true;
    return false;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct lb_pool *pool = w->pool;
    uint32_t seen = 0;
    for (;;) {
        seen = wait_for_change(pool, seen);
        if (atomic_load(&pool->closing))
            return NULL;
        if (!join_crew(pool))
            continue;
        pool->fn(pool->ctx, w->index, pool->n_threads);
        if (atomic_fetch_sub(&pool->crew, 1) == (CLOSED | 1) && atomic_load(&pool->caller_parked))
            futex_wake(&pool->crew);
    }
}

static void start_generation(struct lb_pool *pool)
{
    atomic_fetch_add(&pool->generation, 1);
    if (atomic_load(&pool->parked) > 0)
        futex_wake(&pool->generation);
}

void lb_pool_run(struct lb_pool *pool, lb_pool_fn fn, void *ctx)
{
    if (pool->n_threads == 1) {
        fn(ctx, 0, 1);
        return;
    }
    pool->fn = fn;
    pool->ctx = ctx;
    atomic_store(&pool->crew, 0);
    start_generation(pool);
    fn(ctx, 0, pool->n_threads);
    uint32_t left = atomic_fetch_or(&pool->crew, CLOSED) | CLOSED;
    for (int i = 0; left != CLOSED; i++, left = atomic_load(&pool->crew)) {
        if (i < SPINS) {
            lb_pause();
            continue;
        }
        atomic_store(&pool->caller_parked, true);
        while ((left = atomic_load(&pool->crew)) != CLOSED)
            futex_wait(&pool->crew, left);
        atomic_store(&pool->caller_parked, false);
    }
}

static void stop_workers(struct lb_pool *pool, int started)
{
    atomic_store(&pool->closing, true);
    start_generation(pool);
    for (int i = 0; i < started; i++)
        pthread_join(pool->workers[i].thread, NULL);
}

enum lb_status lb_pool_open(int n_threads, struct lb_pool **out, struct lb_error *err)
{
    *out = NULL;
    if (n_threads < 1 || n_threads > LB_SHARE_MAX)
        return lb_fail(err, LB_ERR_INPUT, "threads: %d: expected 1 to %d", n_threads, LB_SHARE_MAX);
    struct lb_pool *pool = lb_alloc_aligned(sizeof *pool, 64);
    if (!pool)
        return lb_fail(err, LB_ERR_NOMEM, "thread pool: out of memory");
    *pool = (struct lb_pool){.n_threads = n_threads, .crew = CLOSED};
    pool->workers = lb_calloc((size_t)n_threads, sizeof *pool->workers);
    if (!pool->workers) {
        lb_free(pool);
        return lb_fail(err, LB_ERR_NOMEM, "thread pool: out of memory");
    }
    for (int i = 0; i < n_threads - 1; i++) {
        pool->workers[i] = (struct worker){.pool = pool, .index = i + 1};
        int e = pthread_create(&pool->workers[i].thread, NULL, worker_main, &pool->workers[i]);
        if (e != 0) {
            stop_workers(pool, i);
            lb_free(pool->workers);
            lb_free(pool);
            return lb_fail(err, LB_ERR_NOMEM, "thread pool: cannot start thread %d of %d: %s",
                           i + 2, n_threads, strerror(e));
        }
    }
    *out = pool;
    return LB_OK;
}

void lb_pool_close(struct lb_pool *pool)
{
    if (!pool)
        return;
    stop_workers(pool, pool->n_threads - 1);
    lb_free(pool->workers);
    lb_free(pool);
}

int lb_pool_threads(const struct lb_pool *pool)
{
    return pool->n_threads;
}

/* What everything begins at multiples of: the largest power of two that divides chunk */
static uint32_t step_of(uint32_t chunk)
{
    return chunk & -chunk;
}

void lb_share_reset(struct lb_share *share, uint32_t n_items, uint32_t chunk, int n_threads)
{
    const uint32_t step = step_of(chunk);
    const uint64_t n_steps = ((uint64_t)n_items + step - 1) / step;
    share->chunk = chunk;
    share->n_parts = n_threads;
    for (int i = 0; i < n_threads; i++) {
        uint64_t begin = n_steps * (uint64_t)i / (uint64_t)n_threads * step;
        uint64_t end = n_steps * (uint64_t)(i + 1) / (uint64_t)n_threads * step;
        atomic_store_explicit(&share->part[i].next, (uint32_t)begin, memory_order_relaxed);
        share->part[i].end = (uint32_t)(end < n_items ? end : n_items);
    }
}

/* How many of the items that are left in a part to take */
static uint32_t share_of(const struct lb_share *share, uint32_t left)
{
    const uint32_t chunk = share->chunk, step = step_of(chunk);
    uint32_t half = left / 2 / step * step, least = (chunk / 4 / step + 1) * step;
    uint32_t n = half < least ? least : half < chunk ? half : chunk;
    return n < left ? n : left;
}

bool lb_share_next(struct lb_share *share, int thread, uint32_t *begin, uint32_t *end)
{
    for (int i = 0; i < share->n_parts; i++) {
        struct lb_share_part *part = &share->part[(thread + i) % share->n_parts];
        uint32_t at = atomic_load_explicit(&part->next, memory_order_relaxed);
        while (at < part->end) {
            uint32_t n = share_of(share, part->end - at);
            if (!atomic_compare_exchange_weak_explicit(&part->next, &at, at + n,
                                                       memory_order_relaxed, memory_order_relaxed))
                continue;
            *begin = at;
            *end = at + n;
            return true;
        }
    }
    return false;
}
