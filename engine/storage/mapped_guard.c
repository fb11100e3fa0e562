/* mapped_guard: see mapped_guard.h. The handler uses atomics and mmap() alone. */
#include "storage/mapped_guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAPPINGS = 256 }; /* guarded at a time */

/* A slot is taken when bytes > 0, and in force when base != 0. */
static struct {
    _Atomic uintptr_t base;
    _Atomic size_t bytes;
    _Atomic bool *_Atomic lost;
} guarded[MAPPINGS];

static struct sigaction before;
static uintptr_t page_bytes;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool installed;

/* Zeros from the page of `at` to the end of the mapping that it lies in; false: in none. */
static bool replace(uintptr_t at)
{
    for (int i = 0; i < MAPPINGS; i++) {
        uintptr_t base = atomic_load(&guarded[i].base);
        size_t bytes = base ? atomic_load(&guarded[i].bytes) : 0;
        if (bytes == 0 || at < base || at - base >= bytes)
            continue;
        uintptr_t page = at - at % page_bytes;
        if (mmap((void *)page, base + bytes - page, PROT_READ,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED)
            return false;
        atomic_store(atomic_load(&guarded[i].lost), true);
        return true;
    }
    return false;
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    const int kept = errno;
    if (info->si_code <= 0 || !replace((uintptr_t)info->si_addr)) {
        if (before.sa_flags & SA_SIGINFO)
            before.sa_sigaction(number, info, context);
        else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
            before.sa_handler(number);
        else
            sigaction(SIGBUS, &before, NULL); /* the same access again ends the process */
    }
    errno = kept;
}

static void install(void)
{
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigemptyset(&action.sa_mask);
    page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
    installed = sigaction(SIGBUS, &action, &before) == 0;
}

bool mapped_guard_add(void *base, size_t bytes, _Atomic bool *lost)
{
    if (pthread_once(&once, install) != 0 || !installed || bytes == 0)
        return false;
    for (int i = 0; i < MAPPINGS; i++) {
        size_t none = 0;
        if (!atomic_compare_exchange_strong(&guarded[i].bytes, &none, bytes))
            continue;
        atomic_store(&guarded[i].lost, lost);
        atomic_store(&guarded[i].base, (uintptr_t)base);
        return true;
    }
    return false;
}

void mapped_guard_remove(void *base)
{
    for (int i = 0; i < MAPPINGS; i++)
        if (atomic_load(&guarded[i].base) == (uintptr_t)base) {
            atomic_store(&guarded[i].base, 0);
            atomic_store(&guarded[i].bytes, 0);
            return;
        }
}
