/*
 * scenario_schema: what a scenario file may hold, as JSON Schema and as a table for people. Both
 * are made from the option table (settings/options.h) and the engine's lists, so that a new option
 * or policy stands in them by itself. results/schema/scenario.schema.json and the table of
 * scenarios/README.md are written from here (`make docs`) and compared in the tests.
 */
#ifndef SCENARIO_SCHEMA_H
#define SCENARIO_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* The schema; NULL when out of memory. */
json_t *scenario_schema(void);

/* Every option that is not hidden, a row each: name, values, default, meaning. As text for a
 * terminal or as a table in Markdown. */
void scenario_print_options(FILE *out, bool markdown);
/* The keys of a scenario, but for options. */
void scenario_print_keys(FILE *out, bool markdown);

#endif
