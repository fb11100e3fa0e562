/* scenario_schema: see scenario_schema.h. */
#include "study/scenario_schema.h"

#include "common/json_text.h"
#include "settings/options.h"
#include "study/sweep.h"

#include <stdbool.h>
#include <string.h>

#define SIZE_PATTERN "[0-9.]+ ?([kKMGT]i?)?B?"

/* ---- one option ---- */

static json_t *words_of(const char *const *words)
{
    json_t *list = json_array();
    for (; *words; words++)
        json_array_append_new(list, json_string(*words));
    return list;
}

/* Which names there are depends on the processor that the program was built for. */
static bool depends_on_processor(const struct option *o)
{
    return o->choice_kind && strcmp(o->choice_kind, "kernels") == 0;
}

static json_t *choice_schema(const struct option *o)
{
    if (o->choices)
        return json_pack("{s:s, s:o}", "type", "string", "enum", words_of(o->choices));
    if (depends_on_processor(o))
        return json_pack("{s:s, s:i}", "type", "string", "minLength", 1);
    json_t *list = json_array();
    struct lb_choice choice;
    for (size_t i = 0; lb_choice_at(o->choice_kind, i, &choice); i++)
        json_array_append_new(list, json_string(choice.name));
    return json_pack("{s:s, s:o}", "type", "string", "enum", list);
}

static json_t *number_schema(const struct option *o)
{
    json_t *number = json_pack("{s:s, s:o}", "type", o->kind == OPTION_REAL ? "number" : "integer",
                               "minimum", json_integer((json_int_t)o->min));
    if (o->max > 0 && o->max < 0x1p53)
        json_object_set_new(number, "maximum", json_integer((json_int_t)o->max));
    if (option_is_size(o)) { /* "16MiB", or one of the words */
        char pattern[256] = "^(" SIZE_PATTERN;
        for (const char *const *word = o->words; word && *word; word++) {
            strncat(pattern, "|", sizeof pattern - strlen(pattern) - 1);
            strncat(pattern, *word, sizeof pattern - strlen(pattern) - 1);
        }
        strncat(pattern, ")$", sizeof pattern - strlen(pattern) - 1);
        return json_pack("{s:[o, {s:s, s:s}]}", "anyOf", number, "type", "string", "pattern",
                         pattern);
    }
    if (!o->words)
        return number;
    return json_pack("{s:[o, {s:s, s:o}]}", "anyOf", number, "type", "string", "enum",
                     words_of(o->words));
}

static json_t *device_schema(void)
{
    return json_loads("{\"anyOf\": [{\"type\": \"null\"}, {\"type\": \"string\", \"minLength\": 1},"
                      " {\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
                      "\"bandwidth\": {\"anyOf\": [{\"type\": \"number\", \"exclusiveMinimum\": 0},"
                      " {\"type\": \"string\", \"minLength\": 1}]},"
                      "\"latency\": {\"anyOf\": [{\"type\": \"integer\", \"minimum\": 0},"
                      " {\"type\": \"string\", \"minLength\": 1}]},"
                      "\"queue_depth\": {\"type\": \"integer\", \"minimum\": 1,"
                      " \"maximum\": 1024}}}]}",
                      0, NULL);
}

static json_t *value_schema(const struct option *o)
{
    switch (o->kind) {
    case OPTION_FLAG:
    case OPTION_BOOL:
        return json_pack("{s:[{s:s}, {s:s, s:[s, s]}]}", "anyOf", "type", "boolean", "type",
                         "string", "enum", "on", "off");
    case OPTION_TEXT:
        return json_pack("{s:s}", "type", "string");
    case OPTION_CHOICE:
        return choice_schema(o);
    case OPTION_CUSTOM:
        return strcmp(o->name, "device") == 0 ? device_schema()
                                              : json_pack("{s:s}", "type", "string");
    default:
        return number_schema(o);
    }
}

static void default_of(const struct option *o, char *text, size_t size)
{
    struct settings defaults = settings_default();
    option_format(o, &defaults, text, size);
    if (strcmp(o->name, "threads") == 0) /* of this machine */
        snprintf(text, size, "the processors available, at most 16");
}

static const char *unit_of(const struct option *o)
{
    return option_is_size(o) ? "bytes" : o->unit;
}

static json_t *option_schema(const struct option *o)
{
    char text[OPTION_LONGEST];
    struct lb_error none = LB_ERROR_INIT; /* of this machine, no value for all */
    json_t *schema = json_object(), *value = value_schema(o);
    default_of(o, text, sizeof text);
    json_t *usual = *text ? sweep_value(o, text, &none) : NULL;
    json_object_set_new(schema, "description",
                        json_sprintf("%s%s%s", o->about, *text ? "; default: " : "", text));
    if (usual)
        json_object_set_new(schema, "default", usual);
    if (unit_of(o))
        json_object_set_new(schema, "unit", json_string(unit_of(o)));
    json_object_update(schema, value);
    json_decref(value);
    return schema;
}

