/* budget: from settings to units and frames. See budget.h. */
#include "plan/budget.h"

uint64_t budget_all(const struct layout *layout)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < layout->n_units; i++)
        total += layout->units[i].n_frames;
    return total;
}

static uint32_t largest_unit(const struct layout *layout)
{
    uint32_t largest = 0;
    for (uint32_t i = 0; i < layout->n_units; i++)
        if (layout->units[i].n_frames > largest)
            largest = layout->units[i].n_frames;
    return largest;
}

/* Frames of the n largest units: n slots, whichever units they hold. */
static uint64_t frames_of_largest(const struct layout *layout, uint32_t n)
{
    uint64_t frames = 0, taken = 0;
    for (uint32_t size = largest_unit(layout); size > 0 && taken < n; size--)
        for (uint32_t i = 0; i < layout->n_units && taken < n; i++)
            if (layout->units[i].n_frames == size) {
                frames += size;
                taken++;
            }
    return frames;
}

enum lb_status budget_find(const struct layout *layout, uint32_t cache_layers, uint64_t cache_bytes,
                           struct budget *budget, struct lb_error *err)
{
    uint64_t total = budget_all(layout);
    uint32_t least = largest_unit(layout);
    *budget = (struct budget){0, total};
    if (cache_layers == 0 && cache_bytes == 0)
        return lb_fail(err, LB_ERR_INPUT, "cache of 0 bytes: expected at least one layer");
    if (cache_layers >= layout->n_layers)
        return LB_OK;
    if (cache_layers > 0 && layout->n_units == layout->n_layers) {
        *budget = (struct budget){cache_layers, frames_of_largest(layout, cache_layers)};
    } else if (cache_layers > 0) {
        budget->frames = total * cache_layers / layout->n_layers;
        if (budget->frames < least)
            budget->frames = least;
    } else if (cache_bytes / layout->frame_bytes < least) {
        return lb_fail(
            err, LB_ERR_INPUT, "cache of %llu bytes: expected at least %llu, the size of one unit",
            (unsigned long long)cache_bytes, (unsigned long long)least * layout->frame_bytes);
    } else if (cache_bytes / layout->frame_bytes < total) {
        budget->frames = cache_bytes / layout->frame_bytes;
    }
    return LB_OK;
}

uint64_t budget_automatic(const struct layout *layout, uint64_t available, bool alone,
                          uint64_t taken)
{
    const uint64_t need = budget_all(layout) * layout->frame_bytes;
    const uint64_t least = (uint64_t)largest_unit(layout) * layout->frame_bytes;
    uint64_t budget = need / 2; /* where nothing is known: modest */
    if (available > 0) {
        taken += alone ? available / 50 + ((uint64_t)16 << 20) : available / 10;
        budget = available > taken ? available - taken : 0;
    }
    return budget < least ? least : budget < need ? budget : need;
}

uint32_t budget_distance(const struct layout *layout, uint32_t layers)
{
    uint64_t units = (uint64_t)layers * layout->n_units / layout->n_layers;
    return units < layout->n_units ? (uint32_t)units : layout->n_units - 1;
}
