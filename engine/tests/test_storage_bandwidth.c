/* bandwidth: what a sample counts and reads, its end by bytes or by time, and its errors. */
#include "storage_fixture.h"

#include "storage/bandwidth.h"

#define FILE_BYTES 1000000u
#define BLOCK      65536u
enum { DEPTH = 4 };

static char path[64];

static void by_bytes(const char *name)
{
    struct lb_error err = LB_ERROR_INIT;
    struct bandwidth_reading sample;
    struct bandwidth_options options = {.block_bytes = BLOCK, .bytes = 10 * BLOCK, .batch = 2};
    struct storage *storage = fixture_open(name, path, DEPTH);
    CHECK(bandwidth_measure(storage, &options, &sample, &err) == LB_OK, "%s", err.text);
    CHECK(sample.bytes == 10 * BLOCK && sample.reads == 10 && sample.wall_ns > 0);
    CHECK(bandwidth_of(&sample) > 0 && sample.busy_rate == 0);
    CHECK(storage_counters(storage).bytes == sample.bytes);
    /* the whole file twice and a bit: its last block is shorter */
    options.bytes = 2 * FILE_BYTES + 1;
    CHECK(bandwidth_measure(storage, &options, &sample, &err) == LB_OK, "%s", err.text);
    CHECK(sample.bytes == 2 * FILE_BYTES + BLOCK && sample.reads == 33);
    storage_close(storage);
}

/* Each of these starts reaches the end of the last extent after exactly so many bytes. */
static void extents(void)
{
    static const struct bandwidth_extent list[] = {{4096, 2 * BLOCK}, {4 * BLOCK, BLOCK / 2}};
    static const struct {
        uint64_t start, reads, bytes;
    } cases[] = {
        {0, 3, 2 * BLOCK + BLOCK / 2},         {1, 3, 2 * BLOCK + BLOCK / 2},
        {BLOCK + 4096, 2, BLOCK + BLOCK / 2},  {2 * BLOCK, 1, BLOCK / 2},
        {3 * BLOCK, 3, 2 * BLOCK + BLOCK / 2}, /* past the end: from the beginning */
    };
    struct lb_error err = LB_ERROR_INIT;
    struct bandwidth_reading sample;
    struct storage *storage = fixture_open("memory", path, DEPTH);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bandwidth_options options = {.block_bytes = BLOCK,
                                            .extents = list,
                                            .n_extents = 2,
                                            .start = cases[i].start,
                                            .bytes = cases[i].bytes};
        CHECK(bandwidth_measure(storage, &options, &sample, &err) == LB_OK, "%s", err.text);
        CHECK(sample.reads == cases[i].reads && sample.bytes == cases[i].bytes,
              "start %d: %d reads, %d bytes", (int)cases[i].start, (int)sample.reads,
              (int)sample.bytes);
    }
    storage_close(storage);
}

static void by_time_with_busy_threads(void)
{
    struct lb_error err = LB_ERROR_INIT;
    struct bandwidth_reading sample;
    struct bandwidth_options options = {.block_bytes = BLOCK,
                                        .duration_ns = 20000000,
                                        .busy_threads = 2,
                                        .busy_bytes = (size_t)3 << 20};
    struct storage *storage = fixture_open("pread", path, DEPTH);
    CHECK(bandwidth_measure(storage, &options, &sample, &err) == LB_OK, "%s", err.text);
    CHECK(sample.wall_ns >= 20000000 && sample.reads >= DEPTH);
    /* no reads: the busy threads alone, long enough for them to get a turn */
    options.duration_ns = 200000000;
    CHECK(bandwidth_measure(NULL, &options, &sample, &err) == LB_OK, "%s", err.text);
    CHECK(sample.reads == 0 && sample.bytes == 0 && sample.busy_rate > 0);
    options.busy_bytes = 0;
    CHECK(bandwidth_measure(NULL, &options, &sample, &err) == LB_OK && sample.busy_rate > 0);
    storage_close(storage);
}

