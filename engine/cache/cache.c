/* cache: state of the units, budget and choice of victims. See cache.h. */
#include "cache/cache.h"

#include "base/bits.h"
#include "base/memory.h"
#include "base/random.h"
#include "cache/policy.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Units that share a part of the budget, and the policy's state for them. */
struct group {
    void *state;
    uint32_t max_units, units_held;
    uint64_t max_frames, frames_held;
};

struct cache {
    /* fixed after open */
    const struct cache_policy *policy;
    uint32_t *group_of; /* [n_units]; NULL: one group */
    uint32_t n_groups;
    uint32_t n_units;
    double half_life;
    const double *heat;
    void (*evicted)(void *ctx, uint32_t unit); /* may be NULL */
    void *ctx;
    /* budget: what is held may exceed it between a resize and the evictions that follow */
    uint32_t max_units;
    uint64_t max_frames;
    uint32_t slots;
    /* what is there */
    struct group *groups;
    struct cache_unit *units;
    uint64_t *held; /* bit i: unit i is not absent */
    uint32_t hand;  /* where the last search for room ended */
    uint32_t units_held;
    uint64_t frames_held;
    uint64_t sequence;
    uint64_t passes;
    uint32_t furthest_used; /* unit, in this pass */
    struct lb_random random;
    struct cache_counters counters;
};

#define CACHE_POLICY_ADDRESS(name) &policy_##name,
static const struct cache_policy *const policies[] = {CACHE_POLICIES(CACHE_POLICY_ADDRESS)};
enum { N_POLICIES = sizeof policies / sizeof *policies };

const struct cache_policy *const *cache_policies(size_t *count)
{
    *count = N_POLICIES;
    return policies;
}

static enum lb_status find_policy(const char *name, const struct cache_policy **policy,
                                  struct lb_error *err)
{
    char names[256] = "";
    for (size_t i = 0; i < N_POLICIES; i++) {
        if (strcmp(policies[i]->name, name) == 0) {
            *policy = policies[i];
            return LB_OK;
        }
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s",
                 i == 0               ? ""
                 : i + 1 < N_POLICIES ? ", "
                                      : " or ",
                 policies[i]->name);
    }
    return lb_fail(err, LB_ERR_INPUT, "replacement '%s': expected %s", name, names);
}

static enum lb_status check_policy(const struct cache_policy *policy, struct lb_error *err)
{
    const char *missing = !policy->victim                     ? "victim"
                          : policy->opened && !policy->closed ? "closed"
                          : policy->closed && !policy->opened ? "opened"
                                                              : NULL;
    if (missing)
        return lb_fail(err, LB_ERR_UNSUPPORTED, "replacement '%s': no hook '%s'", policy->name,
                       missing);
    return LB_OK;
}

/* ---- open and budget ---- */

static struct group *group_of(const struct cache *cache, uint32_t unit)
{
    return &cache->groups[cache->group_of ? cache->group_of[unit] : 0];
}

/* A group's share of the budget is that of its units in all; the largest of them fits. */
static void share_budget(struct cache *cache, uint64_t total)
{
    for (uint32_t g = 0; g < cache->n_groups; g++) {
        struct group *group = &cache->groups[g];
        uint64_t frames = 0;
        uint32_t units = 0, largest = 0;
        for (uint32_t i = 0; i < cache->n_units; i++) {
            const struct cache_unit *u = &cache->units[i];
            if (group_of(cache, i) != group)
                continue;
            units++;
            frames += u->frames;
            largest = u->frames > largest ? u->frames : largest;
        }
        group->max_units = (uint32_t)((uint64_t)cache->max_units * units / cache->n_units);
        group->max_frames = cache->max_frames * frames / total;
        group->max_units = group->max_units > 0 ? group->max_units : 1;
        group->max_frames = group->max_frames > largest ? group->max_frames : largest;
        uint64_t fit = frames > 0 ? group->max_frames * units / frames : 1;
        cache->slots = fit < group->max_units ? (uint32_t)fit : group->max_units;
        cache->slots = cache->slots > 0 ? cache->slots : 1;
        if (cache->policy->resized)
            cache->policy->resized(group->state, cache);
    }
}

static void set_budget(struct cache *cache, uint32_t max_units, uint64_t max_frames)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < cache->n_units; i++)
        total += cache->units[i].frames;
    cache->max_units = max_units && max_units < cache->n_units ? max_units : cache->n_units;
    cache->max_frames = max_frames && max_frames < total ? max_frames : total;
    share_budget(cache, total);
}

