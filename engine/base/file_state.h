/*
 * file_state: whether a file is still the one that it was, by its inode, size and time of
 * modification.
 */
#ifndef BASE_FILE_STATE_H
#define BASE_FILE_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct lb_file_state {
    uint64_t device, inode, bytes;
    int64_t modified_s, modified_ns;
    bool there;
};

struct lb_file_state lb_file_state_of(const struct stat *st);
/* Of what `path` leads to; not there: what is wrong with it cannot be told from its being gone. */
struct lb_file_state lb_file_state_at(const char *path);

/* What has happened from one state to the other, to go on from "the file": "was removed", "was
 * replaced", "became shorter", "was written to"; NULL: nothing. */
const char *lb_file_change(const struct lb_file_state *before, const struct lb_file_state *now);

#endif
