/* bell: spin, then futex. See bell.h. */
#include "prefetch/bell.h"

#include "base/pause.h"

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Pauses before sleeping, 10 to 50 us: about what going to sleep and waking up costs. */
#define SPINS 1000

void bell_ring(struct bell *bell)
{
    atomic_fetch_add(&bell->rung, 1);
    if (atomic_load(&bell->sleeping))
        syscall(SYS_futex, (uint32_t *)&bell->rung, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

uint32_t bell_count(const struct bell *bell)
{
    return atomic_load_explicit(&bell->rung, memory_order_acquire);
}

void bell_wait(struct bell *bell, uint32_t count)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&bell->rung, memory_order_acquire) != count)
            return;
        lb_pause();
    }
    atomic_store(&bell->sleeping, true);
    while (atomic_load(&bell->rung) == count)
        syscall(SYS_futex, (uint32_t *)&bell->rung, FUTEX_WAIT_PRIVATE, count, NULL, NULL, 0);
    atomic_store(&bell->sleeping, false);
}
