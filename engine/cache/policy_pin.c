/*
 * pin-first, pin-spread: a fixed set of units stays, the rest streams through what is left: one
 * slot of the largest unit without prefetch. A prefetch that finds the streaming slots taken
 * may displace a unit of the set, furthest next use first; it takes its place again later.
 *
 * pin-first keeps the first units of a pass; pin-spread takes them at even distances, so that
 * loads come evenly and hide better behind compute.
 */
#include "base/memory.h"
#include "cache/policy.h"

/* The state: which units stay while any other may leave. */
static void *opened(const struct cache *cache)
{
    return lb_calloc(cache_n_units(cache), sizeof(bool));
}

static int64_t victim(void *stays, const struct cache_choice *choice)
{
    int64_t found = cache_furthest(choice, stays);
    return found >= 0 ? found : cache_furthest(choice, NULL);
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
    bool *stays = state;
    struct room room = room_of(cache);
    uint32_t n = cache_n_units(cache);
    uint64_t frames = 0;
    for (uint32_t i = 0; i < n; i++) {
        frames += cache_unit(cache, i)->frames;
        stays[i] = i < room.units && frames <= room.frames;
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
    bool *stays = state;
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
        stays[i] = in_spread(i, low, n);
}

const struct cache_policy policy_pin_first = {
    .name = "pin-first",
    .about = "the first units stay, the others stream",
    .opened = opened,
    .closed = lb_free,
    .resized = pin_first,
    .victim = victim,
};

const struct cache_policy policy_pin_spread = {
    .name = "pin-spread",
    .about = "evenly spread units stay, the others stream",
    .opened = opened,
    .closed = lb_free,
    .resized = pin_spread,
    .victim = victim,
};
