/*
 * uring: O_DIRECT reads through io_uring, one deep queue, no thread of its own.
 *
 * A ring belongs to the thread that uses it (IORING_SETUP_SINGLE_ISSUER): only then
 * does the kernel leave completions alone until the owner wants as many as it waits
 * for (IORING_SETUP_DEFER_TASKRUN), instead of interrupting it for each. When another
 * thread takes the idle queue over, it gets a new ring.
 *
 * wake(): the ring watches an eventfd. A reap may wait for several completions, but a
 * wake must end it alone; so the watch has a tail of no-ops linked to it, as many
 * completions in all as are ever waited for at once.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "storage/backend.h"
#include "storage/sources.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WAKE_TAG UINT64_MAX
enum { WAKE_COMPLETIONS = 8 }; /* of one wake; a wait for more is made in steps of this */

/* The arena is registered in pieces, each when it is first read into: registering touches all
 * pages, which would hold up the start if done for gigabytes at once. */
#define PIECE_BYTES ((size_t)16 << 20)
#define PIECES_MAX  16384u /* the kernel's limit */

struct slot {
    struct storage_read read;
    uint32_t got; /* bytes there so far */
    bool busy;
    int64_t submit_ns;
};

struct uring {
    struct sources sources;
    uint32_t depth;
    int wake_fd;
    /* owner's thread */
    struct io_uring ring;
    bool ring_open;
    int broken; /* not 0: why the ring cannot be used any more */
    pthread_t owner;
    struct slot *slots; /* [depth] */
    uint32_t *free;     /* [depth], stack */
    uint32_t n_free;
    struct storage_done *ready; /* [depth], ring: complete and not given out */
    uint64_t ready_head, ready_tail;
    uint32_t wake_left; /* completions of the armed wake still to come; 0: not armed */
    bool woken;         /* seen, not yet reported */
    /* registered buffers, owner's thread */
    char *arena;
    size_t arena_bytes;
    bool *registered; /* [pieces]; NULL: none, or refused */
    /* atomic: a wake has been written and not been reported */
    _Atomic bool wake_pending;
};

static size_t piece_count(const struct uring *u)
{
    return (u->arena_bytes + PIECE_BYTES - 1) / PIECE_BYTES;
}

static void drop_registration(struct uring *u)
{
    if (u->registered)
        (void)io_uring_unregister_buffers(&u->ring);
    lb_free(u->registered);
    u->registered = NULL;
}

/* Room for the pieces; refused (old kernel, out of memory): reads go on without. */
static void prepare_registration(struct uring *u)
{
    size_t pieces = piece_count(u);
    drop_registration(u);
    if (pieces == 0 || pieces > PIECES_MAX ||
        io_uring_register_buffers_sparse(&u->ring, (unsigned)pieces) < 0)
        return;
    u->registered = lb_calloc(pieces, sizeof *u->registered);
    if (!u->registered)
        (void)io_uring_unregister_buffers(&u->ring);
}

/* The registered piece that [buffer, +bytes) lies in, or -1. */
static int registered_piece(struct uring *u, const char *buffer, size_t bytes)
{
    if (!u->registered || buffer < u->arena || buffer + bytes > u->arena + u->arena_bytes)
        return -1;
    size_t piece = (size_t)(buffer - u->arena) / PIECE_BYTES;
    char *begin = u->arena + piece * PIECE_BYTES;
    size_t size = u->arena_bytes - piece * PIECE_BYTES;
    if (size > PIECE_BYTES)
        size = PIECE_BYTES;
    if (buffer + bytes > begin + size)
        return -1;
    if (!u->registered[piece]) {
        struct iovec iov = {begin, size};
        __u64 tag = 0;
        if (io_uring_register_buffers_update_tag(&u->ring, (unsigned)piece, &iov, &tag, 1) < 0) {
            drop_registration(u); /* RLIMIT_MEMLOCK: the next piece would not fit either */
            return -1;
        }
        u->registered[piece] = true;
    }
    return (int)piece;
}

/* One no-op there and back: a filter of system calls may allow a ring and forbid to enter it. */
static int try_ring(struct uring *u)
{
    struct io_uring_cqe *cqe;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    if (!sqe)
        return -ENOMEM;
    io_uring_prep_nop(sqe);
    int e = io_uring_submit_and_wait(&u->ring, 1);
    if (e >= 0)
        e = io_uring_peek_cqe(&u->ring, &cqe);
    if (e == 0)
        io_uring_cqe_seen(&u->ring, cqe);
    return e;
}

/* The best mode that the kernel has: 6.1, 5.19, or any. */
static int open_ring(struct uring *u)
{
    static const unsigned modes[] = {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
                                     IORING_SETUP_COOP_TASKRUN, 0};
    int e = -EINVAL;
    for (size_t i = 0; i < sizeof modes / sizeof *modes && e == -EINVAL; i++) {
        struct io_uring_params params = {.flags = modes[i]};
        e = io_uring_queue_init_params(u->depth + WAKE_COMPLETIONS, &u->ring, &params);
    }
    if (e >= 0) {
        e = try_ring(u);
        if (e < 0)
            io_uring_queue_exit(&u->ring);
    }
    u->ring_open = e >= 0;
    u->owner = pthread_self();
    u->wake_left = 0;
    return e;
}

