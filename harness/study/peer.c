/* peer: see peer.h. */
#include "study/peer.h"

#include "common/embedded.h"
#include "common/file_io.h"
#include "common/find_number.h"
#include "common/nearest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- placeholders ---- */

static const struct option *option_of(const char *name)
{
    size_t count;
    const struct option *table = options_table(&count);
    return option_find(table, count, name);
}

/* The name in "{name}" at p; 0: there is none. */
static size_t placeholder(const char *p, char name[64])
{
    size_t n = *p == '{' ? strspn(p + 1, "abcdefghijklmnopqrstuvwxyz_") : 0;
    if (n == 0 || n > 63 || p[n + 1] != '}')
        return 0;
    snprintf(name, 64, "%.*s", (int)n, p + 1);
    return n + 2;
}

static bool is_known(const char *name)
{
    return strcmp(name, "model") == 0 || strcmp(name, "seed") == 0 || option_of(name) != NULL;
}

static enum lb_status check_word(const char *word, struct lb_error *err)
{
    char name[64];
    for (const char *p = word; *p;) {
        size_t n = p[0] == '{' && p[1] == '{' ? 2 : placeholder(p, name);
        if (n > 2 && !is_known(name))
            return lb_fail(err, LB_ERR_INPUT,
                           "command: {%s}: expected {model}, {seed} or the name of an option",
                           name);
        p += n ? n : 1;
    }
    return LB_OK;
}

static void value_of(const char *name, const struct settings *settings, const char *model,
                     uint64_t seed, char *text, size_t size)
{
    if (strcmp(name, "model") == 0)
        snprintf(text, size, "%s", model);
    else if (strcmp(name, "seed") == 0)
        snprintf(text, size, "%" PRIu64, seed);
    else
        option_format(option_of(name), settings, text, size);
}

/* malloc; NULL: out of memory */
static char *fill(const char *word, const struct settings *settings, const char *model,
                  uint64_t seed)
{
    char *text = NULL, name[64], value[OPTION_LONGEST];
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    for (const char *p = word; out && *p;) {
        size_t n = placeholder(p, name);
        if (n > 0) {
            value_of(name, settings, model, seed, value, sizeof value);
            fputs(value, out);
        } else {
            n = p[0] == '{' && p[1] == '{' ? 2 : 1;
            fputc(*p, out);
        }
        p += n;
    }
    if (!out || fclose(out) != 0)
        return NULL;
    return text;
}

/* ---- the definition ---- */

static enum lb_status check_keys(const json_t *definition, struct lb_error *err)
{
    static const char *const known[] = {"name", "label", "about", "command", "read"};
    const size_t count = sizeof known / sizeof *known;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)definition, key, value)
    {
        size_t i = 0;
        while (i < count && strcmp(known[i], key) != 0)
            i++;
        const char *near = i == count ? nearest_name(key, known, count) : NULL;
        if (i == count)
            return lb_fail(err, LB_ERR_INPUT, "unknown key '%.60s': %s%s%s", key,
                           near ? "did you mean '" : "expected name, label, about, command, read",
                           near ? near : "", near ? "'?" : "");
        if (i < 3 && json_string_length(value) == 0)
            return lb_fail(err, LB_ERR_INPUT, "%s: expected a text that is not empty", key);
    }
    return LB_OK;
}

/* The name becomes part of the cells'. */
static enum lb_status check_name(const char *name, struct lb_error *err)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    if (!name || strlen(name) > 60 || name[strspn(name, letters)] || strcmp(name, PEER_OURS) == 0)
        return lb_fail(err, LB_ERR_INPUT,
                       "name: '%.80s': expected at most 60 letters, digits, '-', '_', '.', and not "
                       "'" PEER_OURS "'",
                       name ? name : "");
    return LB_OK;
}

