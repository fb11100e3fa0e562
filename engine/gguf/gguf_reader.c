/*
 * gguf_reader: parses the header of a GGUF file into pairs and tensors.
 *
 * One forward scan through a small buffer; every length is checked against the
 * file before it is believed, and nothing is allocated ahead of what was read,
 * so that a broken file costs no more memory than its own size. Then the whole
 * is checked: unique names, alignment, tensors inside the file and apart.
 * The host is little endian, as the file is.
 */
#include "gguf/gguf_file.h"

#include "base/input.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES     ((size_t)64 << 10)
#define CHUNK_BYTES      ((size_t)64 << 10)
#define HEADER_LIMIT     ((uint64_t)1 << 30) /* vocabularies of today stay under 32 MiB */
#define PAIR_BYTES_MIN   13                  /* key length, kind, one byte */
#define TENSOR_BYTES_MIN 32                  /* name length, n_dims, one dimension, type, offset */

/* Text that belongs to the file; freed as a list. */
struct chunk {
    struct chunk *next;
    size_t used, size;
    char bytes[];
};

struct scan {
    struct gguf_file *file;
    uint64_t at;  /* offset in the file of the next byte to parse */
    uint64_t end; /* the header may not go beyond */
    uint64_t buffer_at;
    size_t buffered;
    unsigned char *buffer;
    /* what is being parsed, for messages: "key" 3 of 24; NULL: the fixed part of the header */
    const char *item;
    uint64_t number, count;
    struct lb_error *err;
};

/* ---- bytes ---- */

static bool fail_nomem(struct scan *s)
{
    lb_fail(s->err, LB_ERR_NOMEM, "%s: out of memory while reading the header", s->file->path);
    return false;
}

/* `list` with room for n elements of `size`, moved when it had to grow (by doubling); NULL when
 * out of memory, then the old list stands. */
static void *grow(struct scan *s, void *list, size_t *room, size_t n, size_t size)
{
    if (n <= *room)
        return list;
    size_t more = *room ? 2 * *room : 32;
    void *bigger = lb_realloc(list, more, size);
    if (bigger)
        *room = more;
    else
        fail_nomem(s);
    return bigger;
}

static char *keep(struct scan *s, size_t bytes)
{
    struct chunk *chunk = s->file->chunks;
    if (!chunk || chunk->size - chunk->used < bytes) {
        size_t size = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        chunk = lb_alloc_aligned(sizeof *chunk + size, sizeof(void *));
        if (!chunk) {
            fail_nomem(s);
            return NULL;
        }
        *chunk = (struct chunk){s->file->chunks, 0, size};
        s->file->chunks = chunk;
    }
    char *place = chunk->bytes + chunk->used;
    chunk->used += bytes;
    return place;
}

static bool refill(struct scan *s)
{
    ssize_t n;
    do
        n = pread(s->file->fd, s->buffer, BUFFER_BYTES, (off_t)s->at);
    while (n < 0 && errno == EINTR);
    if (n <= 0) {
        lb_fail(s->err, LB_ERR_IO, "%s: cannot read at byte %llu: %s", s->file->path,
                (unsigned long long)s->at, n < 0 ? strerror(errno) : "file became shorter");
        return false;
    }
    s->buffer_at = s->at;
    s->buffered = (size_t)n;
    return true;
}

static bool fail_short(struct scan *s, uint64_t needed)
{
    char where[64] = "the header";
    if (s->item)
        snprintf(where, sizeof where, "%s %llu of %llu", s->item, (unsigned long long)s->number,
                 (unsigned long long)s->count);
    if (s->end < s->file->bytes)
        lb_fail(s->err, LB_ERR_INPUT,
                "%s: %llu bytes needed in %s at byte %llu, expected a header of at most %llu MiB",
                s->file->path, (unsigned long long)needed, where, (unsigned long long)s->at,
                (unsigned long long)(HEADER_LIMIT >> 20));
    else
        lb_fail(s->err, LB_ERR_INPUT,
                "%s: truncated in %s: %llu bytes needed at byte %llu, file ends at byte %llu",
                s->file->path, where, (unsigned long long)needed, (unsigned long long)s->at,
                (unsigned long long)s->end);
    return false;
}

/* True when n things of at least `each` bytes can follow. */
static bool have(struct scan *s, uint64_t n, uint64_t each)
{
    if (n <= (s->end - s->at) / each)
        return true;
    return fail_short(s, n > UINT64_MAX / each ? UINT64_MAX : n * each);
}