static void close_ring(struct uring *u)
{
    drop_registration(u);
    if (u->ring_open)
        io_uring_queue_exit(&u->ring);
    u->ring_open = false;
}

/* 0 when this thread may use the ring; makes a new one after a change of owner. */
static int own_ring(struct uring *u)
{
    if (u->broken)
        return u->broken;
    if (u->ring_open && pthread_equal(u->owner, pthread_self()))
        return 0;
    assert(u->n_free == u->depth); /* no change of owner with reads in flight */
    close_ring(u);
    int e = open_ring(u);
    if (e < 0)
        return e;
    prepare_registration(u);
    return 0;
}

static void complete(struct uring *u, uint32_t slot, int32_t result)
{
    u->ready[u->ready_head++ % u->depth] =
        (struct storage_done){.tag = u->slots[slot].read.tag,
                              .copy = u->slots[slot].read.copy,
                              .result = result,
                              .submit_ns = u->slots[slot].submit_ns,
                              .done_ns = lb_now_ns()};
    u->slots[slot].busy = false;
    u->free[u->n_free++] = slot;
}

/* Queues the next system call of a read, or completes it. The submission queue has room for
 * every slot and a wake, and is emptied at each turn. */
static void advance(struct uring *u, uint32_t slot)
{
    struct slot *s = &u->slots[slot];
    struct source_step step = source_next(&u->sources.of[s->read.copy], &s->read, s->got);
    if (step.bytes == 0) {
        complete(u, slot, (int32_t)s->got);
        return;
    }
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    int piece = registered_piece(u, step.buffer, step.bytes);
    assert(sqe);
    if (piece >= 0)
        io_uring_prep_read_fixed(sqe, step.fd, step.buffer, step.bytes, step.offset, piece);
    else
        io_uring_prep_read(sqe, step.fd, step.buffer, step.bytes, step.offset);
    io_uring_sqe_set_data64(sqe, slot);
}

static void arm_wake(struct uring *u)
{
    for (u->wake_left = 0; u->wake_left < WAKE_COMPLETIONS; u->wake_left++) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
        assert(sqe);
        if (u->wake_left == 0)
            io_uring_prep_poll_add(sqe, u->wake_fd, POLLIN);
        else
            io_uring_prep_nop(sqe);
        if (u->wake_left < WAKE_COMPLETIONS - 1)
            sqe->flags |= IOSQE_IO_LINK;
        io_uring_sqe_set_data64(sqe, WAKE_TAG);
    }
}

static void take(struct uring *u, const struct io_uring_cqe *cqe)
{
    if (cqe->user_data == WAKE_TAG) {
        if (u->wake_left-- == WAKE_COMPLETIONS)
            u->woken = true;
        return;
    }
    uint32_t slot = (uint32_t)cqe->user_data;
    if (cqe->res > 0)
        u->slots[slot].got += (uint32_t)cqe->res;
    if (cqe->res > 0 || cqe->res == -EINTR || cqe->res == -EAGAIN)
        advance(u, slot);
    else /* an error, or the file has shrunk */
        complete(u, slot, cqe->res < 0 ? cqe->res : (int32_t)u->slots[slot].got);
}

static void take_all(struct uring *u)
{
    struct io_uring_cqe *cqe;
    unsigned head, n = 0;
    io_uring_for_each_cqe(&u->ring, head, cqe)
    {
        take(u, cqe);
        n++;
    }
    io_uring_cq_advance(&u->ring, n);
}

/* The kernel takes nothing more from this process: what is in flight has failed. */
static void fail_all(struct uring *u, int e)
{
    close_ring(u);
    for (uint32_t slot = 0; slot < u->depth; slot++)
        if (u->slots[slot].busy)
            complete(u, slot, e);
    u->broken = e;
}

/* Submits what is queued and waits for `n` completions, until the deadline or a signal. */
static void wait_for(struct uring *u, uint64_t n, int64_t deadline)
{
    struct io_uring_cqe *cqe;
    int64_t left = deadline - lb_now_ns();
    struct __kernel_timespec ts = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
    if (left <= 0)
        return;
    int e = io_uring_submit_and_wait_timeout(
        &u->ring, &cqe, (unsigned)(n < WAKE_COMPLETIONS ? n : WAKE_COMPLETIONS),
        deadline == INT64_MAX ? NULL : &ts, NULL);
    if (e >= 0 || e == -ETIME || e == -EINTR || e == -EAGAIN || e == -EBUSY || e == -ENOMEM)
        take_all(u);
    else
        fail_all(u, e);
}

/* Without a ring every read has failed at once, so that there is only a wake to wait for. */
static void wait_without_ring(struct uring *u, int64_t timeout_ns)
{
    struct pollfd wake = {.fd = u->wake_fd, .events = POLLIN};
    struct timespec ts = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
    if (u->ready_tail == u->ready_head)
        u->woken = ppoll(&wake, 1, timeout_ns < 0 ? NULL : &ts, NULL) > 0;
}

