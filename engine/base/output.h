/*
 * output: the one way to write a whole file.
 *
 * What is written lies beside its target without a name until it is finished (O_TMPFILE; where a
 * file system cannot do that, under a name of its own that nobody else has), and then takes the
 * target's place at once: a reader sees the old file or the new one. Symbolic links are followed.
 * A target that is no regular file (a device, a pipe, a descriptor such as /dev/stdout) is written
 * in place and never replaced, and so is a file in a folder that takes no other.
 *
 * Whatever ends the program, no temporary name stays: lb_outputs_remove() is for handlers of
 * signals, and names of processes that were killed are removed by the next one that needs a name in
 * that folder.
 */
#ifndef BASE_OUTPUT_H
#define BASE_OUTPUT_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

struct lb_output {
    int fd;        /* to write to, from 0 on; -1: not open */
    bool regular;  /* a file of its own: may be truncated, sought, written past the page cache */
    bool in_place; /* what is written is there at once */
    char *path, *target; /* as given; where it leads to */
    char *temporary;     /* NULL: without a name, or in place */
};

/* On error (LB_ERR_INPUT: the target is a directory, its folder is missing, ...) nothing is left,
 * and *output needs no lb_output_abandon(). A named pipe that nobody reads is an error after two
 * seconds. */
enum lb_status lb_output_open(const char *path, struct lb_output *output, struct lb_error *err);
/* All of it, or an error of LB_ERR_IO. */
enum lb_status lb_output_write(struct lb_output *output, const void *data, size_t size,
                               struct lb_error *err);
/* Onto the disk, into the target's place; closes *output, on error too, when the target is as it
 * was before (unless it is written in place). */
enum lb_status lb_output_finish(struct lb_output *output, struct lb_error *err);
/* Closes and removes; legal after either of the above. */
void lb_output_abandon(struct lb_output *output);

/* A file without a name for this process's own use, in `folder`: gone when its descriptor is
 * closed, however that comes about. Close-on-exec; -1: errno says why. */
int lb_unnamed_file(const char *folder);

/* Removes the temporary names of this process. Async-signal-safe; only when it is about to end. */
void lb_outputs_remove(void);

#endif
