/*
 * validate: `layerbench validate FILE...` checks scenario, result and layer-log files
 * against the schemas in results/schema, which the program carries with it.
 *
 * A name that ends in .jsonl is a layer log, checked line by line; a document with a key
 * "layerbench" is a result; anything else is a scenario.
 */
#include "commands/commands.h"
#include "common/exit_codes.h"
#include "common/file_io.h"
#include "common/json_schema.h"
#include "settings/cli.h"
#include "study/scenario_file.h"
#include "study/scenario_schema.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static enum lb_status parse(const char *text, size_t length, size_t line, json_t **out,
                            struct lb_error *err)
{
    json_error_t e;
    *out = json_loadb(text, length, JSON_REJECT_DUPLICATES, &e);
    if (*out)
        return LB_OK;
    return lb_fail(err, LB_ERR_INPUT, "line %zu, column %d: %s: expected JSON",
                   line ? line : (size_t)e.line, e.column, e.text);
}

static enum lb_status validate_lines(const char *path, size_t *lines, struct lb_error *err)
{
    FILE *file = file_open(path, err);
    if (!file)
        return LB_ERR_INPUT;
    json_t *schema = json_schema_load("layers");
    char *text = NULL;
    size_t room = 0;
    ssize_t length;
    enum lb_status status = LB_OK;
    while (status == LB_OK && (length = getline(&text, &room, file)) > 0) {
        json_t *document;
        ++*lines;
        status = parse(text, (size_t)length, *lines, &document, err);
        if (status != LB_OK)
            break;
        status = json_schema_check(schema, document, err);
        if (status != LB_OK)
            lb_error_prefix(err, "line %zu", *lines);
        json_decref(document);
    }
    free(text);
    fclose(file);
    json_decref(schema);
    return status;
}

/* What a schema cannot say: names of models and policies, values that fit together. */
static enum lb_status validate_scenario(const char *path, json_t *document, struct lb_error *err)
{
    struct scenario scenario;
    enum lb_status status = scenario_from_json(document, path, "", &scenario, err);
    if (status == LB_OK)
        scenario_free(&scenario);
    return status;
}

static enum lb_status validate_document(const char *path, const char **kind, struct lb_error *err)
{
    json_t *document;
    char sha256[65];
    if (scenario_document(path, &document, sha256, err) != LB_OK)
        return err->code;
    *kind = json_object_get(document, "layerbench") ? "result" : "scenario";
    bool is_scenario = strcmp(*kind, "scenario") == 0;
    json_t *schema = is_scenario ? scenario_schema() : json_schema_load(*kind);
    enum lb_status status = json_schema_check(schema, document, err);
    if (status != LB_OK)
        lb_error_prefix(err, "%s", path);
    else if (is_scenario)
        status = validate_scenario(path, document, err);
    json_decref(schema);
    json_decref(document);
    return status;
}

static enum lb_status validate_file(const char *path, struct lb_error *err)
{
    const char *kind = "layers";
    size_t lines = 0;
    enum lb_status status;
    if (ends_with(path, ".jsonl")) {
        status = validate_lines(path, &lines, err);
        if (status != LB_OK)
            lb_error_prefix(err, "%s", path);
    } else {
        status = validate_document(path, &kind, err);
    }
    if (status == LB_OK && lines)
        printf("%s: valid (layers, %zu lines)\n", path, lines);
    else if (status == LB_OK)
        printf("%s: valid (%s)\n", path, kind);
    return status;
}

int command_validate(int argc, char **argv)
{
    struct cli_group groups[] = {{NULL, NULL, 0, NULL, 0}};
    struct cli cli = {"validate", "FILE...",
                      "Checks scenario files, result.json and layers.jsonl against the schemas.",
                      groups};
    int code = cli_parse(&cli, &argc, argv);
    if (code >= 0)
        return code;
    if (argc < 2)
        return cli_fail("validate", "expected at least one file");
    code = EXIT_OK;
    for (int i = 1; i < argc; i++) {
        struct lb_error err = LB_ERROR_INIT;
        if (validate_file(argv[i], &err) != LB_OK) {
            fprintf(stderr, "layerbench validate: %s\n", err.text);
            code = EXIT_USAGE;
        }
    }
    return code;
}