static void forget_wake(struct uring *u)
{
    eventfd_t count;
    if (!u->woken)
        return;
    (void)eventfd_read(u->wake_fd, &count);
    u->woken = false;
    /* Last: a wake before this adds nothing, but its cause is visible to the caller. */
    atomic_exchange(&u->wake_pending, false);
}

static int uring_reap(void *ctx, struct storage_done *done, int min, int max, int64_t timeout_ns)
{
    struct uring *u = ctx;
    int64_t deadline = backend_deadline(timeout_ns);
    if (own_ring(u) < 0) {
        wait_without_ring(u, timeout_ns);
    } else if (timeout_ns == 0) {
        io_uring_submit_and_get_events(&u->ring);
        take_all(u);
    } else {
        take_all(u);
        uint64_t there;
        while ((there = u->ready_head - u->ready_tail) < (uint64_t)min && !u->woken && !u->broken &&
               lb_now_ns() < deadline) {
            if (u->wake_left == 0)
                arm_wake(u);
            wait_for(u, (uint64_t)min - there, deadline);
        }
    }
    if (timeout_ns != 0)
        forget_wake(u);
    int n = 0;
    for (; n < max && u->ready_tail != u->ready_head; n++)
        done[n] = u->ready[u->ready_tail++ % u->depth];
    return n;
}

static enum storage_submit uring_submit(void *ctx, const struct storage_read *read)
{
    struct uring *u = ctx;
    if (u->n_free <= u->ready_head - u->ready_tail)
        return STORAGE_BUSY;
    int e = own_ring(u);
    uint32_t slot = u->free[--u->n_free];
    u->slots[slot] = (struct slot){.read = *read, .busy = true, .submit_ns = lb_now_ns()};
    if (e < 0) {
        complete(u, slot, e);
    } else {
        advance(u, slot);
        (void)io_uring_submit(&u->ring); /* what is refused now goes with the next reap */
    }
    return STORAGE_QUEUED;
}

static void uring_wake(void *ctx)
{
    struct uring *u = ctx;
    if (!atomic_exchange(&u->wake_pending, true))
        (void)eventfd_write(u->wake_fd, 1);
}

static void uring_register_arena(void *ctx, void *arena, size_t bytes)
{
    struct uring *u = ctx;
    u->arena = arena;
    u->arena_bytes = bytes;
    if (own_ring(u) == 0)
        prepare_registration(u);
}

static void destroy(struct uring *u)
{
    close_ring(u);
    sources_close(&u->sources);
    if (u->wake_fd >= 0)
        close(u->wake_fd);
    lb_free(u->ready);
    lb_free(u->free);
    lb_free(u->slots);
    lb_free(u);
}

static void uring_close(void *ctx)
{
    struct uring *u = ctx;
    while (u->n_free < u->depth) { /* reads in flight write into buffers of the caller */
        assert(pthread_equal(u->owner, pthread_self()));
        wait_for(u, 1, INT64_MAX);
    }
    destroy(u);
}

static enum lb_status uring_open(const char *path, const struct storage_options *options,
                                 void **ctx, uint64_t *file_bytes, struct lb_error *err)
{
    struct uring *u = lb_calloc(1, sizeof *u);
    if (!u)
        return lb_fail(err, LB_ERR_NOMEM, "out of memory for the storage back-end");
    u->depth = options->queue_depth;
    u->wake_fd = -1;
    enum lb_status status = sources_open(path, options->copies, true, &u->sources, err);
    if (status != LB_OK)
        goto fail;
    u->slots = lb_calloc(u->depth, sizeof *u->slots);
    u->free = lb_calloc(u->depth, sizeof *u->free);
    u->ready = lb_calloc(u->depth, sizeof *u->ready);
    if (!u->slots || !u->free || !u->ready) {
        status = lb_fail(err, LB_ERR_NOMEM, "out of memory for the storage back-end");
        goto fail;
    }
    for (; u->n_free < u->depth; u->n_free++)
        u->free[u->n_free] = u->n_free;
    u->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (u->wake_fd < 0) {
        status = lb_fail(err, LB_ERR_UNSUPPORTED, "eventfd: %s", strerror(errno));
        goto fail;
    }
    int e = open_ring(u);
    if (e < 0) {
        status = lb_fail(err, LB_ERR_UNSUPPORTED, "io_uring: %s", strerror(-e));
        goto fail;
    }
    *file_bytes = u->sources.of[0].bytes;
    *ctx = u;
    return LB_OK;
fail:
    destroy(u);
    return status;
}

const struct storage_ops storage_uring_ops = {
    .name = "uring",
    .about = "io_uring with O_DIRECT: one deep queue, no reader threads",
    .copies = true,
    .direct = true,
    .open = uring_open,
    .close = uring_close,
    .submit = uring_submit,
    .reap = uring_reap,
    .wake = uring_wake,
    .register_arena = uring_register_arena,
};
