/*
 * program: any program, run in a process group of its own and measured from outside.
 *
 * Its standard input is empty; what it prints is kept. It dies with this process, and with its time
 * limit; what waits for a device that does not answer cannot even be killed and is left behind.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "base/status.h"
#include "machine/cgroup.h"

#include <stddef.h>

struct program {
    const char *path;           /* looked for in PATH where it has no '/'; NULL: this program */
    const char *const *argv;    /* NULL-terminated */
    const char *affinity;       /* "": as this process */
    const struct cgroup *group; /* NULL: the one of this process */
    uint32_t timeout_s;         /* 0: none */
    int result;                 /* becomes its descriptor 3; -1: none */
};

/* Of a process and the children that it has waited for. */
struct program_usage {
    int64_t wall_ns, cpu_ns; /* cpu: user and system */
    int64_t bytes_read;      /* from storage, page faults included; -1: the kernel does not say */
    int64_t major_faults;
    int64_t
        peak_rss_bytes; /* of the largest process; at least what this process had at its start */
};

struct program_end {
    char failed[256]; /* "", or why it did not end well: a signal, its time, its exit code and last
                         message */
    bool out_of_memory; /* killed by the kernel at the limit of its group */
    /* what it printed, and its messages (of many, the last MiB): NUL-terminated or NULL; malloc */
    char *text, *messages;
    size_t length; /* of text */
    struct program_usage usage;
};

/* Runs it to its end. The error is this process's own: no memory, no process. Free *end in any
 * case. */
enum lb_status program_run(const struct program *program, struct program_end *end,
                           struct lb_error *err);
void program_free(struct program_end *end);

#endif
