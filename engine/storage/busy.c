/* busy: threads that compute. See busy.h. */
#include "storage/busy.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#define STRETCH ((size_t)1 << 20) /* bytes, or additions, between two looks at the flag */

struct worker {
    _Alignas(64) _Atomic uint64_t work;
    pthread_t thread;
    struct busy *busy;
    uint64_t *memory; /* [bytes / 8] */
    uint64_t sum;     /* so that the work is not optimised away */
};

struct busy {
    size_t bytes; /* of each worker, a multiple of STRETCH or 0 */
    uint32_t n_threads;
    _Atomic bool stop;
    struct worker workers[];
};

/* Four sums, so that loads are not held up by additions. */
static uint64_t sum_of(const void *memory, size_t bytes)
{
    const uint64_t *p = memory;
    uint64_t a = 0, b = 0, c = 0, d = 0;
    for (size_t i = 0; i + 32 <= bytes / sizeof *p; i += 32) {
        for (size_t k = 0; k < 8; k++) {
            a += p[i + k];
            b += p[i + 8 + k];
            c += p[i + 16 + k];
            d += p[i + 24 + k];
        }
    }
    return a + b + c + d;
}

static uint64_t add_in_registers(uint64_t x)
{
    for (size_t i = 0; i < STRETCH; i++)
        x = (x ^ (x >> 7)) + i;
    return x;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct busy *busy = w->busy;
    size_t at = 0;
    if (w->memory)
        memset(w->memory, 1, busy->bytes);
    while (!atomic_load_explicit(&busy->stop, memory_order_relaxed)) {
        if (busy->bytes) {
            w->sum += sum_of(w->memory + at / sizeof *w->memory, STRETCH);
            at = at + STRETCH < busy->bytes ? at + STRETCH : 0;
        } else {
            w->sum = add_in_registers(w->sum);
        }
        atomic_fetch_add_explicit(&w->work, STRETCH, memory_order_relaxed);
    }
    return NULL;
}

enum lb_status busy_start(uint32_t n_threads, size_t bytes, struct busy **busy,
                          struct lb_error *err)
{
    size_t size = sizeof **busy + n_threads * sizeof(struct worker);
    *busy = NULL;
    struct busy *b = lb_alloc_aligned(size, 64);
    if (!b)
        return lb_fail(err, LB_ERR_NOMEM, "out of memory for %u busy threads", n_threads);
    memset(b, 0, size);
    b->bytes = bytes ? (bytes + STRETCH - 1) / STRETCH * STRETCH : 0;
    for (; b->n_threads < n_threads; b->n_threads++) {
        struct worker *w = &b->workers[b->n_threads];
        w->busy = b;
        w->memory = b->bytes ? lb_map(b->bytes) : NULL;
        if ((b->bytes && !w->memory) || pthread_create(&w->thread, NULL, worker_main, w)) {
            lb_unmap(w->memory, b->bytes);
            busy_stop(b);
            return lb_fail(err, LB_ERR_NOMEM, "cannot start %u busy threads with %zu bytes each",
                           n_threads, bytes);
        }
    }
    for (uint32_t i = 0; i < n_threads; i++)
        while (atomic_load_explicit(&b->workers[i].work, memory_order_relaxed) == 0)
            sched_yield();
    *busy = b;
    return LB_OK;
}

uint64_t busy_work(const struct busy *b)
{
    uint64_t work = 0;
    for (uint32_t i = 0; i < b->n_threads; i++)
        work += atomic_load_explicit(&b->workers[i].work, memory_order_relaxed);
    return work;
}

void busy_stop(struct busy *b)
{
    if (!b)
        return;
    atomic_store(&b->stop, true);
    for (uint32_t i = 0; i < b->n_threads; i++) {
        pthread_join(b->workers[i].thread, NULL);
        lb_unmap(b->workers[i].memory, b->bytes);
    }
    lb_free(b);
}
