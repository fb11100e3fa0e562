/*
 * async: a background thread brings units while the computation runs.
 *
 *   planner (either thread, under the lock) -> requests -> I/O thread -> reads
 *   reads -> I/O thread -> cache (under the lock) -> bell -> computing thread
 *
 * Who plans when: the I/O thread, whenever its queue has room. If there was nothing to
 * fetch then, it goes to sleep hungry, and the computing thread asks the planner each time
 * the position moves, until there is something; only then the I/O thread is woken.
 * So an access that hits makes no system call.
 *
 * What ended is taken in, and what comes next is begun, under one hold of the lock: a
 * computation that needs unit after unit faster than they come finds the next one always
 * begun, however many arrived together.
 *
 * The channel is bounded by the loads in flight: a unit has at most one load, a load one
 * request, one urge and one cancel. (An urge or a cancel may outlive its load by one turn
 * of the I/O thread; it is without effect then.)
 */
#include "base/memory.h"
#include "prefetch/bell.h"
#include "prefetch/channel.h"
#include "prefetch/driver.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

enum message_kind { MESSAGE_LOAD, MESSAGE_URGE, MESSAGE_CANCEL, MESSAGE_STOP };

struct message {
    enum message_kind kind;
    struct loader_request request; /* of LOAD; of URGE and CANCEL the unit only */
};

struct async {
    struct streamer *s;
    pthread_t thread;
    struct channel *requests; /* struct message; senders hold s->mu */
    struct bell ended;        /* rung after loads were taken in */
    _Atomic bool sleeping;    /* the I/O thread waits for the storage or a wake */
    /* guarded by s->mu */
    bool hungry; /* the I/O thread has room and found nothing to fetch */
    bool *urged; /* [n_units] in flight and urged, or told to cancel */
    bool *cancelled;
    /* I/O thread only */
    bool stopping;
};

/* ---- computing thread, and whoever holds the lock ---- */

static void send_locked(struct async *a, enum message_kind kind, const struct loader_request *r)
{
    struct message message = {.kind = kind};
    if (r)
        message.request = *r;
    bool sent = channel_send(a->requests, &message);
    assert(sent);
    (void)sent;
    if (atomic_load(&a->sleeping))
        storage_wake(a->s->storage);
}

/* Begins loads: all there are of what is revealed, and a prefetch, or all there are for a scheduler
 * that wants them at once. */
static bool plan_locked(struct streamer *s)
{
    struct loader_request request;
    bool any = false;
    while (streamer_plan_locked(s, &request)) {
        send_locked(s->async, MESSAGE_LOAD, &request);
        any = true;
        if (!request.demand && !s->plan.scheduler->eager)
            break;
    }
    return any;
}

static void position_moved_locked(struct streamer *s)
{
    if (s->async->hungry || s->plan.scheduler->eager)
        if (plan_locked(s))
            s->async->hungry = false;
}

static void cancel_locked(struct streamer *s, uint32_t unit)
{
    struct loader_request request = {.unit = unit};
    if (s->async->cancelled[unit])
        return;
    s->async->cancelled[unit] = true;
    send_locked(s->async, MESSAGE_CANCEL, &request);
}

/* Prefetches in flight that are not needed within the distance; all of them for `all`. */
static void cancel_prefetches_locked(struct streamer *s, bool all)
{
    for (uint32_t i = 0; s->n_prefetching > 0 && i < s->n_units; i++) {
        uint64_t next = future_next(s->future, i, s->plan.position, NULL);
        if (cache_unit(s->cache, i)->state == CACHE_LOADING && s->loads[i].prefetch &&
            (all || next - s->plan.position > s->plan.window))
            cancel_locked(s, i);
    }
}

static void trim_locked(struct streamer *s)
{
    cancel_prefetches_locked(s, false);
}

static void urge_locked(struct streamer *s, uint32_t unit)
{
    struct loader_request request = {.unit = unit};
    if (s->loads[unit].prefetch && !s->async->urged[unit])
        send_locked(s->async, MESSAGE_URGE, &request);
    s->async->urged[unit] = true;
}

static void revealed_locked(struct streamer *s, const uint32_t *units, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (cache_unit(s->cache, units[i])->state == CACHE_LOADING)
            urge_locked(s, units[i]);
    if (plan_locked(s))
        s->async->hungry = false;
}

/* One step towards having one of the units: a prefetch of it urged on, the first one's demand load
 * begun. */
static enum lb_status pursue_locked(struct streamer *s, const uint32_t *units, uint32_t n,
                                    struct lb_error *err)
{
    bool is_coming = false;
    for (uint32_t i = 0; i < n; i++) {
        if (cache_unit(s->cache, units[i])->state != CACHE_LOADING)
            continue;
        urge_locked(s, units[i]);
        is_coming = true;
    }
    if (is_coming || s->n_loading - s->n_prefetching > s->max_demands)
        return LB_OK;
    if (planner_make_room(&s->plan, units[0], s->n_loading == 0)) {
        struct planner_step step = {.unit = units[0], .for_access = s->plan.position};
        struct loader_request request = streamer_begin_locked(s, &step, false);
        send_locked(s->async, MESSAGE_LOAD, &request);
        return LB_OK;
    }
    if (s->n_loading == 0)
        return lb_fail(err, LB_ERR_STATE, "unit %u: all units in the cache are in use", units[0]);
    cancel_prefetches_locked(s, true); /* those not begun make way; the others end */
    return LB_OK;
}

