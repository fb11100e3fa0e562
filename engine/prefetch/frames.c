/* frames: arena, free list and table of addresses. See frames.h. */
#include "prefetch/frames.h"

#include "base/memory.h"
#include "prefetch/populate.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096u

struct frames {
    const struct layout *layout;
    uint8_t *arena;
    size_t arena_bytes;
    uint8_t **free; /* stack */
    uint64_t n_free;
    uint8_t **addresses; /* of all units' frames; NULL: not taken */
    uint64_t *first;     /* [n_units]: where a unit's addresses begin */
    struct populate populate;
};

static enum lb_status map_arena(struct frames *f, uint64_t n_frames, struct lb_error *err)
{
    uint64_t bytes = n_frames * f->layout->frame_bytes;
    f->arena_bytes = (size_t)bytes;
    f->arena = lb_map(f->arena_bytes);
    f->free = lb_calloc(n_frames, sizeof *f->free);
    if (!f->arena || !f->free) {
        lb_unmap(f->arena, f->arena_bytes);
        lb_free(f->free);
        return lb_fail(err, LB_ERR_NOMEM, "cache: no memory for %llu frames of %u bytes",
                       (unsigned long long)n_frames, f->layout->frame_bytes);
    }
    f->n_free = n_frames;
    for (uint64_t i = 0; i < n_frames; i++) /* first frames of the arena on top */
        f->free[i] = f->arena + (n_frames - 1 - i) * f->layout->frame_bytes;
    return LB_OK;
}

enum lb_status frames_open(const struct layout *layout, uint64_t n_frames, struct frames **out,
                           struct lb_error *err)
{
    *out = NULL;
    struct frames *f = lb_calloc(1, sizeof *f);
    if (!f)
        return lb_fail(err, LB_ERR_NOMEM, "cache: out of memory");
    f->layout = layout;
    f->first = lb_calloc(layout->n_units, sizeof *f->first);
    uint64_t total = 0;
    for (uint32_t i = 0; f->first && i < layout->n_units; i++) {
        f->first[i] = total;
        total += layout->units[i].n_frames;
    }
    f->addresses = f->first ? lb_calloc(total, sizeof *f->addresses) : NULL;
    enum lb_status status = f->addresses ? map_arena(f, n_frames, err)
                                         : lb_fail(err, LB_ERR_NOMEM, "cache: out of memory");
    if (status != LB_OK) {
        lb_free(f->addresses);
        lb_free(f->first);
        lb_free(f);
        return status;
    }
    populate_start(&f->populate, f->arena, f->arena_bytes);
    *out = f;
    return LB_OK;
}

void frames_close(struct frames *frames)
{
    if (!frames)
        return;
    populate_stop(&frames->populate);
    lb_unmap(frames->arena, frames->arena_bytes);
    lb_free(frames->free);
    lb_free(frames->addresses);
    lb_free(frames->first);
    lb_free(frames);
}

void frames_take(struct frames *frames, uint32_t unit)
{
    uint32_t n = frames->layout->units[unit].n_frames;
    assert(frames->n_free >= n);
    for (uint32_t i = 0; i < n; i++)
        frames->addresses[frames->first[unit] + i] = frames->free[--frames->n_free];
}

void frames_give(struct frames *frames, uint32_t unit)
{
    for (uint32_t i = frames->layout->units[unit].n_frames; i > 0; i--) {
        uint8_t **address = &frames->addresses[frames->first[unit] + i - 1];
        assert(*address);
        frames->free[frames->n_free++] = *address;
        *address = NULL;
    }
}

uint8_t *const *frames_of(const struct frames *frames, uint32_t unit)
{
    return &frames->addresses[frames->first[unit]];
}

void *frames_arena(const struct frames *frames, size_t *bytes)
{
    *bytes = frames->arena_bytes;
    return frames->arena;
}
