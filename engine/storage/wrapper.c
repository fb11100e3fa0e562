/* wrapper: completions that are given out when they are due. See wrapper.h. */
#include "storage/wrapper.h"

#include "base/memory.h"
#include "storage/backend.h"

#include <assert.h>
#include <limits.h>
#include <sys/prctl.h>

/* A sleep ends this much before the due time and the rest is spun: about as much as it takes to
 * wake up. Longer spinning would take a core from the computation. */
#define SPIN_NS 25000

enum { INNER_BATCH = 64 };

struct wrapper {
    /* fixed after open */
    struct storage *inner;
    const struct wrapper_hooks *hooks;
    void *own;
    uint32_t depth;
    /* owner's thread */
    struct held *items; /* [depth], in order of submission */
    uint32_t n;
    uint64_t next_id;
    /* atomic */
    _Atomic bool woken;
};

static void close_wrapper(void *ctx)
{
    struct wrapper *w = ctx;
    storage_close(w->inner);
    lb_free(w->own);
    lb_free(w->items);
    lb_free(w);
}

static enum storage_submit submit(void *ctx, const struct storage_read *read)
{
    struct wrapper *w = ctx;
    if (w->n == w->depth)
        return STORAGE_BUSY;
    struct storage_read inner = *read;
    inner.tag = w->next_id;
    int64_t now = lb_now_ns();
    if (storage_submit(w->inner, &inner) == STORAGE_BUSY)
        return STORAGE_BUSY;
    struct held *held = &w->items[w->n++];
    *held = (struct held){.read = *read, .id = w->next_id++, .submit_ns = now, .due_ns = now};
    w->hooks->stamp(w->own, held);
    return STORAGE_QUEUED;
}

/* Waits in the inner storage for `min` of its completions and takes in what there is. */
static void collect(struct wrapper *w, int min, int64_t timeout_ns)
{
    struct storage_done done[INNER_BATCH];
    int n = storage_reap_batch(w->inner, done, min, INNER_BATCH, timeout_ns);
    for (int i = 0; i < n; i++) {
        uint32_t at = 0;
        while (at < w->n && w->items[at].id != done[i].tag)
            at++;
        assert(at < w->n);
        w->items[at].complete = true;
        w->items[at].done = done[i];
        if (w->hooks->finish)
            w->hooks->finish(w->own, &w->items[at]);
    }
}

static int count_due(const struct wrapper *w, int64_t now)
{
    int n = 0;
    for (uint32_t i = 0; i < w->n; i++)
        n += w->items[i].complete && w->items[i].due_ns <= now;
    return n;
}

static void give(const struct wrapper *w, struct held *held, struct storage_done *done)
{
    if (held->faulty)
        w->hooks->spoil(w->own, held);
    *done = held->done;
    done->tag = held->read.tag;
    done->copy = held->read.copy;
    done->submit_ns = held->submit_ns;
    if (done->done_ns < held->due_ns)
        done->done_ns = held->due_ns;
}

/* Gives out what is due, in order of submission, and closes the gaps. */
static int give_due(struct wrapper *w, struct storage_done *done, int max, int64_t now)
{
    int n = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < w->n; i++) {
        struct held *held = &w->items[i];
        if (n < max && held->complete && held->due_ns <= now)
            give(w, held, &done[n++]);
        else
            w->items[kept++] = *held;
    }
    w->n = kept;
    return n;
}

/* When `missing` more of the reads that are complete will be due (INT64_MAX: not so many are);
 * where due times are in no order, when the first of them will be.
 * *inner_first: a read that is not complete could be given out before that time. */
static int64_t next_due(const struct wrapper *w, int missing, int64_t now, bool *inner_first)
{
    int64_t earliest = INT64_MAX;
    *inner_first = false;
    for (uint32_t i = 0; i < w->n; i++) {
        const struct held *held = &w->items[i];
        if (!held->complete)
            *inner_first = true;
        else if (held->due_ns > now && w->hooks->any_order)
            earliest = held->due_ns < earliest ? held->due_ns : earliest;
        else if (held->due_ns > now && --missing == 0)
            return held->due_ns;
    }
    return earliest;
}