/* ---- the document ---- */

/* What stands beside the options; %s: where their properties go. */
static const char skeleton[] =
    "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\","
    "\"$id\": \"urn:layerbench:schema:scenario:1\","
    "\"title\": \"A layerbench scenario: one question, and the settings that answer it\","
    "\"type\": \"object\","
    "\"anyOf\": [{\"required\": [\"name\", \"about\", \"model\", \"matrix\"]},"
    " {\"required\": [\"include\"]}],"
    "\"additionalProperties\": false,"
    "\"properties\": {"
    "\"$schema\": {\"description\": \"of this file, for editors\", \"type\": \"string\"},"
    "\"include\": {\"description\": \"a file, or a list of files, beside this one, whose keys are"
    " these too unless they stand here; of fixed and matrix, each option by itself\","
    " \"anyOf\": [{\"type\": \"string\", \"minLength\": 1}, {\"type\": \"array\","
    " \"items\": {\"type\": \"string\", \"minLength\": 1}}]},"
    "\"name\": {\"description\": \"names the folder of its results: letters, digits, - _ .\", "
    "\"type\": \"string\","
    " \"pattern\": \"^[A-Za-z0-9][A-Za-z0-9._-]*$\"},"
    "\"about\": {\"description\": \"the question it asks and how to read the answer\","
    " \"type\": \"string\", \"minLength\": 1},"
    "\"expected_minutes\": {\"description\": \"how long the run takes\", \"unit\": \"minutes\", "
    "\"type\": \"number\","
    " \"minimum\": 0},"
    "\"expected_reading\": {\"description\": \"what the answer should look like\","
    " \"type\": \"string\", \"minLength\": 1},"
    "\"model\": {\"description\": \"a file, or one to make\", \"type\": \"object\","
    " \"additionalProperties\": false, \"properties\": {"
    "\"path\": {\"description\": \"a GGUF file, looked up beside the scenario first\", \"type\": "
    "\"string\", \"minLength\": 1},"
    "\"synth\": {\"description\": \"one that is made when it is needed\", \"type\": \"object\", "
    "\"required\": [\"shape\", \"quant\"],"
    " \"additionalProperties\": false, \"properties\": {"
    "\"shape\": {\"description\": \"a name of 'layerbench list shape'\", \"type\": \"string\", "
    "\"minLength\": 1},"
    "\"quant\": {\"description\": \"a name of 'layerbench list quant', or for the gate a list\","
    " \"anyOf\": [{\"type\": \"string\", \"minLength\": 1},"
    " {\"type\": \"array\", \"minItems\": 1, \"items\": {\"type\": \"string\"}}]},"
    "\"seed\": {\"description\": \"of its weights\", \"default\": 1, \"type\": \"integer\", "
    "\"minimum\": 0},"
    "\"layers\": {\"description\": \"as many as the shape has, if not given\", \"unit\": "
    "\"layers\", \"type\": \"integer\", \"minimum\": 1},"
    "\"routing_skew\": {\"description\": \"of a mixture: how uneven its experts are chosen; 0: all"
    " alike\", \"type\": \"number\", \"minimum\": 0, \"maximum\": 10},"
    "\"routing_persistence\": {\"description\": \"how much a token's choice is that of the one"
    " before; 0: not at all\", \"unit\": \"share\", \"type\": \"number\", \"minimum\": 0, "
    "\"maximum\": 1}}}}},"
    "\"engine\": {\"description\": \"another program to measure: the name of one in"
    " scenarios/engines, a definition, or a list of these, 'layerbench' among them, each a cell"
    " beside the others\","
    " \"anyOf\": [{\"$ref\": \"#/$defs/program\"}, {\"type\": \"array\", \"minItems\": 1,"
    " \"items\": {\"$ref\": \"#/$defs/program\"}}]},"
    "\"fixed\": {\"description\": \"options of every cell, each with its value; files are looked up"
    " beside the scenario first\", \"type\": \"object\","
    " \"additionalProperties\": false},"
    "\"matrix\": {\"description\": \"options that vary, each with a list of values: a cell for "
    "each combination, 10000 at most\","
    " \"type\": \"object\", \"additionalProperties\": false},"
    "\"exclude\": {\"description\": \"combinations that are left out: objects of options and "
    "values\", \"type\": \"array\","
    " \"items\": {\"type\": \"object\", \"additionalProperties\": false}},"
    "\"repetitions\": {\"description\": \"samples of each cell that count\", \"default\": 3, "
    "\"unit\": \"samples\","
    " \"type\": \"integer\", \"minimum\": 1},"
    "\"warmup\": {\"description\": \"samples of each cell before them that do not count\", "
    "\"default\": 1, \"unit\": \"samples\","
    " \"type\": \"integer\", \"minimum\": 0},"
    "\"seed\": {\"description\": \"of the order of samples and of the prompts\", \"default\": 1,"
    " \"type\": \"integer\", \"minimum\": 0}}}";

