/* storage: every back-end against the true content of a file, its queue, wake and errors. */
#include "storage_fixture.h"

#include "base/clock.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define FILE_BYTES (3u * 1024 * 1024 + 1234) /* ends inside a block */
#define READ_BYTES 65536u
enum { DEPTH = 16 };

static char path[64];

struct slot {
    struct storage_read read;
    bool busy;
};

static void completed_read(const struct slot *slot, const struct storage_done *done)
{
    uint64_t end = slot->read.offset + slot->read.bytes;
    uint32_t want = (uint32_t)((end < FILE_BYTES ? end : FILE_BYTES) - slot->read.offset);
    CHECK(slot->busy, "tag %d completes twice", (int)done->tag);
    CHECK(done->result == (int32_t)want, "at %llu: got %d of %u",
          (unsigned long long)slot->read.offset, done->result, want);
    CHECK(done->done_ns >= done->submit_ns && done->submit_ns > 0);
    if (slot->read.buffer)
        CHECK(fixture_same(slot->read.buffer, slot->read.offset, want), "wrong data at %llu",
              (unsigned long long)slot->read.offset);
}

/* Random aligned reads, the tail of the file among them, DEPTH in flight, batches of 1 to 4. */
static void random_reads(struct storage *storage, uint32_t n, uint64_t seed, bool registered)
{
    struct lb_random random = {seed};
    struct slot slots[DEPTH] = {0};
    char *arena = lb_alloc_aligned(DEPTH * READ_BYTES, STORAGE_ALIGN);
    uint32_t submitted = 0, completed = 0;
    uint64_t want_bytes = 0;
    struct storage_counters before = storage_counters(storage);
    if (registered)
        storage_register_arena(storage, arena, DEPTH * READ_BYTES);
    while (completed < n) {
        for (uint32_t i = 0; i < DEPTH && submitted < n; i++) {
            if (slots[i].busy)
                continue;
            uint64_t block = lb_random_below(&random, FILE_BYTES / STORAGE_ALIGN + 1);
            uint32_t blocks = 1 + lb_random_below(&random, READ_BYTES / STORAGE_ALIGN);
            slots[i].read = (struct storage_read){.offset = block * STORAGE_ALIGN,
                                                  .bytes = blocks * STORAGE_ALIGN,
                                                  .buffer = arena + i * READ_BYTES,
                                                  .tag = i};
            uint64_t rest = FILE_BYTES - slots[i].read.offset;
            if (slots[i].read.bytes > rest && lb_random_below(&random, 2))
                slots[i].read.bytes = (uint32_t)rest; /* exactly to the end, not aligned */
            CHECK(storage_submit(storage, &slots[i].read) == STORAGE_QUEUED);
            slots[i].busy = true;
            want_bytes += rest < slots[i].read.bytes ? rest : slots[i].read.bytes;
            submitted++;
        }
        struct storage_done done[DEPTH];
        int got = storage_reap_batch(storage, done, 1 + (int)lb_random_below(&random, 4), DEPTH,
                                     10000000000);
        CHECK(got > 0, "no completion within 10 s");
        if (got <= 0)
            break;
        for (int i = 0; i < got; i++) {
            completed_read(&slots[done[i].tag], &done[i]);
            slots[done[i].tag].busy = false;
        }
        completed += (uint32_t)got;
    }
    struct storage_counters after = storage_counters(storage);
    CHECK(after.reads - before.reads == n && after.errors == 0);
    CHECK(after.bytes - before.bytes == want_bytes);
    if (registered)
        storage_register_arena(storage, NULL, 0);
    lb_free(arena);
}

static void blocking_reads(struct storage *storage)
{
    struct lb_error err = LB_ERROR_INIT;
    struct lb_random random = {7};
    char *buffer = lb_calloc(1, FILE_BYTES);
    CHECK(storage_read_all(storage, 0, FILE_BYTES, buffer, &err) == LB_OK, "%s", err.text);
    CHECK(fixture_same(buffer, 0, FILE_BYTES));
    for (int i = 0; i < 50; i++) {
        uint32_t offset = lb_random_below(&random, FILE_BYTES);
        uint32_t bytes = lb_random_below(&random, FILE_BYTES - offset + 1) >> (i % 20);
        memset(buffer, 0, bytes);
        CHECK(storage_read_all(storage, offset, bytes, buffer, &err) == LB_OK, "%s", err.text);
        CHECK(fixture_same(buffer, offset, bytes), "%u bytes at %u", bytes, offset);
    }
    CHECK(storage_read_all(storage, FILE_BYTES - 1, 2, buffer, &err) == LB_ERR_INPUT);
    CHECK_TEXT(err.text, "read of 2 bytes at 3146961: the file has 3146962");
    lb_free(buffer);
}

