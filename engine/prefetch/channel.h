/*
 * channel: a bounded queue of small records from one thread at a time to another.
 *
 * Sending and receiving never block. Several senders (or receivers) must take turns under
 * a lock of their own.
 */
#ifndef PREFETCH_CHANNEL_H
#define PREFETCH_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct channel;

/* Room for at least `capacity` records; NULL when out of memory. */
struct channel *channel_open(uint32_t capacity, size_t record_bytes);
void channel_close(struct channel *channel);

/* False when full. */
bool channel_send(struct channel *channel, const void *record);
/* False when empty. */
bool channel_receive(struct channel *channel, void *record);
bool channel_empty(const struct channel *channel);

#endif
