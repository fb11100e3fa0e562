/*
 * shaped storage: order, bandwidth, latency and queue depth of an emulated device.
 *
 * Times are checked from below only: a device must never be faster than it says. How
 * much slower a loaded machine makes it is for benchmarks.
 */
#include "storage_fixture.h"

#include "base/clock.h"

#include <math.h>
#include <pthread.h>

#define FILE_BYTES 1000000u
#define BLOCK      4096u

static char path[64];
static char *arena; /* [64 * BLOCK] */

static struct storage *shaped(double bandwidth, int64_t latency_ns, uint32_t depth)
{
    struct lb_error err = LB_ERROR_INIT;
    struct storage_device device = {bandwidth, latency_ns, depth};
    struct storage *storage;
    CHECK(storage_shape(fixture_open("memory", path, 32), &device, &storage, &err) == LB_OK, "%s",
          err.text);
    return storage;
}

static enum storage_submit submit(struct storage *storage, uint32_t tag)
{
    struct storage_read read = {
        .offset = tag * BLOCK, .bytes = BLOCK, .buffer = arena + tag * BLOCK, .tag = tag};
    return storage_submit(storage, &read);
}

/* Reads that are queued together come out in order, each at least a transfer after the one
 * before, the first not before its transfer and the latency. */
static void order_and_times(int batch)
{
    const int64_t transfer = 2000000, latency = 3000000;
    struct storage *storage = shaped(BLOCK / (transfer * 1e-9), latency, 0);
    struct storage_done done[32];
    int64_t first = lb_now_ns();
    int n = 0;
    for (uint32_t i = 0; i < 20; i++)
        CHECK(submit(storage, i) == STORAGE_QUEUED);
    while (n < 20) {
        int got = storage_reap_batch(storage, done + n, batch, 32 - n, -1);
        int64_t now = lb_now_ns();
        for (int i = n; i < n + got; i++) {
            CHECK(done[i].tag == (uint64_t)i, "read %d came as number %d", (int)done[i].tag, i);
            CHECK(done[i].result == BLOCK && fixture_same(arena + i * BLOCK, i * BLOCK, BLOCK));
            CHECK(done[i].done_ns <= now && done[i].submit_ns >= first);
            CHECK(done[i].done_ns >= first + latency + (i + 1) * transfer, "read %d is early", i);
        }
        CHECK(got >= 1 && (got >= batch || n + got == 20), "%d instead of %d", got, batch);
        n += got;
    }
    storage_close(storage);
}

/* An idle device saves nothing up: the next read still takes its whole time. */
static void no_credit(void)
{
    const int64_t transfer = 5000000;
    struct storage *storage = shaped(BLOCK / (transfer * 1e-9), 0, 0);
    struct storage_done done;
    usleep(30000);
    for (uint32_t i = 0; i < 3; i++) {
        int64_t start = lb_now_ns();
        submit(storage, i);
        CHECK(storage_reap(storage, &done, 1, -1) == 1);
        CHECK(done.done_ns - start >= transfer && lb_now_ns() - start >= transfer);
        usleep(10000);
    }
    storage_close(storage);
}

static void queue_depth(void)
{
    struct storage *storage = shaped(0, 1000000, 3);
    struct storage_done done[8];
    CHECK(storage_depth(storage) == 3);
    for (int round = 0; round < 3; round++) {
        int64_t start = lb_now_ns();
        for (uint32_t i = 0; i < 3; i++)
            CHECK(submit(storage, i) == STORAGE_QUEUED);
        CHECK(submit(storage, 3) == STORAGE_BUSY);
        CHECK(storage_reap_batch(storage, done, 3, 8, -1) == 3);
        CHECK(lb_now_ns() - start >= 1000000);
    }
    storage_close(storage);
    storage = shaped(0, 0, 100); /* more than the inner queue takes */
    CHECK(storage_depth(storage) == 32);
    storage_close(storage);
}

static void *wake_main(void *storage)
{
    usleep(20000);
    storage_wake(storage);
    return NULL;
}

