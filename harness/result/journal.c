/* journal: see journal.h. */
#include "result/journal.h"

#include "common/file_io.h"
#include "common/json_text.h"

#include <stdlib.h>
#include <string.h>

enum lb_status journal_add(const char *path, const char *cell, const struct sample *sample,
                           struct lb_error *err)
{
    json_t *object =
        json_pack("{s:o, s:o}", "cell", json_text(cell), "sample", sample_to_json(sample));
    char *line = object ? json_dumps(object, JSON_COMPACT) : NULL;
    char *text = line ? file_text("%s\n", line) : NULL;
    enum lb_status status = text ? file_append(path, text, strlen(text), err)
                                 : lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", path);
    free(text);
    free(line);
    json_decref(object);
    return status;
}

enum lb_status journal_read(const char *path,
                            enum lb_status (*take)(void *ctx, const char *cell,
                                                   struct sample *sample, struct lb_error *err),
                            void *ctx, struct lb_error *err)
{
    char *text = NULL;
    size_t length = 0, number = 0;
    if (!file_exists(path))
        return LB_OK;
    enum lb_status status = file_read(path, &text, &length, err);
    char *rest = text, *line;
    while (status == LB_OK && (line = strsep(&rest, "\n")) != NULL) {
        number++;
        if (!*line)
            continue;
        if (!rest) /* no end of line: cut, and the sample is measured again */
            break;
        json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        const char *cell = json_string_value(json_object_get(object, "cell")), *where;
        struct sample sample;
        if (cell && sample_from_json(json_object_get(object, "sample"), 1, &sample, &where))
            status = take(ctx, cell, &sample, err);
        else
            status = lb_fail(err, LB_ERR_INPUT, "%s: line %zu: expected a cell and its sample",
                             path, number);
        json_decref(object);
    }
    free(text);
    return status;
}
