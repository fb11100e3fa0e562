/*
 * pread and direct: blocking pread() by a pool of readers, through the page cache or
 * past it (O_DIRECT).
 */
#include "base/memory.h"
#include "storage/backend.h"
#include "storage/readers.h"
#include "storage/sources.h"

static int32_t read_one(void *own, const struct storage_read *read)
{
    const struct sources *sources = own;
    return source_read(&sources->of[read->copy], read);
}

static enum lb_status file_open(const char *path, bool direct,
                                const struct storage_options *options, void **ctx,
                                uint64_t *file_bytes, struct lb_error *err)
{
    struct sources *sources = lb_calloc(1, sizeof *sources);
    if (!sources)
        return lb_fail(err, LB_ERR_NOMEM, "out of memory for the storage back-end");
    enum lb_status s = sources_open(path, options->copies, direct, sources, err);
    *file_bytes = sources->of[0].bytes;
    if (s == LB_OK) {
        s = readers_open(options, read_one, sources, ctx, err);
        if (s == LB_OK)
            return LB_OK;
        sources_close(sources);
    }
    lb_free(sources);
    return s;
}

static enum lb_status pread_open(const char *path, const struct storage_options *options,
                                 void **ctx, uint64_t *file_bytes, struct lb_error *err)
{
    return file_open(path, false, options, ctx, file_bytes, err);
}

static enum lb_status direct_open(const char *path, const struct storage_options *options,
                                  void **ctx, uint64_t *file_bytes, struct lb_error *err)
{
    return file_open(path, true, options, ctx, file_bytes, err);
}

static void file_close(void *ctx)
{
    struct sources *sources = readers_close(ctx);
    sources_close(sources);
    lb_free(sources);
}

const struct storage_ops storage_pread_ops = {
    .name = "pread",
    .about = "pread() through the page cache, by a pool of io_threads readers",
    .copies = true,
    .open = pread_open,
    .close = file_close,
    .submit = readers_submit,
    .reap = readers_reap,
    .wake = readers_wake,
};

const struct storage_ops storage_direct_ops = {
    .name = "direct",
    .about = "O_DIRECT past the page cache, by a pool of io_threads readers",
    .copies = true,
    .direct = true,
    .open = direct_open,
    .close = file_close,
    .submit = readers_submit,
    .reap = readers_reap,
    .wake = readers_wake,
};
