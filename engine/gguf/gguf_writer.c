/*
 * gguf_writer: writes GGUF version 3, little endian, alignment 32.
 *
 * Pairs and tensor descriptions are encoded as they are declared; the first data
 * (or the end) writes the header. Everything goes through one staging buffer and,
 * where the file system can, past the page cache: several gigabytes of dirty pages
 * would slow the writing down and disturb whatever is measured next. Errors of the
 * declaring calls are kept and come out at the next call that returns a status.
 */
#include "base/memory.h"
#include "base/output.h"
#include "gguf/gguf_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define VERSION      3
#define STAGE_BYTES  ((size_t)4 << 20)
#define DIRECT_BYTES ((size_t)4096) /* direct writes are whole multiples of this */

struct bytes {
    char *data;
    size_t size, room;
};

struct planned {
    char *name;
    uint64_t bytes;
};

struct gguf_writer {
    char *path;
    struct lb_output output;
    struct lb_error err; /* the first error; nothing is written after it */
    struct bytes pairs, infos;
    uint64_t n_pairs;
    struct planned *tensors;
    size_t n_tensors, tensors_room;
    uint64_t next_offset; /* of the tensor declared next, from the start of the data */
    bool header_done;
    char *stage;
    size_t staged;
    uint64_t file_bytes; /* staged ones included */
    size_t current;      /* tensor that takes the next data */
    uint64_t written;    /* of it */
};

/* ---- declaring ---- */

static uint64_t padded(uint64_t n)
{
    return (n + GGUF_ALIGNMENT - 1) & ~(uint64_t)(GGUF_ALIGNMENT - 1);
}

static bool ready(struct gguf_writer *w, const char *what)
{
    if (w->header_done)
        lb_fail(&w->err, LB_ERR_STATE, "%s: '%s' declared after the first data", w->path, what);
    return w->err.code == LB_OK;
}

static void append(struct gguf_writer *w, struct bytes *to, const void *data, size_t size)
{
    if (w->err.code != LB_OK)
        return;
    if (size > to->room - to->size) {
        size_t room = 2 * (to->size + size) + 256;
        char *bigger = lb_realloc(to->data, room, 1);
        if (!bigger) {
            lb_fail(&w->err, LB_ERR_NOMEM, "%s: out of memory for the header", w->path);
            return;
        }
        to->data = bigger;
        to->room = room;
    }
    if (size > 0)
        memcpy(to->data + to->size, data, size);
    to->size += size;
}

static void append_u32(struct gguf_writer *w, struct bytes *to, uint32_t value)
{
    append(w, to, &value, sizeof value);
}

static void append_u64(struct gguf_writer *w, struct bytes *to, uint64_t value)
{
    append(w, to, &value, sizeof value);
}

static void append_text(struct gguf_writer *w, struct bytes *to, const char *text)
{
    size_t length = strlen(text);
    append_u64(w, to, length);
    append(w, to, text, length);
}

static void put(struct gguf_writer *w, const char *key, enum gguf_kind kind, const void *value,
                size_t size)
{
    if (!ready(w, key))
        return;
    append_text(w, &w->pairs, key);
    append_u32(w, &w->pairs, kind);
    append(w, &w->pairs, value, size);
    w->n_pairs++;
}

void gguf_writer_put_u32(struct gguf_writer *w, const char *key, uint32_t value)
{
    put(w, key, GGUF_U32, &value, sizeof value);
}

void gguf_writer_put_f32(struct gguf_writer *w, const char *key, float value)
{
    put(w, key, GGUF_F32, &value, sizeof value);
}

void gguf_writer_put_bool(struct gguf_writer *w, const char *key, bool value)
{
    unsigned char byte = value;
    put(w, key, GGUF_BOOL, &byte, 1);
}

void gguf_writer_put_text(struct gguf_writer *w, const char *key, const char *value)
{
    put(w, key, GGUF_STRING, NULL, 0);
    append_text(w, &w->pairs, value);
}

void gguf_writer_put_texts(struct gguf_writer *w, const char *key, const char *const *texts,
                           size_t count)
{
    put(w, key, GGUF_ARRAY, NULL, 0);
    append_u32(w, &w->pairs, GGUF_STRING);
    append_u64(w, &w->pairs, count);
    for (size_t i = 0; i < count; i++)
        append_text(w, &w->pairs, texts[i]);
}