static bool open_groups(struct cache *cache, const struct cache_options *options)
{
    cache->n_groups = options->group_of ? options->n_groups : 1;
    cache->groups = lb_calloc(cache->n_groups, sizeof *cache->groups);
    if (options->group_of)
        cache->group_of = lb_calloc(cache->n_units, sizeof *cache->group_of);
    if (!cache->groups || (options->group_of && !cache->group_of))
        return false;
    for (uint32_t i = 0; cache->group_of && i < cache->n_units; i++)
        cache->group_of[i] = options->group_of[i];
    for (uint32_t g = 0; cache->policy->opened && g < cache->n_groups; g++)
        if (!(cache->groups[g].state = cache->policy->opened(cache)))
            return false;
    return true;
}

enum lb_status cache_open(const struct cache_options *options, uint32_t n_units,
                          const uint32_t *frames_of, struct cache **out, struct lb_error *err)
{
    *out = NULL;
    assert(n_units > 0);
    const struct cache_policy *policy = options->policy;
    enum lb_status status = policy ? LB_OK : find_policy(options->replacement, &policy, err);
    if (status == LB_OK)
        status = check_policy(policy, err);
    if (status != LB_OK)
        return status;
    uint32_t largest = 1;
    for (uint32_t i = 0; frames_of && i < n_units; i++)
        largest = frames_of[i] > largest ? frames_of[i] : largest;
    if (options->max_frames && options->max_frames < largest)
        return lb_fail(err, LB_ERR_INPUT,
                       "cache of %llu frames: expected at least %u, the size of one unit",
                       (unsigned long long)options->max_frames, largest);
    struct cache *cache = lb_calloc(1, sizeof *cache);
    if (!cache)
        return lb_fail(err, LB_ERR_NOMEM, "cache: out of memory");
    cache->policy = policy;
    cache->n_units = n_units;
    cache->evicted = options->evicted;
    cache->ctx = options->ctx;
    cache->random.state = options->seed;
    cache->half_life = options->half_life;
    cache->heat = options->heat;
    cache->units = lb_calloc(n_units, sizeof *cache->units);
    cache->held = lb_calloc(n_units / 64 + 1, sizeof *cache->held);
    if (!cache->units || !cache->held || !open_groups(cache, options)) {
        cache_close(cache);
        return lb_fail(err, LB_ERR_NOMEM, "cache: out of memory");
    }
    for (uint32_t i = 0; i < n_units; i++)
        cache->units[i].frames = frames_of ? frames_of[i] : 1;
    set_budget(cache, options->max_units, options->max_frames);
    *out = cache;
    return LB_OK;
}

void cache_close(struct cache *cache)
{
    if (!cache)
        return;
    for (uint32_t g = 0; cache->groups && g < cache->n_groups; g++)
        if (cache->groups[g].state)
            cache->policy->closed(cache->groups[g].state);
    lb_free(cache->groups);
    lb_free(cache->group_of);
    lb_free(cache->units);
    lb_free(cache->held);
    lb_free(cache);
}

/* ---- what is there ---- */

uint32_t cache_n_units(const struct cache *cache)
{
    return cache->n_units;
}

const struct cache_unit *cache_unit(const struct cache *cache, uint32_t unit)
{
    assert(unit < cache->n_units);
    return &cache->units[unit];
}

uint32_t cache_units_held(const struct cache *cache)
{
    return cache->units_held;
}

uint64_t cache_frames_held(const struct cache *cache)
{
    return cache->frames_held;
}

uint32_t cache_max_units(const struct cache *cache)
{
    return cache->max_units;
}

uint64_t cache_max_frames(const struct cache *cache)
{
    return cache->max_frames;
}

uint32_t cache_slots(const struct cache *cache)
{
    return cache->slots;
}

uint64_t cache_passes(const struct cache *cache)
{
    return cache->passes;
}

double cache_half_life(const struct cache *cache)
{
    return cache->half_life;
}

const double *cache_heat(const struct cache *cache)
{
    return cache->heat;
}

bool cache_asks_future(const struct cache *cache)
{
    return cache->policy->asks_future;
}

struct cache_counters cache_counters(const struct cache *cache)
{
    return cache->counters;
}

/* Whether the unit fits when so many units and frames have left, of all and of its group. */
static bool fits_without(const struct cache *cache, uint32_t unit, const struct group *all,
                         const struct group *of_group)
{
    const struct group *group = group_of(cache, unit);
    uint32_t frames = cache->units[unit].frames;
    return cache->units_held - all->units_held < cache->max_units &&
           cache->frames_held - all->frames_held + frames <= cache->max_frames &&
           group->units_held - of_group->units_held < group->max_units &&
           group->frames_held - of_group->frames_held + frames <= group->max_frames;
}

static bool group_is_full(const struct cache *cache, uint32_t unit)
{
    const struct group *group = group_of(cache, unit);
    return group->units_held >= group->max_units ||
           group->frames_held + cache->units[unit].frames > group->max_frames;
}

