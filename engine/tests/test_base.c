/* base: error text, allocation hook, ring, thread pool and work sharing. */
#include "base/memory.h"
#include "base/pool.h"
#include "base/ring.h"
#include "base/status.h"
#include "tests/check.h"

#include <stdint.h>

static void errors(void)
{
    struct lb_error err = LB_ERROR_INIT;
    CHECK(lb_fail(&err, LB_ERR_INPUT, "first %d", 1) == LB_ERR_INPUT);
    lb_fail(&err, LB_ERR_IO, "second");
    CHECK_TEXT(err.text, "first 1");
    CHECK(err.code == LB_ERR_INPUT);
    lb_error_prefix(&err, "file %s", "x");
    CHECK_TEXT(err.text, "file x: first 1");
    CHECK(lb_fail(NULL, LB_ERR_IO, "nowhere to go") == LB_ERR_IO);
    CHECK_TEXT(lb_status_name(LB_ERR_IO), "io");
    struct lb_error line = LB_ERROR_INIT;
    lb_fail(&line, LB_ERR_INPUT, "'%s'", "a\nb\x1b[1mc\x7f\xc3\xa4");
    CHECK_TEXT(line.text, "'a?b?[1mc?\xc3\xa4'");
}

static void failing_allocations(void)
{
    lb_memory_fail_at(2);
    void *a = lb_calloc(1, 10), *b = lb_calloc(1, 10), *c = lb_calloc(1, 10);
    CHECK(a && !b && c);
    lb_free(a);
    lb_free(c);
    for (uint64_t n = 1;; n++) {
        struct lb_error err = LB_ERROR_INIT;
        struct lb_pool *pool;
        lb_memory_fail_at(n);
        enum lb_status s = lb_pool_open(2, &pool, &err);
        lb_memory_fail_at(0);
        if (s == LB_OK) {
            CHECK(n > 1);
            lb_pool_close(pool);
            break;
        }
        CHECK(s == LB_ERR_NOMEM && !pool);
    }
    char *map = lb_map(5000);
    CHECK(map && (uintptr_t)map % (2 << 20) == 0);
    if (map)
        map[4999] = 1;
    lb_unmap(map, 5000);
}

static void ring(void)
{
    struct lb_ring *r = lb_ring_open(3, sizeof(int));
    int out[8];
    for (int i = 0; i < 4; i++)
        CHECK(lb_ring_push(r, &i));
    int extra = 9;
    CHECK(!lb_ring_push(r, &extra) && lb_ring_dropped(r) == 1);
    CHECK(lb_ring_drain(r, out, 3) == 3 && out[0] == 0 && out[2] == 2);
    CHECK(lb_ring_push(r, &extra));
    CHECK(lb_ring_drain(r, out, 8) == 2 && out[0] == 3 && out[1] == 9);
    lb_ring_close(r);
}

struct job {
    struct lb_share share;
    _Atomic uint32_t seen[1000];
};

static void job_main(void *ctx, int thread, int n_threads)
{
    struct job *job = ctx;
    uint32_t begin, end;
    (void)n_threads;
    while (lb_share_next(&job->share, thread, &begin, &end))
        for (uint32_t i = begin; i < end; i++)
            atomic_fetch_add(&job->seen[i], 1);
}

static void pool(void)
{
    for (int n = 1; n <= 5; n++) {
        struct lb_error err = LB_ERROR_INIT;
        struct lb_pool *p;
        CHECK(lb_pool_open(n, &p, &err) == LB_OK, "%s", err.text);
        static struct job job;
        memset(&job, 0, sizeof job);
        const uint32_t items = 1000 - (uint32_t)n;
        for (int round = 0; round < 200; round++) {
            lb_share_reset(&job.share, items, 1 + (uint32_t)round % 70, n);
            lb_pool_run(p, job_main, &job);
        }
        uint32_t wrong = 0;
        for (uint32_t i = 0; i < 1000; i++)
            wrong += job.seen[i] != (i < items ? 200u : 0u);
        CHECK(wrong == 0, "%u items not seen exactly once a round with %d threads", wrong, n);
        lb_pool_close(p);
    }
    struct lb_error err = LB_ERROR_INIT;
    struct lb_pool *p;
    CHECK(lb_pool_open(0, &p, &err) == LB_ERR_INPUT);
    CHECK_TEXT(err.text, "threads: 0: expected 1 to 256");
}

int main(void)
{
    errors();
    failing_allocations();
    ring();
    pool();
    return check_done();
}
