/* future: see future.h. */
#include "cache/future.h"

#include "base/bits.h"
#include "base/memory.h"

#include <assert.h>
#include <math.h>

/* How often a unit was used, an old turn counting half after so many new ones. */
#define HALF_LIFE 32.0
#define LARGEST   1e100 /* then weights are scaled down, so that they stay finite */

struct future {
    uint32_t n_units;
    bool is_cycle;
    /* cycle: a bit for each unit */
    uint64_t *always, *revealed;
    uint64_t *known;          /* always needed, revealed or predicted */
    uint64_t *reached, *done; /* of the always needed: asked for, and used, while an earlier one
                               * is still in use */
    uint32_t n_words;
    uint32_t n_always, n_revealed;
    uint64_t now;            /* position of the access at hand; not after what is revealed */
    uint64_t end;            /* last position of what was revealed last */
    float *confidence;       /* [n_units] of predictions; 0: none */
    uint32_t *always_before; /* [n_words + 1]: always needed units of the words before */
    double *uses;            /* [n_units] weights of the turns in which it was needed */
    double weight, total;    /* of this turn, of all turns so far */
    double all_uses;
    double others_a_turn; /* how many units that are not always needed a turn needed on average */
    uint64_t turn;
    /* sequence */
    const uint32_t *order;
    uint64_t length;
    bool cyclic;
    uint64_t *positions;      /* of each unit, ascending */
    uint64_t *first_position; /* [n_units + 1] into positions */
    /* told */
    uint64_t *told; /* [n_units] */
};

/* ---- open and close ---- */

enum lb_status future_open_cycle(uint32_t n_units, const bool *always, struct future **out,
                                 struct lb_error *err)
{
    assert(n_units > 0);
    *out = NULL;
    struct future *f = lb_calloc(1, sizeof *f);
    if (!f)
        return lb_fail(err, LB_ERR_NOMEM, "future of accesses: out of memory");
    f->n_units = n_units;
    f->length = n_units;
    f->is_cycle = f->cyclic = true;
    f->n_words = n_units / 64 + 1;
    f->weight = f->total = 1;
    f->always = lb_calloc(f->n_words, sizeof *f->always);
    f->revealed = lb_calloc(f->n_words, sizeof *f->revealed);
    f->known = lb_calloc(f->n_words, sizeof *f->known);
    f->reached = lb_calloc(f->n_words, sizeof *f->reached);
    f->done = lb_calloc(f->n_words, sizeof *f->done);
    f->always_before = lb_calloc((size_t)f->n_words + 1, sizeof *f->always_before);
    f->confidence = lb_calloc(n_units, sizeof *f->confidence);
    f->uses = lb_calloc(n_units, sizeof *f->uses);
    if (!f->always || !f->revealed || !f->known || !f->reached || !f->done || !f->always_before ||
        !f->confidence || !f->uses) {
        future_close(f);
        return lb_fail(err, LB_ERR_NOMEM, "future of accesses: out of memory");
    }
    for (uint32_t i = 0; i < n_units; i++)
        lb_set_bit(f->always, i, !always || always[i]);
    for (uint32_t i = 0; i < f->n_words; i++) {
        f->known[i] = f->always[i];
        f->n_always += (uint32_t)__builtin_popcountll(f->always[i]);
        f->always_before[i + 1] = f->n_always;
    }
    *out = f;
    return LB_OK;
}

