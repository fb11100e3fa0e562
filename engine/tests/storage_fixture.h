/* storage_fixture: a temporary file whose every byte is known, and helpers of the storage tests. */
#ifndef TESTS_STORAGE_FIXTURE_H
#define TESTS_STORAGE_FIXTURE_H

#include "base/memory.h"
#include "base/random.h"
#include "storage/storage.h"
#include "tests/check.h"

#include <unistd.h>

/* The byte at an offset: SplitMix64 of the word it lies in. */
static inline uint8_t fixture_byte(uint64_t offset)
{
    struct lb_random r = {.state = (offset / 8) * 0x9e3779b97f4a7c15u + 1};
    return (uint8_t)(lb_random_next(&r) >> (offset % 8 * 8));
}

/* Whether data[0..bytes) is what the file holds at `offset`. */
static inline bool fixture_same(const void *data, uint64_t offset, size_t bytes)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < bytes; i++)
        if (p[i] != fixture_byte(offset + i))
            return false;
    return true;
}

/* Writes the file into path[]; the caller unlinks it. */
static inline void fixture_write(char path[64], uint64_t bytes)
{
    const char *dir = getenv("TMPDIR");
    snprintf(path, 64, "%s/storage-XXXXXX", dir && strlen(dir) < 40 ? dir : "/var/tmp");
    int fd = mkstemp(path);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f)
        check_skip("cannot write a temporary file");
    for (uint64_t i = 0; i < bytes; i++)
        fputc(fixture_byte(i), f);
    if (fclose(f))
        check_skip("the file system for temporary files is full");
}

static inline struct storage *fixture_open(const char *name, const char *path, uint32_t depth)
{
    struct lb_error err = LB_ERROR_INIT;
    struct storage_options options = {.queue_depth = depth, .io_threads = 3};
    struct storage *storage;
    char notice[256];
    enum lb_status s = storage_open(name, path, &options, notice, sizeof notice, &storage, &err);
    CHECK(s == LB_OK, "%s: %s", name, err.text);
    return storage;
}

#endif