void gguf_writer_put_array(struct gguf_writer *w, const char *key, enum gguf_kind kind,
                           const void *values, size_t count)
{
    assert(gguf_kind_bytes(kind) > 0);
    put(w, key, GGUF_ARRAY, NULL, 0);
    append_u32(w, &w->pairs, kind);
    append_u64(w, &w->pairs, count);
    append(w, &w->pairs, values, count * gguf_kind_bytes(kind));
}

void gguf_writer_add_tensor(struct gguf_writer *w, const char *name, uint32_t n_dims,
                            const uint64_t *ne, uint32_t type, uint64_t bytes)
{
    assert(n_dims >= 1 && n_dims <= 4 && bytes > 0);
    if (!ready(w, name))
        return;
    if (w->n_tensors == w->tensors_room) {
        size_t room = 2 * w->tensors_room + 64;
        struct planned *more = lb_realloc(w->tensors, room, sizeof *more);
        if (more) {
            w->tensors = more;
            w->tensors_room = room;
        }
    }
    char *copy = w->n_tensors < w->tensors_room ? lb_strdup(name) : NULL;
    if (!copy) {
        lb_fail(&w->err, LB_ERR_NOMEM, "%s: out of memory for the header", w->path);
        return;
    }
    w->tensors[w->n_tensors++] = (struct planned){copy, bytes};
    append_text(w, &w->infos, name);
    append_u32(w, &w->infos, n_dims);
    append(w, &w->infos, ne, n_dims * sizeof *ne);
    append_u32(w, &w->infos, type);
    append_u64(w, &w->infos, w->next_offset);
    w->next_offset += padded(bytes);
}

/* ---- writing ---- */

/* Switches direct writes on or off; false when that changes nothing or is refused. */
static bool set_direct(int fd, bool on)
{
    int old = fcntl(fd, F_GETFL), new = on ? old | O_DIRECT : old & ~O_DIRECT;
    return old >= 0 && new != old &&fcntl(fd, F_SETFL, new) == 0;
}

static void write_all(struct gguf_writer *w, const char *at, size_t size)
{
    while (w->err.code == LB_OK && size > 0) {
        ssize_t n = write(w->output.fd, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EINVAL && set_direct(w->output.fd, false))
            continue; /* direct writes of another granularity: buffered ones from here on */
        if (n < 0) {
            lb_fail(&w->err, LB_ERR_IO, "%s: cannot write: %s", w->path, strerror(errno));
            return;
        }
        at += n;
        size -= (size_t)n;
    }
}

static void write_bytes(struct gguf_writer *w, const void *data, size_t size)
{
    const char *at = data;
    w->file_bytes += size;
    while (w->err.code == LB_OK && size > 0) {
        size_t part = STAGE_BYTES - w->staged < size ? STAGE_BYTES - w->staged : size;
        memcpy(w->stage + w->staged, at, part);
        w->staged += part;
        at += part;
        size -= part;
        if (w->staged == STAGE_BYTES) {
            write_all(w, w->stage, STAGE_BYTES);
            w->staged = 0;
        }
    }
}

/* The last part, filled up to what a direct write takes; then the file gets its true size. What has
 * no size of its own (a pipe, a device) gets no byte more. */
static void write_rest(struct gguf_writer *w)
{
    size_t whole = (w->staged + DIRECT_BYTES - 1) & ~(DIRECT_BYTES - 1);
    if (!w->output.regular)
        whole = w->staged;
    memset(w->stage + w->staged, 0, whole - w->staged);
    write_all(w, w->stage, whole);
    if (w->err.code == LB_OK && w->output.regular &&
        ftruncate(w->output.fd, (off_t)w->file_bytes) != 0)
        lb_fail(&w->err, LB_ERR_IO, "%s: cannot write: %s", w->path, strerror(errno));
}

/* Takes the room on the disk at once: a full disk shows now, not gigabytes later, and the file lies
 * in one piece. A file system that cannot do it is no error. */