/* A device of known bandwidth is never measured faster than it is. */
static void known_bandwidth(void)
{
    struct lb_error err = LB_ERROR_INIT;
    struct storage_device device = {.bandwidth = 20e6};
    struct bandwidth_options options = {.block_bytes = BLOCK, .bytes = 10 * BLOCK};
    struct bandwidth_reading sample;
    struct storage *storage;
    CHECK(storage_shape(fixture_open("memory", path, DEPTH), &device, &storage, &err) == LB_OK);
    CHECK(bandwidth_measure(storage, &options, &sample, &err) == LB_OK, "%s", err.text);
    CHECK(bandwidth_of(&sample) <= 20e6, "%g", bandwidth_of(&sample));
    storage_close(storage);
}

static void bad_options(void)
{
    static const struct bandwidth_extent outside = {0, FILE_BYTES + 1}, crooked = {1, 4096};
    static const struct {
        struct bandwidth_options options;
        const char *text;
    } cases[] = {
        {{.bytes = 1}, "block of 0 bytes: expected a multiple of 4096"},
        {{.bytes = 1, .block_bytes = 5000}, "block of 5000 bytes"},
        {{.block_bytes = 4096}, "bandwidth: expected a number of bytes or a duration"},
        {{.block_bytes = 4096, .bytes = 1, .extents = &outside, .n_extents = 1}, "extent 0"},
        {{.block_bytes = 4096, .bytes = 1, .extents = &crooked, .n_extents = 1}, "extent 0"},
    };
    struct bandwidth_reading sample;
    if (!storage_available("direct", path, NULL)) {
        fprintf(stderr, "no O_DIRECT here: alignment of the options is not checked\n");
        return;
    }
    struct storage *storage = fixture_open("direct", path, DEPTH);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lb_error err = LB_ERROR_INIT;
        CHECK(bandwidth_measure(storage, &cases[i].options, &sample, &err) == LB_ERR_INPUT);
        CHECK(strncmp(err.text, cases[i].text, strlen(cases[i].text)) == 0, "%s", err.text);
    }
    struct lb_error err = LB_ERROR_INIT;
    CHECK(bandwidth_measure(NULL, &cases[0].options, &sample, &err) == LB_ERR_INPUT);
    storage_close(storage);
}

static void failing_reads(void)
{
    static const char *const texts[] = {"storage memory: read of 65536 bytes: Input/output error",
                                        "storage memory: read of 65536 bytes gave 32768"};
    for (int kind = 0; kind < 2; kind++) {
        struct lb_error err = LB_ERROR_INIT;
        struct storage_fault fault = {.kind = kind ? STORAGE_FAULT_SHORT : STORAGE_FAULT_EIO,
                                      .nth = 3};
        struct bandwidth_options options = {.block_bytes = BLOCK, .bytes = 12 * BLOCK};
        struct bandwidth_reading sample;
        struct storage *storage;
        CHECK(storage_inject(fixture_open("memory", path, DEPTH), &fault, &storage, &err) == LB_OK);
        CHECK(bandwidth_measure(storage, &options, &sample, &err) == LB_ERR_IO);
        CHECK_TEXT(err.text, texts[kind]);
        storage_close(storage);
    }
}

static void failing_allocations(void)
{
    struct storage *storage = fixture_open("pread", path, DEPTH);
    for (uint64_t n = 1; n < 30; n++) {
        struct lb_error err = LB_ERROR_INIT;
        struct bandwidth_options options = {
            .block_bytes = BLOCK, .bytes = BLOCK, .busy_threads = 2, .busy_bytes = 4096};
        struct bandwidth_reading sample;
        lb_memory_fail_at(n);
        enum lb_status s = bandwidth_measure(storage, &options, &sample, &err);
        lb_memory_fail_at(0);
        if (s == LB_OK) {
            CHECK(n > 1);
            storage_close(storage);
            return;
        }
        CHECK(s == LB_ERR_NOMEM && err.code == s);
    }
    CHECK(false, "still fails after 29 allocations");
    storage_close(storage);
}

int main(void)
{
    size_t count;
    const struct storage_ops *const *list = storage_list(&count);
    fixture_write(path, FILE_BYTES);
    for (size_t i = 0; i < count; i++)
        by_bytes(list[i]->name);
    extents();
    by_time_with_busy_threads();
    known_bandwidth();
    bad_options();
    failing_reads();
    failing_allocations();
    unlink(path);
    return check_done();
}
