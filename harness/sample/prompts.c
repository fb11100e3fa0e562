/* prompts: see prompts.h. */
#include "sample/prompts.h"

#include "common/array.h"
#include "common/file_io.h"
#include "common/shipped.h"

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_jsonl(const char *path)
{
    const char *end = strrchr(path, '.');
    return end && strcmp(end, ".jsonl") == 0;
}

/* A line's text (malloc), NULL: it has none. */
static char *text_of(const char *line, size_t length, bool jsonl)
{
    if (!jsonl)
        return strndup(line, length);
    json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
    const char *text = json_string_value(json_object_get(object, "text"));
    char *copy = text && *text ? strdup(text) : NULL;
    json_decref(object);
    return copy;
}

static enum lb_status add(struct prompts *p, char *text, struct lb_error *err)
{
    char **place = array_add(&p->texts, &p->count, sizeof *place);
    if (place)
        *place = text;
    else
        free(text);
    return place ? LB_OK : lb_fail(err, LB_ERR_NOMEM, "prompts: out of memory");
}

enum lb_status prompts_read(const char *path, struct prompts *p, struct lb_error *err)
{
    char shipped[PATH_MAX];
    path = shipped_file(path, shipped, sizeof shipped);
    *p = (struct prompts){NULL, 0};
    FILE *in = file_open(path, err);
    char *line = NULL;
    size_t room = 0, number = 0;
    ssize_t n;
    enum lb_status status = LB_OK;
    if (!in) {
        lb_error_prefix(err, "prompts");
        return err->code;
    }
    while (status == LB_OK && (n = getline(&line, &room, in)) >= 0) {
        size_t length = strcspn(line, "\r\n");
        number++;
        if (length == 0)
            continue;
        char *text = text_of(line, length, is_jsonl(path));
        status = text
                     ? add(p, text, err)
                     : lb_fail(err, LB_ERR_INPUT,
                               "prompts: %s: line %zu: expected {\"text\": \"...\"}", path, number);
    }
    if (status == LB_OK && p->count == 0)
        status =
            lb_fail(err, LB_ERR_INPUT, "prompts: %s: is empty: expected a prompt a line", path);
    free(line);
    fclose(in);
    return status;
}

void prompts_free(struct prompts *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->texts[i]);
    free(p->texts);
    *p = (struct prompts){NULL, 0};
}
