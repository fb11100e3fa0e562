/* json_schema: every keyword passes and fails where it should, and the schemas agree with the
 * options of the program. */
#include "common/json_schema.h"
#include "engine.h"
#include "study/scenario_schema.h"
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

/* The committed schema is the one that the option table gives (`make docs` writes it). */
static void scenario_schema_is_committed(void)
{
    json_t *made = scenario_schema(), *committed = json_schema_load("scenario");
    CHECK(made && committed && json_equal(made, committed),
          "results/schema/scenario.schema.json is not what the option table says: make docs");
    json_decref(made);
    json_decref(committed);
}

/* Names of the engine's lists pass, others do not: a new policy stands in the schema by itself. */
static void schema_follows_the_lists(void)
{
    static const char *const kinds[] = {"replacement", "scheduler", "storage"};
    json_t *schema = scenario_schema();
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct lb_choice choice;
        for (size_t i = 0; lb_choice_at(kinds[k], i, &choice); i++) {
            struct lb_error err = LB_ERROR_INIT;
            json_t *good = json_pack("{s:s, s:s, s:{s:s}, s:{s:[s]}}", "name", "x", "about", "?",
                                     "model", "path", "m", "matrix", kinds[k], choice.name);
            json_t *bad = json_pack("{s:s, s:s, s:{s:s}, s:{s:[s]}}", "name", "x", "about", "?",
                                    "model", "path", "m", "matrix", kinds[k], "magic");
            CHECK(json_schema_check(schema, good, &err) == LB_OK, "%s", err.text);
            CHECK(json_schema_check(schema, bad, &err) == LB_ERR_INPUT, "%s: magic", kinds[k]);
            json_decref(good);
            json_decref(bad);
        }
    }
    json_decref(schema);
}

int main(void)
{
    keywords();
    nesting();
    scenario_schema_is_committed();
    schema_follows_the_lists();
    json_t *result = json_schema_load("result"), *layers = json_schema_load("layers");
    CHECK(result && layers && !json_schema_load("magic"));
    json_decref(result);
    json_decref(layers);
    return check_done();
}
