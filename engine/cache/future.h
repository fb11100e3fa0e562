/*
 * future: which unit is needed when, as far as it is known.
 *
 * Time is a position. There are three kinds of future:
 *
 * cycle     Positions run through all units in the order of a pass, again and again: the stages
 *           of a model, (layer, part). A unit that is `always` needed is needed at each of its
 *           positions. The others (experts) are needed only where it is so revealed, for the
 *           turn at hand; before that a need can be predicted, and beyond there is an estimate
 *           from how often the unit was used. Where all are always needed, as in a dense model,
 *           everything is known for ever.
 * sequence  Each position is one access, of any unit: a recorded trace, or a pattern.
 * told      The same of a sequence too long to keep: each unit's next use is told as it is used.
 *
 * Pure: no threads, no clock, no I/O.
 */
#ifndef CACHE_FUTURE_H
#define CACHE_FUTURE_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct future;

#define FUTURE_NEVER   UINT64_MAX
#define FUTURE_UNKNOWN UINT32_MAX

/* always[n_units] is copied; NULL: all are. */
enum lb_status future_open_cycle(uint32_t n_units, const bool *always, struct future **future,
                                 struct lb_error *err);
/* order[length] must outlive the future; cyclic: it starts again after its end. LB_ERR_INPUT: no
 * access, or one of a unit that there is not. */
enum lb_status future_open_sequence(uint32_t n_units, const uint32_t *order, uint64_t length,
                                    bool cyclic, struct future **future, struct lb_error *err);
/* Nothing is needed until it is told. */
enum lb_status future_open_told(uint32_t n_units, struct future **future, struct lb_error *err);
void future_close(struct future *future);

bool future_is_cycle(const struct future *future);
/* Positions of a pass: after so many the order comes again (a sequence that does not: its end). */
uint64_t future_length(const struct future *future);

/* ---- what is known ---- */

bool future_is_always(const struct future *future, uint32_t unit); /* of a cycle */
/* The unit that is needed at a position; FUTURE_UNKNOWN: none is known to be. */
uint32_t future_at(const struct future *future, uint64_t position);

enum future_kind {
    FUTURE_EXACT,
    FUTURE_PREDICTED, /* the position is exact, if it is needed there at all */
    FUTURE_ESTIMATED, /* the position is that of the next turn, plus the turns it will likely miss
                       */
};
/* The first position >= from at which a unit is needed, or FUTURE_NEVER. kind may be NULL. */
uint64_t future_next(const struct future *future, uint32_t unit, uint64_t from,
                     enum future_kind *kind);
/* How likely the unit is needed in its next turn: 1 where it is known to be, the confidence of a
 * prediction, else the share of turns in which it was. */
double future_likelihood(const struct future *future, uint32_t unit);
/* For units whose next use is estimated: greater the sooner they are needed, the same until they
 * are used. */
double future_popularity(const struct future *future, uint32_t unit);

/* The first position in [from, to] at which a unit is needed, as known or predicted, whose bit in
 * held[] is not set (NULL: any unit); FUTURE_NEVER: none. */
uint64_t future_first(const struct future *future, uint64_t from, uint64_t to,
                      const uint64_t *held);
/* In a cycle, the nearest unit before `unit`, around the end, that is known or predicted to be
 * needed in its next turn and whose bit in held[] is set; itself when it is the only one; -1:
 * none. */
int64_t future_before(const struct future *future, uint32_t unit, const uint64_t *held);

/* Accesses that are to be expected at positions [from, to); and how many positions hold so many
 * accesses. The same number where every position is needed. */
double future_accesses(const struct future *future, uint64_t from, uint64_t to);
double future_positions(const struct future *future, double accesses);

/* Units revealed and not used yet, and the last of their positions. */
uint32_t future_n_revealed(const struct future *future);
bool future_is_revealed(const struct future *future, uint32_t unit);
uint64_t future_demand_end(const struct future *future);

/* ---- what happens; `position` is that of the access at hand, the new one is returned ---- */

/* Of the stretch of units between two that are always needed (a layer's experts) these are needed
 * in this turn, in any order: all that are, or more while some are still to be used. What was
 * predicted for the stretch is void. */
uint64_t future_reveal(struct future *future, const uint32_t *units, uint32_t n, uint64_t position);
/* These units are likely needed in their next turn. Without effect on those that are known to be;
 * the highest confidence counts. 0 < confidence < 1 */
void future_predict(struct future *future, const uint32_t *units, uint32_t n, float confidence);
/* No prediction of this unit counts any more. */
void future_forget(struct future *future, uint32_t unit);
/* The computation asks for a unit, those that are always needed in their order: FUTURE_NEVER when
 * it is not known to be needed, or when one that is needed before would be left out. */
uint64_t future_reach(struct future *future, uint32_t unit, uint64_t position);
/* It has used it; units asked for may be given back in any order. The position never goes beyond
 * what was asked for or revealed and is not used yet. */
uint64_t future_used(struct future *future, uint32_t unit, uint64_t position);
/* Told: where the unit is needed next; FUTURE_NEVER: nowhere. */
void future_tell(struct future *future, uint32_t unit, uint64_t position);
/* The pass broke off: nothing is revealed or predicted any more; the next pass begins. */
uint64_t future_break_off(struct future *future, uint64_t position);

#endif
