/*
 * micro_storage: reads of a file by back-end, block size and queue depth, with idle cores.
 *
 * Inside the time are the reads, with the queue kept full. Before, some of the file is read by
 * the back-end and compared with what plain reads give. Buffered back-ends read what the page cache
 * holds, which for a file that was just written is everything.
 */
#include "base/input.h"
#include "base/memory.h"
#include "base/output.h"
#include "base/random.h"
#include "micro/micro.h"
#include "storage/bandwidth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECKED_BYTES ((size_t)3 << 19)
#define IO_THREADS    4 /* the engine's default */

static const uint32_t blocks[] = {64 << 10, 256 << 10, 1 << 20, 4 << 20};
static const uint32_t depths[] = {1, 8, 32};

/* ---- the file ---- */

static enum lb_status write_random(int fd, uint64_t bytes, struct lb_error *err)
{
    enum { WORDS = 1 << 16 };
    uint64_t *block = lb_calloc(WORDS, sizeof *block);
    struct lb_random r = {.state = bytes};
    enum lb_status status = LB_OK;
    if (!block)
        return lb_fail(err, LB_ERR_NOMEM, "out of memory for a file to read");
    while (bytes > 0 && status == LB_OK) {
        for (size_t i = 0; i < WORDS; i++)
            block[i] = lb_random_next(&r);
        size_t part = bytes < WORDS * sizeof *block ? bytes : WORDS * sizeof *block;
        ssize_t n = write(fd, block, part);
        if (n < 0)
            status = lb_fail(err, LB_ERR_IO, "cannot write a file to read: %s", strerror(errno));
        else
            bytes -= (uint64_t)n;
    }
    lb_free(block);
    if (status == LB_OK && fsync(fd) != 0)
        status = lb_fail(err, LB_ERR_IO, "cannot write a file to read: %s", strerror(errno));
    return status;
}

enum lb_status micro_file_open(struct micro *m, uint64_t bytes, struct lb_error *err)
{
    struct stat info;
    enum lb_status status = LB_OK;
    if (m->file) {
        m->file_fd = lb_input_open(m->file, false, err);
        if (m->file_fd < 0)
            return LB_ERR_INPUT;
    } else {
        m->file_fd = lb_unnamed_file(".");
        if (m->file_fd < 0)
            return lb_fail(err, LB_ERR_IO, "cannot make a file to read here: %s", strerror(errno));
        status = write_random(m->file_fd, bytes, err);
        snprintf(m->file_name, sizeof m->file_name, "/proc/self/fd/%d", m->file_fd);
        m->file = m->file_name;
    }
    if (status == LB_OK && (fstat(m->file_fd, &info) != 0 || !S_ISREG(info.st_mode) ||
                            info.st_size < (off_t)CHECKED_BYTES))
        status = lb_fail(err, LB_ERR_INPUT, "'%s': expected a file of at least %zu bytes", m->file,
                         CHECKED_BYTES);
    if (status == LB_OK)
        m->file_bytes = (uint64_t)info.st_size;
    else
        micro_file_close(m);
    return status;
}

void micro_file_close(struct micro *m)
{
    if (m->file_fd >= 0)
        close(m->file_fd);
    m->file_fd = -1;
}

/* ---- one sample ---- */

/* Reads the end of the file both ways. */
static enum lb_status check(struct micro *m, struct storage *storage, struct micro_result *sample,
                            struct lb_error *err)
{
    uint64_t offset = m->file_bytes - CHECKED_BYTES;
    uint8_t *expected = lb_calloc(2, CHECKED_BYTES), *got = expected + CHECKED_BYTES;
    enum lb_status status;
    if (!expected)
        return lb_fail(err, LB_ERR_NOMEM, "out of memory for a comparison");
    if (pread(m->file_fd, expected, CHECKED_BYTES, (off_t)offset) != (ssize_t)CHECKED_BYTES)
        status = lb_fail(err, LB_ERR_IO, "cannot read '%s'", m->file);
    else
        status = storage_read_all(storage, offset, CHECKED_BYTES, got, err);
    if (status == LB_OK && memcmp(expected, got, CHECKED_BYTES) != 0)
        status = lb_fail(err, LB_ERR_STATE, "wrong bytes: not what a plain read gives");
    sample->output_hash = micro_hash(got, CHECKED_BYTES);
    lb_free(expected);
    return status;
}

static enum lb_status measure(struct micro *m, struct micro_case *c, struct micro_result *sample,
                              struct lb_error *err)
{
    struct storage_options options = {.queue_depth = c->queue_depth, .io_threads = IO_THREADS};
    struct bandwidth_options how = {.block_bytes = c->block_bytes, .duration_ns = m->sample_ns};
    struct bandwidth_reading got;
    struct storage *storage;
    enum lb_status status = storage_open(c->variant, m->file, &options, NULL, 0, &storage, err);
    if (status != LB_OK)
        return status;
    status = check(m, storage, sample, err);
    if (status == LB_OK)
        status = bandwidth_measure(storage, &how, &got, err);
    storage_close(storage);
    if (status == LB_OK) {
        sample->iterations = got.reads;
        sample->ns = (double)got.wall_ns / (double)got.reads;
        sample->bytes = (double)got.bytes / (double)got.reads;
    }
    return status;
}

enum lb_status micro_list_storage(struct micro_list *list, struct lb_error *err)
{
    size_t n;
    const struct storage_ops *const *backends = storage_list(&n);
    for (size_t i = 0; i < n; i++)
        for (size_t b = 0; b < sizeof blocks / sizeof *blocks; b++)
            for (size_t d = 0; d < sizeof depths / sizeof *depths; d++) {
                struct micro_case *c = micro_add(list, "storage/%s/block:%uKiB/depth:%u",
                                                 backends[i]->name, blocks[b] >> 10, depths[d]);
                if (!c)
                    return lb_fail(err, LB_ERR_NOMEM, "out of memory for benchmarks");
                c->measure = measure;
                c->variant = backends[i]->name;
                c->block_bytes = blocks[b];
                c->queue_depth = depths[d];
            }
    return LB_OK;
}
