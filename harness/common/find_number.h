/*
 * find_number: a number in what a program printed.
 *
 * The place begins with '/': a JSON pointer (RFC 6901) into all of the text, or into its last line
 * where only that is JSON. Else it is an extended regular expression: the number is its first
 * group, or the whole match where it has none.
 */
#ifndef FIND_NUMBER_H
#define FIND_NUMBER_H

#include <stdbool.h>

/* Whether it can be a place; why[160] says why not. */
bool find_number_valid(const char *place, char why[160]);

/* In the text, of a regular expression also in `more` (either may be NULL). False: it is not there,
 * or no finite number; why[160] says what is. */
bool find_number(const char *text, const char *more, const char *place, double *number,
                 char why[160]);

#endif