static void reserve(struct gguf_writer *w, uint64_t bytes)
{
    if (fallocate(w->output.fd, 0, 0, (off_t)bytes) != 0 &&
        (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
        lb_fail(&w->err, LB_ERR_IO, "%s: cannot write %llu bytes: %s", w->path,
                (unsigned long long)bytes, strerror(errno));
}

static void write_padding(struct gguf_writer *w, uint64_t after)
{
    static const char zeros[GGUF_ALIGNMENT];
    write_bytes(w, zeros, (size_t)(padded(after) - after));
}

struct head {
    uint32_t magic, version;
    uint64_t n_tensors, n_pairs;
};

uint64_t gguf_writer_header_bytes(const struct gguf_writer *w)
{
    return padded(sizeof(struct head) + w->pairs.size + w->infos.size);
}

static void write_header(struct gguf_writer *w)
{
    struct head head = {GGUF_MAGIC, VERSION, w->n_tensors, w->n_pairs};
    uint64_t bytes = sizeof head + w->pairs.size + w->infos.size;
    w->header_done = true;
    reserve(w, padded(bytes) + w->next_offset);
    write_bytes(w, &head, sizeof head);
    write_bytes(w, w->pairs.data, w->pairs.size);
    write_bytes(w, w->infos.data, w->infos.size);
    write_padding(w, bytes);
}

static enum lb_status report(const struct gguf_writer *w, struct lb_error *err)
{
    return w->err.code == LB_OK ? LB_OK : lb_fail(err, w->err.code, "%s", w->err.text);
}

enum lb_status gguf_writer_data(struct gguf_writer *w, const void *data, size_t size,
                                struct lb_error *err)
{
    if (!w->header_done && w->err.code == LB_OK)
        write_header(w);
    if (w->current == w->n_tensors || size > w->tensors[w->current].bytes - w->written)
        lb_fail(&w->err, LB_ERR_STATE, "%s: more data than tensor '%s' has", w->path,
                w->current < w->n_tensors ? w->tensors[w->current].name : "(none left)");
    write_bytes(w, data, size);
    if (w->err.code != LB_OK)
        return report(w, err);
    w->written += size;
    if (w->written == w->tensors[w->current].bytes) {
        write_padding(w, w->written);
        w->current++;
        w->written = 0;
    }
    return report(w, err);
}

/* ---- beginning and end ---- */

enum lb_status gguf_writer_open(const char *path, struct gguf_writer **out, struct lb_error *err)
{
    struct lb_error own = LB_ERROR_INIT;
    struct gguf_writer *w = lb_calloc(1, sizeof *w);
    *out = NULL;
    const char *name = path ? path : "header of a model";
    if (!w)
        return lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", name);
    w->output.fd = -1;
    w->path = lb_strdup(name);
    w->stage = lb_alloc_aligned(STAGE_BYTES, DIRECT_BYTES);
    if (!w->path || !w->stage) {
        lb_fail(&own, LB_ERR_NOMEM, "%s: out of memory", name);
        goto fail;
    }
    if (path && lb_output_open(path, &w->output, &own) != LB_OK)
        goto fail;
    if (w->output.regular)
        (void)set_direct(w->output.fd, true);
    *out = w;
    return LB_OK;
fail:
    gguf_writer_abandon(w);
    return lb_fail(err, own.code, "%s", own.text);
}

enum lb_status gguf_writer_finish(struct gguf_writer *w, struct lb_error *err)
{
    if (!w->header_done && w->err.code == LB_OK)
        write_header(w);
    if (w->current < w->n_tensors)
        lb_fail(&w->err, LB_ERR_STATE, "%s: tensor '%s' has %llu of %llu bytes", w->path,
                w->tensors[w->current].name, (unsigned long long)w->written,
                (unsigned long long)w->tensors[w->current].bytes);
    write_rest(w);
    if (w->err.code == LB_OK)
        (void)lb_output_finish(&w->output, &w->err);
    enum lb_status status = report(w, err);
    gguf_writer_abandon(w);
    return status;
}

void gguf_writer_abandon(struct gguf_writer *w)
{
    if (!w)
        return;
    lb_output_abandon(&w->output);
    for (size_t i = 0; i < w->n_tensors; i++)
        lb_free(w->tensors[i].name);
    lb_free(w->tensors);
    lb_free(w->pairs.data);
    lb_free(w->infos.data);
    lb_free(w->stage);
    lb_free(w->path);
    lb_free(w);
}
