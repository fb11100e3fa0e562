/* queue: see queue.h. */
#include "plan/queue.h"

#include "base/memory.h"

#include <assert.h>

enum lb_status queue_open(struct queue *queue, uint32_t max_loads, uint32_t depth,
                          struct lb_error *err)
{
    assert(max_loads > 0 && depth > 0);
    *queue = (struct queue){.max_loads = max_loads, .depth = depth};
    queue->loads = lb_calloc(max_loads, sizeof *queue->loads);
    return queue->loads ? LB_OK : lb_fail(err, LB_ERR_NOMEM, "queue of loads: out of memory");
}

void queue_close(struct queue *queue)
{
    lb_free(queue->loads);
    queue->loads = NULL;
}

uint32_t queue_add(struct queue *queue, bool demand, uint64_t for_access)
{
    uint32_t i = 0;
    assert(queue->n_loads < queue->max_loads);
    while (queue->loads[i].taken)
        i++;
    queue->loads[i] = (struct queue_load){
        .taken = true, .waiting = true, .demand = demand, .for_access = for_access};
    queue->n_loads++;
    queue->n_waiting++;
    return i;
}

void queue_take_out(struct queue *queue, uint32_t load)
{
    assert(queue->loads[load].taken && queue->loads[load].outstanding == 0);
    queue_stop(queue, load);
    queue->loads[load].taken = false;
    queue->n_loads--;
}

void queue_urge(struct queue *queue, uint32_t load)
{
    queue->loads[load].demand = true;
}

static bool needed_before(const struct queue_load *a, const struct queue_load *b)
{
    return a->demand != b->demand ? a->demand : a->for_access < b->for_access;
}

int64_t queue_next(const struct queue *queue)
{
    int64_t best = -1;
    if (queue->in_flight == queue->depth)
        return -1;
    for (uint32_t i = 0, left = queue->n_waiting; left > 0; i++) {
        if (!queue->loads[i].waiting)
            continue;
        left--;
        if (best < 0 || needed_before(&queue->loads[i], &queue->loads[best]))
            best = i;
    }
    return best;
}

void queue_handed_over(struct queue *queue, uint32_t load, bool last)
{
    assert(queue->loads[load].waiting && queue->in_flight < queue->depth);
    queue->loads[load].outstanding++;
    queue->in_flight++;
    if (last)
        queue_stop(queue, load);
}

void queue_stop(struct queue *queue, uint32_t load)
{
    queue->n_waiting -= queue->loads[load].waiting;
    queue->loads[load].waiting = false;
}

void queue_completed(struct queue *queue, uint32_t load)
{
    assert(queue->loads[load].outstanding > 0);
    queue->loads[load].outstanding--;
    queue->in_flight--;
}

bool queue_has_ended(const struct queue *queue, uint32_t load)
{
    const struct queue_load *l = &queue->loads[load];
    return l->taken && !l->waiting && l->outstanding == 0;
}

uint32_t queue_low_water(const struct queue *queue)
{
    return queue->depth == 1 ? 0 : queue->depth < 8 ? 1 : queue->depth / 4;
}

bool queue_has_room(const struct queue *queue)
{
    return queue->n_waiting == 0 && queue->n_loads < queue->max_loads &&
           queue->in_flight <= queue_low_water(queue);
}
