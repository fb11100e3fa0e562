/*
 * mapped_guard: mapped files that become shorter, or whose disk fails, under whoever reads them.
 *
 * Touching a page that cannot be had is a SIGBUS, which would end the process. While a mapping is
 * guarded, a handler puts pages of zeros in the place of the rest of the mapping and notes it: the
 * reader goes on with zeros, and whoever made the mapping asks afterwards. A SIGBUS elsewhere goes
 * to the handler that was there before, or ends the process as ever.
 */
#ifndef STORAGE_MAPPED_GUARD_H
#define STORAGE_MAPPED_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Guards base[bytes], which begins at a page, until mapped_guard_remove; *lost becomes true when
 * pages were replaced. False: there are too many guarded mappings, or no handler could be set. Any
 * thread. Remove it before it is unmapped. */
bool mapped_guard_add(void *base, size_t bytes, _Atomic bool *lost);
void mapped_guard_remove(void *base);

#endif
