/* probe_environment: `layerbench probe --environment`: what a result would record about this
 * machine, and what would make its figures unstable. */
#ifndef PROBE_ENVIRONMENT_H
#define PROBE_ENVIRONMENT_H

#include <stdbool.h>

/* model: a file whose file system is described too, or NULL. Returns the exit code. */
int probe_environment(const char *model, const char *directory, bool json);

#endif
