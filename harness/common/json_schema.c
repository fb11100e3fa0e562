/* json_schema: a recursive walk over schema and document. See json_schema.h. */
#include "common/json_schema.h"

#include "common/embedded.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <math.h>
#include <pcre2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MAX_DEPTH 64

struct place { /* where in the document: a chain on the stack */
    const struct place *parent;
    const char *key; /* NULL: an index */
    size_t index;
    int depth;
};

struct walk {
    const json_t *root; /* of the schema */
    struct lb_error *err;
};

static enum lb_status check(struct walk *walk, const json_t *schema, const json_t *value,
                            const struct place *place);

static size_t write_path(const struct place *place, char *out, size_t size)
{
    if (!place->parent)
        return (size_t)snprintf(out, size, "$");
    size_t used = write_path(place->parent, out, size);
    if (used >= size)
        return used;
    return used + (size_t)(place->key ? snprintf(out + used, size - used, ".%s", place->key)
                                      : snprintf(out + used, size - used, "[%zu]", place->index));
}

static enum lb_status fail(struct walk *walk, const struct place *place, const json_t *value,
                           const char *expected)
{
    char path[200], got[80] = "";
    write_path(place, path, sizeof path);
    if (value) {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        snprintf(got, sizeof got, text && strlen(text) > 60 ? "%.57s..." : "%s", text ? text : "?");
        free(text);
    }
    return lb_fail(walk->err, LB_ERR_INPUT, "%s: %s%sexpected %s", path, got, value ? ": " : "",
                   expected);
}

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "object";
    case JSON_ARRAY:
        return "array";
    case JSON_STRING:
        return "string";
    case JSON_INTEGER:
        return "integer";
    case JSON_REAL:
        return "number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "boolean";
    default:
        return "null";
    }
}

static bool has_type(const json_t *value, const char *type)
{
    const char *is = type_name(value);
    return strcmp(is, type) == 0 || (strcmp(type, "number") == 0 && json_is_integer(value));
}

static enum lb_status check_type(struct walk *walk, const json_t *type, const json_t *value,
                                 const struct place *place)
{
    char expected[120] = "";
    size_t used = 0;
    if (json_is_string(type)) {
        if (has_type(value, json_string_value(type)))
            return LB_OK;
        snprintf(expected, sizeof expected, "%s", json_string_value(type));
    }
    for (size_t i = 0; i < json_array_size(type); i++) {
        const char *name = json_string_value(json_array_get(type, i));
        if (has_type(value, name))
            return LB_OK;
        if (used < sizeof expected)
            used += (size_t)snprintf(expected + used, sizeof expected - used, "%s%s",
                                     i ? " or " : "", name);
    }
    return fail(walk, place, value, expected);
}

static enum lb_status check_enum(struct walk *walk, const json_t *list, const json_t *value,
                                 const struct place *place)
{
    char expected[200] = "one of";
    size_t used = strlen(expected);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        if (json_equal(one, value))
            return LB_OK;
        if (used < sizeof expected && json_is_string(one))
            used += (size_t)snprintf(expected + used, sizeof expected - used, " %s",
                                     json_string_value(one));
    }
    return fail(walk, place, value, expected);
}

static enum lb_status check_number(struct walk *walk, const char *keyword, double bound,
                                   const json_t *value, const struct place *place)
{
    char expected[80];
    double x = json_number_value(value);
    if (!json_is_number(value))
        return LB_OK;
    if (strcmp(keyword, "minimum") == 0 && !(x >= bound))
        snprintf(expected, sizeof expected, "at least %g", bound);
    else if (strcmp(keyword, "maximum") == 0 && !(x <= bound))
        snprintf(expected, sizeof expected, "at most %g", bound);
    else if (strcmp(keyword, "exclusiveMinimum") == 0 && !(x > bound))
        snprintf(expected, sizeof expected, "more than %g", bound);
    else
        return LB_OK;
    return fail(walk, place, value, expected);
}

static enum lb_status check_pattern(struct walk *walk, const char *pattern, const json_t *value,
                                    const struct place *place)
{
    if (!json_is_string(value))
        return LB_OK;
    int code;
    PCRE2_SIZE at;
    pcre2_code *re = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, 0, &code, &at, NULL);
    pcre2_match_data *match = re ? pcre2_match_data_create_from_pattern(re, NULL) : NULL;
    bool ok = match && pcre2_match(re, (PCRE2_SPTR)json_string_value(value),
                                   json_string_length(value), 0, 0, match, NULL) >= 0;
    pcre2_match_data_free(match);
    pcre2_code_free(re);
    char expected[120];
    snprintf(expected, sizeof expected, "text like %s", pattern);
    return ok ? LB_OK : fail(walk, place, value, expected);
}

static enum lb_status check_size(struct walk *walk, const char *keyword, size_t least,
                                 const json_t *value, const struct place *place)
{
    bool items = strcmp(keyword, "minItems") == 0;
    char expected[80];
    if (items ? !json_is_array(value) || json_array_size(value) >= least
              : !json_is_string(value) || json_string_length(value) >= least)
        return LB_OK;
    snprintf(expected, sizeof expected, "at least %zu %s", least, items ? "items" : "characters");
    return fail(walk, place, value, expected);
}

static enum lb_status check_required(struct walk *walk, const json_t *names, const json_t *value,
                                     const struct place *place)
{
    for (size_t i = 0; json_is_object(value) && i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        char expected[120];
        snprintf(expected, sizeof expected, "the key \"%s\"", name);
        if (!json_object_get(value, name))
            return fail(walk, place, NULL, expected);
    }
    return LB_OK;
}

