/*
 * gate_order: in which order the samples of two arms are measured. Pure.
 *
 * A block of a cell is four samples, base head head base or the mirror image, as a seeded coin
 * falls: what drifts in a straight line over a block meets both arms alike. Rounds go through the
 * cells in a seeded order, a block each, so that what drifts over minutes meets all cells alike.
 */
#ifndef GATE_ORDER_H
#define GATE_ORDER_H

#include "base/random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GATE_BLOCK = 4 };

/* Whether each sample of a block is head's. */
void gate_order_block(struct lb_random *random, bool head[GATE_BLOCK]);

/* Shuffles cells[n]. */
void gate_order_round(struct lb_random *random, uint32_t *cells, size_t n);

#endif
