/*
 * test_replay_lists: lirs and w-tinylfu against plain programs for the same rules, which search
 * arrays; and what sets a public simulator's LIRS apart from the published one: with one more rule
 * the plain program gives its figures to the last digit.
 */
#include "base/memory.h"
#include "base/random.h"
#include "plan/replay.h"
#include "shared_traces.h"
#include "tests/check.h"

#include <stdbool.h>

enum { N = LAYERS * EXPERTS };

/* A sequence without repetition, least recent first. */
struct row {
    uint32_t unit[N], n;
};

static bool has(const struct row *row, uint32_t unit)
{
    for (uint32_t i = 0; i < row->n; i++)
        if (row->unit[i] == unit)
            return true;
    return false;
}

static void take_out(struct row *row, uint32_t unit)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < row->n; i++)
        if (row->unit[i] != unit)
            row->unit[k++] = row->unit[i];
    row->n = k;
}

static void put_last(struct row *row, uint32_t unit)
{
    take_out(row, unit);
    row->unit[row->n++] = unit;
}

/* ---- LIRS (Jiang, Zhang 2002) ---- */

struct lirs {
    uint32_t slots, queue_slots, low_slots, n_low;
    struct row stack, queue, gone; /* gone: on the stack, not in the cache */
    bool low[N], in_cache[N];
    /* The simulator, when a unit of the queue is hit that has left the stack, demotes a low unit as
     * if that one became low; in a queue of one slot this pushes out the very unit that was hit,
     * which yet counts as cached while it is on the stack. */
    bool demotes;
};

static void prune(struct lirs *l)
{
    while (l->stack.n > 1 && !l->low[l->stack.unit[0]]) {
        uint32_t unit = l->stack.unit[0];
        take_out(&l->stack, unit);
        take_out(&l->gone, unit);
        l->in_cache[unit] = has(&l->queue, unit);
    }
}

static void leave_queue(struct lirs *l)
{
    uint32_t unit = l->queue.unit[0];
    take_out(&l->queue, unit);
    l->in_cache[unit] = false;
    if (has(&l->stack, unit))
        put_last(&l->gone, unit);
}

static void demote(struct lirs *l)
{
    uint32_t unit = l->stack.unit[0];
    take_out(&l->stack, unit);
    l->low[unit] = false;
    l->n_low--;
    while (l->queue.n >= l->queue_slots)
        leave_queue(l);
    put_last(&l->queue, unit);
    prune(l);
}

static void become_low(struct lirs *l, uint32_t unit)
{
    while (l->n_low >= l->low_slots)
        demote(l);
    l->low[unit] = l->in_cache[unit] = true;
    l->n_low++;
}

static bool lirs_access(struct lirs *l, uint32_t unit)
{
    bool hit = l->in_cache[unit], stacked = has(&l->stack, unit);
    if (stacked)
        put_last(&l->stack, unit);
    if (l->low[unit]) {
        prune(l);
    } else if (stacked) {
        take_out(&l->queue, unit);
        take_out(&l->gone, unit);
        become_low(l, unit);
    } else if (hit) {
        put_last(&l->queue, unit);
        if (l->demotes)
            while (l->n_low >= l->low_slots)
                demote(l);
        put_last(&l->stack, unit);
        l->in_cache[unit] = true;
    } else if (l->n_low < l->low_slots) {
        put_last(&l->stack, unit);
        become_low(l, unit);
    } else {
        while (l->queue.n >= l->queue_slots)
            leave_queue(l);
        put_last(&l->stack, unit);
        put_last(&l->queue, unit);
        l->in_cache[unit] = true;
    }
    while (l->stack.n > 2 * l->slots && l->gone.n > 0) {
        uint32_t oldest = l->gone.unit[0];
        take_out(&l->gone, oldest);
        take_out(&l->stack, oldest);
    }
    return hit;
}

static uint64_t lirs_misses(const uint32_t *accesses, uint64_t n, uint32_t slots, bool demotes)
{
    static struct lirs l;
    uint64_t misses = 0;
    l = (struct lirs){
        .slots = slots, .queue_slots = slots / 100 > 1 ? slots / 100 : 1, .demotes = demotes};
    l.low_slots = slots - l.queue_slots;
    for (uint64_t i = 0; i < n; i++)
        misses += !lirs_access(&l, accesses[i]);
    return misses;
}

/* ---- W-TinyLFU (Einziger, Friedman, Manes 2017), frequencies counted exactly ---- */

struct tiny {
    uint32_t slots, window_slots, main_slots, again_slots, samples;
    struct row window, once, again;
    uint32_t uses[N];
};

