/* queue: who gets the next read and when there is room, against plain sentences of the rules. */
#include "base/random.h"
#include "plan/queue.h"
#include "tests/check.h"

enum { LOADS = 6 };

static void overtaking(void)
{
    struct lb_error err = LB_ERROR_INIT;
    struct queue q;
    CHECK(queue_open(&q, 3, 2, &err) == LB_OK);
    CHECK(queue_next(&q) == -1 && queue_has_room(&q));
    uint32_t later = queue_add(&q, false, 9), sooner = queue_add(&q, false, 4);
    CHECK(queue_next(&q) == sooner && !queue_has_room(&q));
    queue_urge(&q, later); /* demand goes before the order of need */
    CHECK(queue_next(&q) == later);
    uint32_t demand = queue_add(&q, true, 3);
    CHECK(queue_next(&q) == demand);
    queue_handed_over(&q, demand, true);
    queue_handed_over(&q, later, false);
    CHECK(queue_next(&q) == -1, "two reads at a time");
    queue_completed(&q, demand);
    CHECK(queue_has_ended(&q, demand) && !queue_has_ended(&q, later));
    queue_take_out(&q, demand);
    CHECK(queue_next(&q) == later);
    queue_stop(&q, later); /* its read in flight is still to come */
    CHECK(queue_next(&q) == sooner && !queue_has_ended(&q, later));
    queue_close(&q);
}

/* The storage is kept busy by: one read where the queue takes one, two up to seven, else a
 * quarter of the queue and one. */
static void room(void)
{
    for (uint32_t depth = 1; depth <= 64; depth++) {
        struct lb_error err = LB_ERROR_INIT;
        struct queue q;
        CHECK(queue_open(&q, 2, depth, &err) == LB_OK);
        uint32_t load = queue_add(&q, false, 0), most = depth < 8 ? depth > 1 : depth / 4;
        for (uint32_t i = 1; i <= depth; i++) {
            CHECK(!queue_has_room(&q), "reads wait");
            queue_handed_over(&q, load, i == depth);
        }
        for (uint32_t in_flight = depth; in_flight > 0; in_flight--) {
            CHECK(queue_has_room(&q) == (in_flight <= most), "depth %u, %u in flight", depth,
                  in_flight);
            queue_completed(&q, load);
        }
        CHECK(queue_has_room(&q));
        queue_add(&q, false, 0);
        CHECK(q.n_loads == 2 && !queue_has_room(&q));
        queue_close(&q);
    }
}

static void random_loads(void)
{
    struct lb_random r = {7};
    struct lb_error err = LB_ERROR_INIT;
    struct queue q;
    uint32_t reads[LOADS] = {0}; /* to hand over */
    CHECK(queue_open(&q, LOADS, 4, &err) == LB_OK);
    for (uint32_t step = 0; step < 20000; step++) {
        uint32_t i = lb_random_below(&r, LOADS);
        if (q.loads[i].taken && queue_has_ended(&q, i)) {
            queue_take_out(&q, i);
        } else if (q.loads[i].taken && q.loads[i].outstanding > 0 && lb_random_below(&r, 2)) {
            queue_completed(&q, i);
        } else if (q.loads[i].taken && lb_random_below(&r, 8) == 0) {
            queue_urge(&q, i);
        } else if (q.n_loads < LOADS && lb_random_below(&r, 2)) {
            i = queue_add(&q, false, step);
            reads[i] = 1 + lb_random_below(&r, 5);
        }
        int64_t next = queue_next(&q);
        uint32_t waiting = 0;
        for (i = 0; i < LOADS; i++) {
            if (!q.loads[i].taken || !q.loads[i].waiting)
                continue;
            waiting++;
            CHECK(reads[i] > 0 && (next >= 0 || q.in_flight == 4), "seed 7, step %u", step);
            if (next >= 0 && q.loads[i].demand == q.loads[next].demand)
                CHECK(q.loads[next].for_access <= q.loads[i].for_access, "seed 7, step %u", step);
            else if (next >= 0)
                CHECK(q.loads[next].demand, "seed 7, step %u", step);
        }
        CHECK(waiting == q.n_waiting && (next < 0 || q.in_flight < 4), "seed 7, step %u", step);
        if (next >= 0)
            queue_handed_over(&q, (uint32_t)next, --reads[next] == 0);
    }
    queue_close(&q);
}

int main(void)
{
    overtaking();
    room();
    random_loads();
    return check_done();
}
