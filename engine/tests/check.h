/*
 * check: the whole test framework. A test is a program: CHECK goes on after a
 * failure, check_done() is the exit code; check_skip() ends the program as
 * skipped (77) with a reason. Seeds that a check depends on belong in its text.
 */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check_count, check_failures;

#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        check_count++;                                                                             \
        if (!(condition)) {                                                                        \
            check_failures++;                                                                      \
            fprintf(stderr, "%s:%d: %s:", __FILE__, __LINE__, #condition);                         \
            fprintf(stderr, " " __VA_ARGS__);                                                      \
            fputc('\n', stderr);                                                                   \
        }                                                                                          \
    } while (0)

#define CHECK_TEXT(got, expected)                                                                  \
    CHECK(strcmp((got), (expected)) == 0, "got '%s', expected '%s'", (got), (expected))

static inline int check_done(void)
{
    if (check_count == 0) {
        fprintf(stderr, "no check was made\n");
        return 1;
    }
    if (check_failures)
        fprintf(stderr, "%d of %d checks failed\n", check_failures, check_count);
    return check_failures ? 1 : 0;
}

static inline _Noreturn void check_skip(const char *reason)
{
    fprintf(stderr, "skipped: %s\n", reason);
    exit(check_failures ? 1 : 77);
}

/* The folder with test models and reference logits that lies beside the checkout
 * ($LAYERBENCH_SHARED, default ../shared), or NULL when it is not there. */
static inline const char *check_shared(void)
{
    const char *dir = getenv("LAYERBENCH_SHARED");
    static char probe[4096];
    if (!dir)
        dir = "../shared";
    snprintf(probe, sizeof probe, "%s/models/README.md", dir);
    FILE *f = fopen(probe, "r");
    if (!f)
        return NULL;
    fclose(f);
    return dir;
}

#endif