static void count(struct tiny *t, uint32_t unit)
{
    t->uses[unit]++;
    if (++t->samples < 10 * t->slots)
        return;
    t->samples /= 2;
    for (uint32_t i = 0; i < N; i++)
        t->uses[i] /= 2;
}

/* The window's oldest goes on to the main part, or leaves, or takes the place of what does. */
static void make_way(struct tiny *t)
{
    if (t->once.n + t->again.n + t->window.n < t->slots)
        return;
    struct row *from = t->once.n > 0 ? &t->once : &t->again;
    if (t->window.n < t->window_slots || t->window.n == 0) {
        take_out(from, from->unit[0]);
        return;
    }
    uint32_t newcomer = t->window.unit[0];
    take_out(&t->window, newcomer);
    if (from->n > 0 && t->uses[newcomer] > t->uses[from->unit[0]]) {
        take_out(from, from->unit[0]);
        put_last(&t->once, newcomer);
    }
}

static bool tiny_access(struct tiny *t, uint32_t unit)
{
    bool in_window = has(&t->window, unit);
    bool hit = in_window || has(&t->once, unit) || has(&t->again, unit);
    if (!hit)
        make_way(t);
    count(t, unit);
    if (!hit || in_window) {
        put_last(&t->window, unit);
        if (t->window.n > t->window_slots && t->once.n + t->again.n < t->main_slots) {
            uint32_t oldest = t->window.unit[0];
            take_out(&t->window, oldest);
            put_last(&t->once, oldest);
        }
        return hit;
    }
    take_out(&t->once, unit);
    put_last(&t->again, unit);
    if (t->again.n > t->again_slots) {
        uint32_t oldest = t->again.unit[0];
        take_out(&t->again, oldest);
        put_last(&t->once, oldest);
    }
    return true;
}

static uint64_t tiny_misses(const uint32_t *accesses, uint64_t n, uint32_t slots)
{
    static struct tiny t;
    uint64_t misses = 0;
    t = (struct tiny){.slots = slots, .window_slots = slots / 100 > 1 ? slots / 100 : 1};
    t.main_slots = slots - t.window_slots;
    t.again_slots = t.main_slots / 5 * 4;
    for (uint64_t i = 0; i < n; i++)
        misses += !tiny_access(&t, accesses[i]);
    return misses;
}

/* ---- ours ---- */

static void compare(const char *policy, const uint32_t *accesses, uint64_t n, uint32_t slots,
                    uint64_t misses)
{
    struct lb_error err = LB_ERROR_INIT;
    struct replay_result r;
    struct replay_options o = {.n_units = N, .replacement = policy, .slots = slots};
    CHECK(replay_run(&o, accesses, n, &r, &err) == LB_OK, "%s", err.text);
    CHECK(r.misses == misses, "%s, %u slots: %llu misses, counted %llu", policy, slots,
          (unsigned long long)r.misses, (unsigned long long)misses);
}

/* Units from a random walk over a few hot places, so that distances of all lengths come. */
static void random_accesses(void)
{
    enum { LENGTH = 6000 };
    static uint32_t accesses[LENGTH];
    struct lb_random r = {17};
    for (int round = 0; round < 12; round++) {
        uint32_t most = 20 + lb_random_below(&r, N - 20), slots = 2 + lb_random_below(&r, most);
        for (int i = 0; i < LENGTH; i++)
            accesses[i] = lb_random_below(&r, 1 + lb_random_below(&r, most));
        compare("lirs", accesses, LENGTH, slots, lirs_misses(accesses, LENGTH, slots, false));
        compare("w-tinylfu", accesses, LENGTH, slots, tiny_misses(accesses, LENGTH, slots));
    }
}

/* Ours is the published rule; the simulator's figures follow from the one rule more. */
static void figures_of_the_simulator(void)
{
    static struct figure figure;
    const uint32_t *accesses = figure.accesses;
    uint32_t compared = 0;
    if (!figures_open(&figure))
        return;
    while (figures_next(&figure)) {
        uint32_t slots = figure.slots;
        if (strcmp(figure.policy, "LIRS") != 0)
            continue;
        figure_is(&figure, lirs_misses(accesses, ACCESSES, slots, true), "LIRS with its rule");
        compare("lirs", accesses, ACCESSES, slots, lirs_misses(accesses, ACCESSES, slots, false));
        if (slots % 96 == 0)
            compare("w-tinylfu", accesses, ACCESSES, slots, tiny_misses(accesses, ACCESSES, slots));
        compared++;
    }
    CHECK(compared == 27, "%u compared", compared);
}

int main(void)
{
    random_accesses();
    figures_of_the_simulator();
    return check_done();
}