enum lb_status future_open_sequence(uint32_t n_units, const uint32_t *order, uint64_t length,
                                    bool cyclic, struct future **out, struct lb_error *err)
{
    assert(n_units > 0);
    *out = NULL;
    if (length == 0)
        return lb_fail(err, LB_ERR_INPUT, "access sequence: expected at least one access");
    for (uint64_t i = 0; i < length; i++)
        if (order[i] >= n_units)
            return lb_fail(err, LB_ERR_INPUT, "access %llu: unit %u: expected less than %u",
                           (unsigned long long)i, order[i], n_units);
    struct future *f = lb_calloc(1, sizeof *f);
    if (!f)
        return lb_fail(err, LB_ERR_NOMEM, "access sequence: out of memory");
    f->n_units = n_units;
    f->order = order;
    f->length = length;
    f->cyclic = cyclic;
    f->positions = lb_calloc(length, sizeof *f->positions);
    f->first_position = lb_calloc((size_t)n_units + 2, sizeof *f->first_position);
    if (!f->positions || !f->first_position) {
        future_close(f);
        return lb_fail(err, LB_ERR_NOMEM, "access sequence: out of memory");
    }
    /* counting sort: first_position[u + 1] is where the next position of u goes */
    uint64_t *next = f->first_position + 1;
    for (uint64_t i = 0; i < length; i++)
        next[order[i] + 1]++;
    for (uint32_t u = 1; u <= n_units; u++)
        next[u] += next[u - 1];
    for (uint64_t i = 0; i < length; i++)
        f->positions[next[order[i]]++] = i;
    *out = f;
    return LB_OK;
}

enum lb_status future_open_told(uint32_t n_units, struct future **out, struct lb_error *err)
{
    struct future *f = lb_calloc(1, sizeof *f);
    *out = NULL;
    if (f)
        f->told = lb_calloc(n_units, sizeof *f->told);
    if (!f || !f->told) {
        future_close(f);
        return lb_fail(err, LB_ERR_NOMEM, "access sequence: out of memory");
    }
    f->n_units = n_units;
    for (uint32_t i = 0; i < n_units; i++)
        f->told[i] = FUTURE_NEVER;
    *out = f;
    return LB_OK;
}

void future_close(struct future *future)
{
    if (!future)
        return;
    lb_free(future->always);
    lb_free(future->revealed);
    lb_free(future->known);
    lb_free(future->reached);
    lb_free(future->done);
    lb_free(future->always_before);
    lb_free(future->confidence);
    lb_free(future->uses);
    lb_free(future->positions);
    lb_free(future->first_position);
    lb_free(future->told);
    lb_free(future);
}

bool future_is_cycle(const struct future *future)
{
    return future->is_cycle;
}

uint64_t future_length(const struct future *future)
{
    return future->length;
}

/* ---- cycle ---- */

/* The first position >= from at which it is the unit's turn. */
static uint64_t turn_of(const struct future *f, uint32_t unit, uint64_t from)
{
    uint64_t inside = from % f->n_units;
    return from - inside + unit + (unit < inside ? f->n_units : 0);
}

/* Whether the need that is revealed or predicted for the unit is the one at `position`: it speaks
 * for one turn only, the next one from now. */
static bool is_this_turn(const struct future *f, uint32_t unit, uint64_t position)
{
    return position == turn_of(f, unit, f->now);
}

/* The share of its turns so far in which the unit was needed, old ones counting less. */
static double share_of_turns(const struct future *f, uint32_t unit)
{
    double turns = f->total - (unit >= f->now % f->n_units ? f->weight : 0);
    return f->uses[unit] < turns ? f->uses[unit] / turns : f->uses[unit] > 0;
}

static uint64_t next_in_cycle(const struct future *f, uint32_t unit, uint64_t from,
                              enum future_kind *kind)
{
    uint64_t turn = turn_of(f, unit, from);
    *kind = FUTURE_EXACT;
    if (lb_has_bit(f->always, unit))
        return turn;
    if (lb_has_bit(f->known, unit) && is_this_turn(f, unit, turn)) {
        if (!lb_has_bit(f->revealed, unit))
            *kind = FUTURE_PREDICTED;
        return turn;
    }
    *kind = FUTURE_ESTIMATED;
    double missed = 1 / share_of_turns(f, unit) - 1;
    return missed < 1e9 ? turn + (uint64_t)(missed * f->n_units) : FUTURE_NEVER;
}