static enum lb_status bring_locked(struct streamer *s, const uint32_t *units, uint32_t n,
                                   struct lb_error *err)
{
    struct async *a = s->async;
    for (;;) {
        if (s->broken)
            return streamer_load_error(s, err);
        for (uint32_t i = 0; i < n; i++)
            if (cache_unit(s->cache, units[i])->state == CACHE_RESIDENT)
                return LB_OK;
        enum lb_status status = pursue_locked(s, units, n, err);
        if (status != LB_OK)
            return status;
        uint32_t heard = bell_count(&a->ended);
        pthread_mutex_unlock(&s->mu);
        bell_wait(&a->ended, heard);
        pthread_mutex_lock(&s->mu);
    }
}

/* ---- I/O thread ---- */

static void take_requests(struct async *a)
{
    struct message message;
    while (channel_receive(a->requests, &message)) {
        switch (message.kind) {
        case MESSAGE_LOAD:
            loader_add(a->s->loader, &message.request);
            break;
        case MESSAGE_URGE:
            loader_urge(a->s->loader, message.request.unit);
            break;
        case MESSAGE_CANCEL:
            loader_cancel(a->s->loader, message.request.unit);
            break;
        case MESSAGE_STOP:
            loader_abort(a->s->loader);
            a->stopping = true;
            break;
        }
    }
}

/* Takes in what has ended, then plans: whether there is something new to hand over. */
static bool turn(struct async *a)
{
    struct streamer *s = a->s;
    struct loader_result result;
    bool any = false, ended = false;
    if (!loader_has_ended(s->loader) && (a->stopping || !loader_has_room(s->loader)))
        return false;
    pthread_mutex_lock(&s->mu);
    for (; loader_take(s->loader, &result); ended = true) {
        a->urged[result.unit] = a->cancelled[result.unit] = false;
        streamer_end_locked(s, &result);
    }
    if (!a->stopping && loader_has_room(s->loader)) {
        any = plan_locked(s);
        a->hungry = !any;
    }
    pthread_mutex_unlock(&s->mu);
    if (ended)
        bell_ring(&a->ended);
    return any;
}

static void *io_main(void *arg)
{
    struct async *a = arg;
    struct loader *loader = a->s->loader;
    for (;;) {
        take_requests(a);
        loader_submit(loader);
        if (turn(a))
            continue;
        if (a->stopping && loader_idle(loader))
            return NULL;
        /* whoever sends after this check sees `sleeping` and wakes the storage */
        atomic_store(&a->sleeping, true);
        if (channel_empty(a->requests))
            loader_reap(loader, -1);
        atomic_store(&a->sleeping, false);
    }
}

/* ---- start and stop ---- */

static void async_free(struct async *a)
{
    if (!a)
        return;
    channel_close(a->requests);
    lb_free(a->urged);
    lb_free(a->cancelled);
    lb_free(a);
}

static enum lb_status start(struct streamer *s, struct lb_error *err)
{
    struct async *a = lb_calloc(1, sizeof *a);
    if (!a)
        return lb_fail(err, LB_ERR_NOMEM, "async prefetch: out of memory");
    uint32_t loads = s->max_prefetches + s->max_demands + 1;
    a->s = s;
    a->requests = channel_open(5 * loads + 1, sizeof(struct message));
    a->urged = lb_calloc(s->n_units, sizeof *a->urged);
    a->cancelled = lb_calloc(s->n_units, sizeof *a->cancelled);
    if (!a->requests || !a->urged || !a->cancelled) {
        async_free(a);
        return lb_fail(err, LB_ERR_NOMEM, "async prefetch: out of memory");
    }
    s->async = a;
    int e = pthread_create(&a->thread, NULL, io_main, a);
    if (e) {
        s->async = NULL;
        async_free(a);
        return lb_fail(err, LB_ERR_NOMEM, "async prefetch: cannot start the I/O thread: %s",
                       strerror(e));
    }
    return LB_OK;
}

static void stop(struct streamer *s)
{
    struct async *a = s->async;
    if (!a)
        return; /* stopped before */
    pthread_mutex_lock(&s->mu);
    send_locked(a, MESSAGE_STOP, NULL);
    pthread_mutex_unlock(&s->mu);
    pthread_join(a->thread, NULL);
    assert(s->n_loading == 0);
    s->async = NULL;
    async_free(a);
}

const struct driver_ops driver_async = {
    .name = "async",
    .bring_locked = bring_locked,
    .revealed_locked = revealed_locked,
    .acquired_locked = position_moved_locked,
    .released_locked = position_moved_locked,
    .trim_locked = trim_locked,
    .start = start,
    .stop = stop,
    .looks_ahead = true,
};
