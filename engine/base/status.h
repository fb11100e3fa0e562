/*
 * status: how every room reports failure.
 *
 * A function that can fail returns an lb_status and takes a `struct lb_error *`
 * last. The first error wins: a later lb_fail() on the same object keeps the
 * text of the first, so that clean-up code cannot hide the cause.
 * The engine never exits or aborts; only the harness turns a status into an
 * exit code.
 */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

enum lb_status {
    LB_OK = 0,
    LB_ERR_INPUT,       /* bad file, option or value: the caller can mend it */
    LB_ERR_UNSUPPORTED, /* valid, but not something this build or machine can do */
    LB_ERR_NOMEM,       /* an allocation failed */
    LB_ERR_IO,          /* a read, write or open failed */
    LB_ERR_STATE,       /* called in the wrong order, or after an earlier failure */
};

struct lb_error {
    enum lb_status code; /* LB_OK: no error so far */
    char text[512];      /* one line: what, where, what was expected */
};

#define LB_ERROR_INIT                                                                              \
    {                                                                                              \
        LB_OK, ""                                                                                  \
    }

/* Records the error if none is recorded yet (err may be NULL); returns `code`. */
enum lb_status lb_fail(struct lb_error *err, enum lb_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " in front of the recorded text; used to add where it happened. */
void lb_error_prefix(struct lb_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "input", "unsupported", ...: for logs and results. */
const char *lb_status_name(enum lb_status code);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
