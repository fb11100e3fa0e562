/*
 * memory: the whole file in RAM; a read is a copy. What the rest of the harness costs
 * shows here, because the storage itself costs next to nothing.
 */
#include "base/memory.h"
#include "storage/backend.h"
#include "storage/readers.h"
#include "storage/source.h"

#include <string.h>

#define LOAD_CHUNK ((uint64_t)64 << 20)

struct image {
    char *data;
    uint64_t bytes;
};

static int32_t copy(void *own, const struct storage_read *read)
{
    const struct image *image = own;
    if (read->offset >= image->bytes)
        return 0;
    uint64_t rest = image->bytes - read->offset;
    uint32_t n = rest < read->bytes ? (uint32_t)rest : read->bytes;
    memcpy(read->buffer, image->data + read->offset, n);
    return (int32_t)n;
}

static enum lb_status load(struct image *image, const char *path, const struct source *source,
                           struct lb_error *err)
{
    image->bytes = source->bytes;
    image->data = lb_map(image->bytes);
    if (!image->data)
        return lb_fail(err, LB_ERR_NOMEM, "%s: out of memory for all %llu bytes of the file", path,
                       (unsigned long long)image->bytes);
    for (uint64_t at = 0; at < image->bytes; at += LOAD_CHUNK) {
        uint64_t rest = image->bytes - at;
        struct storage_read read = {.offset = at,
                                    .bytes = (uint32_t)(rest < LOAD_CHUNK ? rest : LOAD_CHUNK),
                                    .buffer = image->data + at};
        int32_t n = source_read(source, &read);
        if (n < 0)
            return lb_fail(err, LB_ERR_IO, "%s: read at %llu: %s", path, (unsigned long long)at,
                           strerror(-n));
        if ((uint32_t)n < read.bytes)
            return lb_fail(err, LB_ERR_IO, "%s: the file has shrunk below %llu bytes while read",
                           path, (unsigned long long)image->bytes);
    }
    return LB_OK;
}

static void image_free(struct image *image)
{
    lb_unmap(image->data, image->bytes);
    lb_free(image);
}

static enum lb_status memory_open(const char *path, const struct storage_options *options,
                                  void **ctx, uint64_t *file_bytes, struct lb_error *err)
{
    struct source source;
    struct image *image = lb_calloc(1, sizeof *image);
    if (!image)
        return lb_fail(err, LB_ERR_NOMEM, "out of memory for the storage back-end");
    enum lb_status s = source_open(path, false, &source, err);
    if (s == LB_OK)
        s = load(image, path, &source, err);
    source_close(&source);
    if (s == LB_OK)
        s = readers_open(options, copy, image, ctx, err);
    if (s != LB_OK)
        image_free(image);
    *file_bytes = source.bytes;
    return s;
}

static void memory_close(void *ctx)
{
    image_free(readers_close(ctx));
}

const struct storage_ops storage_memory_ops = {
    .name = "memory",
    .about = "the whole file in RAM, reads are copies: measures the floor of the harness itself",
    .copied = true,
    .open = memory_open,
    .close = memory_close,
    .submit = readers_submit,
    .reap = readers_reap,
    .wake = readers_wake,
};
