/*
 * scratch: a folder for files that only this process needs.
 *
 * A process of its own waits for the end of this one, however it comes about, and removes the
 * folder then.
 */
#ifndef SCRATCH_H
#define SCRATCH_H

#include "base/status.h"

struct scratch {
    char *path; /* absolute; NULL: not open */
    int end;    /* that it is closed says that the folder is done with */
    long guard; /* the process that removes it; 0: none could be had, scratch_close() does */
};

/* In $TMPDIR, /tmp, /var/tmp or `last`, whichever takes it first. */
enum lb_status scratch_open(const char *last, struct scratch *scratch, struct lb_error *err);
/* The folder is gone when it returns. */
void scratch_close(struct scratch *scratch);

#endif