/* The first unit in [from, end) whose bit is set in bits and not in held, or `end`. */
static uint32_t first_bit(const uint64_t *bits, const uint64_t *held, uint32_t from, uint32_t end)
{
    uint64_t mask = ~UINT64_C(0) << from % 64;
    for (uint32_t word = from / 64; word * 64 < end; word++, mask = ~UINT64_C(0)) {
        uint64_t found = bits[word] & mask & (held ? ~held[word] : ~UINT64_C(0));
        if (found) {
            uint32_t unit = word * 64 + (uint32_t)__builtin_ctzll(found);
            return unit < end ? unit : end;
        }
    }
    return end;
}

/* The first position in [from, from + n_units) whose unit's bit is set in bits and not in held. */
static uint64_t first_turn(const struct future *f, const uint64_t *bits, const uint64_t *held,
                           uint64_t from)
{
    uint32_t n = f->n_units, at = (uint32_t)(from % n), unit = first_bit(bits, held, at, n);
    if (unit < n)
        return from - at + unit;
    unit = first_bit(bits, held, 0, at);
    return unit < at ? from - at + n + unit : FUTURE_NEVER;
}

static uint64_t first_in_cycle(const struct future *f, uint64_t from, uint64_t to,
                               const uint64_t *held)
{
    uint64_t at = first_turn(f, f->known, held, from);
    while (at <= to) {
        uint32_t unit = (uint32_t)(at % f->n_units);
        if (lb_has_bit(f->always, unit) || is_this_turn(f, unit, at))
            return at;
        uint64_t next = first_turn(f, f->known, held, at + 1);
        if (next >= from + f->n_units)
            return FUTURE_NEVER;
        at = next;
    }
    return FUTURE_NEVER;
}

/* The first position from `from` on at which a unit is certain to be needed. */
static uint64_t first_certain(const struct future *f, uint64_t from)
{
    uint64_t always = first_turn(f, f->always, NULL, from);
    uint64_t revealed = f->n_revealed > 0 ? first_turn(f, f->revealed, NULL, from) : FUTURE_NEVER;
    return always < revealed ? always : revealed;
}

int64_t future_before(const struct future *future, uint32_t unit, const uint64_t *held)
{
    uint32_t word = unit / 64, n_words = future->n_words;
    uint64_t mask = (UINT64_C(1) << unit % 64) - 1;
    for (uint32_t i = 0; i <= n_words; i++) {
        uint64_t bits = future->known[word] & held[word] & mask;
        if (bits)
            return word * 64 + 63 - __builtin_clzll(bits);
        word = word ? word - 1 : n_words - 1;
        mask = ~UINT64_C(0);
    }
    return -1;
}

static uint32_t always_below(const struct future *f, uint32_t unit)
{
    uint64_t mask = (UINT64_C(1) << unit % 64) - 1;
    return f->always_before[unit / 64] +
           (uint32_t)__builtin_popcountll(f->always[unit / 64] & mask);
}

/* Accesses to be expected at positions [0, position): those always needed, and of the others each
 * as many as they were on average. */
static double accesses_before(const struct future *f, uint64_t position)
{
    uint32_t inside = (uint32_t)(position % f->n_units), n_others = f->n_units - f->n_always;
    uint32_t always = always_below(f, inside), others = inside - always;
    double passes = (double)(position / f->n_units);
    double of_others = n_others ? f->others_a_turn * others / n_others : 0;
    return passes * (f->n_always + f->others_a_turn) + always + of_others;
}

/* ---- what is known ---- */

bool future_is_always(const struct future *future, uint32_t unit)
{
    return future->is_cycle && lb_has_bit(future->always, unit);
}

uint32_t future_at(const struct future *future, uint64_t position)
{
    if (!future->is_cycle) {
        uint64_t i = future->cyclic ? position % future->length : position;
        assert(i < future->length);
        return future->order[i];
    }
    uint32_t unit = (uint32_t)(position % future->n_units);
    bool needed = lb_has_bit(future->always, unit) ||
                  (lb_has_bit(future->known, unit) && is_this_turn(future, unit, position));
    return needed ? unit : FUTURE_UNKNOWN;
}

