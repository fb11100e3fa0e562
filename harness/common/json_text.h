/* json_text: texts of any origin as JSON; bytes that are not UTF-8 become U+FFFD. */
#ifndef JSON_TEXT_H
#define JSON_TEXT_H

#include "base/status.h"

#include <jansson.h>

/* NULL when out of memory. text NULL gives null. */
json_t *json_text(const char *text);
/* null where it is not finite. */
json_t *json_number(double value);
/* One more text in an array, as by printf. */
void json_append_text(json_t *array, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A path is of use only as it is: LB_ERR_INPUT where it is not UTF-8, so that `what` ("the
 * scenario") cannot name it. path NULL is fine. */
enum lb_status json_can_name(const char *path, const char *what, struct lb_error *err);
/* The document as a file (file_replace), as jansson's flags say, and an end of line. */
enum lb_status json_replace_file(const char *path, const json_t *document, size_t flags,
                                 struct lb_error *err);
/* Blanks out // and block comments, so that lines and columns of errors stay. */
void json_blank_comments(char *text, size_t length);

#endif
