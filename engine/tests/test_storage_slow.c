/*
 * slow storage: every read is held back by its share, whatever the order of completion.
 *
 * Times are checked from below only: how much slower a loaded machine makes it is for benchmarks.
 */
#include "storage_fixture.h"

#include "base/clock.h"

#include <math.h>

#define FILE_BYTES 400000u
#define BLOCK      4096u

static char path[64];
static char *arena; /* [64 * BLOCK] */

/* Reads of a device with `latency_ns`, slowed by `factor`. */
static struct storage *slowed(int64_t latency_ns, double factor)
{
    struct lb_error err = LB_ERROR_INIT;
    struct storage_device device = {0, latency_ns, 0};
    struct storage *inner, *storage;
    CHECK(storage_shape(fixture_open("memory", path, 32), &device, &inner, &err) == LB_OK, "%s",
          err.text);
    CHECK(storage_slow(inner, factor, &storage, &err) == LB_OK, "%s", err.text);
    return storage;
}

static void submit(struct storage *storage, uint32_t tag)
{
    struct storage_read read = {
        .offset = tag * BLOCK, .bytes = BLOCK, .buffer = arena + tag * BLOCK, .tag = tag};
    CHECK(storage_submit(storage, &read) == STORAGE_QUEUED);
}

static void single_reads(double factor)
{
    const int64_t latency = 4000000;
    struct storage *storage = slowed(latency, factor);
    for (uint32_t i = 0; i < 5; i++) {
        struct storage_done done;
        int64_t start = lb_now_ns();
        submit(storage, i);
        CHECK(storage_reap(storage, &done, 1, -1) == 1 && done.tag == i);
        int64_t least = (int64_t)((double)latency * (1 + factor));
        CHECK(done.result == BLOCK && fixture_same(arena + i * BLOCK, i * BLOCK, BLOCK));
        CHECK(done.done_ns - start >= least, "read %u took %lld ns", i,
              (long long)(done.done_ns - start));
        CHECK(lb_now_ns() >= done.done_ns);
    }
    storage_close(storage);
}

/* A read that came late inside is due after others that were submitted after it. */
static void out_of_order(void)
{
    struct lb_error err = LB_ERROR_INIT;
    struct storage_fault late = {STORAGE_FAULT_DELAY, 1, false, 50000000};
    struct storage *inner, *storage;
    struct storage_done done[8];
    bool seen[4] = {false};
    int n = 0;
    CHECK(storage_inject(fixture_open("memory", path, 32), &late, &inner, &err) == LB_OK);
    CHECK(storage_slow(inner, 0.5, &storage, &err) == LB_OK);
    int64_t start = lb_now_ns();
    for (uint32_t i = 0; i < 4; i++)
        submit(storage, i);
    while (n < 4)
        n += storage_reap_batch(storage, done + n, 4 - n, 8 - n, -1);
    for (int i = 0; i < 4; i++) {
        CHECK(done[i].tag < 4 && !seen[done[i].tag]);
        seen[done[i].tag] = true;
        CHECK(done[i].result == BLOCK);
        if (done[i].tag == 0)
            CHECK(done[i].done_ns - start >= 75000000);
    }
    storage_close(storage);
}

static void bad_input(void)
{
    const double factors[] = {-0.1, NAN, INFINITY};
    for (size_t i = 0; i < 3; i++) {
        struct lb_error err = LB_ERROR_INIT;
        struct storage *storage;
        CHECK(storage_slow(fixture_open("memory", path, 4), factors[i], &storage, &err) ==
              LB_ERR_INPUT);
        CHECK(storage == NULL && strstr(err.text, "factor"), "%s", err.text);
    }
}

static void no_memory(void)
{
    struct lb_error err = LB_ERROR_INIT;
    struct storage *storage = NULL;
    for (uint64_t nth = 1; !storage && nth < 20; nth++) {
        struct storage *inner = fixture_open("memory", path, 4);
        err = (struct lb_error)LB_ERROR_INIT;
        lb_memory_fail_at(nth);
        enum lb_status status = storage_slow(inner, 0.1, &storage, &err);
        lb_memory_fail_at(0);
        CHECK(status == (storage ? LB_OK : LB_ERR_NOMEM));
    }
    CHECK(storage != NULL);
    storage_close(storage);
}

int main(void)
{
    fixture_write(path, FILE_BYTES);
    arena = malloc(64 * BLOCK);
    if (!arena)
        return 1;
    single_reads(0.0);
    single_reads(0.5);
    single_reads(2.0);
    out_of_order();
    bad_input();
    no_memory();
    unlink(path);
    free(arena);
    return check_done();
}