static bool take(struct scan *s, void *out, size_t n)
{
    char *to = out;
    if (!have(s, n, 1))
        return false;
    while (n > 0) {
        if (s->at < s->buffer_at || s->at - s->buffer_at >= s->buffered)
            if (!refill(s))
                return false;
        size_t from = (size_t)(s->at - s->buffer_at), part = s->buffered - from;
        if (part > n)
            part = n;
        memcpy(to, s->buffer + from, part);
        to += part;
        n -= part;
        s->at += part;
    }
    return true;
}

static bool take_u32(struct scan *s, uint32_t *value)
{
    return take(s, value, sizeof *value);
}

static bool take_u64(struct scan *s, uint64_t *value)
{
    return take(s, value, sizeof *value);
}

static bool take_string(struct scan *s, struct gguf_string *string)
{
    uint64_t length;
    if (!take_u64(s, &length) || !have(s, length, 1))
        return false;
    char *text = keep(s, (size_t)length + 1);
    if (!text || !take(s, text, (size_t)length))
        return false;
    text[length] = '\0';
    *string = (struct gguf_string){text, (size_t)length};
    return true;
}

/* A name is a string without NUL, so that it can be compared as a C string. */
static bool take_name(struct scan *s, const char **name)
{
    struct gguf_string string;
    if (!take_string(s, &string))
        return false;
    *name = string.text;
    if (strlen(string.text) == string.length)
        return true;
    lb_fail(s->err, LB_ERR_INPUT, "%s: %s %llu of %llu: name contains a NUL byte", s->file->path,
            s->item, (unsigned long long)s->number, (unsigned long long)s->count);
    return false;
}

/* ---- pairs ---- */

/* What was read stays with the array, to be freed with the pair, also after a failure. */
static bool take_strings(struct scan *s, struct gguf_array *array)
{
    size_t room = 0;
    if (!have(s, array->count, sizeof(uint64_t)))
        return false;
    for (uint64_t i = 0; i < array->count; i++) {
        struct gguf_string *strings =
            grow(s, (void *)array->strings, &room, (size_t)i + 1, sizeof *strings);
        if (!strings)
            return false;
        array->strings = strings;
        if (!take_string(s, &strings[i]))
            return false;
    }
    return true;
}

static bool take_array(struct scan *s, struct gguf_array *array, const char *key)
{
    uint32_t kind;
    if (!take_u32(s, &kind) || !take_u64(s, &array->count))
        return false;
    size_t size = gguf_kind_bytes(kind);
    array->kind = kind;
    if (kind == GGUF_STRING)
        return take_strings(s, array);
    if (size == 0) {
        char shown[GGUF_SHOWN];
        lb_fail(s->err, LB_ERR_INPUT, "%s: key '%s': array of kind %u, expected %s", s->file->path,
                gguf_shown(key, shown), kind,
                kind == GGUF_ARRAY ? "no array within an array" : "a kind from 0 to 12");
        return false;
    }
    if (!have(s, array->count, size))
        return false;
    size_t bytes = (size_t)array->count * size;
    char *values = keep(s, bytes);
    array->values = values;
    return values && take(s, values, bytes);
}

static bool take_scalar(struct scan *s, struct gguf_pair *pair)
{
    unsigned char raw[8] = {0};
    if (!take(s, raw, gguf_kind_bytes(pair->kind)))
        return false;
    gguf_scalar(raw, pair);
    if (pair->kind != GGUF_BOOL || raw[0] <= 1)
        return true;
    char shown[GGUF_SHOWN];
    lb_fail(s->err, LB_ERR_INPUT, "%s: key '%s': bool with value %u, expected 0 or 1",
            s->file->path, gguf_shown(pair->key, shown), raw[0]);
    return false;
}

static bool take_pair(struct scan *s, struct gguf_pair *pair)
{
    uint32_t kind;
    if (!take_name(s, &pair->key) || !take_u32(s, &kind))
        return false;
    pair->kind = kind;
    if (kind == GGUF_STRING)
        return take_string(s, &pair->value.string);
    if (kind == GGUF_ARRAY)
        return take_array(s, &pair->value.array, pair->key);
    if (gguf_kind_bytes(kind) > 0)
        return take_scalar(s, pair);
    char shown[GGUF_SHOWN];
    pair->kind = GGUF_U8; /* nothing to free */
    lb_fail(s->err, LB_ERR_INPUT, "%s: key '%s': unknown kind %u, expected 0 to 12", s->file->path,
            gguf_shown(pair->key, shown), kind);
    return false;
}

