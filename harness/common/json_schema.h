/*
 * json_schema: checks a JSON document against a JSON Schema, and says where it fails.
 *
 * The part of JSON Schema (draft 2020-12) that results/schema uses: type, enum, const,
 * required, properties, additionalProperties, items, minItems, minLength, minimum, maximum,
 * exclusiveMinimum, pattern, anyOf, $ref to #/$defs. A keyword outside this list is an error
 * of the schema, so that none is passed over in silence.
 */
#ifndef JSON_SCHEMA_H
#define JSON_SCHEMA_H

#include "base/status.h"

#include <jansson.h>

/* The schema results/schema/NAME.schema.json that the program carries; NULL on an unknown name.
 * The caller's: json_decref. */
json_t *json_schema_load(const char *name);

/* LB_OK, or LB_ERR_INPUT with "$.path.to[3].value: what is there: what was expected". */
enum lb_status json_schema_check(const json_t *schema, const json_t *document,
                                 struct lb_error *err);

#endif
