/* control_group: where the limits of this process's control group and of those above it lie. */
#ifndef BASE_CONTROL_GROUP_H
#define BASE_CONTROL_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Calls visit with the folder of the group and then of each above it, of version 1 (the tree of one
 * controller, such as "memory") or of version 2. All names begin with `root` ("" for the real
 * ones). In a container the names below may not be there: whoever visits passes over what is
 * missing. */
typedef void lb_control_group_visit(void *ctx, const char *folder, bool v2);
void lb_control_groups(const char *root, const char *controller, lb_control_group_visit *visit,
                       void *ctx);

/* The number after `key` at the beginning of a line of the file ("" for its first); false: none. */
bool lb_file_number(const char *path, const char *key, uint64_t *value);

#endif
