/* json_text: jansson refuses invalid UTF-8; model files and /proc may hold it. */
#include "common/json_text.h"

#include "common/file_io.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *json_text(const char *text)
{
    if (!text)
        return json_null();
    json_t *value = json_string(text);
    if (value)
        return value;
    size_t n = strlen(text), used = 0;
    char *mended = malloc(3 * n + 1);
    if (!mended)
        return NULL;
    for (size_t i = 0; i < n;) {
        size_t length = 4 < n - i ? 4 : n - i;
        json_t *piece = NULL;
        /* the shortest valid sequence that begins here */
        for (size_t k = 1; k <= length && !piece; k++) {
            piece = json_stringn(text + i, k);
            if (piece) {
                memcpy(mended + used, text + i, k);
                used += k;
                i += k;
            }
        }
        if (!piece) {
            memcpy(mended + used, "\xef\xbf\xbd", 3);
            used += 3;
            i++;
        }
        json_decref(piece);
    }
    value = json_stringn(mended, used);
    free(mended);
    return value;
}

json_t *json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

enum lb_status json_can_name(const char *path, const char *what, struct lb_error *err)
{
    json_t *value = path ? json_string(path) : json_null();
    if (!value)
        return lb_fail(err, LB_ERR_INPUT, "%s: the path is not UTF-8: %s cannot name it", path,
                       what);
    json_decref(value);
    return LB_OK;
}

enum lb_status json_replace_file(const char *path, const json_t *document, size_t flags,
                                 struct lb_error *err)
{
    char *text = json_dumps(document, flags);
    char *whole = text ? file_text("%s\n", text) : NULL;
    enum lb_status status = whole ? file_replace(path, whole, strlen(whole), err)
                                  : lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", path);
    free(text);
    free(whole);
    return status;
}

/* The end of the comment that begins at `i`, or `i`: none does, or it has no end. */
static size_t comment_end(const char *text, size_t length, size_t i)
{
    if (length - i < 2 || text[i] != '/')
        return i;
    size_t end = i + 2;
    if (text[i + 1] == '/') {
        while (end < length && text[end] != '\n')
            end++;
        return end;
    }
    for (; text[i + 1] == '*' && end + 1 < length; end++)
        if (text[end] == '*' && text[end + 1] == '/')
            return end + 2;
    return i;
}

void json_blank_comments(char *text, size_t length)
{
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        for (size_t end = quoted ? i : comment_end(text, length, i); i < end; i++)
            if (text[i] != '\n')
                text[i] = ' ';
    }
}

void json_append_text(json_t *array, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_array_append_new(array, json_text(text));
}
