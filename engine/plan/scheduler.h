/* scheduler: the prefetch schedulers, one file each; the list that names them is in planner.c. */
#ifndef PLAN_SCHEDULER_H
#define PLAN_SCHEDULER_H

#include "plan/planner.h"

extern const struct planner_scheduler schedule_fixed, schedule_horizon, schedule_aggressive,
    schedule_conservative, schedule_forestall;

#endif
