/* scenario_file: see scenario_file.h. */
#include "study/scenario_file.h"

#include "common/file_io.h"
#include "common/json_text.h"
#include "common/sha256.h"
#include "common/shipped.h"
#include "settings/options.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 8 };

static enum lb_status read_at(const char *path, int depth, struct sha256 *hash, json_t **document,
                              struct lb_error *err);

static const char *other_part(const char *part)
{
    return strcmp(part, "fixed") == 0 ? "matrix" : "fixed";
}

void scenario_put(json_t *document, const char *part, const char *option, json_t *value)
{
    json_object_del(json_object_get(document, other_part(part)), option);
    if (!json_object_get(document, part))
        json_object_set_new(document, part, json_object());
    json_object_set_new(json_object_get(document, part), option, value);
}

/* What `own` has goes over what the document has. */
static void put_over(json_t *document, json_t *own)
{
    static const char *const parts[] = {"fixed", "matrix"};
    const char *key;
    json_t *value;
    for (size_t i = 0; i < 2; i++)
        json_object_foreach(json_object_get(own, parts[i]), key, value)
            json_object_del(json_object_get(document, other_part(parts[i])), key);
    json_object_foreach(own, key, value)
    {
        json_t *there = json_object_get(document, key);
        bool options = strcmp(key, "fixed") == 0 || strcmp(key, "matrix") == 0;
        if (options && json_is_object(there) && json_is_object(value))
            json_object_update(there, value);
        else
            json_object_set(document, key, value);
    }
}

/* A path that is not absolute, as it lies beside the file; malloc. */
static char *beside(const char *file, const char *path)
{
    const char *end = strrchr(file, '/');
    return *path == '/' || !end ? strdup(path)
                                : file_text("%.*s/%s", (int)(end - file), file, path);
}

/* A path as it lies beside the file, if there is one there, else as it stands; malloc. */
static char *nearest(const char *file, const char *path)
{
    char *near = *path ? beside(file, path) : NULL;
    if (near && file_exists(near))
        return near;
    free(near);
    return strdup(path);
}

/* The same of several, with commas between them. */
static char *nearest_of_each(const char *file, const char *paths)
{
    char *all = NULL;
    for (bool more = true; more;) {
        size_t n = strcspn(paths, ",");
        char *path = strndup(paths, n), *near = path ? nearest(file, path) : NULL;
        char *longer = near ? file_text("%s%s%s", all ? all : "", all ? "," : "", near) : NULL;
        free(path);
        free(near);
        free(all);
        all = longer;
        more = all && paths[n];
        paths += n + 1;
    }
    return all;
}

/* A value that names a file, or a list of them. */
static enum lb_status find_value(const char *file, json_t *value, unsigned flags,
                                 struct lb_error *err)
{
    enum lb_status status = LB_OK;
    for (size_t i = 0; i < json_array_size(value) && status == LB_OK; i++)
        status = find_value(file, json_array_get(value, i), flags, err);
    const char *text = json_string_value(value);
    if (!text)
        return status;
    char *path = flags & OPTION_FILES ? nearest_of_each(file, text) : nearest(file, text);
    if (!path)
        return lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", file);
    status = json_can_name(path, "a scenario", err);
    if (status == LB_OK && json_string_set(value, path))
        status = lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", file);
    free(path);
    return status;
}

static enum lb_status find_options(const char *file, const json_t *options, struct lb_error *err)
{
    size_t count;
    const struct option *table = options_table(&count);
    enum lb_status status = LB_OK;
    for (size_t i = 0; i < count && status == LB_OK; i++)
        if (table[i].flags & (OPTION_FILE | OPTION_FILES))
            status = find_value(file, json_object_get(options, table[i].name), table[i].flags, err);
    return status;
}

/* Whatever is named as a file and lies beside the scenario is that one. */
static enum lb_status find_files(const char *file, const json_t *document, struct lb_error *err)
{
    const json_t *exclude = json_object_get(document, "exclude");
    enum lb_status status = find_value(
        file, json_object_get(json_object_get(document, "model"), "path"), OPTION_FILE, err);
    if (status == LB_OK)
        status = find_options(file, json_object_get(document, "fixed"), err);
    if (status == LB_OK)
        status = find_options(file, json_object_get(document, "matrix"), err);
    for (size_t i = 0; i < json_array_size(exclude) && status == LB_OK; i++)
        status = find_options(file, json_array_get(exclude, i), err);
    return status;
}

