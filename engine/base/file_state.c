/* file_state: see file_state.h. */
#include "base/file_state.h"

#include <stddef.h>

struct lb_file_state lb_file_state_of(const struct stat *st)
{
    return (struct lb_file_state){.device = (uint64_t)st->st_dev,
                                  .inode = (uint64_t)st->st_ino,
                                  .bytes = (uint64_t)st->st_size,
                                  .modified_s = st->st_mtim.tv_sec,
                                  .modified_ns = st->st_mtim.tv_nsec,
                                  .there = true};
}

struct lb_file_state lb_file_state_at(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? lb_file_state_of(&st) : (struct lb_file_state){.there = false};
}

const char *lb_file_change(const struct lb_file_state *before, const struct lb_file_state *now)
{
    if (before->there != now->there)
        return now->there ? "appeared" : "was removed";
    if (before->device != now->device || before->inode != now->inode)
        return "was replaced";
    if (now->bytes < before->bytes)
        return "became shorter";
    return now->bytes > before->bytes || now->modified_s != before->modified_s ||
                   now->modified_ns != before->modified_ns
               ? "was written to"
               : NULL;
}
