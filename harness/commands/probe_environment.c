/* probe_environment: see probe_environment.h. */
#include "commands/probe_environment.h"

#include "common/exit_codes.h"
#include "machine/environment.h"

#include <stdio.h>
#include <stdlib.h>

static void print_entry(const char *name, const json_t *entry)
{
    const json_t *value = json_object_get(entry, "value");
    const char *source = json_string_value(json_object_get(entry, "source"));
    const char *reason = json_string_value(json_object_get(entry, "reason"));
    char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    if (json_is_null(value))
        printf("  %-28s -  (%s)\n", name, reason ? reason : "not known");
    else
        printf("  %-28s %s  (%s)\n", name, text ? text : json_string_value(value),
               source ? source : "");
    free(text);
}

/* Entries first, then the groups of entries. */
static void print_group(json_t *group)
{
    const char *name;
    json_t *entry;
    json_object_foreach(group, name, entry)
    {
        if (json_object_get(entry, "value"))
            print_entry(name, entry);
    }
    json_object_foreach(group, name, entry)
    {
        if (json_is_object(entry) && !json_object_get(entry, "value")) {
            printf("%s:\n", name);
            print_group(entry);
        }
    }
}

int probe_environment(const char *model, const char *directory, bool json)
{
    json_t *environment = environment_collect(model, directory);
    json_t *warnings = environment_warnings(environment), *text;
    size_t i;
    if (json) {
        json_t *root = json_object();
        json_object_set(root, "environment", environment);
        json_object_set(root, "warnings", warnings);
        json_dumpf(root, stdout, JSON_INDENT(1));
        putchar('\n');
        json_decref(root);
    } else {
        puts("environment:");
        print_group(environment);
        json_array_foreach(warnings, i, text) printf("warning: %s\n", json_string_value(text));
    }
    json_decref(warnings);
    json_decref(environment);
    return EXIT_OK;
}