static bool take_pairs(struct scan *s, uint64_t count)
{
    struct gguf_file *file = s->file;
    size_t room = 0;
    if (!have(s, count, PAIR_BYTES_MIN))
        return false;
    s->item = "key";
    s->count = count;
    for (uint64_t i = 0; i < count; i++) {
        struct gguf_pair *pairs = grow(s, file->pairs, &room, (size_t)i + 1, sizeof *pairs);
        if (!pairs)
            return false;
        file->pairs = pairs;
        file->pairs[i] = (struct gguf_pair){.key = ""};
        file->n_pairs = (size_t)i + 1;
        s->number = i + 1;
        if (!take_pair(s, &file->pairs[i]))
            return false;
    }
    return true;
}

/* ---- tensors ---- */

/* Types that files have and that no room here reads: the message names them. */
static const char *unread_type(uint32_t type)
{
    static const char *const names[] = {
        [9] = "Q8_1", [15] = "Q8_K", [24] = "I8",  [25] = "I16",
        [26] = "I32", [27] = "I64",  [28] = "F64",
    };
    return type < sizeof names / sizeof *names ? names[type] : NULL;
}

static bool size_of(struct scan *s, gguf_size_fn size, struct gguf_tensor *t)
{
    static const uint64_t any_block[4] = {1 << 20, 1, 1, 1}; /* whole blocks of every type */
    uint64_t ignored;
    if (size(t->type, t->ne, &t->bytes) && t->bytes > 0)
        return true;
    char shown[GGUF_SHOWN];
    gguf_shown(t->name, shown);
    if (!size(t->type, any_block, &ignored) && unread_type(t->type))
        lb_fail(s->err, LB_ERR_UNSUPPORTED, "%s: tensor '%s': tensor type %s is not supported",
                s->file->path, shown, unread_type(t->type));
    else if (!size(t->type, any_block, &ignored))
        lb_fail(s->err, LB_ERR_INPUT, "%s: tensor '%s': unknown tensor type %u", s->file->path,
                shown, t->type);
    else
        lb_fail(s->err, LB_ERR_INPUT,
                "%s: tensor '%s': shape %llu x %llu x %llu x %llu is impossible for type %u "
                "(rows must be whole blocks)",
                s->file->path, shown, (unsigned long long)t->ne[0], (unsigned long long)t->ne[1],
                (unsigned long long)t->ne[2], (unsigned long long)t->ne[3], t->type);
    return false;
}

static bool dimension_of_zero(struct scan *s, const struct gguf_tensor *t, uint32_t d)
{
    char shown[GGUF_SHOWN];
    lb_fail(s->err, LB_ERR_INPUT, "%s: tensor '%s': dimension %u of %u is 0, expected 1 or more",
            s->file->path, gguf_shown(t->name, shown), d + 1, t->n_dims);
    return false;
}

static bool take_tensor(struct scan *s, gguf_size_fn size, struct gguf_tensor *t)
{
    if (!take_name(s, &t->name) || !take_u32(s, &t->n_dims))
        return false;
    if (t->n_dims < 1 || t->n_dims > 4) {
        char shown[GGUF_SHOWN];
        lb_fail(s->err, LB_ERR_INPUT, "%s: tensor '%s': %u dimensions, expected 1 to 4",
                s->file->path, gguf_shown(t->name, shown), t->n_dims);
        return false;
    }
    for (uint32_t d = 0; d < 4; d++) {
        t->ne[d] = 1;
        if (d < t->n_dims && !take_u64(s, &t->ne[d]))
            return false;
        if (t->ne[d] == 0)
            return dimension_of_zero(s, t, d);
    }
    return take_u32(s, &t->type) && take_u64(s, &t->file_offset) && size_of(s, size, t);
}

static bool take_tensors(struct scan *s, gguf_size_fn size, uint64_t count)
{
    struct gguf_file *file = s->file;
    size_t room = 0;
    s->item = NULL;
    if (!have(s, count, TENSOR_BYTES_MIN))
        return false;
    s->item = "tensor";
    s->count = count;
    for (uint64_t i = 0; i < count; i++) {
        struct gguf_tensor *tensors = grow(s, file->tensors, &room, (size_t)i + 1, sizeof *tensors);
        if (!tensors)
            return false;
        file->tensors = tensors;
        s->number = i + 1;
        if (!take_tensor(s, size, &tensors[i]))
            return false;
        file->n_tensors = (size_t)i + 1;
    }
    return true;
}