static enum lb_status include(const char *file, const json_t *name, int depth, struct sha256 *hash,
                              json_t *all, struct lb_error *err)
{
    if (!json_is_string(name) || json_string_length(name) == 0)
        return lb_fail(err, LB_ERR_INPUT, "%s: include: expected a path, or a list of paths", file);
    if (depth == DEEPEST)
        return lb_fail(err, LB_ERR_INPUT,
                       "%s: include: '%s': expected at most %d files deep: one includes itself",
                       file, json_string_value(name), DEEPEST);
    char *path = beside(file, json_string_value(name));
    json_t *document = NULL;
    enum lb_status status = path ? read_at(path, depth + 1, hash, &document, err)
                                 : lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", file);
    if (status == LB_OK)
        put_over(all, document);
    json_decref(document);
    free(path);
    return status;
}

/* The included documents one over the other, then the file's own. */
static enum lb_status include_all(const char *file, int depth, struct sha256 *hash,
                                  json_t **document, struct lb_error *err)
{
    json_t *names = json_object_get(*document, "include"), *all = json_object();
    enum lb_status status = all ? LB_OK : lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", file);
    if (!json_is_array(names) && status == LB_OK)
        status = include(file, names, depth, hash, all, err);
    for (size_t i = 0; i < json_array_size(names) && status == LB_OK; i++)
        status = include(file, json_array_get(names, i), depth, hash, all, err);
    if (status != LB_OK) {
        json_decref(all);
        return status;
    }
    json_object_del(*document, "include");
    put_over(all, *document);
    json_decref(*document);
    *document = all;
    return LB_OK;
}

static enum lb_status read_at(const char *path, int depth, struct sha256 *hash, json_t **document,
                              struct lb_error *err)
{
    char *text = NULL;
    size_t length;
    enum lb_status status = file_read(path, &text, &length, err);
    if (status != LB_OK)
        return status;
    sha256_add(hash, text, length);
    json_blank_comments(text, length);
    json_error_t where;
    *document = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
    free(text);
    if (!*document)
        return lb_fail(err, LB_ERR_INPUT, "%s: line %d, column %d: %s", path, where.line,
                       where.column, where.text);
    status = find_files(path, *document, err);
    if (status == LB_OK && json_object_get(*document, "include"))
        status = include_all(path, depth, hash, document, err);
    return status;
}

enum lb_status scenario_document(const char *path, json_t **document, char sha256[65],
                                 struct lb_error *err)
{
    char room[PATH_MAX];
    const char *found = shipped_scenario(path, room, sizeof room);
    *document = NULL;
    if (!strpbrk(found, "./") && strcmp(found, "-") != 0 && !file_exists(found)) /* a name */
        return lb_fail(err, LB_ERR_INPUT,
                       "%s: no such file, and no such scenario: layerbench list scenarios names "
                       "those that come with it",
                       path);
    struct sha256 hash;
    sha256_begin(&hash);
    enum lb_status status = read_at(found, 0, &hash, document, err);
    sha256_end(&hash, sha256);
    if (status != LB_OK) {
        json_decref(*document);
        *document = NULL;
    }
    return status;
}

enum lb_status scenario_hash(const json_t *document, char sha256[65], struct lb_error *err)
{
    char *text = json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS);
    struct sha256 hash;
    if (!text)
        return lb_fail(err, LB_ERR_NOMEM, "scenario: out of memory");
    sha256_begin(&hash);
    sha256_add(&hash, text, strlen(text));
    sha256_end(&hash, sha256);
    free(text);
    return LB_OK;
}

enum lb_status scenario_read(const char *path, struct scenario *s, struct lb_error *err)
{
    json_t *document;
    char sha256[65];
    memset(s, 0, sizeof *s);
    enum lb_status status = scenario_document(path, &document, sha256, err);
    if (status == LB_OK)
        status = scenario_from_json(document, path, sha256, s, err);
    json_decref(document);
    return status;
}