bool cache_fits(const struct cache *cache, uint32_t unit)
{
    const struct group none = {0};
    return fits_without(cache, unit, &none, &none);
}

const uint64_t *cache_held(const struct cache *cache)
{
    return cache->held;
}

/* ---- choice of victims ---- */

static bool is_protected(const struct cache_choice *choice, uint32_t unit)
{
    enum future_kind kind;
    return choice->window &&
           future_next(choice->future, unit, choice->position, &kind) <=
               choice->position + choice->window &&
           kind != FUTURE_ESTIMATED;
}

bool cache_may_evict(const struct cache_choice *choice, uint32_t unit)
{
    const struct cache_unit *u = &choice->cache->units[unit];
    if (u->state != CACHE_RESIDENT || u->pins > 0)
        return false;
    enum future_kind kind;
    uint64_t next = future_next(choice->future, unit, choice->position, &kind);
    if (choice->doubt > 0 && future_likelihood(choice->future, unit) > 1 - choice->doubt)
        return false;
    return kind == FUTURE_ESTIMATED ||
           (next > choice->for_access &&
            (choice->window == 0 || next > choice->position + choice->window));
}

/* Asks the policy: of the group whose share is full, else of any. */
static int64_t ask(struct cache *cache, struct cache_choice *choice)
{
    uint32_t unit = choice->incoming;
    bool known = unit != CACHE_NO_UNIT;
    uint32_t first = known && cache->group_of ? cache->group_of[unit] : 0;
    uint32_t n = known && group_is_full(cache, unit) ? 1 : cache->n_groups;
    int64_t victim = -1;
    for (uint32_t i = 0; i < n && victim < 0; i++)
        victim = cache->policy->victim(cache->groups[(first + i) % cache->n_groups].state, choice);
    return victim;
}

static int64_t choose(struct cache *cache, struct cache_choice *choice, uint32_t incoming)
{
    choice->incoming = incoming;
    choice->random_state = lb_random_next(&cache->random);
    uint32_t window = choice->window;
    choice->window = 0;
    int64_t victim = ask(cache, choice);
    choice->window = window;
    if (victim >= 0 && is_protected(choice, (uint32_t)victim)) {
        cache->counters.protected_evictions++;
        victim = ask(cache, choice);
    }
    assert(victim < 0 || cache_may_evict(choice, (uint32_t)victim));
    return victim;
}

int64_t cache_victim(struct cache *cache, struct cache_choice *choice)
{
    return choose(cache, choice, CACHE_NO_UNIT);
}

/* Whether evicting what may leave would make room: looks no further than it must. */
static bool can_make_room(struct cache *cache, const struct cache_choice *choice, uint32_t unit)
{
    struct group all = {0}, of_group = {0};
    const struct group *group = group_of(cache, unit);
    bool own_only = group_is_full(cache, unit);
    uint32_t n_words = cache->n_units / 64 + 1;
    for (uint32_t i = 0; i < n_words; i++) {
        uint32_t word = (cache->hand + i) % n_words;
        for (uint64_t bits = cache->held[word]; bits; bits &= bits - 1) {
            uint32_t held = word * 64 + (uint32_t)__builtin_ctzll(bits);
            bool own = group_of(cache, held) == group;
            if ((own_only && !own) || !cache_may_evict(choice, held))
                continue;
            all.frames_held += cache->units[held].frames;
            all.units_held++;
            of_group.frames_held += own ? cache->units[held].frames : 0;
            of_group.units_held += own;
            if (fits_without(cache, unit, &all, &of_group)) {
                cache->hand = word;
                return true;
            }
        }
    }
    return false;
}

bool cache_make_room(struct cache *cache, struct cache_choice *choice, uint32_t unit)
{
    for (bool checked = false; !cache_fits(cache, unit); checked = true) {
        if (!checked && !can_make_room(cache, choice, unit))
            return false;
        int64_t victim = choose(cache, choice, unit);
        assert(victim >= 0);
        cache_evict(cache, (uint32_t)victim);
    }
    return true;
}

/* ---- changes of state ---- */

static void set_absent(struct cache *cache, uint32_t unit)
{
    struct cache_unit *u = &cache->units[unit];
    u->state = CACHE_ABSENT;
    u->fresh = false;
    lb_set_bit(cache->held, unit, false);
    cache->units_held--;
    cache->frames_held -= u->frames;
    group_of(cache, unit)->units_held--;
    group_of(cache, unit)->frames_held -= u->frames;
    if (cache->policy->evicted)
        cache->policy->evicted(group_of(cache, unit)->state, unit);
}

