/*
 * embedded: files of the repository that the program carries with it, so that the binary
 * alone suffices: results/schema, plots, the report's style. Made at build time by scripts/embed.
 */
#ifndef EMBEDDED_H
#define EMBEDDED_H

#include <stddef.h>

struct embedded_file {
    const char *name; /* path in the repository, "plots/style.gp"; NULL ends the list */
    const char *text; /* NUL-terminated */
    size_t length;
};

extern const struct embedded_file embedded_files[];

/* The file of that path, or NULL. */
const struct embedded_file *embedded_find(const char *name);

#endif