/* A full queue says BUSY, takes reads again after a reap, and times out when empty. */
static void full_queue(struct storage *storage)
{
    struct storage_done done[2 * DEPTH];
    char *buffer = lb_alloc_aligned((DEPTH + 1) * STORAGE_ALIGN, STORAGE_ALIGN);
    struct storage_read read = {.bytes = STORAGE_ALIGN};
    CHECK(storage_depth(storage) == DEPTH);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i <= DEPTH; i++) {
            read.buffer = buffer + i * STORAGE_ALIGN;
            CHECK(storage_submit(storage, &read) == (i < DEPTH ? STORAGE_QUEUED : STORAGE_BUSY),
                  "read %d", i);
        }
        /* more than are in flight are not waited for */
        CHECK(storage_reap_batch(storage, done, 2 * DEPTH, 2 * DEPTH, -1) == DEPTH);
    }
    CHECK(storage_reap(storage, done, 1, 0) == 0);
    int64_t start = lb_now_ns();
    CHECK(storage_reap(storage, done, 1, 20000000) == 0);
    CHECK(lb_now_ns() - start >= 20000000);
    lb_free(buffer);
}

static void *wake_main(void *arg)
{
    usleep(20000);
    storage_wake(arg);
    return NULL;
}

/* A wake ends a reap that waits without limit; one that comes early is remembered, and a
 * poll does not take it away. */
static void wakes(struct storage *storage)
{
    struct storage_done done;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, wake_main, storage) == 0);
    CHECK(storage_reap(storage, &done, 1, -1) == 0);
    pthread_join(thread, NULL);
    storage_wake(storage);
    CHECK(storage_reap(storage, &done, 1, 0) == 0);
    CHECK(storage_reap(storage, &done, 1, -1) == 0);
}

static void close_with_reads_in_flight(const char *name)
{
    struct storage *storage = fixture_open(name, path, DEPTH);
    char *buffer = lb_alloc_aligned(DEPTH * READ_BYTES, STORAGE_ALIGN);
    for (int i = 0; i < DEPTH; i++) {
        struct storage_read read = {
            .offset = READ_BYTES * i, .bytes = READ_BYTES, .buffer = buffer + READ_BYTES * i};
        CHECK(storage_submit(storage, &read) == STORAGE_QUEUED);
    }
    storage_close(storage);
    lb_free(buffer); /* ASan sees a late write */
}

static void *other_thread(void *storage)
{
    random_reads(storage, 50, 3, true);
    return NULL;
}

/* The queue may pass to another thread and back while nothing is in flight. */
static void change_of_owner(struct storage *storage)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, other_thread, storage) == 0);
    pthread_join(thread, NULL);
    random_reads(storage, 50, 4, false);
}

/* The memory back-end has its copy; all others must say that the file has become shorter. */
static void truncated_file(const char *name)
{
    char other[64];
    struct lb_error err = LB_ERROR_INIT;
    char *buffer = lb_calloc(1, 300000);
    fixture_write(other, 300000);
    struct storage *storage = fixture_open(name, other, DEPTH);
    CHECK(truncate(other, 100001) == 0);
    enum lb_status s = storage_read_all(storage, 0, 300000, buffer, &err);
    if (strcmp(name, "memory") == 0)
        CHECK(s == LB_OK && fixture_same(buffer, 0, 300000));
    else
        CHECK(s == LB_ERR_IO && strstr(err.text, "became shorter while it was read"), "%s",
              err.text);
    storage_close(storage);
    unlink(other);
    lb_free(buffer);
}

/* A mapped file: reads without a buffer bring pages in, dropped ones come back. */
static void mapped(void)
{
    static const char *const advice[] = {"normal", "sequential", "random", "willneed"};
    struct lb_error err = LB_ERROR_INIT;
    struct storage_options options = {.queue_depth = 4, .io_threads = 1};
    struct storage *storage;
    char notice[256];
    for (size_t i = 0; i < sizeof advice / sizeof *advice; i++) {
        struct storage_read read = {.offset = 4097, .bytes = 100000};
        struct storage_done done;
        options.advice = advice[i];
        CHECK(storage_open("mmap", path, &options, notice, sizeof notice, &storage, &err) == LB_OK,
              "%s", err.text);
        const char *base = storage_map(storage);
        CHECK(storage_submit(storage, &read) == STORAGE_QUEUED);
        CHECK(storage_reap(storage, &done, 1, -1) == 1 && done.result == 100000);
        CHECK(fixture_same(base, 0, FILE_BYTES));
        storage_drop(storage, 5000, FILE_BYTES - 5000);
        storage_drop(storage, 10, 20); /* no whole page */
        CHECK(fixture_same(base, 0, FILE_BYTES));
        storage_close(storage);
    }
    options.advice = "maybe";
    CHECK(storage_open("mmap", path, &options, notice, sizeof notice, &storage, &err) ==
          LB_ERR_INPUT);
    CHECK_TEXT(err.text, "advice 'maybe': expected one of normal, sequential, random, willneed");
}

