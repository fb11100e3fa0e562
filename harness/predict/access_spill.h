/*
 * access_spill: the accesses of a trace in a temporary file, so that its length costs no memory: 8
 * bytes each in $TMPDIR (/tmp). They are written in their order, looked through from the end for
 * when each object is needed next, and read as often as one likes.
 */
#ifndef ACCESS_SPILL_H
#define ACCESS_SPILL_H

#include "base/status.h"
#include "plan/replay.h"

#include <stddef.h>
#include <stdint.h>

struct access_spill;

enum lb_status access_spill_open(struct access_spill **spill, struct lb_error *err);
void access_spill_close(struct access_spill *spill);
enum lb_status access_spill_add(struct access_spill *spill, uint32_t layer, uint32_t expert,
                                struct lb_error *err);
/* After the last: objects are numbered layer * n_experts + expert, below n_objects; uses[n_objects]
 * is how often each comes. */
enum lb_status access_spill_seal(struct access_spill *spill, uint32_t n_experts, uint32_t n_objects,
                                 double *uses, struct lb_error *err);
/* The next accesses, at most `most`; *n is 0 after the last, and then it begins again. */
enum lb_status access_spill_read(struct access_spill *spill, struct replay_access *accesses,
                                 size_t most, size_t *n, struct lb_error *err);

#endif