/* properties and additionalProperties together: every key of the object meets its schema. */
static enum lb_status check_members(struct walk *walk, const json_t *schema, json_t *value,
                                    const struct place *place)
{
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *others = json_object_get(schema, "additionalProperties");
    const char *key;
    json_t *member;
    json_object_foreach(value, key, member)
    {
        struct place here = {.parent = place, .key = key, .depth = place->depth + 1};
        const json_t *known = json_object_get(properties, key);
        enum lb_status status = LB_OK;
        if (known)
            status = check(walk, known, member, &here);
        else if (json_is_false(others))
            status = fail(walk, &here, NULL, "no such key");
        else if (json_is_object(others))
            status = check(walk, others, member, &here);
        if (status != LB_OK)
            return status;
    }
    return LB_OK;
}

static enum lb_status check_items(struct walk *walk, const json_t *schema, const json_t *value,
                                  const struct place *place)
{
    for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++) {
        struct place here = {.parent = place, .index = i, .depth = place->depth + 1};
        enum lb_status status = check(walk, schema, json_array_get(value, i), &here);
        if (status != LB_OK)
            return status;
    }
    return LB_OK;
}

/* Where all alternatives fail, the error of the last is reported. */
static enum lb_status check_any(struct walk *walk, const json_t *list, const json_t *value,
                                const struct place *place)
{
    struct lb_error last = LB_ERROR_INIT;
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct lb_error err = LB_ERROR_INIT;
        struct walk inner = {.root = walk->root, .err = &err};
        if (check(&inner, json_array_get(list, i), value, place) == LB_OK)
            return LB_OK;
        last = err;
    }
    return lb_fail(walk->err, LB_ERR_INPUT, "%s", last.text);
}

static enum lb_status check_keyword(struct walk *walk, const json_t *schema, const char *keyword,
                                    const json_t *argument, const json_t *value,
                                    const struct place *place)
{
    static const char *const notes[] = {"$schema", "$id",         "$defs",    "title",
                                        "default", "description", "examples", "unit"};
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
        if (strcmp(keyword, notes[i]) == 0)
            return LB_OK;
    if (strcmp(keyword, "type") == 0)
        return check_type(walk, argument, value, place);
    if (strcmp(keyword, "enum") == 0)
        return check_enum(walk, argument, value, place);
    if (strcmp(keyword, "const") == 0) {
        char *text = json_dumps(argument, JSON_ENCODE_ANY);
        enum lb_status status =
            json_equal(argument, value) ? LB_OK : fail(walk, place, value, text ? text : "?");
        free(text);
        return status;
    }
    if (strcmp(keyword, "required") == 0)
        return check_required(walk, argument, value, place);
    if (strcmp(keyword, "properties") == 0)
        return check_members(walk, schema, (json_t *)value, place);
    if (strcmp(keyword, "additionalProperties") == 0)
        return json_object_get(schema, "properties")
                   ? LB_OK
                   : check_members(walk, schema, (json_t *)value, place);
    if (strcmp(keyword, "items") == 0)
        return check_items(walk, argument, value, place);
    if (strcmp(keyword, "minItems") == 0 || strcmp(keyword, "minLength") == 0)
        return check_size(walk, keyword, (size_t)json_integer_value(argument), value, place);
    if (strcmp(keyword, "minimum") == 0 || strcmp(keyword, "maximum") == 0 ||
        strcmp(keyword, "exclusiveMinimum") == 0)
        return check_number(walk, keyword, json_number_value(argument), value, place);
    if (strcmp(keyword, "pattern") == 0)
        return check_pattern(walk, json_string_value(argument), value, place);
    if (strcmp(keyword, "anyOf") == 0)
        return check_any(walk, argument, value, place);
    return lb_fail(walk->err, LB_ERR_STATE, "schema: keyword '%s' is not known", keyword);
}

static enum lb_status check(struct walk *walk, const json_t *schema, const json_t *value,
                            const struct place *place)
{
    if (place->depth > MAX_DEPTH)
        return fail(walk, place, NULL, "less nesting");
    const char *ref = json_string_value(json_object_get(schema, "$ref"));
    if (ref) {
        const json_t *defs = json_object_get(walk->root, "$defs");
        const char *prefix = "#/$defs/";
        const json_t *to = strncmp(ref, prefix, strlen(prefix)) == 0
                               ? json_object_get(defs, ref + strlen(prefix))
                               : NULL;
        if (!to)
            return lb_fail(walk->err, LB_ERR_STATE, "schema: '%s' leads nowhere", ref);
        return check(walk, to, value, place);
    }
    /* type first: its error says most */
    const json_t *type = json_object_get(schema, "type");
    if (type && check_type(walk, type, value, place) != LB_OK)
        return walk->err->code;
    const char *keyword;
    json_t *argument;
    json_object_foreach((json_t *)schema, keyword, argument)
    {
        enum lb_status status = check_keyword(walk, schema, keyword, argument, value, place);
        if (status != LB_OK)
            return status;
    }
    return LB_OK;
}

json_t *json_schema_load(const char *name)
{
    char path[120];
    snprintf(path, sizeof path, "results/schema/%s.schema.json", name);
    const struct embedded_file *file = embedded_find(path);
    return file ? json_loadb(file->text, file->length, JSON_REJECT_DUPLICATES, NULL) : NULL;
}

enum lb_status json_schema_check(const json_t *schema, const json_t *document, struct lb_error *err)
{
    struct lb_error local = LB_ERROR_INIT;
    struct walk walk = {.root = schema, .err = err ? err : &local};
    struct place root = {0};
    return check(&walk, schema, document, &root);
}
