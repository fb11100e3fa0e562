/*
 * blocking: blocking reads, with as many reads in flight as the storage takes. For the resident
 * part of a model and for checks, not for the hot path.
 */
#include "base/memory.h"
#include "storage/backend.h"

#include <assert.h>
#include <string.h>

static enum lb_status failed(const struct storage *s, const struct storage_done *done,
                             struct lb_error *err)
{
    if (done->result < 0)
        return lb_fail(err, LB_ERR_IO, "storage %s: reading %llu bytes failed: %s", storage_name(s),
                       (unsigned long long)done->tag, strerror(-done->result));
    return lb_fail(err, LB_ERR_IO,
                   "storage %s: a read of %llu bytes gave %d: the file became shorter while it was "
                   "read",
                   storage_name(s), (unsigned long long)done->tag, done->result);
}

uint64_t storage_span(const struct storage *s, uint64_t offset, uint64_t bytes, uint64_t *begin)
{
    uint64_t align = storage_align(s), end = (offset + bytes + align - 1) / align * align;
    *begin = offset / align * align;
    return (end < s->file_bytes ? end : s->file_bytes) - *begin;
}

enum lb_status storage_read_span(struct storage *s, uint64_t begin, uint64_t bytes,
                                 uint32_t chunk_bytes, uint8_t *buffer, struct lb_error *err)
{
    assert(s->in_flight == 0);
    enum lb_status status = LB_OK;
    uint64_t next = 0;
    while (s->in_flight > 0 || (status == LB_OK && next < bytes)) {
        while (status == LB_OK && next < bytes) {
            uint64_t n = bytes - next < chunk_bytes ? bytes - next : chunk_bytes;
            struct storage_read read = {
                .offset = begin + next, .bytes = (uint32_t)n, .buffer = buffer + next, .tag = n};
            if (storage_submit(s, &read) == STORAGE_BUSY)
                break;
            next += n;
        }
        struct storage_done done[16];
        int n_done = storage_reap(s, done, 16, -1);
        for (int i = 0; i < n_done; i++)
            if (done[i].result < 0 || (uint64_t)done[i].result < done[i].tag)
                status = failed(s, &done[i], err);
    }
    return status;
}

enum lb_status storage_read_all(struct storage *s, uint64_t offset, size_t bytes, void *buffer,
                                struct lb_error *err)
{
    uint64_t begin;
    if (offset > s->file_bytes || bytes > s->file_bytes - offset)
        return lb_fail(err, LB_ERR_INPUT, "read of %zu bytes at %llu: the file has %llu", bytes,
                       (unsigned long long)offset, (unsigned long long)s->file_bytes);
    if (bytes == 0)
        return LB_OK;
    uint64_t span = storage_span(s, offset, bytes, &begin);
    uint8_t *bounce = lb_alloc_aligned(span + STORAGE_ALIGN, STORAGE_ALIGN);
    if (!bounce)
        return lb_fail(err, LB_ERR_NOMEM, "out of memory for a blocking read");
    enum lb_status status = storage_read_span(s, begin, span, 1u << 20, bounce, err);
    if (status == LB_OK)
        memcpy(buffer, bounce + (offset - begin), bytes);
    lb_free(bounce);
    return status;
}
