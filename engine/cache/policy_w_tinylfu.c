/*
 * w-tinylfu: what is new enters a small window by recency; what falls out of it gets into the main
 * part only if it was used more often than what would have to leave there (Einziger, Friedman,
 * Manes, TinyLFU: a highly efficient cache admission policy, ACM ToS 2017). The main part is
 * segmented: used once there, or again.
 *
 * Parameters as there: a window of 1/100 of the slots (at least one), 4/5 of the rest for what is
 * used again, frequencies halved after ten accesses a slot. Units are few: their frequencies are
 * counted exactly, without a sketch. libCacheSim's W-TinyLFU is another: its window of less than
 * 100 slots is none, so that nothing enters; uses in the window do not count, being weighed against
 * a victim counts as one, and counts are those of a filter that units share.
 */
#include "base/memory.h"
#include "cache/policy.h"
#include "cache/unit_lists.h"

enum { WINDOW, ONCE, AGAIN, N_LISTS };
enum { SAMPLES_A_SLOT = 10 };

struct w_tinylfu {
    struct unit_lists *lists; /* least recent first */
    uint32_t n_units, window_slots, main_slots, again_slots;
    uint64_t samples, most_samples;
    uint32_t uses[]; /* [n_units] also of units that are not in the cache */
};

static void closed(void *state)
{
    struct w_tinylfu *w = state;
    unit_lists_close(w->lists);
    lb_free(w);
}

static void *opened(const struct cache *cache)
{
    uint32_t n = cache_n_units(cache);
    struct w_tinylfu *w = lb_calloc(1, sizeof *w + n * sizeof *w->uses);
    if (!w)
        return NULL;
    w->n_units = n;
    w->lists = unit_lists_open(n, N_LISTS);
    if (w->lists)
        return w;
    closed(w);
    return NULL;
}

static void resized(void *state, const struct cache *cache)
{
    struct w_tinylfu *w = state;
    uint32_t slots = cache_slots(cache);
    w->window_slots = slots / 100 > 1 ? slots / 100 : 1;
    w->main_slots = slots - w->window_slots;
    w->again_slots = w->main_slots / 5 * 4;
    w->most_samples = (uint64_t)SAMPLES_A_SLOT * slots;
}

static void count_use(struct w_tinylfu *w, uint32_t unit)
{
    w->uses[unit]++;
    if (++w->samples < w->most_samples)
        return;
    w->samples /= 2;
    for (uint32_t i = 0; i < w->n_units; i++)
        w->uses[i] /= 2;
}

static uint32_t main_count(const struct w_tinylfu *w)
{
    return unit_list_count(w->lists, ONCE) + unit_list_count(w->lists, AGAIN);
}

static void loaded(void *state, uint32_t unit)
{
    struct w_tinylfu *w = state;
    count_use(w, unit);
    unit_list_append(w->lists, WINDOW, unit);
    if (unit_list_count(w->lists, WINDOW) > w->window_slots && main_count(w) < w->main_slots)
        unit_list_append(w->lists, ONCE, (uint32_t)unit_list_first(w->lists, WINDOW));
}

static void used(void *state, uint32_t unit, bool first)
{
    struct w_tinylfu *w = state;
    if (first)
        return;
    count_use(w, unit);
    bool in_window = unit_list_of(w->lists, unit) == WINDOW;
    unit_list_append(w->lists, in_window ? WINDOW : AGAIN, unit);
    if (unit_list_count(w->lists, AGAIN) > w->again_slots)
        unit_list_append(w->lists, ONCE, (uint32_t)unit_list_first(w->lists, AGAIN));
}

static void evicted(void *state, uint32_t unit)
{
    struct w_tinylfu *w = state;
    unit_list_remove(w->lists, unit);
}

static int64_t victim(void *state, const struct cache_choice *choice)
{
    struct w_tinylfu *w = state;
    int64_t newcomer = -1, incumbent = unit_list_victim(w->lists, ONCE, choice);
    if (incumbent < 0)
        incumbent = unit_list_victim(w->lists, AGAIN, choice);
    if (incumbent < 0 || unit_list_count(w->lists, WINDOW) >= w->window_slots)
        newcomer = unit_list_victim(w->lists, WINDOW, choice);
    if (newcomer < 0)
        return incumbent;
    if (incumbent < 0 || w->uses[newcomer] <= w->uses[incumbent])
        return newcomer;
    unit_list_append(w->lists, ONCE, (uint32_t)newcomer);
    return incumbent;
}

const struct cache_policy policy_w_tinylfu = {
    .name = "w-tinylfu",
    .about = "a window for what is new; it stays if used more often than what would leave",
    .opened = opened,
    .closed = closed,
    .resized = resized,
    .loaded = loaded,
    .used = used,
    .evicted = evicted,
    .victim = victim,
};
