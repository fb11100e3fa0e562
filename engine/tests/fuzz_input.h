/*
 * fuzz_input: what the fuzz targets share. A target is a file fuzz_NAME.c that defines
 * LLVMFuzzerTestOneInput; `make fuzz` links it with libFuzzer, test_fuzz_corpus.sh with
 * fuzz_replay.c, which runs the inputs of its folder (fuzz/NAME) once.
 */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include "base/status.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold and does not ends the program, as a crash does. */
#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* A failure has a text of one line. */
static inline void fuzz_check_error(enum lb_status status, const struct lb_error *err)
{
    if (status == LB_OK)
        return;
    FUZZ_CHECK(err->code == status && *err->text && !strchr(err->text, '\n'));
}

/* A file in memory that holds data[size], then tail[tail_size]; the same one each time. */
static inline const char *fuzz_file(const uint8_t *data, size_t size, const void *tail,
                                    size_t tail_size)
{
    static int file = -1;
    static char path[32];
    if (file < 0) {
        file = memfd_create("fuzz", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    }
    FUZZ_CHECK(ftruncate(file, (off_t)(size + tail_size)) == 0);
    FUZZ_CHECK(pwrite(file, data, size, 0) == (ssize_t)size);
    FUZZ_CHECK(pwrite(file, tail, tail_size, (off_t)size) == (ssize_t)tail_size);
    return path;
}

#endif
