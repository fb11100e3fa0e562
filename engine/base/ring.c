/* ring: single-producer single-consumer queue. See ring.h. */
#include "base/ring.h"

#include "base/memory.h"

#include <stdatomic.h>
#include <string.h>

struct lb_ring {
    /* fixed after open */
    unsigned char *records;
    size_t record_bytes;
    uint64_t mask;
    /* atomic: head is moved by the producer, tail by the consumer */
    _Alignas(64) _Atomic uint64_t head;
    _Atomic uint64_t dropped;
    _Alignas(64) _Atomic uint64_t tail;
};

struct lb_ring *lb_ring_open(size_t capacity, size_t record_bytes)
{
    size_t n = 1;
    while (n < capacity)
        n *= 2;
    struct lb_ring *ring = lb_alloc_aligned(sizeof *ring, 64);
    if (!ring)
        return NULL;
    *ring = (struct lb_ring){.record_bytes = record_bytes, .mask = n - 1};
    ring->records = lb_calloc(n, record_bytes);
    if (!ring->records) {
        lb_free(ring);
        return NULL;
    }
    return ring;
}

void lb_ring_close(struct lb_ring *ring)
{
    if (!ring)
        return;
    lb_free(ring->records);
    lb_free(ring);
}

bool lb_ring_push(struct lb_ring *ring, const void *record)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    if (head - atomic_load_explicit(&ring->tail, memory_order_acquire) > ring->mask) {
        atomic_fetch_add_explicit(&ring->dropped, 1, memory_order_relaxed);
        return false;
    }
    memcpy(ring->records + (head & ring->mask) * ring->record_bytes, record, ring->record_bytes);
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
    return true;
}

size_t lb_ring_drain(struct lb_ring *ring, void *records, size_t max)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    size_t n = 0;
    for (; n < max && tail != head; n++, tail++)
        memcpy((unsigned char *)records + n * ring->record_bytes,
               ring->records + (tail & ring->mask) * ring->record_bytes, ring->record_bytes);
    atomic_store_explicit(&ring->tail, tail, memory_order_release);
    return n;
}

uint64_t lb_ring_dropped(const struct lb_ring *ring)
{
    return atomic_load_explicit(&ring->dropped, memory_order_relaxed);
}