/* First of a unit's positions inside the order that is >= from, or FUTURE_NEVER. */
static uint64_t next_inside(const struct future *f, uint32_t unit, uint64_t from)
{
    uint64_t low = f->first_position[unit], high = f->first_position[unit + 1], end = high;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (f->positions[middle] < from)
            low = middle + 1;
        else
            high = middle;
    }
    return low < end ? f->positions[low] : FUTURE_NEVER;
}

static uint64_t next_in_sequence(const struct future *f, uint32_t unit, uint64_t from)
{
    if (!f->cyclic)
        return from < f->length ? next_inside(f, unit, from) : FUTURE_NEVER;
    uint64_t inside = from % f->length, turn = from - inside;
    uint64_t next = next_inside(f, unit, inside);
    if (next != FUTURE_NEVER)
        return turn + next;
    next = next_inside(f, unit, 0);
    return next == FUTURE_NEVER ? FUTURE_NEVER : turn + f->length + next;
}

uint64_t future_next(const struct future *future, uint32_t unit, uint64_t from,
                     enum future_kind *kind)
{
    enum future_kind unused;
    if (future->is_cycle)
        return next_in_cycle(future, unit, from, kind ? kind : &unused);
    if (kind)
        *kind = FUTURE_EXACT;
    return future->told ? future->told[unit] : next_in_sequence(future, unit, from);
}

void future_tell(struct future *future, uint32_t unit, uint64_t position)
{
    assert(unit < future->n_units);
    future->told[unit] = position;
}

double future_likelihood(const struct future *future, uint32_t unit)
{
    if (!future->is_cycle || lb_has_bit(future->always, unit) || lb_has_bit(future->revealed, unit))
        return 1;
    if (future->confidence[unit] > 0)
        return (double)future->confidence[unit];
    return share_of_turns(future, unit);
}

double future_popularity(const struct future *future, uint32_t unit)
{
    return future->is_cycle ? future->uses[unit] : 0;
}

uint64_t future_first(const struct future *future, uint64_t from, uint64_t to, const uint64_t *held)
{
    if (future->is_cycle)
        return first_in_cycle(future, from, to, held);
    for (uint64_t i = from; i <= to; i++) {
        if (!future->cyclic && i >= future->length)
            return FUTURE_NEVER;
        if (!held || !lb_has_bit(held, future_at(future, i)))
            return i;
    }
    return FUTURE_NEVER;
}

double future_accesses(const struct future *future, uint64_t from, uint64_t to)
{
    if (!future->is_cycle || future->n_always == future->n_units)
        return (double)(to - from);
    return accesses_before(future, to) - accesses_before(future, from);
}

double future_positions(const struct future *future, double accesses)
{
    if (!future->is_cycle || future->n_always == future->n_units)
        return accesses;
    return accesses * future->n_units / accesses_before(future, future->n_units);
}

uint32_t future_n_revealed(const struct future *future)
{
    return future->n_revealed;
}

bool future_is_revealed(const struct future *future, uint32_t unit)
{
    return future->is_cycle && lb_has_bit(future->revealed, unit);
}

uint64_t future_demand_end(const struct future *future)
{
    return future->end;
}

/* ---- what happens ---- */

/* The turn that the position lies in, for the weights of uses. */
static void move_to(struct future *f, uint64_t position)
{
    f->now = position;
    if (f->n_always == f->n_units)
        return;
    for (; f->turn < position / f->n_units; f->turn++) {
        f->others_a_turn = f->all_uses / f->total;
        f->weight *= exp2(1 / HALF_LIFE);
        f->total += f->weight;
        if (f->weight < LARGEST)
            continue;
        for (uint32_t i = 0; i < f->n_units; i++)
            f->uses[i] /= LARGEST;
        f->all_uses /= LARGEST;
        f->total /= LARGEST;
        f->weight /= LARGEST;
    }
}

void future_forget(struct future *f, uint32_t unit)
{
    assert(f->is_cycle);
    if (f->confidence[unit] > 0) {
        f->confidence[unit] = 0;
        lb_set_bit(f->known, unit, lb_has_bit(f->revealed, unit));
    }
}