static void failing_allocations(const char *name)
{
    for (uint64_t n = 1; n < 100; n++) {
        struct lb_error err = LB_ERROR_INIT;
        struct storage_options options = {.queue_depth = 4, .io_threads = 2};
        struct storage *storage;
        char notice[256], buffer[100];
        lb_memory_fail_at(n);
        enum lb_status s =
            storage_open(name, path, &options, notice, sizeof notice, &storage, &err);
        if (s == LB_OK)
            s = storage_read_all(storage, 5, sizeof buffer, buffer, &err);
        lb_memory_fail_at(0);
        storage_close(storage);
        if (s == LB_OK) {
            CHECK(n > 1 && fixture_same(buffer, 5, sizeof buffer));
            return;
        }
        CHECK(s == LB_ERR_NOMEM && err.code == s, "allocation %d: %s", (int)n, err.text);
    }
    CHECK(false, "%s still fails after 99 allocations", name);
}

static void bad_input(void)
{
    static const struct {
        const char *name, *path, *text;
        uint32_t depth, threads;
    } cases[] = {
        {"floppy", "", "storage 'floppy': expected one of auto memory", 1, 1},
        {"pread", "", "queue_depth 0: expected 1 to 1024", 0, 1},
        {"pread", "", "queue_depth 1025: expected 1 to 1024", 1025, 1},
        {"pread", "", "io_threads 0: expected 1 to 256", 1, 0},
        {"direct", "/nowhere/model.gguf", "/nowhere/model.gguf: cannot open: No such file", 1, 1},
        {"pread", "/tmp", "/tmp: is a directory: expected a regular file", 1, 1},
        {"memory", "/proc/version", "/proc/version: the file is empty", 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lb_error err = LB_ERROR_INIT;
        struct storage_options options = {.queue_depth = cases[i].depth,
                                          .io_threads = cases[i].threads};
        struct storage *storage;
        char notice[256];
        const char *file = cases[i].path[0] ? cases[i].path : path;
        CHECK(storage_open(cases[i].name, file, &options, notice, sizeof notice, &storage, &err) ==
              LB_ERR_INPUT);
        CHECK(!storage && strncmp(err.text, cases[i].text, strlen(cases[i].text)) == 0, "%s",
              err.text);
    }
}

/* /proc files and some file systems have no O_DIRECT; where there is none to test on, say so. */
static void fallback(void)
{
    struct lb_error err = LB_ERROR_INIT;
    struct storage_options options = {.queue_depth = 4, .io_threads = 1};
    struct storage *storage;
    char notice[256];
    const char *file = "/sys/kernel/mm/transparent_hugepage/enabled"; /* regular, no O_DIRECT */
    if (storage_open("pread", file, &options, notice, sizeof notice, &storage, &err) != LB_OK) {
        fprintf(stderr, "no fallback to see here: %s\n", err.text);
        return;
    }
    storage_close(storage);
    CHECK(storage_open("auto", file, &options, notice, sizeof notice, &storage, &err) == LB_OK,
          "%s", err.text);
    CHECK_TEXT(storage_name(storage), "pread");
    CHECK(
        strstr(notice, "storage direct is not available (O_DIRECT: Invalid argument): using pread"),
        "%s", notice);
    storage_close(storage);
    /* what is named is that or nothing */
    CHECK(storage_open("direct", file, &options, notice, sizeof notice, &storage, &err) ==
              LB_ERR_UNSUPPORTED &&
          !storage && !*notice);
    CHECK_TEXT(err.text, "storage direct is not available (O_DIRECT: Invalid argument): 'auto' "
                         "takes what there is");
    CHECK(!storage_available("direct", file, &err) && storage_available("pread", file, NULL));
}

/* From here on io_uring_setup() fails in this thread, as under many container runtimes. */
static bool forbid_io_uring(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void *without_io_uring(void *arg)
{
    struct lb_error err = LB_ERROR_INIT;
    struct storage_options options = {.queue_depth = DEPTH, .io_threads = 2};
    struct storage *storage;
    char notice[256];
    (void)arg;
    if (!forbid_io_uring()) {
        fprintf(stderr, "no seccomp here: fallback from io_uring is not checked\n");
        return NULL;
    }
    CHECK(storage_open("auto", path, &options, notice, sizeof notice, &storage, &err) == LB_OK,
          "%s", err.text);
    const char *first = "storage uring is not available (io_uring: Operation not permitted): using "
                        "direct";
    CHECK(strncmp(notice, first, strlen(first)) == 0, "%s", notice);
    CHECK(strcmp(storage_name(storage), "uring") != 0);
    random_reads(storage, 50, 5, true);
    storage_close(storage);
    return NULL;
}

static void fallback_from_uring(void)
{
    pthread_t thread; /* the filter lasts as long as the thread */
    if (!storage_available("direct", path, NULL))
        return;
    CHECK(pthread_create(&thread, NULL, without_io_uring, NULL) == 0);
    pthread_join(thread, NULL);
}

static void backend(const char *name)
{
    struct storage *storage = fixture_open(name, path, DEPTH);
    if (!storage)
        return;
    CHECK(storage_file_bytes(storage) == FILE_BYTES);
    random_reads(storage, 500, 1, false);
    random_reads(storage, 500, 2, true);
    blocking_reads(storage);
    full_queue(storage);
    wakes(storage);
    change_of_owner(storage);
    storage_close(storage);
    close_with_reads_in_flight(name);
    truncated_file(name);
    failing_allocations(name);
}

/* Reads go to the copy with the shortest queue; a file that is none is refused. */
static void copies(const char *name)
{
    struct lb_error err = LB_ERROR_INIT;
    char copy[64], notice[256];
    fixture_write(copy, FILE_BYTES);
    struct storage_options options = {.queue_depth = DEPTH, .io_threads = 3, .copies = copy};
    struct storage *storage;
    enum lb_status status =
        storage_open(name, path, &options, notice, sizeof notice, &storage, &err);
    if (strcmp(name, "memory") == 0 || strcmp(name, "mmap") == 0) {
        CHECK(status == LB_ERR_INPUT && strstr(err.text, "reads one file"), "%s", err.text);
        unlink(copy);
        return;
    }
    CHECK(status == LB_OK && storage_copies(storage) == 2, "%s: %s", name, err.text);
    random_reads(storage, 200, 9, false);
    const struct storage_device device = {.bandwidth = 1e9, .latency_ns = 1000000};
    CHECK(storage_shape(storage, &device, &storage, &err) == LB_OK, "%s", err.text);
    random_reads(storage, 50, 10, false);
    char *buffer = lb_alloc_aligned(DEPTH * STORAGE_ALIGN, STORAGE_ALIGN);
    struct storage_done done[DEPTH];
    uint32_t of[2] = {0};
    for (uint32_t i = 0; i < DEPTH; i++) {
        struct storage_read read = {
            .bytes = STORAGE_ALIGN, .buffer = buffer + i * STORAGE_ALIGN, .tag = i};
        CHECK(storage_submit(storage, &read) == STORAGE_QUEUED);
    }
    int n = storage_reap_batch(storage, done, DEPTH, DEPTH, 10000000000);
    for (int i = 0; i < n; i++)
        of[done[i].copy]++;
    CHECK(of[0] == DEPTH / 2 && of[1] == DEPTH / 2, "%u and %u", of[0], of[1]);
    storage_close(storage);
    lb_free(buffer);
    char two[80];
    snprintf(two, sizeof two, "%s,", copy);
    options.copies = two;
    CHECK(storage_open(name, path, &options, notice, sizeof notice, &storage, &err) == LB_ERR_INPUT,
          "%s: a copy without a name", name);
    err = (struct lb_error)LB_ERROR_INIT;
    options.copies = copy;
    FILE *f = fopen(copy, "r+");
    CHECK(f && fputc(fixture_byte(0) ^ 1, f) != EOF && fclose(f) == 0);
    CHECK(storage_open(name, path, &options, notice, sizeof notice, &storage, &err) ==
              LB_ERR_INPUT &&
          strstr(err.text, "differs at byte 0: expected a copy of the model"));
    CHECK(truncate(copy, FILE_BYTES - 1) == 0);
    err = (struct lb_error)LB_ERROR_INIT;
    CHECK(storage_open(name, path, &options, notice, sizeof notice, &storage, &err) ==
              LB_ERR_INPUT &&
          strstr(err.text, "3146961 bytes: expected a copy of the model, 3146962"));
    unlink(copy);
}

int main(void)
{
    size_t count;
    const struct storage_ops *const *list = storage_list(&count);
    fixture_write(path, FILE_BYTES);
    bad_input();
    fallback();
    fallback_from_uring();
    for (size_t i = 0; i < count; i++) {
        struct lb_error why = LB_ERROR_INIT;
        if (storage_available(list[i]->name, path, &why))
            backend(list[i]->name), copies(list[i]->name);
        else
            fprintf(stderr, "%s is not available here: %s\n", list[i]->name, why.text);
    }
    mapped();
    storage_close(NULL);
    unlink(path);
    return check_done();
}