static enum lb_status check_definition(const json_t *definition, struct lb_error *err)
{
    const json_t *command = json_object_get(definition, "command");
    json_t *read = json_object_get(definition, "read"), *value;
    const char *key;
    size_t i;
    char why[160];
    enum lb_status status = check_keys(definition, err);
    if (status == LB_OK)
        status = check_name(json_string_value(json_object_get(definition, "name")), err);
    if (status == LB_OK && json_array_size(command) == 0)
        status = lb_fail(err, LB_ERR_INPUT, "command: expected a list of words");
    json_array_foreach(command, i, value)
    {
        if (status == LB_OK && !json_is_string(value))
            status = lb_fail(err, LB_ERR_INPUT, "command[%zu]: expected a text", i);
        if (status == LB_OK)
            status = check_word(json_string_value(value), err);
    }
    if (status == LB_OK && read && !json_is_object(read))
        status = lb_fail(err, LB_ERR_INPUT, "read: expected an object of names and places");
    json_object_foreach(read, key, value)
    {
        if (status == LB_OK && (!*key || key[strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_")]))
            status = lb_fail(err, LB_ERR_INPUT,
                             "read: '%.60s': expected a name of small letters, digits, '_'", key);
        snprintf(why, sizeof why, "expected a text");
        if (status == LB_OK &&
            (!json_is_string(value) || !find_number_valid(json_string_value(value), why)))
            status = lb_fail(err, LB_ERR_INPUT,
                             "read.%.60s: %s: expected a JSON pointer such as /1/avg_ts or a "
                             "regular expression",
                             key, why);
    }
    return status;
}

static enum lb_status find_template(const char *name, json_t **definition, struct lb_error *err)
{
    char path[128], names[256] = PEER_OURS;
    static const char folder[] = "scenarios/engines/";
    snprintf(path, sizeof path, "%s%.80s.json", folder, name);
    const struct embedded_file *file = embedded_find(path);
    *definition = file ? json_loadb(file->text, file->length, 0, NULL) : NULL;
    if (*definition)
        return LB_OK;
    for (file = embedded_files; file->name; file++)
        if (strncmp(file->name, folder, sizeof folder - 1) == 0) {
            const char *base = file->name + sizeof folder - 1;
            size_t n = strlen(names);
            snprintf(names + n, sizeof names - n, ", %.*s", (int)strcspn(base, "."), base);
        }
    return lb_fail(err, LB_ERR_INPUT, "\"%.80s\": expected one of %s, or an object with a command",
                   name, names);
}

enum lb_status peer_open(json_t *value, struct peer *peer, struct lb_error *err)
{
    enum lb_status status = LB_OK;
    *peer = (struct peer){.definition = json_is_string(value) ? NULL : json_incref(value)};
    if (json_is_string(value))
        status = find_template(json_string_value(value), &peer->definition, err);
    else if (!json_is_object(value))
        status = lb_fail(err, LB_ERR_INPUT, "expected a name, or an object with a command");
    if (status == LB_OK)
        status = check_definition(peer->definition, err);
    if (status != LB_OK) {
        peer_close(peer);
        return status;
    }
    const char *label = json_string_value(json_object_get(peer->definition, "label"));
    peer->name = json_string_value(json_object_get(peer->definition, "name"));
    peer->label = label ? label : peer->name;
    return LB_OK;
}

void peer_close(struct peer *peer)
{
    json_decref(peer->definition);
    *peer = (struct peer){0};
}

/* ---- its command ---- */

bool peer_uses(const struct peer *peer, const char *option)
{
    static const char *const always[] = {"engine", "memory_limit", "page_cache", "affinity"};
    const json_t *word;
    char name[64];
    size_t i;
    for (i = 0; i < sizeof always / sizeof *always; i++)
        if (strcmp(always[i], option) == 0)
            return true;
    json_array_foreach(json_object_get(peer->definition, "command"), i, word)
    {
        for (const char *p = json_string_value(word); *p;) {
            size_t n = p[0] == '{' && p[1] == '{' ? 2 : placeholder(p, name);
            if (n > 2 && strcmp(name, option) == 0)
                return true;
            p += n ? n : 1;
        }
    }
    return false;
}

const char *peer_program(const struct peer *peer)
{
    return json_string_value(json_array_get(json_object_get(peer->definition, "command"), 0));
}

bool peer_found(const struct peer *peer)
{
    const char *program = peer_program(peer), *path = getenv("PATH");
    char placed[64];
    if (placeholder(program, placed) > 0)
        return true; /* known only in its cell */
    if (strchr(program, '/'))
        return access(program, X_OK) == 0;
    for (const char *p = path ? path : ""; *p;) {
        size_t n = strcspn(p, ":");
        char *file = file_text("%.*s/%s", (int)n, p, program);
        bool found = file && access(file, X_OK) == 0;
        free(file);
        if (found)
            return true;
        p += n + (p[n] == ':');
    }
    return false;
}

char **peer_arguments(const struct peer *peer, const struct settings *settings, const char *model,
                      uint64_t seed)
{
    const json_t *command = json_object_get(peer->definition, "command"), *word;
    char **list = calloc(json_array_size(command) + 1, sizeof *list);
    size_t i;
    json_array_foreach(command, i, word)
    {
        if (list && !(list[i] = fill(json_string_value(word), settings, model, seed))) {
            peer_arguments_free(list);
            return NULL;
        }
    }
    return list;
}

void peer_arguments_free(char **arguments)
{
    for (char **a = arguments; a && *a; a++)
        free(*a);
    free(arguments);
}

/* ---- what it printed ---- */

json_t *peer_printed(const struct peer *peer, const char *text, const char *messages, char why[256])
{
    json_t *printed = json_object(), *place;
    const char *name;
    json_object_foreach(json_object_get(peer->definition, "read"), name, place)
    {
        double number;
        char reason[160];
        if (!find_number(text, messages, json_string_value(place), &number, reason)) {
            snprintf(why, 256, "%.60s: %s", name, reason);
            json_decref(printed);
            return NULL;
        }
        json_object_set_new(printed, name, json_real(number));
    }
    return printed;
}