void cache_evict(struct cache *cache, uint32_t unit)
{
    assert(unit < cache->n_units);
    const struct cache_unit *u = &cache->units[unit];
    assert(u->state == CACHE_RESIDENT && u->pins == 0);
    cache->counters.evictions++;
    cache->counters.wasted += u->fresh;
    set_absent(cache, unit);
    if (cache->evicted)
        cache->evicted(cache->ctx, unit);
}

void cache_begin_load(struct cache *cache, uint32_t unit, bool prefetch)
{
    assert(unit < cache->n_units && cache_fits(cache, unit));
    struct cache_unit *u = &cache->units[unit];
    assert(u->state == CACHE_ABSENT);
    u->state = CACHE_LOADING;
    u->fresh = prefetch;
    u->loaded_seq = u->used_seq = ++cache->sequence;
    lb_set_bit(cache->held, unit, true);
    cache->units_held++;
    cache->frames_held += u->frames;
    group_of(cache, unit)->units_held++;
    group_of(cache, unit)->frames_held += u->frames;
    if (cache->policy->loaded)
        cache->policy->loaded(group_of(cache, unit)->state, unit);
}

void cache_end_load(struct cache *cache, uint32_t unit)
{
    assert(unit < cache->n_units && cache->units[unit].state == CACHE_LOADING);
    cache->units[unit].state = CACHE_RESIDENT;
}

void cache_cancel_load(struct cache *cache, uint32_t unit)
{
    assert(unit < cache->n_units && cache->units[unit].state == CACHE_LOADING);
    set_absent(cache, unit);
}

void cache_pin(struct cache *cache, uint32_t unit)
{
    assert(unit < cache->n_units && cache->units[unit].state == CACHE_RESIDENT);
    struct cache_unit *u = &cache->units[unit];
    bool first = u->used_seq == u->loaded_seq;
    u->pins++;
    u->fresh = false;
    u->used_seq = ++cache->sequence;
    if (unit + cache->n_units / 2 < cache->furthest_used) {
        cache->passes++;
        cache->furthest_used = unit;
    }
    cache->furthest_used = unit > cache->furthest_used ? unit : cache->furthest_used;
    if (cache->policy->used)
        cache->policy->used(group_of(cache, unit)->state, unit, first);
}

void cache_unpin(struct cache *cache, uint32_t unit)
{
    assert(unit < cache->n_units && cache->units[unit].pins > 0);
    cache->units[unit].pins--;
}

/* ---- invariants ---- */

static bool unit_sane(const struct cache *cache, uint32_t i, struct lb_error *err)
{
    const struct cache_unit *u = &cache->units[i];
    bool held = lb_has_bit(cache->held, i);
    if (held != (u->state != CACHE_ABSENT))
        return lb_fail(err, LB_ERR_STATE, "unit %u: held bit %d in state %d", i, held,
                       (int)u->state),
               false;
    if (u->pins && u->state != CACHE_RESIDENT)
        return lb_fail(err, LB_ERR_STATE, "unit %u: %u pins in state %d", i, u->pins,
                       (int)u->state),
               false;
    if (u->fresh && (u->state == CACHE_ABSENT || u->pins))
        return lb_fail(err, LB_ERR_STATE, "unit %u: fresh, yet absent or in use", i), false;
    if (u->used_seq < u->loaded_seq || u->used_seq > cache->sequence)
        return lb_fail(err, LB_ERR_STATE, "unit %u: used at %llu, loaded at %llu, now %llu", i,
                       (unsigned long long)u->used_seq, (unsigned long long)u->loaded_seq,
                       (unsigned long long)cache->sequence),
               false;
    return true;
}

bool cache_sane(const struct cache *cache, struct lb_error *err)
{
    uint32_t held = 0;
    uint64_t frames = 0;
    for (uint32_t i = 0; i < cache->n_units; i++) {
        if (!unit_sane(cache, i, err))
            return false;
        if (cache->units[i].state != CACHE_ABSENT) {
            held++;
            frames += cache->units[i].frames;
        }
    }
    if (held != cache->units_held || frames != cache->frames_held)
        return lb_fail(err, LB_ERR_STATE, "%u units of %llu frames held, counted as %u of %llu",
                       held, (unsigned long long)frames, cache->units_held,
                       (unsigned long long)cache->frames_held),
               false;
    if (cache->units_held > cache->max_units || cache->frames_held > cache->max_frames)
        return lb_fail(err, LB_ERR_STATE, "%u units of %llu frames held, budget %u of %llu", held,
                       (unsigned long long)frames, cache->max_units,
                       (unsigned long long)cache->max_frames),
               false;
    return true;
}

const char *cache_policy_name(const struct cache *c)
{
    return c->policy->name;
}
