/*
 * blocking: storage_read_all(), a blocking read of any range into any buffer.
 *
 * The range is rounded out to STORAGE_ALIGN and read in pieces, several in flight,
 * into bounce buffers; each piece's part of the range is copied out as it arrives.
 */
#include "base/memory.h"
#include "storage/backend.h"

#include <assert.h>
#include <string.h>

#define PIECE ((uint64_t)1 << 20)
enum { PIECES = 8 };

struct range {
    struct storage *storage;
    uint64_t begin, end; /* asked for */
    char *out;           /* [end - begin] */
    char *bounce;        /* [PIECES * PIECE] */
    uint64_t next;       /* offset of the next piece, aligned */
    uint64_t at[PIECES]; /* offset of the piece in each bounce buffer */
    uint32_t free[PIECES], n_free;
};

/* Bytes of the piece at `offset`: up to the aligned end of the range, but not past the file. */
static uint32_t piece_bytes(const struct range *r, uint64_t offset)
{
    uint64_t end = (r->end + STORAGE_ALIGN - 1) / STORAGE_ALIGN * STORAGE_ALIGN;
    if (end > r->storage->file_bytes)
        end = r->storage->file_bytes;
    return (uint32_t)(end - offset < PIECE ? end - offset : PIECE);
}

static void submit_pieces(struct range *r)
{
    while (r->n_free > 0 && r->next < r->end) {
        uint32_t slot = r->free[r->n_free - 1];
        struct storage_read read = {.offset = r->next,
                                    .bytes = piece_bytes(r, r->next),
                                    .buffer = r->bounce + slot * PIECE,
                                    .tag = slot};
        if (storage_submit(r->storage, &read) == STORAGE_BUSY)
            return;
        r->n_free--;
        r->at[slot] = r->next;
        r->next += read.bytes;
    }
}

static enum lb_status take(struct range *r, const struct storage_done *done, struct lb_error *err)
{
    uint32_t slot = (uint32_t)done->tag;
    uint64_t at = r->at[slot], want = piece_bytes(r, at);
    r->free[r->n_free++] = slot;
    if (done->result < 0)
        return lb_fail(err, LB_ERR_IO, "storage %s: read of %llu bytes at %llu: %s",
                       r->storage->name, (unsigned long long)want, (unsigned long long)at,
                       strerror(-done->result));
    if ((uint64_t)done->result < want)
        return lb_fail(err, LB_ERR_IO,
                       "storage %s: read of %llu bytes at %llu gave %d: the file became shorter "
                       "while it was read",
                       r->storage->name, (unsigned long long)want, (unsigned long long)at,
                       done->result);
    uint64_t begin = at < r->begin ? r->begin : at;
    uint64_t end = at + want < r->end ? at + want : r->end;
    memcpy(r->out + (begin - r->begin), r->bounce + slot * PIECE + (begin - at), end - begin);
    return LB_OK;
}

enum lb_status storage_read_all(struct storage *storage, uint64_t offset, size_t bytes,
                                void *buffer, struct lb_error *err)
{
    assert(storage->in_flight == 0);
    if (offset > storage->file_bytes || bytes > storage->file_bytes - offset)
        return lb_fail(err, LB_ERR_INPUT, "read of %zu bytes at %llu: the file has %llu", bytes,
                       (unsigned long long)offset, (unsigned long long)storage->file_bytes);
    struct range r = {.storage = storage,
                      .begin = offset,
                      .end = offset + bytes,
                      .out = buffer,
                      .next = offset - offset % STORAGE_ALIGN,
                      .n_free = PIECES};
    for (uint32_t i = 0; i < PIECES; i++)
        r.free[i] = i;
    if (bytes == 0)
        return LB_OK;
    r.bounce = lb_alloc_aligned(PIECES * PIECE, STORAGE_ALIGN);
    if (!r.bounce)
        return lb_fail(err, LB_ERR_NOMEM, "out of memory for a blocking read");
    enum lb_status status = LB_OK;
    while (storage->in_flight > 0 || (status == LB_OK && r.next < r.end)) {
        struct storage_done done[PIECES];
        if (status == LB_OK)
            submit_pieces(&r);
        int n = storage_reap(storage, done, PIECES, -1);
        for (int i = 0; i < n; i++)
            if (take(&r, &done[i], err) != LB_OK)
                status = LB_ERR_IO;
    }
    lb_free(r.bounce);
    return status;
}
