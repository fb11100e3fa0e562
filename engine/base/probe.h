/*
 * probe: static trace points (USDT) that perf and bpftrace see, provider "layerbench":
 *
 *   load__start(unit, prefetch)   load__end(unit, bytes, errno)
 *   access(unit, outcome, wait_ns)   evict(unit)
 *
 * outcome: 0 hit, 1 prefetched, 2 late, 3 miss. A point that nobody watches is one no-op
 * instruction. Without <sys/sdt.h> (Debian: systemtap-sdt-dev) at build time there are none.
 *
 *   bpftrace -e 'usdt:build/layerbench:layerbench:access { @wait[arg1] = hist(arg2); }' -c '...'
 */
#ifndef BASE_PROBE_H
#define BASE_PROBE_H

#if defined(__has_include)
#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#define LB_PROBE1(name, a)       DTRACE_PROBE1(layerbench, name, a)
#define LB_PROBE2(name, a, b)    DTRACE_PROBE2(layerbench, name, a, b)
#define LB_PROBE3(name, a, b, c) DTRACE_PROBE3(layerbench, name, a, b, c)
#endif
#endif

#ifndef LB_PROBE1
#define LB_PROBE1(name, a)       ((void)(a))
#define LB_PROBE2(name, a, b)    ((void)(a), (void)(b))
#define LB_PROBE3(name, a, b, c) ((void)(a), (void)(b), (void)(c))
#endif

#endif
