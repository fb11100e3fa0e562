/* file_bytes: a file's content, for tests: whole, or as a hash. */
#ifndef TESTS_FILE_BYTES_H
#define TESTS_FILE_BYTES_H

#include "tests/check.h"

#include <stdint.h>

/* malloc; of *size bytes */
static inline char *file_bytes(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    CHECK(f && fseek(f, 0, SEEK_END) == 0, "%s", path);
    *size = (size_t)ftell(f);
    char *bytes = malloc(*size);
    rewind(f);
    CHECK(fread(bytes, 1, *size, f) == *size, "%s", path);
    fclose(f);
    return bytes;
}

/* FNV-1a, of 64 bits */
static inline uint64_t file_hash(const char *path)
{
    static unsigned char bytes[1 << 16];
    uint64_t hash = 0xcbf29ce484222325u;
    FILE *f = fopen(path, "rb");
    CHECK(f, "%s", path);
    for (size_t n; f && (n = fread(bytes, 1, sizeof bytes, f)) > 0;)
        for (size_t i = 0; i < n; i++)
            hash = (hash ^ bytes[i]) * 0x100000001b3u;
    if (f)
        fclose(f);
    return hash;
}

#endif
