/*
 * The drivers that load on the computing thread.
 *
 * off: demand loads only. resident: everything was loaded at open, nothing is left to
 * do. sync: at each access the next units are read ahead as well, and the computation
 * waits for all of it.
 */
#include "prefetch/driver.h"

static enum lb_status bring_locked(struct streamer *s, const uint32_t *units, uint32_t n,
                                   struct lb_error *err)
{
    uint32_t unit = units[0];
    struct planner_step step = {.unit = unit, .for_access = s->plan.position};
    (void)n;
    if (!planner_make_room(&s->plan, unit, true))
        return lb_fail(err, LB_ERR_STATE, "unit %u: all units in the cache are in use", unit);
    struct loader_request request = streamer_begin_locked(s, &step, false);
    loader_add(s->loader, &request);
    streamer_run_loader(s);
    return s->broken ? streamer_load_error(s, err) : LB_OK;
}

static void read_ahead_locked(struct streamer *s)
{
    struct loader_request request;
    bool any;
    do {
        for (any = false; streamer_plan_locked(s, &request); any = true)
            loader_add(s->loader, &request);
        streamer_run_loader(s);
    } while (any);
}

const struct driver_ops driver_off = {
    .name = "off",
    .bring_locked = bring_locked,
};

const struct driver_ops driver_resident = {
    .name = "resident",
    .bring_locked = bring_locked,
};

const struct driver_ops driver_sync = {
    .name = "sync",
    .bring_locked = bring_locked,
    .acquired_locked = read_ahead_locked,
    .looks_ahead = true,
    .at_once = true,
};