/* The kernel may put timers off by 50 us to join them: about as long as many devices take for a
 * read. The setting stays with the thread. */
static void sleep_precisely(void)
{
    static _Thread_local bool set;
    if (!set)
        set = prctl(PR_SET_TIMERSLACK, 1UL) == 0;
}

/* Sleeps (in the inner storage, where a wake ends it) until something may have changed. */
static void wait_until(struct wrapper *w, int64_t due, int64_t deadline, bool inner_first)
{
    int64_t now = lb_now_ns(), end = due < deadline ? due : deadline;
    int min = inner_first ? 1 : INT_MAX;
    sleep_precisely();
    if (end == INT64_MAX)
        collect(w, min, -1);
    else if (end - now > SPIN_NS)
        collect(w, min, end == due ? end - now - SPIN_NS : end - now);
    else
        while (lb_now_ns() < end)
            ;
}

static int reap(void *ctx, struct storage_done *done, int min, int max, int64_t timeout_ns)
{
    struct wrapper *w = ctx;
    int64_t deadline = backend_deadline(timeout_ns);
    for (;;) {
        collect(w, 1, 0);
        int64_t now = lb_now_ns();
        int there = count_due(w, now);
        bool inner_first, woken = timeout_ns != 0 && atomic_exchange(&w->woken, false);
        if (there >= min || now >= deadline || woken)
            return give_due(w, done, max, now);
        int64_t due = next_due(w, min - there, now, &inner_first);
        wait_until(w, due, deadline, inner_first || due == INT64_MAX);
    }
}

static void wake(void *ctx)
{
    struct wrapper *w = ctx;
    atomic_store(&w->woken, true);
    storage_wake(w->inner);
}

static void register_arena(void *ctx, void *arena, size_t bytes)
{
    storage_register_arena(((struct wrapper *)ctx)->inner, arena, bytes);
}

static const void *map(void *ctx)
{
    return storage_map(((struct wrapper *)ctx)->inner);
}

static bool lost(void *ctx)
{
    return storage_lost(((struct wrapper *)ctx)->inner);
}

static void drop(void *ctx, uint64_t offset, uint64_t bytes)
{
    storage_drop(((struct wrapper *)ctx)->inner, offset, bytes);
}

static const struct storage_ops wrapper_ops = {
    .name = "wrapper",
    .about = "completions held back or spoiled",
    .close = close_wrapper,
    .submit = submit,
    .reap = reap,
    .wake = wake,
    .register_arena = register_arena,
    .map = map,
    .lost = lost,
    .drop = drop,
};

enum lb_status wrapper_open(struct storage *inner, uint32_t depth,
                            const struct wrapper_hooks *hooks, void *own, struct storage **storage,
                            struct lb_error *err)
{
    if (depth == 0 || depth > inner->depth)
        depth = inner->depth;
    struct storage *outer = own ? lb_calloc(1, sizeof *outer) : NULL;
    struct wrapper *w = outer ? lb_calloc(1, sizeof *w) : NULL;
    struct held *items = w ? lb_calloc(depth, sizeof *items) : NULL;
    *storage = NULL;
    if (!items) {
        lb_free(w);
        lb_free(outer);
        lb_free(own);
        storage_close(inner);
        return lb_fail(err, LB_ERR_NOMEM, "out of memory for a storage wrapper");
    }
    w->inner = inner;
    w->hooks = hooks;
    w->own = own;
    w->depth = depth;
    w->items = items;
    outer->ops = &wrapper_ops;
    outer->ctx = w;
    outer->backend = inner->backend;
    outer->file_bytes = inner->file_bytes;
    outer->depth = depth;
    outer->n_copies = inner->n_copies;
    inner->chosen = true;
    *storage = outer;
    return LB_OK;
}
