/* document: see document.h. */
#include "result/document.h"

#include "common/file_io.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

char *document_file(const char *result, const char *name)
{
    struct stat about;
    const char *slash = strrchr(result, '/');
    bool there = stat(result, &about) == 0;
    if (strcmp(name, "result.json") == 0 && !(there && S_ISDIR(about.st_mode)))
        return strdup(result);
    if (!there || S_ISDIR(about.st_mode))
        return file_text("%s/%s", result, name);
    return file_text("%.*s%s", slash ? (int)(slash + 1 - result) : 0, result, name);
}

enum lb_status document_read(const char *path, json_t **document, struct lb_error *err)
{
    char *text = NULL;
    size_t length;
    json_error_t where;
    *document = NULL;
    enum lb_status status = file_read(path, &text, &length, err);
    if (status != LB_OK)
        return status;
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        status =
            lb_fail(err, LB_ERR_INPUT,
                    "%s: damaged: begins with a byte-order mark: expected JSON without one", path);
    else if (!(*document = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where)))
        status = lb_fail(err, LB_ERR_INPUT, "%s: damaged: line %d, column %d: %s: expected JSON",
                         path, where.line, where.column, where.text);
    free(text);
    return status;
}

enum lb_status document_check(const char *path, const json_t *document, struct lb_error *err)
{
    const json_t *ours = json_object_get(document, "layerbench");
    const json_t *version = json_object_get(ours, "schema_version");
    if (!json_is_object(ours))
        return lb_fail(err, LB_ERR_INPUT,
                       "%s: not a result of layerbench (expected a key 'layerbench')", path);
    if (version && json_integer_value(version) != RESULT_SCHEMA_VERSION)
        return lb_fail(err, LB_ERR_INPUT,
                       "%s: $.layerbench.schema_version: %" JSON_INTEGER_FORMAT ": expected %d",
                       path, json_integer_value(version), RESULT_SCHEMA_VERSION);
    return LB_OK;
}
