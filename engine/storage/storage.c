/* storage: the list of back-ends, opening one or the best, counters, blocking reads. */
#include "base/memory.h"
#include "storage/backend.h"
#include "storage/sources.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX      1024u
#define IO_THREADS_MAX 256u
#define READ_MAX       ((uint32_t)1 << 30)

static const struct storage_ops *const backends[] = {
#define ENTRY(name) &storage_##name##_ops,
    STORAGE_BACKENDS(ENTRY)
#undef ENTRY
};
enum { N_BACKENDS = sizeof backends / sizeof *backends };

const struct storage_ops *const *storage_list(size_t *count)
{
    *count = N_BACKENDS;
    return backends;
}

bool storage_is_tried(const struct storage_ops *ops)
{
    return !ops->map && !ops->copied;
}

static const struct storage_ops *find(const char *name)
{
    for (size_t i = 0; i < N_BACKENDS; i++)
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i];
    return NULL;
}

static enum lb_status unknown_name(const char *name, struct lb_error *err)
{
    char names[128] = " auto";
    for (size_t i = 0, at = strlen(names); i < N_BACKENDS && at < sizeof names; i++)
        at += (size_t)snprintf(names + at, sizeof names - at, " %s", backends[i]->name);
    return lb_fail(err, LB_ERR_INPUT, "storage '%s': expected one of%s", name, names);
}

static enum lb_status check_options(const struct storage_options *options, struct lb_error *err)
{
    if (options->queue_depth < 1 || options->queue_depth > DEPTH_MAX)
        return lb_fail(err, LB_ERR_INPUT, "queue_depth %u: expected 1 to %u", options->queue_depth,
                       DEPTH_MAX);
    if (options->io_threads < 1 || options->io_threads > IO_THREADS_MAX)
        return lb_fail(err, LB_ERR_INPUT, "io_threads %u: expected 1 to %u", options->io_threads,
                       IO_THREADS_MAX);
    return LB_OK;
}

static void check_ops(const struct storage_ops *ops)
{
    assert(ops->name && ops->about && ops->open && ops->close && ops->submit && ops->reap &&
           ops->wake);
    (void)ops;
}

static enum lb_status open_one(const struct storage_ops *ops, const char *path,
                               const struct storage_options *options, struct storage **storage,
                               struct lb_error *err)
{
    check_ops(ops);
    const uint32_t n_copies = sources_count(options->copies);
    struct storage *s = lb_calloc(1, sizeof *s);
    if (!s)
        return lb_fail(err, LB_ERR_NOMEM, "out of memory for the storage");
    enum lb_status status =
        n_copies == 1 || ops->copies
            ? ops->open(path, options, &s->ctx, &s->file_bytes, err)
            : lb_fail(err, LB_ERR_INPUT,
                      "storage '%s' reads one file: with copies of the model expected pread, "
                      "direct or uring",
                      ops->name);
    if (status != LB_OK) {
        lb_free(s);
        return status;
    }
    s->ops = s->backend = ops;
    s->depth = options->queue_depth;
    s->n_copies = n_copies;
    *storage = s;
    return LB_OK;
}

/* The best back-end that works for this file; `notice` says why a better one does not. */
static enum lb_status open_best(const char *path, const struct storage_options *options,
                                char *notice, size_t notice_size, struct storage **storage,
                                struct lb_error *err)
{
    size_t at = 0;
    for (size_t i = N_BACKENDS; i-- > 0;) {
        struct lb_error why = LB_ERROR_INIT;
        if (!storage_is_tried(backends[i]))
            continue;
        if (at > 0 && at < notice_size)
            at += (size_t)snprintf(notice + at, notice_size - at, ": using %s", backends[i]->name);
        enum lb_status status = open_one(backends[i], path, options, storage, &why);
        if (status != LB_ERR_UNSUPPORTED)
            return status == LB_OK ? LB_OK : lb_fail(err, status, "%s", why.text);
        if (at < notice_size)
            at += (size_t)snprintf(notice + at, notice_size - at,
                                   "%sstorage %s is not available (%s)", at ? "; " : "",
                                   backends[i]->name, why.text);
    }
    return lb_fail(err, LB_ERR_UNSUPPORTED, "%s: no storage works here", path);
}

enum lb_status storage_open(const char *name, const char *path,
                            const struct storage_options *options, char *notice, size_t notice_size,
                            struct storage **storage, struct lb_error *err)
{
    const struct storage_ops *ops = find(name);
    struct lb_error why = LB_ERROR_INIT;
    *storage = NULL;
    if (notice_size)
        notice[0] = '\0';
    if (!ops && strcmp(name, "auto") != 0)
        return unknown_name(name, err);
    enum lb_status status = check_options(options, err);
    if (status != LB_OK)
        return status;
    if (!ops)
        return open_best(path, options, notice, notice_size, storage, err);
    status = open_one(ops, path, options, storage, &why);
    if (status == LB_ERR_UNSUPPORTED)
        return lb_fail(err, status, "storage %s is not available (%s): 'auto' takes what there is",
                       name, why.text);
    return status == LB_OK ? LB_OK : lb_fail(err, status, "%s", why.text);
}

