/* fault storage: the chosen read, and no other, fails, comes short, or comes late. */
#include "storage_fixture.h"

#include "base/clock.h"

#include <errno.h>

#define FILE_BYTES 200000u
#define BLOCK      4096u
enum { READS = 10 };

static char path[64];
static char *arena; /* [READS * BLOCK] */

static struct storage *faulty(enum storage_fault_kind kind, uint64_t nth, bool every, int64_t delay)
{
    struct lb_error err = LB_ERROR_INIT;
    struct storage_fault fault = {kind, nth, every, delay};
    struct storage *storage;
    CHECK(storage_inject(fixture_open("pread", path, READS), &fault, &storage, &err) == LB_OK, "%s",
          err.text);
    return storage;
}

static void submit_all(struct storage *storage)
{
    memset(arena, 0, READS * BLOCK);
    for (uint32_t i = 0; i < READS; i++) {
        struct storage_read read = {
            .offset = i * BLOCK, .bytes = BLOCK, .buffer = arena + i * BLOCK, .tag = i};
        CHECK(storage_submit(storage, &read) == STORAGE_QUEUED);
    }
}

/* Submits all reads and returns their completions by tag. */
static void read_all(struct storage *storage, struct storage_done done[READS])
{
    submit_all(storage);
    for (int n = 0; n < READS;) {
        struct storage_done got[READS];
        int k = storage_reap(storage, got, READS, -1);
        for (int i = 0; i < k; i++)
            done[got[i].tag] = got[i];
        n += k;
    }
}

static void failing_reads(bool every)
{
    struct storage_done done[READS];
    for (uint64_t nth = 1; nth <= READS + 1; nth++) {
        struct storage *storage = faulty(STORAGE_FAULT_EIO, nth, every, 0);
        uint32_t bad = 0;
        read_all(storage, done);
        for (uint64_t i = 0; i < READS; i++) {
            bool fails = i + 1 == nth || (every && i + 1 > nth);
            bad += fails;
            CHECK(done[i].result == (fails ? -EIO : (int32_t)BLOCK), "read %d of fault %d", (int)i,
                  (int)nth);
            CHECK(fixture_same(arena + i * BLOCK, i * BLOCK, BLOCK) != fails);
        }
        CHECK(storage_counters(storage).errors == bad);
        CHECK(storage_counters(storage).reads == READS - bad);
        storage_close(storage);
    }
}

static void short_reads(void)
{
    struct storage_done done[READS];
    struct storage *storage = faulty(STORAGE_FAULT_SHORT, 4, false, 0);
    read_all(storage, done);
    for (int i = 0; i < READS; i++)
        CHECK(done[i].result == (int32_t)(i == 3 ? BLOCK / 2 : BLOCK));
    CHECK(fixture_same(arena + 3 * BLOCK, 3 * BLOCK, BLOCK / 2));
    CHECK(!fixture_same(arena + 3 * BLOCK, 3 * BLOCK, BLOCK));
    storage_close(storage);
}

static void late_reads(void)
{
    const int64_t delay = 20000000;
    struct storage_done done[READS];
    struct storage *storage = faulty(STORAGE_FAULT_DELAY, 2, false, delay);
    read_all(storage, done);
    for (int i = 0; i < READS; i++)
        CHECK(done[i].result == (int32_t)BLOCK);
    CHECK(done[1].done_ns - done[1].submit_ns >= delay);
    storage_close(storage);

    /* one that comes far too late holds up no other, and not the end */
    storage = faulty(STORAGE_FAULT_DELAY, 2, false, 60000000000);
    submit_all(storage);
    int n = 0;
    while (n < READS - 1)
        n += storage_reap(storage, done + n, READS - n, -1);
    for (int i = 0; i < n; i++)
        CHECK(done[i].tag != 1);
    CHECK(storage_reap(storage, done, 1, 0) == 0);
    storage_close(storage);
}

static void blocking_read_fails(void)
{
    struct lb_error err = LB_ERROR_INIT;
    char buffer[64];
    struct storage *storage = faulty(STORAGE_FAULT_EIO, 1, false, 0);
    CHECK(storage_read_all(storage, 0, sizeof buffer, buffer, &err) == LB_ERR_IO);
    CHECK_TEXT(err.text, "storage pread: reading 64 bytes failed: Input/output error");
    err = (struct lb_error)LB_ERROR_INIT;
    CHECK(storage_read_all(storage, 0, sizeof buffer, buffer, &err) == LB_OK);
    storage_close(storage);
}

static void bad_faults(void)
{
    struct lb_error err = LB_ERROR_INIT;
    struct storage_fault none = {.kind = STORAGE_FAULT_EIO};
    struct storage *storage;
    CHECK(storage_inject(fixture_open("pread", path, 1), &none, &storage, &err) == LB_ERR_INPUT);
    CHECK(!storage);
    CHECK_TEXT(err.text, "fault: expected nth of at least 1 and a delay of at least 0, got 0 and 0 "
                         "ns");
}

int main(void)
{
    fixture_write(path, FILE_BYTES);
    arena = lb_alloc_aligned(READS * BLOCK, STORAGE_ALIGN);
    failing_reads(false);
    failing_reads(true);
    short_reads();
    late_reads();
    blocking_read_fails();
    bad_faults();
    lb_free(arena);
    unlink(path);
    return check_done();
}
