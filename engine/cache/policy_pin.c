/*
 * pin-first, pin-spread, static: a fixed set of units stays, the rest streams through what is left:
 * one slot of the largest unit without prefetch. A prefetch that finds the streaming slots taken
 * may displace a unit of the set, furthest next use first; it takes its place again later.
 *
 * pin-first keeps the first units of a pass; pin-spread takes them at even distances, so that
 * loads come evenly and hide better behind compute. static keeps the hottest ones by a profile
 * that is given (its parameter: how often each unit is used); without one it is pin-first.
 */
#include "base/memory.h"
#include "cache/furthest.h"
#include "cache/policy.h"
#include "cache/unit_heap.h"

struct pin {
    struct furthest *set, *rest;
    struct unit_heap *hottest; /* static only */
    bool stays[];              /* [n_units] in the set */
};

static void closed(void *state)
{
    struct pin *pin = state;
    furthest_close(pin->set);
    furthest_close(pin->rest);
    unit_heap_close(pin->hottest);
    lb_free(pin);
}

static void *opened(const struct cache *cache)
{
    uint32_t n = cache_n_units(cache);
    struct pin *pin = lb_calloc(1, sizeof *pin + n * sizeof *pin->stays);
    if (!pin)
        return NULL;
    pin->set = furthest_open(n);
    pin->rest = furthest_open(n);
    if (pin->set && pin->rest)
        return pin;
    closed(pin);
    return NULL;
}

static void *opened_static(const struct cache *cache)
{
    struct pin *pin = opened(cache);
    if (!pin)
        return NULL;
    pin->hottest = unit_heap_open(cache_n_units(cache));
    if (pin->hottest)
        return pin;
    closed(pin);
    return NULL;
}

static void loaded(void *state, uint32_t unit)
{
    struct pin *pin = state;
    furthest_touch(pin->stays[unit] ? pin->set : pin->rest, unit);
}

static void used(void *state, uint32_t unit, bool first)
{
    (void)first;
    loaded(state, unit);
}

static void evicted(void *state, uint32_t unit)
{
    struct pin *pin = state;
    furthest_remove(pin->stays[unit] ? pin->set : pin->rest, unit);
}

static int64_t victim(void *state, const struct cache_choice *choice)
{
    struct pin *pin = state;
    int64_t found = furthest_find(pin->rest, choice);
    return found >= 0 ? found : furthest_find(pin->set, choice);
}

/* The unit is or is not in the set from now on. */
static void set_stays(struct pin *pin, const struct cache *cache, uint32_t unit, bool stays)
{
    bool held = cache_unit(cache, unit)->state != CACHE_ABSENT;
    if (held)
        evicted(pin, unit);
    pin->stays[unit] = stays;
    if (held)
        loaded(pin, unit);
}

/* Frames and units that the set may take. */
struct room {
    uint32_t units;
    uint64_t frames;
};

static struct room room_of(const struct cache *cache)
{
    const struct cache_unit *units = cache_unit(cache, 0);
    uint32_t n = cache_n_units(cache), largest = 0;
    uint64_t total = 0;
    for (uint32_t i = 0; i < n; i++) {
        total += units[i].frames;
        largest = units[i].frames > largest ? units[i].frames : largest;
    }
    struct room room = {cache_max_units(cache), cache_max_frames(cache)};
    if (room.units >= n && room.frames >= total)
        return room;
    return (struct room){room.units - 1, room.frames - largest};
}

static void pin_first(void *state, const struct cache *cache)
{
    struct room room = room_of(cache);
    uint32_t n = cache_n_units(cache);
    uint64_t frames = 0;
    for (uint32_t i = 0; i < n; i++) {
        frames += cache_unit(cache, i)->frames;
        set_stays(state, cache, i, i < room.units && frames <= room.frames);
    }
}

/* Whether unit i belongs to a set of k units of n at even distances. */
static bool in_spread(uint64_t i, uint64_t k, uint64_t n)
{
    return (i + 1) * k / n > i * k / n;
}

static uint64_t frames_of_spread(const struct cache *cache, uint32_t k)
{
    uint32_t n = cache_n_units(cache);
    uint64_t frames = 0;
    for (uint32_t i = 0; i < n; i++)
        if (in_spread(i, k, n))
            frames += cache_unit(cache, i)->frames;
    return frames;
}

static void pin_spread(void *state, const struct cache *cache)
{
    struct room room = room_of(cache);
    uint32_t n = cache_n_units(cache);
    uint32_t low = 0, high = room.units < n ? room.units : n; /* `low` units are known to fit */
    while (low < high) {
        uint32_t k = low + (high - low + 1) / 2;
        if (frames_of_spread(cache, k) <= room.frames)
            low = k;
        else
            high = k - 1;
    }
    for (uint32_t i = 0; i < n; i++)
        set_stays(state, cache, i, in_spread(i, low, n));
}

static void pin_hottest(void *state, const struct cache *cache)
{
    struct pin *pin = state;
    struct room room = room_of(cache);
    const double *heat = cache_heat(cache);
    uint64_t frames = 0;
    uint32_t units = 0;
    for (uint32_t i = 0; i < cache_n_units(cache); i++)
        unit_heap_put(pin->hottest, i, heat ? -heat[i] : 0);
    for (int64_t i; (i = unit_heap_first(pin->hottest)) >= 0;) {
        uint32_t unit = (uint32_t)i, takes = cache_unit(cache, unit)->frames;
        bool fits = units < room.units && frames + takes <= room.frames;
        units += fits;
        frames += fits ? takes : 0;
        set_stays(pin, cache, unit, fits);
        unit_heap_remove(pin->hottest, unit);
    }
}

const struct cache_policy policy_pin_first = {
    .name = "pin-first",
    .about = "the first units stay, the others stream",
    .asks_future = true,
    .opened = opened,
    .closed = closed,
    .resized = pin_first,
    .loaded = loaded,
    .used = used,
    .evicted = evicted,
    .victim = victim,
};

const struct cache_policy policy_pin_spread = {
    .name = "pin-spread",
    .tuned = true,
    .about = "evenly spread units stay, the others stream",
    .asks_future = true,
    .opened = opened,
    .closed = closed,
    .resized = pin_spread,
    .loaded = loaded,
    .used = used,
    .evicted = evicted,
    .victim = victim,
};

const struct cache_policy policy_static = {
    .name = "static",
    .about = "the hottest units of a profile stay, the others stream",
    .asks_future = true,
    .opened = opened_static,
    .closed = closed,
    .resized = pin_hottest,
    .loaded = loaded,
    .used = used,
    .evicted = evicted,
    .victim = victim,
};
