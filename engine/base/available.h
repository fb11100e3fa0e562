/* available: how much memory this process may still use, for `cache: auto`. */
#ifndef BASE_AVAILABLE_H
#define BASE_AVAILABLE_H

#include <stdbool.h>
#include <stdint.h>

struct lb_available {
    uint64_t bytes; /* 0: unknown */
    bool limited;   /* by a memory cgroup or RLIMIT_AS: what they leave is for no one else */
};

/* MemAvailable, or what the memory cgroup (v1 or v2), one above it, or the limit on the address
 * space (RLIMIT_AS) leaves, if that is less. Pages of files count as left: the kernel drops them
 * before a limit is enforced. */
struct lb_available lb_memory_available(void);

/* The same without RLIMIT_AS, with the files below `root` instead of "" (root/proc, root/sys), for
 * tests. */
struct lb_available lb_memory_available_in(const char *root);

#endif
