/*
 * big file: a model whose second layer lies beyond 5 GB, in a file that is a hole but for its
 * tensors: offsets above 2^32 in header, layout, reads and mappings. Its logits are those of the
 * same model in a small file, bit for bit, with every storage that can map or read the file.
 */
#include "engine.h"
#include "file_bytes.h"
#include "made_model.h"
#include "settings.h"
#include "tests/check.h"

#include <fcntl.h>
#include <sys/stat.h>

#define GAP ((uint64_t)5 << 30)

static const char *small, *big;

/* Where the offset of the tensor stands in the header: after name, dimensions and type. */
static uint64_t offset_at(const char *header, size_t size, const struct gguf_tensor *t)
{
    size_t n = strlen(t->name);
    const char *name = memmem(header, size, t->name, n);
    while (name && *(const uint64_t *)(const void *)(name - 8) != n) /* not a part of another */
        name = memmem(name + 1, size - (size_t)(name + 1 - header), t->name, n);
    CHECK(name, "%s", t->name);
    return (uint64_t)(name - header) + n + 4 + 8 * (uint64_t)t->n_dims + 4;
}

static bool is_far(const struct gguf_tensor *t)
{
    return strncmp(t->name, "blk.1.", 6) == 0 || strcmp(t->name, "output.weight") == 0;
}

/* The small file with some tensors moved GAP further. False: no such file can be had here. */
static bool make_big(void)
{
    struct lb_error err = LB_ERROR_INIT;
    struct gguf_file *file;
    size_t size;
    char *bytes = file_bytes(small, &size);
    int fd = open(big, O_RDWR | O_CREAT | O_TRUNC, 0600);
    bool made = fd >= 0 && ftruncate(fd, (off_t)(GAP + size)) == 0 &&
                pwrite(fd, bytes, size, 0) == (ssize_t)size;
    CHECK(gguf_open(small, quant_tensor_bytes, &file, &err) == LB_OK, "%s", err.text);
    for (size_t i = 0; made && i < gguf_tensor_count(file); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(file, i);
        uint64_t offset, at = offset_at(bytes, size, t);
        memcpy(&offset, bytes + at, sizeof offset);
        if (!is_far(t))
            continue;
        offset += GAP;
        made = pwrite(fd, &offset, sizeof offset, (off_t)at) == sizeof offset &&
               pwrite(fd, bytes + t->file_offset, t->bytes, (off_t)(t->file_offset + GAP)) ==
                   (ssize_t)t->bytes;
        /* what was there is no weight any more */
        for (uint64_t k = 0; made && k < t->bytes; k++)
            made = pwrite(fd, "\xff", 1, (off_t)(t->file_offset + k)) == 1;
    }
    gguf_close(file);
    close(fd);
    free(bytes);
    return made;
}

static void logits_of(const char *path, const char *storage, const char *prefetch, float logits[64])
{
    static const int32_t ids[] = {1, 5, 9, 20};
    struct lb_options o = lb_options_default();
    struct lb_error err = LB_ERROR_INIT;
    struct lb_engine *engine;
    memset(logits, 0, 64 * sizeof *logits);
    o.model_path = path;
    o.storage = settings_storage(storage, path);
    o.prefetch = prefetch;
    o.cache_layers = 2;
    o.threads = 2;
    CHECK(lb_engine_open(&o, &engine, &err) == LB_OK, "%s, %s: %s", storage, prefetch, err.text);
    if (!engine)
        return;
    CHECK(lb_engine_prefill(engine, 0, ids, 4, false, logits, &err) == LB_OK &&
              lb_engine_decode(engine, ids, 1, logits, &err) == LB_OK,
          "%s, %s: %s", storage, prefetch, err.text);
    lb_engine_close(engine);
}

static void facts(void)
{
    struct lb_model_facts near, far;
    struct lb_error err = LB_ERROR_INIT;
    CHECK(lb_model_facts(small, &near, &err) == LB_OK && lb_model_facts(big, &far, &err) == LB_OK,
          "%s", err.text);
    CHECK(far.layer_bytes == near.layer_bytes && far.file_bytes == near.file_bytes + GAP);
}

int main(void)
{
    static const char *const storages[] = {"mmap", "pread", "direct", "uring"};
    static const char *const prefetches[] = {"off", "async"};
    struct made_model made = made_usual();
    float expected[64], got[64];
    made.n_layers = 3;
    small = strdup(made_path("small.gguf"));
    big = strdup(made_path("big.gguf"));
    made_write(&made, small);
    if (!make_big()) {
        unlink(small);
        unlink(big);
        made_clean();
        check_skip("no file of 5 GB with a hole can be made here");
    }
    logits_of(small, "pread", "off", expected);
    for (size_t s = 0; s < 4; s++)
        for (size_t p = 0; p < 2; p++) {
            logits_of(big, storages[s], prefetches[p], got);
            CHECK(memcmp(got, expected, sizeof got) == 0, "%s, %s: other logits", storages[s],
                  prefetches[p]);
        }
    facts();
    unlink(small);
    unlink(big);
    made_clean();
    return check_done();
}
