/*
 * shipped: files of the repository that come with the program, found from anywhere: in
 * share/layerbench beside the folder of an installed program, or in the tree that it was built in.
 */
#ifndef SHIPPED_H
#define SHIPPED_H

#include <stddef.h>

/* `path` itself if it is there, is absolute, or none like it is shipped; else the shipped file, in
 * room. */
const char *shipped_file(const char *path, char *room, size_t size);
/* Of a scenario also by its name alone: "quick". */
const char *shipped_scenario(const char *path, char *room, size_t size);

#endif
