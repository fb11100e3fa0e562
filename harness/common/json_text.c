/* json_text: jansson refuses invalid UTF-8; model files and /proc may hold it. */
#include "common/json_text.h"

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

enum lb_status json_can_name(const char *path, const char *what, struct lb_error *err)
{
    json_t *value = path ? json_string(path) : json_null();
    if (!value)
        return lb_fail(err, LB_ERR_INPUT, "%s: the path is not UTF-8: %s cannot name it", path,
                       what);
    json_decref(value);
    return LB_OK;
}
