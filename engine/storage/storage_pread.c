/*
 * pread and direct: blocking pread() by a pool of readers, through the page cache or
 * past it (O_DIRECT).
 */
#include "base/memory.h"
#include "storage/backend.h"
#include "storage/readers.h"
#include "storage/source.h"

static int32_t read_one(void *own, const struct storage_read *read)
{
    return source_read(own, read);
}

static enum lb_status file_open(const char *path, bool direct,
                                const struct storage_options *options, void **ctx,
                                uint64_t *file_bytes, struct lb_error *err)
{
    struct source *source = lb_calloc(1, sizeof *source);
    if (!source)
        return lb_fail(err, LB_ERR_NOMEM, "out of memory for the storage back-end");
    enum lb_status s = source_open(path, direct, source, err);
    *file_bytes = source->bytes;
    if (s == LB_OK) {
        s = readers_open(options, read_one, source, ctx, err);
        if (s == LB_OK)
            return LB_OK;
        source_close(source);
    }
    lb_free(source);
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
    struct source *source = readers_close(ctx);
    source_close(source);
    lb_free(source);
}

const struct storage_ops storage_pread_ops = {
    .name = "pread",
    .about = "pread() through the page cache, by a pool of io_threads readers",
    .open = pread_open,
    .close = file_close,
    .submit = readers_submit,
    .reap = readers_reap,
    .wake = readers_wake,
};

const struct storage_ops storage_direct_ops = {
    .name = "direct",
    .about = "O_DIRECT past the page cache, by a pool of io_threads readers",
    .direct = true,
    .open = direct_open,
    .close = file_close,
    .submit = readers_submit,
    .reap = readers_reap,
    .wake = readers_wake,
};
