/*
 * bench_logging: what the log of layer accesses costs.
 *
 *   bench_logging [ROUNDS [BLOCKS]]
 *
 * Two engines on one small model, alike but for the log, in one process. A round opens both anew
 * (in turns the one or the other first, so that where their memory lies favours neither) and
 * decodes BLOCKS times with, without, without, with the log, or the other way round; its ratio is
 * the median of the blocks'. Inside the window: a decode pass at the same position; outside:
 * draining the log. Prints the median of the rounds' ratios with its 95% interval (order
 * statistics), and what the cost of an access comes to.
 */
#include "base/clock.h"
#include "engine.h"
#include "synth/synth.h"
#include "tests/check.h"
#include "tests/temporary.h"

#include <math.h>
#include <unistd.h>

enum { LAYERS = 12, PROMPT = 4, LOG = 4096 };

struct bench {
    char path[TEMPORARY_PATH];
    int rounds, blocks;
    float *logits;
};

static _Noreturn void fail(const struct lb_error *err)
{
    fprintf(stderr, "%s\n", err->text);
    exit(1);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct lb_engine *open_engine(const struct bench *b, const struct lb_options *like, bool log)
{
    static const int32_t prompt[PROMPT] = {1, 300, 301, 302};
    struct lb_error err = LB_ERROR_INIT;
    struct lb_options o = *like;
    struct lb_engine *engine;
    o.log_capacity = log ? LOG : 0;
    if (lb_engine_open(&o, &engine, &err) != LB_OK ||
        lb_engine_prefill(engine, 0, prompt, PROMPT, false, b->logits, &err) != LB_OK)
        fail(&err);
    return engine;
}

static double pass_ns(struct lb_engine *engine, float *logits)
{
    static struct lb_access records[LOG];
    struct lb_error err = LB_ERROR_INIT;
    int32_t token = 303;
    lb_engine_truncate(engine, 0, PROMPT);
    int64_t start = lb_now_ns();
    enum lb_status status = lb_engine_decode(engine, &token, 1, logits, &err);
    int64_t end = lb_now_ns();
    if (status != LB_OK)
        fail(&err);
    lb_engine_drain(engine, records, LOG);
    return (double)(end - start);
}

static double median(double *x, size_t n)
{
    qsort(x, n, sizeof *x, ascending);
    return 0.5 * (x[(n - 1) / 2] + x[n / 2]);
}

/* The median of the blocks' ratios: what is slower than a block meets both engines alike. *pass: of
 * the engine without the log. */
static double measure_round(const struct bench *b, const struct lb_options *o, bool log_first,
                            double *pass)
{
    struct lb_engine *engines[2];
    size_t n = (size_t)b->blocks;
    double *ratios = malloc(n * sizeof *ratios), *without = malloc(n * sizeof *without);
    engines[log_first] = open_engine(b, o, log_first);
    engines[!log_first] = open_engine(b, o, !log_first);
    for (int i = -4; i < b->blocks; i++) { /* the first ones warm up */
        double ns[2] = {0};
        for (int k = 0; k < 4; k++) {
            bool log = (k == 0 || k == 3) != (i % 2 == 0);
            ns[log] += pass_ns(engines[log], b->logits);
        }
        if (i >= 0) {
            ratios[i] = ns[1] / ns[0];
            without[i] = ns[0] / 2;
        }
    }
    double ratio = median(ratios, n);
    *pass = median(without, n);
    lb_engine_close(engines[0]);
    lb_engine_close(engines[1]);
    free(without);
    free(ratios);
    return ratio;
}

static void measure(const struct bench *b, const char *name, const struct lb_options *o)
{
    double *ratios = malloc((size_t)b->rounds * sizeof *ratios), pass = 0, one;
    for (int i = 0; i < b->rounds; i++) {
        ratios[i] = measure_round(b, o, i % 2, &one);
        pass += one / b->rounds;
    }
    double ratio = median(ratios, (size_t)b->rounds);
    int low = (int)floor(0.5 * b->rounds - 0.98 * sqrt(b->rounds));
    printf("%-28s pass %.1f us; with the log %+.3f%%, 95%% interval %+.3f%% to %+.3f%% "
           "(%d rounds of %d + %d passes); %.0f ns an access\n",
           name, pass / 1e3, 100 * (ratio - 1), 100 * (ratios[low > 0 ? low : 0] - 1),
           100 * (ratios[b->rounds - 1 - (low > 0 ? low : 0)] - 1), b->rounds, 2 * b->blocks,
           2 * b->blocks, (ratio - 1) * pass / LAYERS);
    free(ratios);
}

int main(int argc, char **argv)
{
    struct bench b = {.rounds = argc > 1 ? atoi(argv[1]) : 30,
                      .blocks = argc > 2 ? atoi(argv[2]) : 200,
                      .logits = malloc(sizeof(float) << 20)};
    struct synth_options synth = {.shape = "tiny", .mix = "Q4_K_M", .seed = 1, .n_layers = LAYERS};
    struct lb_options o = lb_options_default();
    struct lb_error err = LB_ERROR_INIT;
    temporary_path(b.path);
    if (synth_write(&synth, b.path, &err) != LB_OK)
        fail(&err);
    o.model_path = b.path;
    o.threads = 1;
    o.storage = "memory";
    o.context = 64;
    o.max_tokens = 8;
    o.prefetch = "resident";
    measure(&b, "all layers resident:", &o);
    o.prefetch = "async";
    o.cache_layers = LAYERS / 2;
    o.device_bandwidth = 4e9;
    measure(&b, "half streaming at 4 GB/s:", &o);
    unlink(b.path);
    free(b.logits);
    return 0;
}
