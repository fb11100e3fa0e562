/*
 * cgroup: a memory limit for one sample, by a control group of its own (version 1 or 2) below the
 * one this process is in. Groups that a killed run left behind are removed by the next one.
 */
#ifndef CGROUP_H
#define CGROUP_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct cgroup {
    char *path; /* of its directory; NULL: no limit */
    bool v2;
};

/* LB_ERR_UNSUPPORTED with a line that says what to do where it is not permitted. bytes 0: no
 * limit, always fine. */
enum lb_status cgroup_open(uint64_t bytes, struct cgroup *group, struct lb_error *err);
/* A group below `parent`, the directory of another one; false with errno set. The groups there
 * whose processes are gone are removed. */
bool cgroup_open_in(const char *parent, bool v2, uint64_t bytes, struct cgroup *group);
/* Moves the calling process into it; only async-signal-safe calls. False with errno set. */
bool cgroup_enter(const struct cgroup *group);
/* Did the kernel kill in this group for lack of memory? */
bool cgroup_killed(const struct cgroup *group);
void cgroup_close(struct cgroup *group);

#endif
