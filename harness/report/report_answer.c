/* report_answer: see report_answer.h. */
#include "report/report_answer.h"

#include "common/amounts.h"

#include <math.h>
#include <string.h>

#define NEAR_FLOOR   1.1  /* pass / floor up to which the floor itself is the limit */
#define MUCH_WAITING 0.05 /* share of a pass */
#define BUSY_STORAGE 0.9  /* share of a pass */

static const char *duration(struct result_view *view, double ns)
{
    char text[64];
    return view_text(view, "%s", amount_human_duration(ns, text, sizeof text));
}

/* Tokens count, not passes: a pass may give several. */
static double speed_of(const struct view_cell *c)
{
    return view_speed(c, c->pass.median);
}

static const struct view_cell *best_streaming(const struct result_view *view,
                                              const struct view_cell **next)
{
    const struct view_cell *best = NULL, *resident = NULL;
    for (size_t i = 0; i < view->n_cells; i++) {
        const struct view_cell *c = &view->cells[i];
        if (!view_measured(c))
            continue;
        if (strcmp(c->prefetch, "resident") == 0) {
            resident = c;
            continue;
        }
        /* another task takes other time: compare within the first */
        if (best && strcmp(c->task, best->task) != 0)
            continue;
        if (!best || speed_of(c) > speed_of(best)) {
            *next = best;
            best = c;
        } else if (!*next || speed_of(c) > speed_of(*next)) {
            *next = c;
        }
    }
    return best ? best : resident;
}

/* Of the streaming cells with the best one's task and batch: more sequences at a time make more
 * tokens a second whatever the other settings are. */
static const struct view_cell *slowest_beside(const struct result_view *view,
                                              const struct view_cell *best)
{
    const struct view_cell *slowest = best;
    for (size_t i = 0; i < view->n_cells; i++) {
        const struct view_cell *c = &view->cells[i];
        if (view_measured(c) && strcmp(c->prefetch, "resident") != 0 &&
            strcmp(c->task, best->task) == 0 && c->batch == best->batch &&
            speed_of(c) < speed_of(slowest))
            slowest = c;
    }
    return slowest;
}

/* Has any cell another batch than the best? */
static bool batches_differ(const struct result_view *view, const struct view_cell *best)
{
    for (size_t i = 0; i < view->n_cells; i++)
        if (view_measured(&view->cells[i]) && view->cells[i].batch != best->batch)
            return true;
    return false;
}

/* As figures call it, or with the whole names of its options. */
static const char *called(const struct view_cell *cell, bool full)
{
    return full && *cell->name ? cell->name : cell->label;
}

/* "1.02 times as fast as the next, async lru C=4 (within the noise)" */
static const char *say_next(struct result_view *view, const struct view_cell *best,
                            const struct view_cell *next, bool full)
{
    const struct view_cell *worst = slowest_beside(view, best);
    bool known = best->pass.n > 1 && next->pass.n > 1 && best->batch == next->batch;
    const char *slowest = worst == next || worst == best
                              ? ""
                              : view_text(view, ", %.2f times as fast as the slowest%s, %s",
                                          speed_of(best) / speed_of(worst),
                                          batches_differ(view, best) ? " of the same batch" : "",
                                          called(worst, full));
    return view_text(view, "; that is %.2f times as fast as the next, %s%s%s",
                     speed_of(best) / speed_of(next), called(next, full),
                     known && best->pass.high >= next->pass.low ? " (within the noise)" : "",
                     slowest);
}

static const char *say_best(struct result_view *view, const struct view_cell *best,
                            const struct view_cell *next, bool full)
{
    const char *interval =
        best->pass.n > 1
            ? view_text(view, " (%s to %s in %zu runs)", duration(view, best->pass.low),
                        duration(view, best->pass.high), best->pass.n)
            : "";
    const char *speed =
        view_text(view, speed_of(best) < 1000 ? ", %.3g tokens a second" : ", %.0f tokens a second",
                  speed_of(best));
    const char *than = next ? say_next(view, best, next, full) : "";
    return view_text(view, "The fastest setting is %s: a decode pass takes %s%s%s%s.",
                     called(best, full), duration(view, best->pass.median), interval, speed, than);
}

static const char *say_floor(struct result_view *view, const struct view_cell *best)
{
    const struct floor *floor = &best->floor;
    if (isnan(floor->ns) || floor->ns <= 0)
        return "How far that is from the best possible is not known: the result has no floor.";
    const char *made_of = isnan(floor->compute_ns) || isnan(floor->load_ns) ? ""
                          : floor->compute_ns >= floor->load_ns
                              ? ", which is the time to compute it"
                              : ", which is the time to read what the cache does not hold";
    double ratio = best->pass.median / floor->ns;
    if (ratio < 1)
        return view_text(view,
                         "That is %.0f%% below its floor of %s%s: the floor was measured too "
                         "high, so its distance is not known.",
                         100 * (1 - ratio), duration(view, floor->ns), made_of);
    return view_text(view,
                     "Its floor is %s%s, so the pass takes %.2f times the least possible "
                     "(share of floor %.2f).",
                     duration(view, floor->ns), made_of, ratio, 1 / ratio);
}

