/* json_text: texts of any origin as JSON; bytes that are not UTF-8 become U+FFFD. */
#ifndef JSON_TEXT_H
#define JSON_TEXT_H

#include <jansson.h>

/* NULL when out of memory. text NULL gives null. */
json_t *json_text(const char *text);

#endif
