/*
 * page_cache: brings the model file into or out of the page cache before a sample, and makes sure
 * that it is so. A file that is mapped or read by someone else cannot be dropped: that is an error,
 * not a cold run.
 */
#ifndef PAGE_CACHE_H
#define PAGE_CACHE_H

#include "base/status.h"

#include <stdbool.h>

/* state: "as-is", "cold" (at most 0.5% cached), "warm" (at least 99.5% cached). */
enum lb_status page_cache_prepare(const char *path, const char *state, struct lb_error *err);

/* Share of the file that is cached, 0 to 1; < 0 with errno set when the kernel does not say. */
double page_cache_share(const char *path);
/* What errno means then. */
const char *page_cache_unknown(int error);

#endif