/* Polls, time-outs and wakes end the wait for a read that is not due, and lose nothing. */
static void waits(void)
{
    struct storage *storage = shaped(0, 60000000000, 0);
    struct storage_done done;
    pthread_t thread;
    CHECK(submit(storage, 1) == STORAGE_QUEUED);
    CHECK(storage_reap(storage, &done, 1, 0) == 0);
    int64_t start = lb_now_ns();
    CHECK(storage_reap(storage, &done, 1, 10000000) == 0 && lb_now_ns() - start >= 10000000);
    CHECK(pthread_create(&thread, NULL, wake_main, storage) == 0);
    CHECK(storage_reap(storage, &done, 1, -1) == 0);
    pthread_join(thread, NULL);
    storage_close(storage); /* does not wait for the emulated minute */

    storage = shaped(0, 1000000000, 0);
    CHECK(submit(storage, 7) == STORAGE_QUEUED);
    int early = storage_reap(storage, &done, 1, 1000000);
    CHECK(early == 0, "a second is over on a busy machine?");
    CHECK((early > 0 || storage_reap(storage, &done, 1, -1) == 1) && done.tag == 7);
    storage_close(storage);
}

/* A device around a device: the slower of the two counts; blocking reads pass through. */
static void nested(void)
{
    struct lb_error err = LB_ERROR_INIT;
    struct storage_device fast = {0, 1000000, 0};
    struct storage *storage;
    char buffer[100];
    CHECK(storage_shape(shaped(0, 20000000, 0), &fast, &storage, &err) == LB_OK);
    int64_t start = lb_now_ns();
    CHECK(storage_read_all(storage, 11, sizeof buffer, buffer, &err) == LB_OK, "%s", err.text);
    CHECK(lb_now_ns() - start >= 20000000 && fixture_same(buffer, 11, sizeof buffer));
    CHECK_TEXT(storage_name(storage), "memory");
    CHECK(storage_counters(storage).reads == 1 && storage_align(storage) == 1);
    storage_close(storage);
}

/* The pages of a mapped file come through the device too. */
static void mapped(void)
{
    struct lb_error err = LB_ERROR_INIT;
    struct storage_device device = {.latency_ns = 5000000};
    struct storage *storage;
    struct storage_read read = {.bytes = BLOCK, .tag = 3};
    struct storage_done done;
    CHECK(storage_shape(fixture_open("mmap", path, 4), &device, &storage, &err) == LB_OK);
    int64_t start = lb_now_ns();
    CHECK(storage_submit(storage, &read) == STORAGE_QUEUED);
    CHECK(storage_reap(storage, &done, 1, -1) == 1 && done.tag == 3 && done.result == BLOCK);
    CHECK(lb_now_ns() - start >= 5000000);
    CHECK(storage_map(storage) && fixture_same(storage_map(storage), 0, FILE_BYTES));
    storage_drop(storage, 0, FILE_BYTES);
    storage_close(storage);
}

static void bad_devices(void)
{
    static const struct storage_device bad[] = {
        {.bandwidth = -1}, {.bandwidth = 0.5}, {.bandwidth = NAN}, {.latency_ns = -1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct lb_error err = LB_ERROR_INIT;
        struct storage *storage;
        CHECK(storage_shape(fixture_open("pread", path, 1), &bad[i], &storage, &err) ==
              LB_ERR_INPUT);
        CHECK(!storage && strstr(err.text, "device: expected a bandwidth"), "%s", err.text);
    }
    for (uint64_t n = 1; n < 20; n++) {
        struct lb_error err = LB_ERROR_INIT;
        struct storage_device device = {1e9, 0, 0};
        struct storage *inner = fixture_open("pread", path, 1), *storage;
        lb_memory_fail_at(n);
        enum lb_status s = storage_shape(inner, &device, &storage, &err);
        lb_memory_fail_at(0);
        storage_close(storage);
        if (s == LB_OK) {
            CHECK(n > 1);
            return;
        }
        CHECK(s == LB_ERR_NOMEM && !storage);
    }
    CHECK(false, "still fails after 19 allocations");
}

static void presets(void)
{
    size_t count;
    const struct storage_preset *p = storage_presets(&count);
    CHECK(count > 3);
    for (size_t i = 0; i < count; i++) {
        struct storage *storage =
            shaped(p[i].device.bandwidth, p[i].device.latency_ns, p[i].device.queue_depth);
        CHECK(p[i].name[0] && p[i].about[0] && p[i].device.bandwidth > 0 && storage);
        storage_close(storage);
    }
}

int main(void)
{
    fixture_write(path, FILE_BYTES);
    arena = lb_alloc_aligned(64 * BLOCK, STORAGE_ALIGN);
    order_and_times(1);
    order_and_times(4);
    no_credit();
    queue_depth();
    waits();
    nested();
    mapped();
    bad_devices();
    presets();
    lb_free(arena);
    unlink(path);
    return check_done();
}