bool storage_available(const char *name, const char *path, struct lb_error *why)
{
    struct storage *storage;
    const struct storage_ops *ops = find(name);
    const struct storage_options options = {.queue_depth = 1, .io_threads = 1};
    if (!ops) {
        unknown_name(name, why);
        return false;
    }
    if (open_one(ops, path, &options, &storage, why) != LB_OK)
        return false;
    storage_close(storage);
    return true;
}

void storage_close(struct storage *s)
{
    if (!s)
        return;
    s->ops->close(s->ctx);
    lb_free(s);
}

/* The copy with the shortest queue; of equals the one after the last. */
static uint32_t choose_copy(const struct storage *s)
{
    uint32_t best = (s->last_copy + 1) % s->n_copies;
    for (uint32_t i = 1; i < s->n_copies; i++) {
        uint32_t copy = (s->last_copy + 1 + i) % s->n_copies;
        best = s->queued[copy] < s->queued[best] ? copy : best;
    }
    return best;
}

enum storage_submit storage_submit(struct storage *s, const struct storage_read *read)
{
    assert(read->bytes > 0 && read->bytes <= READ_MAX);
    assert(read->buffer || s->ops->map);
    assert(!s->backend->direct ||
           (read->offset % STORAGE_ALIGN == 0 && (uintptr_t)read->buffer % STORAGE_ALIGN == 0 &&
            (read->bytes % STORAGE_ALIGN == 0 || read->offset + read->bytes >= s->file_bytes)));
    struct storage_read to_copy = *read;
    if (s->n_copies > 1 && !s->chosen)
        to_copy.copy = choose_copy(s);
    enum storage_submit result = s->ops->submit(s->ctx, &to_copy);
    if (result == STORAGE_QUEUED) {
        s->in_flight++;
        s->queued[to_copy.copy]++;
        s->last_copy = to_copy.copy;
    }
    return result;
}

static void count(struct storage *s, const struct storage_done *done)
{
    s->queued[done->copy]--;
    if (done->result < 0) {
        atomic_fetch_add_explicit(&s->errors, 1, memory_order_relaxed);
        return;
    }
    atomic_fetch_add_explicit(&s->reads, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->bytes, (uint64_t)done->result, memory_order_relaxed);
}

int storage_reap_batch(struct storage *s, struct storage_done *done, int min, int max,
                       int64_t timeout_ns)
{
    assert(max > 0);
    if (min > max)
        min = max;
    if (min > (int)s->in_flight)
        min = (int)s->in_flight;
    if (min < 1)
        min = 1;
    int n = s->ops->reap(s->ctx, done, min, max, timeout_ns);
    for (int i = 0; i < n; i++)
        count(s, &done[i]);
    s->in_flight -= (uint32_t)n;
    return n;
}

int storage_reap(struct storage *s, struct storage_done *done, int max, int64_t timeout_ns)
{
    return storage_reap_batch(s, done, 1, max, timeout_ns);
}

void storage_wake(struct storage *s)
{
    s->ops->wake(s->ctx);
}

void storage_register_arena(struct storage *s, void *arena, size_t bytes)
{
    if (s->ops->register_arena)
        s->ops->register_arena(s->ctx, arena, bytes);
}

const void *storage_map(struct storage *s)
{
    return s->ops->map ? s->ops->map(s->ctx) : NULL;
}

bool storage_lost(struct storage *s)
{
    return s->ops->lost && s->ops->lost(s->ctx);
}

void storage_drop(struct storage *s, uint64_t offset, uint64_t bytes)
{
    if (s->ops->drop)
        s->ops->drop(s->ctx, offset, bytes);
}

const char *storage_name(const struct storage *s)
{
    return s->backend->name;
}

bool storage_copied(const struct storage *s)
{
    return s->backend->copied;
}

uint32_t storage_align(const struct storage *s)
{
    return s->backend->direct ? STORAGE_ALIGN : 1;
}

uint64_t storage_file_bytes(const struct storage *s)
{
    return s->file_bytes;
}

uint32_t storage_copies(const struct storage *s)
{
    return s->n_copies;
}

uint32_t storage_depth(const struct storage *s)
{
    return s->depth;
}

struct storage_counters storage_counters(const struct storage *s)
{
    return (struct storage_counters){
        .reads = atomic_load_explicit(&s->reads, memory_order_relaxed),
        .bytes = atomic_load_explicit(&s->bytes, memory_order_relaxed),
        .errors = atomic_load_explicit(&s->errors, memory_order_relaxed),
    };
}
