/*
 * bench_streamer: the streamer against the floor, without a model.
 *
 *   bench_streamer [PASSES [LAYER_KIB [MBYTES_PER_S [C_OVER_T]]]]
 *
 * N = 32 equal layers, C = 16 slots, an emulated device over storage `memory`, compute that
 * spins for c an access. t is the time the device takes for a layer. Inside the window:
 * acquire, spin, release; outside: making the file, open, warm-up passes. Also the cost of an
 * access that hits.
 */
#include "base/clock.h"
#include "plan/virtual.h"
#include "prefetch/streamer.h"
#include "tests/check.h"
#include "tests/temporary.h"

#include <unistd.h>

enum { N = 32, C = 16, WARMUP = 12 };

struct bench {
    char path[TEMPORARY_PATH];
    uint32_t layer_bytes, passes;
    double bandwidth, t_ns;
};

static void make_file(struct bench *b)
{
    static char block[1 << 16];
    int fd = temporary_file(b->path);
    for (uint64_t left = (uint64_t)N * b->layer_bytes; left > 0; left -= sizeof block)
        if (write(fd, block, sizeof block) != sizeof block)
            perror(b->path), exit(1);
    close(fd);
}

struct setting {
    const char *prefetch, *replacement, *scheduler;
    uint32_t distance, pieces; /* units a layer */
    double c;                  /* in t, a layer */
};

struct measured {
    struct streamer_counters counters; /* of the measured passes */
    double pass_ns;
    double wait_ns;
};

static _Noreturn void fail(const struct lb_error *err)
{
    fprintf(stderr, "%s\n", err->text);
    exit(1);
}

static struct streamer *open_streamer(const struct bench *b, const struct setting *x,
                                      uint32_t cache_layers, struct layout **layout,
                                      struct storage **storage)
{
    struct lb_error err = LB_ERROR_INIT;
    char notice[100];
    struct layout_tensor tensors[N];
    struct streamer *s;
    uint32_t unit = b->layer_bytes / x->pieces;
    for (uint32_t i = 0; i < N; i++)
        tensors[i] = (struct layout_tensor){.layer = i,
                                            .file_offset = (uint64_t)i * b->layer_bytes,
                                            .row_bytes = 4096,
                                            .n_rows = b->layer_bytes / 4096};
    struct layout_options lo = {.unit_bytes = x->pieces == 1 ? LAYOUT_UNIT_LAYER : unit,
                                .frame_bytes = unit < 65536 ? unit : 65536,
                                .align = 1,
                                .file_bytes = (uint64_t)N * b->layer_bytes};
    struct storage_options so = {.queue_depth = 4, .io_threads = 1};
    struct storage_device device = {.bandwidth = b->bandwidth};
    struct streamer_options o = {.prefetch = x->prefetch,
                                 .replacement = x->replacement,
                                 .scheduler = x->scheduler,
                                 .protect = true,
                                 .prefetch_distance = x->distance,
                                 .cache_layers = cache_layers,
                                 .queue_depth = 4,
                                 .chunk_bytes = 65536};
    if (layout_build(tensors, N, &lo, layout, &err) != LB_OK ||
        storage_open("memory", b->path, &so, notice, sizeof notice, storage, &err) != LB_OK ||
        (b->bandwidth > 0 && storage_shape(*storage, &device, storage, &err) != LB_OK) ||
        streamer_open(*layout, *storage, &o, &s, &err) != LB_OK)
        fail(&err);
    return s;
}

static double run_pass(const struct bench *b, const struct setting *x, const struct layout *layout,
                       struct streamer *s)
{
    struct lb_error err = LB_ERROR_INIT;
    struct streamer_access a;
    const uint8_t *const *frames;
    double wait = 0;
    for (uint32_t u = 0; u < layout->n_units; u++) {
        if (streamer_acquire(s, u, &frames, &a, &err) != LB_OK)
            fail(&err);
        wait += (double)a.wait_ns;
        int64_t end = lb_now_ns() + (int64_t)(x->c * b->t_ns / x->pieces);
        while (lb_now_ns() < end)
            ;
        streamer_release(s, u);
    }
    return wait;
}

static struct measured measure(const struct bench *b, const struct setting *x)
{
    struct layout *layout;
    struct storage *storage;
    struct streamer *s = open_streamer(b, x, C, &layout, &storage);
    struct measured m = {0};
    for (uint32_t i = 0; i < WARMUP; i++)
        run_pass(b, x, layout, s);
    struct streamer_counters before = streamer_counters(s);
    int64_t start = lb_now_ns();
    for (uint32_t i = 0; i < b->passes; i++)
        m.wait_ns += run_pass(b, x, layout, s) / b->passes;
    m.pass_ns = (double)(lb_now_ns() - start) / b->passes;
    m.counters = streamer_counters(s);
    m.counters.bytes_read -= before.bytes_read;
    m.counters.misses -= before.misses;
    m.counters.late -= before.late;
    m.counters.wasted -= before.wasted;
    streamer_close(s);
    storage_close(storage);
    layout_free(layout);
    return m;
}

