/* busy: threads that compute until told to stop, and say how much they did. */
#ifndef STORAGE_BUSY_H
#define STORAGE_BUSY_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct busy;

/* n_threads may be 0. Each sums up its own `bytes` of memory, again and again (0: adds in
 * registers). Returns when all are at work. */
enum lb_status busy_start(uint32_t n_threads, size_t bytes, struct busy **busy,
                          struct lb_error *err);
/* Work units done so far: bytes, or additions. */
uint64_t busy_work(const struct busy *busy);
void busy_stop(struct busy *busy); /* NULL is legal */

#endif
