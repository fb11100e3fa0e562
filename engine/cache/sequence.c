/* sequence: when each unit is needed next. See cache.h. */
#include "base/memory.h"
#include "cache/cache.h"

#include <assert.h>

enum lb_status cache_sequence_open(struct cache_sequence *sequence, uint32_t n_units,
                                   const uint32_t *order, uint64_t length, bool cyclic,
                                   struct lb_error *err)
{
    assert(n_units > 0);
    *sequence = (struct cache_sequence){
        .n_units = n_units, .order = order, .length = order ? length : n_units, .cyclic = cyclic};
    if (!order)
        return LB_OK;
    if (length == 0)
        return lb_fail(err, LB_ERR_INPUT, "access sequence: expected at least one access");
    for (uint64_t i = 0; i < length; i++)
        if (order[i] >= n_units)
            return lb_fail(err, LB_ERR_INPUT, "access %llu: unit %u: expected less than %u",
                           (unsigned long long)i, order[i], n_units);
    sequence->positions = lb_calloc(length, sizeof *sequence->positions);
    sequence->first_position = lb_calloc((size_t)n_units + 2, sizeof *sequence->first_position);
    if (!sequence->positions || !sequence->first_position) {
        cache_sequence_close(sequence);
        return lb_fail(err, LB_ERR_NOMEM, "access sequence: out of memory");
    }
    /* counting sort: first_position[u + 1] is where the next position of u goes */
    uint64_t *next = sequence->first_position + 1;
    for (uint64_t i = 0; i < length; i++)
        next[order[i] + 1]++;
    for (uint32_t u = 1; u <= n_units; u++)
        next[u] += next[u - 1];
    for (uint64_t i = 0; i < length; i++)
        sequence->positions[next[order[i]]++] = i;
    return LB_OK;
}

void cache_sequence_close(struct cache_sequence *sequence)
{
    lb_free(sequence->positions);
    lb_free(sequence->first_position);
    sequence->positions = NULL;
    sequence->first_position = NULL;
}

uint32_t cache_sequence_at(const struct cache_sequence *sequence, uint64_t position)
{
    uint64_t i = sequence->cyclic ? position % sequence->length : position;
    assert(i < sequence->length);
    return sequence->order ? sequence->order[i] : (uint32_t)i;
}

/* First of a unit's positions inside the order that is >= from, or CACHE_NEVER. */
static uint64_t next_inside(const struct cache_sequence *sequence, uint32_t unit, uint64_t from)
{
    uint64_t low = sequence->first_position[unit], high = sequence->first_position[unit + 1];
    uint64_t end = high;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (sequence->positions[middle] < from)
            low = middle + 1;
        else
            high = middle;
    }
    return low < end ? sequence->positions[low] : CACHE_NEVER;
}

uint64_t cache_sequence_next(const struct cache_sequence *sequence, uint32_t unit, uint64_t from)
{
    uint64_t length = sequence->length;
    if (!sequence->cyclic && from >= length)
        return CACHE_NEVER;
    uint64_t inside = sequence->cyclic ? from % length : from, turn = from - inside;
    if (!sequence->order) {
        if (unit >= inside)
            return turn + unit;
        return sequence->cyclic ? turn + length + unit : CACHE_NEVER;
    }
    uint64_t next = next_inside(sequence, unit, inside);
    if (next != CACHE_NEVER)
        return turn + next;
    next = sequence->cyclic ? next_inside(sequence, unit, 0) : CACHE_NEVER;
    return next == CACHE_NEVER ? CACHE_NEVER : turn + length + next;
}
