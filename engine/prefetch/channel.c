/* channel: bounded queue. See channel.h. */
#include "prefetch/channel.h"

#include "base/memory.h"

#include <stdatomic.h>
#include <string.h>

struct channel {
    /* fixed after open */
    unsigned char *records;
    size_t record_bytes;
    uint32_t mask;
    /* atomic: heads count up for ever */
    _Alignas(64) _Atomic uint32_t sent;
    _Alignas(64) _Atomic uint32_t received;
};

struct channel *channel_open(uint32_t capacity, size_t record_bytes)
{
    uint32_t n = 1;
    while (n < capacity)
        n *= 2;
    struct channel *c = lb_alloc_aligned(sizeof *c, 64);
    if (!c)
        return NULL;
    *c = (struct channel){.record_bytes = record_bytes, .mask = n - 1};
    c->records = lb_calloc(n, record_bytes);
    if (!c->records) {
        lb_free(c);
        return NULL;
    }
    return c;
}

void channel_close(struct channel *channel)
{
    if (!channel)
        return;
    lb_free(channel->records);
    lb_free(channel);
}

bool channel_send(struct channel *channel, const void *record)
{
    uint32_t sent = atomic_load_explicit(&channel->sent, memory_order_relaxed);
    if (sent - atomic_load_explicit(&channel->received, memory_order_acquire) > channel->mask)
        return false;
    memcpy(channel->records + (sent & channel->mask) * channel->record_bytes, record,
           channel->record_bytes);
    atomic_store(&channel->sent, sent + 1);
    return true;
}

bool channel_receive(struct channel *channel, void *record)
{
    uint32_t received = atomic_load_explicit(&channel->received, memory_order_relaxed);
    if (received == atomic_load_explicit(&channel->sent, memory_order_acquire))
        return false;
    memcpy(record, channel->records + (received & channel->mask) * channel->record_bytes,
           channel->record_bytes);
    atomic_store_explicit(&channel->received, received + 1, memory_order_release);
    return true;
}

bool channel_empty(const struct channel *channel)
{
    return atomic_load(&channel->received) == atomic_load(&channel->sent);
}
