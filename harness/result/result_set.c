/* result_set: see result_set.h. */
#include "result/result_set.h"

#include "common/array.h"
#include "common/file_io.h"
#include "common/json_schema.h"
#include "result/document.h"
#include "result/gbench_file.h"
#include "result/result_view.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static enum lb_status no_memory(struct lb_error *err)
{
    return lb_fail(err, LB_ERR_NOMEM, "results: out of memory");
}

/* Not a link to one. */
static bool is_directory(const char *path)
{
    struct stat about;
    return lstat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

/* ---- one file ---- */

static enum lb_status check(const json_t *document, struct lb_error *err)
{
    json_t *schema = json_schema_load("result");
    if (!schema)
        return no_memory(err);
    enum lb_status status = json_schema_check(schema, document, err);
    json_decref(schema);
    return status;
}

/* Two cells of one name would be compared with themselves. */
static enum lb_status check_names(const json_t *ours, struct lb_error *err)
{
    json_t *seen = json_object(), *cell;
    size_t i;
    enum lb_status status = LB_OK;
    json_array_foreach(json_object_get(ours, "cells"), i, cell)
    {
        const char *name = json_string_value(json_object_get(cell, "name"));
        if (status == LB_OK && json_object_get(seen, name))
            status = lb_fail(err, LB_ERR_INPUT,
                             "$.layerbench.cells[%zu].name: \"%.100s\": expected each name once", i,
                             name);
        json_object_set_new(seen, name, json_true());
    }
    json_decref(seen);
    return status;
}

static enum lb_status read_file(const char *path, json_t **document, struct lb_error *err)
{
    enum lb_status status = document_read(path, document, err);
    if (status == LB_OK && gbench_file_is(*document))
        return gbench_file_import(*document) ? LB_OK : no_memory(err);
    if (status == LB_OK)
        status = document_check(path, *document, err);
    if (status != LB_OK)
        return status;
    status = check(*document, err);
    if (status == LB_OK)
        status = check_names(json_object_get(*document, "layerbench"), err);
    if (status != LB_OK)
        lb_error_prefix(err, "%s", path);
    return status;
}

enum lb_status result_set_add(const char *path, struct result_set *set, struct lb_error *err)
{
    struct result_file *file = array_add(&set->files, &set->count, sizeof *file);
    if (file)
        file->path = document_file(path, "result.json");
    if (!file || !file->path)
        return no_memory(err);
    enum lb_status status = read_file(file->path, &file->document, err);
    file->ours = json_object_get(file->document, "layerbench");
    return status;
}

/* ---- several ---- */

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* The run directories in a directory. */
static enum lb_status add_runs(const char *directory, struct result_set *set, struct lb_error *err)
{
    struct dirent **entries = NULL;
    size_t before = set->count;
    int n = scandir(directory, &entries, NULL, by_name);
    enum lb_status status = LB_OK;
    if (n < 0)
        return lb_fail(err, LB_ERR_INPUT, "%s: %s", directory, strerror(errno));
    for (int i = 0; i < n; i++) {
        char *run = file_text("%s/%s", directory, entries[i]->d_name);
        char *file = run ? file_text("%s/result.json", run) : NULL;
        if (!file)
            status = no_memory(err);
        else if (status == LB_OK && entries[i]->d_name[0] != '.' && is_directory(run) &&
                 file_exists(file))
            status = result_set_add(run, set, err);
        free(file);
        free(run);
        free(entries[i]);
    }
    free(entries);
    if (status == LB_OK && set->count == before)
        status = lb_fail(err, LB_ERR_INPUT,
                         "%s: no result.json in it or in a directory of it: expected a run "
                         "directory, a result.json, or a directory of run directories",
                         directory);
    return status;
}

static enum lb_status add_path(const char *word, struct result_set *set, struct lb_error *err)
{
    char *file = document_file(word, "result.json");
    if (!file)
        return no_memory(err);
    bool runs = file_exists(word) && !file_exists(file);
    free(file);
    return runs ? add_runs(word, set, err) : result_set_add(word, set, err);
}

/* A path, or the name of a baseline. */
static enum lb_status add_word(const char *word, struct result_set *set, struct lb_error *err)
{
    bool path = strchr(word, '/') || file_exists(word);
    char *baseline = path ? NULL : file_text("results/baselines/%s", word);
    enum lb_status status = add_path(baseline && file_exists(baseline) ? baseline : word, set, err);
    free(baseline);
    return status;
}

/* RESULT:CELL */
static enum lb_status add_cell(const char *path, const char *cell, struct result_set *set,
                               struct lb_error *err)
{
    struct result_view view = VIEW_EMPTY;
    size_t i;
    enum lb_status status = result_set_add(path, set, err);
    if (status == LB_OK)
        status = view_open(set->files[0].path, &view, err);
    if (status == LB_OK && (status = view_find_cell(&view, cell, &i, err)) != LB_OK)
        lb_error_prefix(err, "%s", path);
    if (status == LB_OK && !(set->cell = strdup(view.cells[i].name)))
        status = no_memory(err);
    view_close(&view);
    return status;
}

enum lb_status result_set_read(const char *word, struct result_set *set, struct lb_error *err)
{
    *set = (struct result_set){.count = 0};
    if (file_exists(word)) /* also a name with a comma in it */
        return add_word(word, set, err);
    for (const char *colon = strchr(word, ':'); colon; colon = strchr(colon + 1, ':')) {
        char *path = file_text("%.*s", (int)(colon - word), word);
        bool named = path && file_exists(path);
        enum lb_status found = named ? add_cell(path, colon + 1, set, err) : LB_OK;
        free(path);
        if (named)
            return found;
    }
    char *copy = strdup(word), *rest = copy, *part;
    enum lb_status status = copy ? LB_OK : no_memory(err);
    while (status == LB_OK && (part = strsep(&rest, ",")) != NULL)
        status = add_word(part, set, err);
    free(copy);
    return status;
}

enum lb_status result_set_join(struct result_set *set, struct result_set *more,
                               struct lb_error *err)
{
    size_t n = 0;
    for (struct result_file *place; n < more->count; n++) {
        if (!(place = array_add(&set->files, &set->count, sizeof *place)))
            break;
        *place = more->files[n];
    }
    more->count -= n;
    if (more->count == 0)
        return LB_OK;
    memmove(more->files, more->files + n, more->count * sizeof *more->files);
    return no_memory(err);
}

void result_set_free(struct result_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        free(set->files[i].path);
        json_decref(set->files[i].document);
    }
    free(set->files);
    free(set->cell);
    *set = (struct result_set){.count = 0};
}

/* ---- what a result says of itself ---- */

static const char *text_of(const json_t *value)
{
    const char *text = json_string_value(value);
    return text ? text : "";
}

const char *result_scenario_hash(const struct result_file *file)
{
    return text_of(json_object_get(json_object_get(file->ours, "scenario"), "sha256"));
}

const char *result_machine(const struct result_file *file)
{
    const json_t *environment = json_object_get(file->ours, "environment");
    return text_of(json_object_get(json_object_get(environment, "comparability_key"), "value"));
}

const char *result_cell_machine(const struct result_file *file, const json_t *cell)
{
    const char *own = text_of(json_object_get(cell, "machine"));
    return *own ? own : result_machine(file);
}

const json_t *result_cell(const struct result_file *file, const char *name)
{
    size_t i;
    const json_t *cell;
    json_array_foreach(json_object_get(file->ours, "cells"), i, cell)
    {
        if (strcmp(text_of(json_object_get(cell, "name")), name) == 0)
            return cell;
    }
    return NULL;
}