static double simulate(const struct bench *b, const struct setting *x)
{
    struct virtual_unit units[N * 64];
    for (uint32_t i = 0; i < N * x->pieces; i++)
        units[i] =
            (struct virtual_unit){b->layer_bytes / x->pieces, 1, x->c * b->t_ns / x->pieces, 0, 0};
    struct virtual_options o = {.units = units,
                                .n_units = N * x->pieces,
                                .prefetch = x->prefetch,
                                .replacement = x->replacement,
                                .scheduler = x->scheduler,
                                .protect = true,
                                .window = x->distance * x->pieces,
                                .max_units = C * x->pieces,
                                .bandwidth = b->bandwidth,
                                .queue_depth = 4,
                                .chunk_bytes = 65536,
                                .warmup = WARMUP,
                                .passes = b->passes};
    struct virtual_result r;
    struct lb_error err = LB_ERROR_INIT;
    if (virtual_run(&o, &r, &err) != LB_OK)
        fail(&err);
    return r.time_ns / b->passes;
}

static void print_row(const struct bench *b, const struct setting *x)
{
    struct measured m = measure(b, x);
    double floor = (x->c * N > N - C ? x->c * N : N - C) * b->t_ns;
    printf("%-5s %-10s %-11s d=%u %2u/layer c/t=%.2f | pass %6.2f t, wait %6.2f, loads %6.2f "
           "layers, miss %4.1f late %4.1f | efficiency %.3f, simulated %6.2f t (%+.1f%%)\n",
           x->prefetch, x->replacement, x->scheduler, x->distance, x->pieces, x->c,
           m.pass_ns / b->t_ns, m.wait_ns / b->t_ns,
           (double)m.counters.bytes_read / b->layer_bytes / b->passes,
           (double)m.counters.misses / b->passes, (double)m.counters.late / b->passes,
           floor / m.pass_ns, simulate(b, x) / b->t_ns, 100 * (simulate(b, x) / m.pass_ns - 1));
    fflush(stdout);
}

/* Median cost of acquire + release when everything is resident, the clock's own included. */
static void hit_cost(const struct bench *b, uint32_t pieces, const char *prefetch)
{
    struct bench fast = *b;
    fast.bandwidth = 0;
    struct setting x = {prefetch, "belady", "aggressive", 2, pieces, 0};
    struct layout *layout;
    struct storage *storage;
    struct streamer *s = open_streamer(&fast, &x, N, &layout, &storage);
    run_pass(&fast, &x, layout, s);
    enum { PASSES = 200 };
    static int64_t ns[PASSES];
    for (int i = 0; i < PASSES; i++) {
        int64_t start = lb_now_ns();
        run_pass(&fast, &x, layout, s);
        ns[i] = lb_now_ns() - start;
        for (int k = i; k > 0 && ns[k] < ns[k - 1]; k--) {
            int64_t other = ns[k];
            ns[k] = ns[k - 1];
            ns[k - 1] = other;
        }
    }
    printf("hit, %s, %u units: median %.0f ns\n", prefetch, layout->n_units,
           (double)ns[PASSES / 2] / layout->n_units);
    streamer_close(s);
    storage_close(storage);
    layout_free(layout);
}

int main(int argc, char **argv)
{
    struct bench b = {.passes = argc > 1 ? (uint32_t)atoi(argv[1]) : 30,
                      .layer_bytes = (argc > 2 ? (uint32_t)atoi(argv[2]) : 1024) * 1024,
                      .bandwidth = (argc > 3 ? atof(argv[3]) : 250) * 1e6};
    double ratios[] = {0.1, 0.33, 0.5, 0.67, 0.8, 1, 1.5, 2};
    size_t n_ratios = argc > 4 ? 1 : sizeof ratios / sizeof *ratios;
    if (argc > 4)
        ratios[0] = atof(argv[4]);
    b.t_ns = b.layer_bytes / b.bandwidth * 1e9;
    make_file(&b);
    hit_cost(&b, 1, "off");
    hit_cost(&b, 1, "async");
    hit_cost(&b, 16, "async");
    printf("t = %.2f ms\n", b.t_ns / 1e6);
    print_row(&b, &(struct setting){"sync", "lru", "fixed", 2, 1, ratios[0]});
    print_row(&b, &(struct setting){"async", "lru", "aggressive", 2, 1, ratios[0]});
    for (size_t i = 0; i < n_ratios; i++) {
        print_row(&b, &(struct setting){"async", "belady", "aggressive", 2, 1, ratios[i]});
        print_row(&b, &(struct setting){"async", "belady", "forestall", 2, 1, ratios[i]});
        print_row(&b, &(struct setting){"async", "belady", "aggressive", 2, 8, ratios[i]});
        print_row(&b, &(struct setting){"async", "belady", "forestall", 2, 8, ratios[i]});
    }
    unlink(b.path);
    return 0;
}