uint64_t future_reveal(struct future *f, const uint32_t *units, uint32_t n, uint64_t position)
{
    assert(f->is_cycle);
    if (n == 0)
        return position;
    uint32_t first = units[0], end = first + 1; /* the stretch */
    assert(!lb_has_bit(f->always, first));
    while (first > 0 && !lb_has_bit(f->always, first - 1))
        first--;
    while (end < f->n_units && !lb_has_bit(f->always, end))
        end++;
    /* its turn is the one that the position lies in, else the next one */
    uint64_t start = turn_of(f, first, position);
    if (start > position && start >= f->n_units && position - (start - f->n_units) < end - first)
        start -= f->n_units;
    for (uint32_t i = first; i < end; i++)
        future_forget(f, i);
    uint64_t least = FUTURE_NEVER;
    if (f->n_revealed == 0)
        f->end = 0;
    for (uint32_t i = 0; i < n; i++) {
        assert(units[i] >= first && units[i] < end);
        uint64_t at = start + (units[i] - first);
        f->n_revealed += !lb_has_bit(f->revealed, units[i]);
        lb_set_bit(f->revealed, units[i], true);
        lb_set_bit(f->known, units[i], true);
        least = at < least ? at : least;
        f->end = at > f->end ? at : f->end;
    }
    move_to(f, least < position ? least : position);
    return f->now;
}

void future_predict(struct future *f, const uint32_t *units, uint32_t n, float confidence)
{
    assert(f->is_cycle && confidence > 0 && confidence < 1);
    for (uint32_t i = 0; i < n; i++) {
        if (lb_has_bit(f->always, units[i]) || lb_has_bit(f->revealed, units[i]))
            continue;
        lb_set_bit(f->known, units[i], true);
        if (confidence > f->confidence[units[i]])
            f->confidence[units[i]] = confidence;
    }
}

uint64_t future_reach(struct future *f, uint32_t unit, uint64_t position)
{
    if (!f->is_cycle)
        return future_at(f, position) == unit ? position : FUTURE_NEVER;
    if (lb_has_bit(f->revealed, unit))
        return position;
    /* none that is needed before is left out */
    uint64_t next = first_turn(f, f->always, f->reached, position);
    uint64_t certain = first_certain(f, position);
    if (next == FUTURE_NEVER || next % f->n_units != unit ||
        (f->n_revealed > 0 && first_turn(f, f->revealed, NULL, position) < next))
        return FUTURE_NEVER;
    lb_set_bit(f->reached, unit, true);
    move_to(f, certain);
    return certain;
}

uint64_t future_used(struct future *f, uint32_t unit, uint64_t position)
{
    if (!f->is_cycle)
        return position + 1;
    if (lb_has_bit(f->always, unit)) {
        lb_set_bit(f->done, unit, true);
        for (uint32_t at; lb_has_bit(f->done, at = (uint32_t)(position % f->n_units)); position++) {
            lb_set_bit(f->done, at, false);
            lb_set_bit(f->reached, at, false);
        }
    } else if (lb_has_bit(f->revealed, unit)) {
        lb_set_bit(f->revealed, unit, false);
        lb_set_bit(f->known, unit, false);
        f->uses[unit] += f->weight;
        f->all_uses += f->weight;
        f->n_revealed--;
        uint64_t certain = first_certain(f, position);
        position = certain == FUTURE_NEVER ? position : certain;
    }
    move_to(f, position);
    return position;
}

uint64_t future_break_off(struct future *f, uint64_t position)
{
    assert(f->is_cycle);
    for (uint32_t i = 0; i < f->n_words; i++) {
        f->revealed[i] = f->reached[i] = f->done[i] = 0;
        f->known[i] = f->always[i];
    }
    for (uint32_t i = 0; i < f->n_units; i++)
        f->confidence[i] = 0;
    f->n_revealed = 0;
    position = (position + f->n_units - 1) / f->n_units * f->n_units;
    move_to(f, position);
    return position;
}
