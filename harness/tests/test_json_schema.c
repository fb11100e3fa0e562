/* json_schema: every keyword passes and fails where it should, and the schemas agree with the
 * options of the program. */
#include "common/json_schema.h"
#include "settings/options.h"
#include "tests/check.h"

static void expect(const char *schema_text, const char *document_text, const char *message)
{
    struct lb_error err = LB_ERROR_INIT;
    json_t *schema = json_loads(schema_text, JSON_DECODE_ANY, NULL);
    json_t *document = json_loads(document_text, JSON_DECODE_ANY, NULL);
    CHECK(schema && document, "%s %s", schema_text, document_text);
    enum lb_status status = json_schema_check(schema, document, &err);
    CHECK((status == LB_OK) == (*message == 0), "%s for %s", document_text, schema_text);
    CHECK_TEXT(err.text, message);
    json_decref(schema);
    json_decref(document);
}

static void keywords(void)
{
    expect("{\"type\":\"integer\"}", "3", "");
    expect("{\"type\":\"number\"}", "3", "");
    expect("{\"type\":\"integer\"}", "3.5", "$: 3.5: expected integer");
    expect("{\"type\":[\"string\",\"null\"]}", "null", "");
    expect("{\"type\":[\"string\",\"null\"]}", "true", "$: true: expected string or null");
    expect("{\"enum\":[\"a\",\"b\"]}", "\"c\"", "$: \"c\": expected one of a b");
    expect("{\"const\":1}", "2", "$: 2: expected 1");
    expect("{\"required\":[\"x\"]}", "{}", "$: expected the key \"x\"");
    expect("{\"properties\":{\"x\":{\"minimum\":1}}}", "{\"x\":0}", "$.x: 0: expected at least 1");
    expect("{\"maximum\":1}", "2", "$: 2: expected at most 1");
    expect("{\"exclusiveMinimum\":0}", "0", "$: 0: expected more than 0");
    expect("{\"properties\":{},\"additionalProperties\":false}", "{\"y\":1}",
           "$.y: expected no such key");
    expect("{\"additionalProperties\":{\"type\":\"null\"}}", "{\"y\":1}", "$.y: 1: expected null");
    expect("{\"items\":{\"type\":\"string\"},\"minItems\":1}", "[]",
           "$: []: expected at least 1 items");
    expect("{\"items\":{\"type\":\"string\"}}", "[\"a\",1]", "$[1]: 1: expected string");
    expect("{\"minLength\":2}", "\"a\"", "$: \"a\": expected at least 2 characters");
    expect("{\"pattern\":\"^a+$\"}", "\"aaa\"", "");
    expect("{\"pattern\":\"^a+$\"}", "\"b\"", "$: \"b\": expected text like ^a+$");
    expect("{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"string\"}]}", "1", "$: 1: expected string");
    expect("{\"$ref\":\"#/$defs/n\",\"$defs\":{\"n\":{\"type\":\"null\"}}}", "1",
           "$: 1: expected null");
    expect("{\"maxLength\":1}", "\"a\"", "schema: keyword 'maxLength' is not known");
}

static void nesting(void)
{
    char deep[512] = "";
    for (int i = 0; i < 100; i++)
        strcat(deep, "[");
    for (int i = 0; i < 100; i++)
        strcat(deep, "]");
    struct lb_error err = LB_ERROR_INIT;
    json_t *schema = json_loads("{\"items\":{\"$ref\":\"#/$defs/l\"},\"$defs\":{\"l\":{\"items\":"
                                "{\"$ref\":\"#/$defs/l\"}}}}",
                                0, NULL);
    json_t *document = json_loads(deep, 0, NULL);
    CHECK(json_schema_check(schema, document, &err) == LB_ERR_INPUT);
    CHECK(strstr(err.text, "expected less nesting"), "%s", err.text);
    json_decref(schema);
    json_decref(document);
}

/* Each option that scenarios may set stands in the schema, and no other. */
static void scenario_options(void)
{
    json_t *schema = json_schema_load("scenario");
    json_t *fixed = json_object_get(json_object_get(json_object_get(schema, "properties"), "fixed"),
                                    "properties");
    size_t n, in_table = 0;
    const struct option *table = options_table(&n);
    CHECK(fixed != NULL);
    for (size_t i = 0; i < n; i++) {
        in_table++;
        CHECK(json_object_get(fixed, table[i].name), "'%s' is not in scenario.schema.json",
              table[i].name);
    }
    CHECK(json_object_size(fixed) == in_table, "scenario.schema.json has an option too many");
    json_decref(schema);
}

int main(void)
{
    keywords();
    nesting();
    scenario_options();
    json_t *result = json_schema_load("result"), *layers = json_schema_load("layers");
    CHECK(result && layers && !json_schema_load("magic"));
    json_decref(result);
    json_decref(layers);
    return check_done();
}
