/* pause: what a thread that spins says to its processor, so that the other thread of the core
 * gets its units. */
#ifndef BASE_PAUSE_H
#define BASE_PAUSE_H

static inline void lb_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
