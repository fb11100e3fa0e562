/*
 * frames: the memory that cached units lie in: one arena of equal frames, taken and
 * given back unit by unit. Never allocates after open but for a change of size.
 */
#ifndef PREFETCH_FRAMES_H
#define PREFETCH_FRAMES_H

#include "base/status.h"
#include "cache/layout.h"

#include <stddef.h>
#include <stdint.h>

struct frames;

/* Room for `n_frames` frames of the layout, which must outlive it. */
enum lb_status frames_open(const struct layout *layout, uint64_t n_frames, struct frames **frames,
                           struct lb_error *err);
void frames_close(struct frames *frames);

/* Takes the unit's frames; there must be enough. */
void frames_take(struct frames *frames, uint32_t unit);
void frames_give(struct frames *frames, uint32_t unit);
/* Addresses of the frames that the unit has taken. */
uint8_t *const *frames_of(const struct frames *frames, uint32_t unit);

void *frames_arena(const struct frames *frames, size_t *bytes);

#endif
