/* temporary: a file or a folder of a test's own, in $TMPDIR (/tmp). Where none can be made the
 * program ends. */
#ifndef TESTS_TEMPORARY_H
#define TESTS_TEMPORARY_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TEMPORARY_PATH = 512 };

static inline void temporary_name(char path[TEMPORARY_PATH])
{
    const char *folder = getenv("TMPDIR");
    snprintf(path, TEMPORARY_PATH, "%s/layerbench-test-XXXXXX",
             folder && *folder ? folder : "/tmp");
}

/* An empty file, open to be written; its name in `path`. */
static inline int temporary_file(char path[TEMPORARY_PATH])
{
    temporary_name(path);
    int fd = mkstemp(path);
    if (fd < 0) {
        perror(path);
        exit(1);
    }
    return fd;
}

/* The same, for whoever opens it by its name. */
static inline void temporary_path(char path[TEMPORARY_PATH])
{
    close(temporary_file(path));
}

static inline void temporary_folder(char path[TEMPORARY_PATH])
{
    temporary_name(path);
    if (!mkdtemp(path)) {
        perror(path);
        exit(1);
    }
}

#endif
