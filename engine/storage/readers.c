/* readers: a pool of blocking readers behind a queue. See readers.h. */
#include "storage/readers.h"

#include "base/clock.h"
#include "base/memory.h"

#include <pthread.h>
#include <string.h>

struct job {
    struct storage_read read;
    int64_t submit_ns;
};

struct readers {
    /* fixed after open */
    readers_fn fn;
    void *own;
    uint32_t depth;
    uint32_t n_threads;
    pthread_t *threads;
    struct job *jobs;          /* [depth], ring */
    struct storage_done *done; /* [depth], ring */
    bool synchronised;         /* mu and the condition variables are initialised */

    pthread_mutex_t mu;
    pthread_cond_t work;      /* readers wait for a job, or for the end */
    pthread_cond_t completed; /* the owner waits for completions, or for a wake */
    /* guarded by mu; heads and tails count up for ever */
    uint64_t job_head, job_tail, done_head, done_tail;
    uint32_t in_flight; /* submitted and not reaped */
    uint64_t wanted;    /* completions at which the owner wants to be woken; 0: it does not wait */
    bool woken, closing;
};

static void *reader_main(void *arg)
{
    struct readers *r = arg;
    pthread_mutex_lock(&r->mu);
    for (;;) {
        while (!r->closing && r->job_tail == r->job_head)
            pthread_cond_wait(&r->work, &r->mu);
        if (r->closing)
            break;
        struct job job = r->jobs[r->job_tail++ % r->depth];
        pthread_mutex_unlock(&r->mu);
        int32_t result = r->fn(r->own, &job.read);
        int64_t now = lb_now_ns();
        pthread_mutex_lock(&r->mu);
        r->done[r->done_head++ % r->depth] = (struct storage_done){.tag = job.read.tag,
                                                                   .copy = job.read.copy,
                                                                   .result = result,
                                                                   .submit_ns = job.submit_ns,
                                                                   .done_ns = now};
        if (r->wanted && r->done_head - r->done_tail >= r->wanted)
            pthread_cond_signal(&r->completed);
    }
    pthread_mutex_unlock(&r->mu);
    return NULL;
}

static void init_synchronisation(struct readers *r)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&r->mu, NULL);
    pthread_cond_init(&r->work, NULL);
    pthread_cond_init(&r->completed, &attr);
    pthread_condattr_destroy(&attr);
    r->synchronised = true;
}

/* Ends the threads and frees the pool, which may be half made. */
static void destroy(struct readers *r)
{
    if (r->synchronised) {
        pthread_mutex_lock(&r->mu);
        r->closing = true;
        pthread_cond_broadcast(&r->work);
        pthread_mutex_unlock(&r->mu);
        for (uint32_t i = 0; i < r->n_threads; i++)
            pthread_join(r->threads[i], NULL);
        pthread_cond_destroy(&r->completed);
        pthread_cond_destroy(&r->work);
        pthread_mutex_destroy(&r->mu);
    }
    lb_free(r->done);
    lb_free(r->jobs);
    lb_free(r->threads);
    lb_free(r);
}

enum lb_status readers_open(const struct storage_options *options, readers_fn fn, void *own,
                            void **ctx, struct lb_error *err)
{
    struct readers *r = lb_calloc(1, sizeof *r);
    if (!r)
        return lb_fail(err, LB_ERR_NOMEM, "out of memory for the reader pool");
    r->fn = fn;
    r->own = own;
    r->depth = options->queue_depth;
    r->threads = lb_calloc(options->io_threads, sizeof *r->threads);
    r->jobs = lb_calloc(r->depth, sizeof *r->jobs);
    r->done = lb_calloc(r->depth, sizeof *r->done);
    if (!r->threads || !r->jobs || !r->done) {
        destroy(r);
        return lb_fail(err, LB_ERR_NOMEM, "out of memory for the reader pool");
    }
    init_synchronisation(r);
    for (; r->n_threads < options->io_threads; r->n_threads++) {
        int e = pthread_create(&r->threads[r->n_threads], NULL, reader_main, r);
        if (e) {
            lb_fail(err, LB_ERR_NOMEM, "cannot start reader thread %u of %u: %s", r->n_threads + 1,
                    options->io_threads, strerror(e));
            destroy(r);
            return LB_ERR_NOMEM;
        }
    }
    *ctx = r;
    return LB_OK;
}

void *readers_own(void *ctx)
{
    return ((struct readers *)ctx)->own;
}

void *readers_close(void *ctx)
{
    void *own = readers_own(ctx);
    destroy(ctx);
    return own;
}

enum storage_submit readers_submit(void *ctx, const struct storage_read *read)
{
    struct readers *r = ctx;
    enum storage_submit result = STORAGE_BUSY;
    pthread_mutex_lock(&r->mu);
    if (r->in_flight < r->depth) {
        r->in_flight++;
        r->jobs[r->job_head++ % r->depth] = (struct job){*read, lb_now_ns()};
        pthread_cond_signal(&r->work);
        result = STORAGE_QUEUED;
    }
    pthread_mutex_unlock(&r->mu);
    return result;
}

/* Sleeps until `min` completions, a wake, or the deadline. */
static void wait_locked(struct readers *r, int min, int64_t timeout_ns)
{
    int64_t deadline = lb_now_ns() + (timeout_ns > 0 ? timeout_ns : 0);
    struct timespec at = {.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000};
    int e = 0;
    r->wanted = (uint64_t)min;
    while (r->done_head - r->done_tail < r->wanted && !r->woken && e == 0)
        e = timeout_ns < 0 ? pthread_cond_wait(&r->completed, &r->mu)
                           : pthread_cond_timedwait(&r->completed, &r->mu, &at);
    r->wanted = 0;
    r->woken = false;
}

int readers_reap(void *ctx, struct storage_done *done, int min, int max, int64_t timeout_ns)
{
    struct readers *r = ctx;
    int n = 0;
    pthread_mutex_lock(&r->mu);
    if (timeout_ns != 0)
        wait_locked(r, min, timeout_ns);
    for (; n < max && r->done_tail != r->done_head; n++, r->in_flight--)
        done[n] = r->done[r->done_tail++ % r->depth];
    pthread_mutex_unlock(&r->mu);
    return n;
}

void readers_wake(void *ctx)
{
    struct readers *r = ctx;
    pthread_mutex_lock(&r->mu);
    r->woken = true;
    pthread_cond_signal(&r->completed);
    pthread_mutex_unlock(&r->mu);
}