/* study/peer.h */
static const char program_skeleton[] =
    "{\"anyOf\": [{\"type\": \"string\", \"minLength\": 1}, {\"type\": \"object\","
    " \"required\": [\"name\", \"command\"], \"additionalProperties\": false, \"properties\": {"
    "\"name\": {\"description\": \"names its cells\", \"type\": \"string\","
    " \"pattern\": \"^[A-Za-z0-9._-]+$\"},"
    "\"label\": {\"description\": \"its name in figures\", \"type\": \"string\", \"minLength\": 1},"
    "\"about\": {\"type\": \"string\", \"minLength\": 1},"
    "\"command\": {\"description\": \"its words; {model}, {seed} and {OPTION} stand for values\","
    " \"type\": \"array\", \"minItems\": 1, \"items\": {\"type\": \"string\"}},"
    "\"read\": {\"description\": \"numbers that it prints: by JSON pointer (/1/avg_ts) or regular"
    " expression; tokens_per_second makes the time of its passes\", \"type\": \"object\"}}}]}";

json_t *scenario_schema(void)
{
    size_t count;
    const struct option *table = options_table(&count);
    json_t *schema = json_loads(skeleton, 0, NULL);
    json_t *one = json_object(), *several = json_object(), *defs = json_object();
    if (!schema || !one || !several || !defs)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        char ref[96];
        snprintf(ref, sizeof ref, "#/$defs/%s", table[i].name);
        json_object_set_new(defs, table[i].name, option_schema(&table[i]));
        json_object_set_new(one, table[i].name, json_pack("{s:s}", "$ref", ref));
        json_object_set_new(
            several, table[i].name,
            json_pack("{s:s, s:i, s:{s:s}}", "type", "array", "minItems", 1, "items", "$ref", ref));
    }
    json_t *properties = json_object_get(schema, "properties");
    json_object_set(json_object_get(properties, "fixed"), "properties", one);
    json_object_set_new(json_object_get(properties, "matrix"), "properties", several);
    json_object_set_new(json_object_get(json_object_get(properties, "exclude"), "items"),
                        "properties", one);
    json_object_set_new(defs, "program", json_loads(program_skeleton, 0, NULL));
    json_object_set_new(schema, "$defs", defs);
    return schema;
}

/* ---- for people ---- */

void scenario_print_options(FILE *out, bool markdown)
{
    size_t count;
    const struct option *table = options_table(&count);
    if (markdown)
        fputs("| option | meaning | values | unit | default |\n|---|---|---|---|---|\n", out);
    for (size_t i = 0; i < count; i++) {
        const struct option *o = &table[i];
        char expected[320], usual[256];
        if (o->flags & OPTION_HIDDEN)
            continue;
        option_expected(o, expected, sizeof expected);
        if (depends_on_processor(o))
            snprintf(expected, sizeof expected, "a name of 'layerbench list %s'", o->choice_kind);
        default_of(o, usual, sizeof usual);
        const char *shown = *usual ? usual : "-", *unit = unit_of(o);
        if (markdown)
            fprintf(out, "| `%s` | %s | %s | %s | %s |\n", o->name, o->about, expected,
                    unit ? unit : "", shown);
        else
            fprintf(out, "%s: %s\n    %s%s%s; default: %s\n", o->name, o->about, expected,
                    unit ? "; unit: " : "", unit ? unit : "", shown);
    }
}

/* Of a key: "model.synth.seed", what it means, its unit and default; then of those in it. */
static void print_keys(const json_t *properties, const char *prefix, bool markdown, FILE *out)
{
    const char *key;
    json_t *schema;
    json_object_foreach((json_t *)properties, key, schema)
    {
        char path[128];
        const char *unit = json_string_value(json_object_get(schema, "unit"));
        const json_t *usual = json_object_get(schema, "default");
        const char *about = json_string_value(json_object_get(schema, "description"));
        char number[32] = "";
        snprintf(path, sizeof path, "%s%s", prefix, key);
        if (usual)
            snprintf(number, sizeof number, "%lld", (long long)json_integer_value(usual));
        if (markdown)
            fprintf(out, "| `%s` | %s | %s | %s |\n", path, about ? about : "", unit ? unit : "",
                    number);
        else
            fprintf(out, "%s: %s%s%s%s%s\n", path, about ? about : "", unit ? "; unit: " : "",
                    unit ? unit : "", usual ? "; default: " : "", number);
        snprintf(path, sizeof path, "%s%s.", prefix, key);
        if (strcmp(key, "fixed") != 0 && strcmp(key, "matrix") != 0) /* options */
            print_keys(json_object_get(schema, "properties"), path, markdown, out);
    }
}

void scenario_print_keys(FILE *out, bool markdown)
{
    json_t *schema = scenario_schema();
    if (markdown)
        fputs("| key | meaning | unit | default |\n|---|---|---|---|\n", out);
    print_keys(json_object_get(schema, "properties"), "", markdown, out);
    json_decref(schema);
}