/* Offsets in the file are relative to the data; makes them absolute and checks them. */
static bool place_tensors(struct scan *s)
{
    struct gguf_file *file = s->file;
    uint32_t alignment = GGUF_ALIGNMENT;
    if (gguf_get_u32(file, "general.alignment", false, &alignment, s->err) != LB_OK)
        return false;
    if (alignment == 0 || (alignment & (alignment - 1)) || alignment > HEADER_LIMIT) {
        lb_fail(s->err, LB_ERR_INPUT, "%s: general.alignment is %u, expected a power of two",
                file->path, alignment);
        return false;
    }
    uint64_t data = (s->at + alignment - 1) & ~(uint64_t)(alignment - 1);
    for (size_t i = 0; i < file->n_tensors; i++) {
        struct gguf_tensor *t = &file->tensors[i];
        char shown[GGUF_SHOWN];
        if (t->file_offset % alignment) {
            lb_fail(s->err, LB_ERR_INPUT, "%s: tensor '%s': offset %llu is not a multiple of %u",
                    file->path, gguf_shown(t->name, shown), (unsigned long long)t->file_offset,
                    alignment);
            return false;
        }
        if (data > file->bytes || t->file_offset > file->bytes - data ||
            t->bytes > file->bytes - data - t->file_offset) {
            lb_fail(s->err, LB_ERR_INPUT,
                    "%s: tensor '%s': lies outside the file: %llu bytes at %llu + %llu, file ends "
                    "at %llu",
                    file->path, gguf_shown(t->name, shown), (unsigned long long)t->bytes,
                    (unsigned long long)data, (unsigned long long)t->file_offset,
                    (unsigned long long)file->bytes);
            return false;
        }
        t->file_offset += data;
    }
    return true;
}

/* ---- the whole ---- */

static int by_key(const void *a, const void *b)
{
    return strcmp((*(struct gguf_pair *const *)a)->key, (*(struct gguf_pair *const *)b)->key);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct gguf_tensor *const *)a)->name, (*(struct gguf_tensor *const *)b)->name);
}

static int by_offset(const void *a, const void *b)
{
    const struct gguf_tensor *x = *(struct gguf_tensor *const *)a;
    const struct gguf_tensor *y = *(struct gguf_tensor *const *)b;
    return x->file_offset < y->file_offset ? -1 : x->file_offset > y->file_offset;
}

static bool index_pairs(struct scan *s)
{
    struct gguf_file *file = s->file;
    file->pairs_by_key = lb_calloc(file->n_pairs, sizeof *file->pairs_by_key);
    if (!file->pairs_by_key)
        return fail_nomem(s);
    for (size_t i = 0; i < file->n_pairs; i++)
        file->pairs_by_key[i] = &file->pairs[i];
    qsort(file->pairs_by_key, file->n_pairs, sizeof *file->pairs_by_key, by_key);
    for (size_t i = 1; i < file->n_pairs; i++) {
        if (by_key(&file->pairs_by_key[i - 1], &file->pairs_by_key[i]) == 0) {
            char shown[GGUF_SHOWN];
            lb_fail(s->err, LB_ERR_INPUT, "%s: key '%s' stands twice", file->path,
                    gguf_shown(file->pairs_by_key[i]->key, shown));
            return false;
        }
    }
    return true;
}

static bool index_tensors(struct scan *s)
{
    struct gguf_file *file = s->file;
    struct gguf_tensor **list = lb_calloc(file->n_tensors, sizeof *list);
    char shown[GGUF_SHOWN], other[GGUF_SHOWN];
    file->tensors_by_name = list;
    if (!list)
        return fail_nomem(s);
    for (size_t i = 0; i < file->n_tensors; i++)
        list[i] = &file->tensors[i];
    qsort(list, file->n_tensors, sizeof *list, by_offset);
    for (size_t i = 1; i < file->n_tensors; i++) {
        if (list[i]->file_offset - list[i - 1]->file_offset < list[i - 1]->bytes) {
            lb_fail(s->err, LB_ERR_INPUT, "%s: tensors '%s' and '%s' overlap at byte %llu",
                    file->path, gguf_shown(list[i - 1]->name, shown),
                    gguf_shown(list[i]->name, other), (unsigned long long)list[i]->file_offset);
            return false;
        }
    }
    qsort(list, file->n_tensors, sizeof *list, by_name);
    for (size_t i = 1; i < file->n_tensors; i++) {
        if (by_name(&list[i - 1], &list[i]) == 0) {
            lb_fail(s->err, LB_ERR_INPUT, "%s: tensor '%s' stands twice", file->path,
                    gguf_shown(list[i]->name, shown));
            return false;
        }
    }
    return true;
}

