/*
 * scheduler: the prefetch schedulers, one file each.
 *
 * A new one is a file schedule_NAME.c that defines `schedule_NAME`, and its name in this list:
 * messages, `list`, schema, tune's search and tests are made from it.
 */
#ifndef PLAN_SCHEDULER_H
#define PLAN_SCHEDULER_H

#include "plan/planner.h"

#define PLAN_SCHEDULERS(X)                                                                         \
    X(fixed)                                                                                       \
    X(horizon)                                                                                     \
    X(aggressive)                                                                                  \
    X(conservative)                                                                                \
    X(forestall)

#define PLAN_SCHEDULER_DECLARE(name) extern const struct planner_scheduler schedule_##name;
PLAN_SCHEDULERS(PLAN_SCHEDULER_DECLARE)

#endif
