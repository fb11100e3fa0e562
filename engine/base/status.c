/* status: error text and its formatting. See status.h. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum lb_status lb_fail(struct lb_error *err, enum lb_status code, const char *format, ...)
{
    if (err && err->code == LB_OK) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        /* names and values out of files may hold anything; the message stays one line */
        for (char *c = err->text; *c; c++)
            if ((unsigned char)*c < ' ' || *c == 0x7f)
                *c = '?';
        err->code = code;
    }
    return code;
}

void lb_error_prefix(struct lb_error *err, const char *format, ...)
{
    if (!err || err->code == LB_OK)
        return;
    char old[sizeof err->text];
    memcpy(old, err->text, sizeof old);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof err->text)
        snprintf(err->text + n, sizeof err->text - (size_t)n, ": %.*s",
                 (int)(sizeof err->text - (size_t)n), old);
}

const char *lb_status_name(enum lb_status code)
{
    static const char *const names[] = {"ok", "input", "unsupported", "memory", "io", "state"};
    return (size_t)code < sizeof names / sizeof *names ? names[code] : "unknown";
}
