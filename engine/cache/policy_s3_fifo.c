/*
 * s3-fifo: what is new passes through a small queue; what was used there moves to the main queue,
 * the rest leaves soon and is remembered as a ghost; a ghost that comes back goes to the main
 * queue at once, which gives each unit as many more rounds as it was used, up to three (Yang et
 * al., FIFO queues are all you need for cache eviction, SOSP 2023).
 *
 * Parameters as there: a small queue of 1/10 of the slots, ghosts of 9/10, two uses to move.
 */
#include "base/memory.h"
#include "cache/policy.h"
#include "cache/unit_lists.h"

enum { SMALL, MAIN, GHOST, RETURNING, N_LISTS }; /* RETURNING: a ghost that room is made for */
enum { MOVE_USES = 2, MOST_ROUNDS = 3 };

struct s3_fifo {
    struct unit_lists *lists; /* oldest first */
    uint32_t main_slots, ghosts;
    uint32_t uses[]; /* [n_units] since it came into its queue */
};

static void closed(void *state)
{
    struct s3_fifo *s = state;
    unit_lists_close(s->lists);
    lb_free(s);
}

static void *opened(const struct cache *cache)
{
    uint32_t n = cache_n_units(cache);
    struct s3_fifo *s = lb_calloc(1, sizeof *s + n * sizeof *s->uses);
    if (!s)
        return NULL;
    s->lists = unit_lists_open(n, N_LISTS);
    if (s->lists)
        return s;
    closed(s);
    return NULL;
}

static void resized(void *state, const struct cache *cache)
{
    struct s3_fifo *s = state;
    uint32_t slots = cache_slots(cache);
    s->main_slots = slots - (uint32_t)(slots * 0.1);
    s->ghosts = (uint32_t)(slots * 0.9);
}

static void loaded(void *state, uint32_t unit)
{
    struct s3_fifo *s = state;
    uint32_t was = unit_list_of(s->lists, unit);
    unit_list_append(s->lists, was == GHOST || was == RETURNING ? MAIN : SMALL, unit);
    s->uses[unit] = 0;
}

static void used(void *state, uint32_t unit, bool first)
{
    struct s3_fifo *s = state;
    s->uses[unit] += !first;
}

static void evicted(void *state, uint32_t unit)
{
    struct s3_fifo *s = state;
    bool remembered = unit_list_of(s->lists, unit) == SMALL;
    unit_list_remove(s->lists, unit);
    if (!remembered || s->ghosts == 0)
        return;
    while (unit_list_count(s->lists, GHOST) >= s->ghosts)
        unit_list_remove(s->lists, (uint32_t)unit_list_first(s->lists, GHOST));
    unit_list_append(s->lists, GHOST, unit);
}

/* The oldest of the small queue that was not used enough; the others before it move on. */
static int64_t victim_of_small(struct s3_fifo *s, const struct cache_choice *choice)
{
    for (int64_t i = unit_list_first(s->lists, SMALL), next; i >= 0; i = next) {
        uint32_t unit = (uint32_t)i;
        next = unit_list_next(s->lists, unit);
        if (!cache_may_evict(choice, unit))
            continue;
        if (s->uses[unit] < MOVE_USES)
            return unit;
        unit_list_append(s->lists, MAIN, unit);
        s->uses[unit] = 0;
    }
    return -1;
}

static int64_t victim_of_main(struct s3_fifo *s, const struct cache_choice *choice)
{
    uint64_t steps = (uint64_t)(MOST_ROUNDS + 1) * unit_list_count(s->lists, MAIN);
    for (int64_t i = unit_list_first(s->lists, MAIN), next; i >= 0 && steps > 0;
         i = next, steps--) {
        uint32_t unit = (uint32_t)i;
        bool allowed = cache_may_evict(choice, unit);
        if (allowed && s->uses[unit] == 0)
            return unit;
        next = unit_list_next(s->lists, unit);
        if (allowed) { /* one more round */
            s->uses[unit] = (s->uses[unit] < MOST_ROUNDS ? s->uses[unit] : MOST_ROUNDS) - 1;
            unit_list_append(s->lists, MAIN, unit);
            next = next < 0 ? unit_list_first(s->lists, MAIN) : next;
        }
    }
    return -1;
}

static int64_t victim(void *state, const struct cache_choice *choice)
{
    struct s3_fifo *s = state;
    if (choice->incoming != CACHE_NO_UNIT && unit_list_of(s->lists, choice->incoming) == GHOST)
        unit_list_append(s->lists, RETURNING, choice->incoming);
    int64_t found = -1;
    if (unit_list_count(s->lists, MAIN) <= s->main_slots)
        found = victim_of_small(s, choice);
    if (found < 0)
        found = victim_of_main(s, choice);
    return found >= 0 ? found : victim_of_small(s, choice);
}

const struct cache_policy policy_s3_fifo = {
    .name = "s3-fifo",
    .about = "a small queue for what is new, a main one for what was used there, and ghosts",
    .opened = opened,
    .closed = closed,
    .resized = resized,
    .loaded = loaded,
    .used = used,
    .evicted = evicted,
    .victim = victim,
};
