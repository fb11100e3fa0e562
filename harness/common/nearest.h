/* nearest: the name that was probably meant, for error messages. */
#ifndef NEAREST_H
#define NEAREST_H

#include <stddef.h>

/* The name with the least edit distance to `word`, or NULL when none is near enough. */
const char *nearest_name(const char *word, const char *const *names, size_t count);

#endif
