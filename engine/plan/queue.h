/*
 * queue: in what order the loads in flight get the reads that the storage's queue takes, and
 * when it is time to add another load. Pure: the loader drives a storage by it, the virtual
 * clock a simulated one.
 *
 * A load is handed over read by read. Whenever the storage takes a read, the load that is needed
 * most gets it: demand loads first, then in order of need.
 */
#ifndef PLAN_QUEUE_H
#define PLAN_QUEUE_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct queue_load {
    bool taken;           /* this place holds a load */
    bool waiting;         /* it has reads to hand over */
    bool demand;          /* the computation waits for it */
    uint64_t for_access;  /* order of need */
    uint32_t outstanding; /* reads in flight */
};

struct queue {                /* read by its users, written by queue.c only */
    struct queue_load *loads; /* [max_loads], in no order */
    uint32_t max_loads, n_loads, n_waiting;
    uint32_t depth, in_flight; /* reads */
};

enum lb_status queue_open(struct queue *queue, uint32_t max_loads, uint32_t depth,
                          struct lb_error *err);
void queue_close(struct queue *queue);

/* Adds a load with reads to hand over; returns its place, which is its name until it is taken
 * out. There must be room. */
uint32_t queue_add(struct queue *queue, bool demand, uint64_t for_access);
void queue_take_out(struct queue *queue, uint32_t load); /* none of its reads is in flight */
/* The computation waits for it now. */
void queue_urge(struct queue *queue, uint32_t load);

/* The load whose read goes next; -1: nothing to hand over, or the queue is full. */
int64_t queue_next(const struct queue *queue);
void queue_handed_over(struct queue *queue, uint32_t load, bool last);
/* No further reads of the load will come. */
void queue_stop(struct queue *queue, uint32_t load);
void queue_completed(struct queue *queue, uint32_t load);
/* Nothing in flight and nothing to come. */
bool queue_has_ended(const struct queue *queue, uint32_t load);

/* Reads in flight with which the storage stays busy until the next can follow. */
uint32_t queue_low_water(const struct queue *queue);
/* Every read is handed over and few are left in flight: time to add the next load, so that the
 * storage never idles and yet no more units than needed are in flight. */
bool queue_has_room(const struct queue *queue);

#endif