static bool check_version(struct scan *s, uint32_t magic, uint32_t version)
{
    const char *path = s->file->path;
    if (magic != GGUF_MAGIC)
        lb_fail(s->err, LB_ERR_INPUT, "%s: not a GGUF file: begins with 0x%08x, expected 0x%08x",
                path, magic, GGUF_MAGIC);
    else if (version == __builtin_bswap32(2) || version == __builtin_bswap32(3))
        lb_fail(s->err, LB_ERR_INPUT, "%s: big-endian GGUF, expected little-endian", path);
    else if (version != 2 && version != 3)
        lb_fail(s->err, LB_ERR_INPUT, "%s: GGUF version %u, expected 2 or 3", path, version);
    else
        return true;
    return false;
}

static bool parse(struct scan *s, gguf_size_fn size)
{
    uint32_t magic;
    uint64_t n_tensors, n_pairs;
    return take_u32(s, &magic) && (magic != GGUF_MAGIC || take_u32(s, &s->file->version)) &&
           check_version(s, magic, s->file->version) && take_u64(s, &n_tensors) &&
           take_u64(s, &n_pairs) && take_pairs(s, n_pairs) && index_pairs(s) &&
           take_tensors(s, size, n_tensors) && place_tensors(s) && index_tensors(s);
}

static bool open_file(struct scan *s, const char *path)
{
    struct stat st;
    s->file->fd = lb_input_open(path, false, s->err);
    if (s->file->fd < 0)
        return false;
    if (fstat(s->file->fd, &st) != 0) {
        lb_fail(s->err, LB_ERR_IO, "%s: fstat: %s", path, strerror(errno));
        return false;
    }
    s->file->bytes = (uint64_t)st.st_size;
    s->file->state = lb_file_state_of(&st);
    s->end = s->file->bytes < HEADER_LIMIT ? s->file->bytes : HEADER_LIMIT;
    return true;
}

enum lb_status gguf_open(const char *path, gguf_size_fn size, struct gguf_file **out,
                         struct lb_error *err)
{
    struct lb_error own = LB_ERROR_INIT; /* the status to return is the first error's */
    struct scan s = {.err = &own};
    bool ok = false;
    *out = NULL;
    s.file = lb_calloc(1, sizeof *s.file);
    if (!s.file)
        return lb_fail(err, LB_ERR_NOMEM, "%s: out of memory while opening", path);
    s.file->fd = -1;
    s.file->path = lb_strdup(path);
    s.buffer = lb_alloc_aligned(BUFFER_BYTES, sizeof(void *));
    if (!s.file->path || !s.buffer)
        lb_fail(&own, LB_ERR_NOMEM, "%s: out of memory while opening", path);
    else
        ok = open_file(&s, path) && parse(&s, size);
    lb_free(s.buffer);
    if (ok) {
        *out = s.file;
        return LB_OK;
    }
    gguf_close(s.file);
    return lb_fail(err, own.code, "%s", own.text);
}

const char *gguf_change(const struct gguf_file *file, bool path_too)
{
    struct stat st;
    if (fstat(file->fd, &st) != 0)
        return "cannot be asked for its size any more";
    struct lb_file_state now = lb_file_state_of(&st), there = lb_file_state_at(file->path);
    const char *change = lb_file_change(&file->state, &now);
    return change || !path_too ? change : lb_file_change(&file->state, &there);
}

void gguf_close(struct gguf_file *file)
{
    if (!file)
        return;
    if (file->fd >= 0)
        close(file->fd);
    for (size_t i = 0; i < file->n_pairs; i++)
        if (file->pairs[i].kind == GGUF_ARRAY)
            lb_free((void *)file->pairs[i].value.array.strings);
    while (file->chunks) {
        struct chunk *next = file->chunks->next;
        lb_free(file->chunks);
        file->chunks = next;
    }
    lb_free(file->pairs_by_key);
    lb_free(file->tensors_by_name);
    lb_free(file->pairs);
    lb_free(file->tensors);
    lb_free(file->path);
    lb_free(file);
}