static const char *say_floor_limit(struct result_view *view, const struct view_cell *best)
{
    if (best->floor.compute_ns >= best->floor.load_ns)
        return view_text(view,
                         "What limits it is compute: storage is hidden behind it, and more cache "
                         "or distance gains at most %s a pass.",
                         duration(view, fmax(best->pass.median - best->floor.ns, 0)));
    return view_text(view,
                     "What limits it is storage: each pass reads %.3g MB, and only more cache, "
                     "faster storage or more work in a pass shorten it.",
                     best->median.bytes_read / 1e6);
}

static const char *say_compute_limit(struct result_view *view, const struct view_cell *best)
{
    return view_text(view,
                     "What limits it is compute, which takes %s here and %s when resident; "
                     "waiting is %.0f%% of the pass.",
                     duration(view, best->median.compute_ns),
                     duration(view, best->floor.compute_ns),
                     100 * best->median.wait_ns / best->median.pass_ns);
}

static const char *say_storage_limit(struct result_view *view, const struct view_cell *best,
                                     double busy)
{
    double read = best->median.bytes_read,
           needed = best->floor.load_ns * best->floor.bandwidth / 1e9;
    return view_text(view,
                     "What limits it is storage, busy for %.0f%% of the pass: it reads %.3g MB, "
                     "where the floor needs %.3g MB%s.",
                     fmin(100 * busy / best->median.pass_ns, 100), read / 1e6, needed / 1e6,
                     read > 1.3 * needed ? "; layers that could have stayed are read again" : "");
}

static const char *say_late(struct result_view *view, const struct view_cell *best, double busy)
{
    const double *o = best->median.outcomes, wait = best->median.wait_ns / best->median.pass_ns;
    const char *idle = isnan(busy) ? ""
                                   : view_text(view, " although storage is idle for %.0f%% of it",
                                               100 * fmax(1 - busy / best->median.pass_ns, 0));
    if (strcmp(best->prefetch, "async") != 0)
        return view_text(view,
                         "What limits it is that loading and computing take turns: %.0f%% of the "
                         "pass is waiting%s.",
                         100 * wait, idle);
    return view_text(view,
                     "What limits it is late prefetch: %.0f%% of the pass is waiting%s (late %.3g, "
                     "missed %.3g of %.3g layers).",
                     100 * wait, idle, o[LB_LATE], o[LB_MISS],
                     o[LB_HIT] + o[LB_PREFETCHED] + o[LB_LATE] + o[LB_MISS]);
}

/*
 * At the floor the floor is the limit. Else where little is waited for, it is compute; where the
 * storage is never idle, storage; and where it is idle while the computation waits, loads begin too
 * late.
 */
static const char *say_limit(struct result_view *view, const struct view_cell *best)
{
    const struct floor *floor = &best->floor;
    double pass = best->median.pass_ns, wait = best->median.wait_ns, busy = view_busy_ns(best);
    if (isnan(floor->ns) || isnan(floor->compute_ns) || isnan(floor->load_ns) ||
        best->pass.median < floor->ns)
        return view_text(view,
                         "What limits it is %s: %.0f%% of the pass is waiting, %.0f%% computing.",
                         wait > 0.5 * pass ? "storage" : "compute", 100 * wait / pass,
                         100 * best->median.compute_ns / pass);
    if (best->pass.median <= NEAR_FLOOR * floor->ns)
        return say_floor_limit(view, best);
    if (wait < MUCH_WAITING * pass)
        return say_compute_limit(view, best);
    if (busy >= BUSY_STORAGE * pass)
        return say_storage_limit(view, best, busy);
    if (best->median.compute_ns - floor->compute_ns > wait)
        return say_compute_limit(view, best);
    return say_late(view, best, busy);
}

static struct report_answer answer_of(struct result_view *view, bool full)
{
    const struct view_cell *next = NULL;
    const struct view_cell *best = best_streaming(view, &next);
    struct report_answer answer = {best, {"Nothing was measured in this result.", "", ""}};
    if (best) {
        answer.sentences[0] = say_best(view, best, next, full);
        answer.sentences[1] = say_floor(view, best);
        answer.sentences[2] = say_limit(view, best);
    }
    return answer;
}

struct report_answer report_answer(struct result_view *view)
{
    return answer_of(view, false);
}

const char *report_answer_line(struct result_view *view)
{
    struct report_answer answer = answer_of(view, true);
    if (!answer.best)
        return answer.sentences[0];
    const char *best = answer.sentences[0], *limit = answer.sentences[2];
    const struct floor *floor = &answer.best->floor;
    double ratio = floor->ns / answer.best->pass.median;
    const char *share = ratio > 0 ? view_text(view, "; its share of floor is %.2f%s", ratio,
                                              ratio > 1 ? " (the floor is wrong)" : "")
                                  : "";
    return view_text(view, "%.*s%s; w%s", (int)strlen(best) - 1, best, share, limit + 1);
}
