/* available: how much memory this process may still use, for `cache: auto`. */
#ifndef BASE_AVAILABLE_H
#define BASE_AVAILABLE_H

#include <stdint.h>

/* Bytes: MemAvailable, or what the memory cgroup (v1 or v2) leaves if that is less. 0: unknown. */
uint64_t lb_memory_available(void);

#endif
