/*
 * micro_product: products of every tensor type, by every instruction set, in the shapes of real
 * models: matrix-vector for decode, matrix-matrix for prefill.
 *
 * Inside the time is the product on all threads, rows shared out as the forward pass does it.
 * Outside is the preparation of its input, which a pass does once for several products. Weights
 * rotate through a block larger than the caches. Where a matrix would take long (portable kernels,
 * many tokens) an iteration is only some of its rows: rates are the same.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "kernels/generic.h"
#include "kernels/kernels.h"
#include "micro/micro.h"
#include "stats/stats.h"

#include <math.h>
#include <string.h>

#define PATTERN_ROWS  61 /* different rows in the weights; prime */
#define PROBE_ROWS    256
#define MOST_CALLS    4096
#define BEARABLE_RMS  1e-5 /* float weights are summed in different orders */
#define READ_DIVISOR  4    /* share of a sample's time for each reading of the memory */
#define ITERATION_CAP 2    /* samples' times that an iteration may take */

struct shape {
    const char *name;
    uint32_t n_in, n_rows;
};

static const struct shape shapes[] = {
    {"tinyllama-1.1b/attn_q", 2048, 2048},   {"tinyllama-1.1b/ffn_up", 2048, 5632},
    {"tinyllama-1.1b/ffn_down", 5632, 2048}, {"llama-2-7b/attn_q", 4096, 4096},
    {"llama-2-7b/ffn_up", 4096, 11008},      {"llama-2-7b/ffn_down", 11008, 4096},
};
static const uint32_t token_counts[] = {1, 2, 4, 8, 16, 64, 256};

/* ---- work on all threads ---- */

struct product_job {
    const struct kernels_ops *ops;
    const struct kernels_product *product;
    const uint8_t *w;
    uint8_t *scratch; /* [thread][scratch_bytes] */
    size_t scratch_bytes;
    struct lb_share share;
};

static void product_thread(void *ctx, int thread, int n_threads)
{
    struct product_job *job = ctx;
    uint32_t begin, end;
    (void)n_threads;
    while (lb_share_next(&job->share, thread, &begin, &end))
        job->ops->product(job->product, job->w + begin * job->product->row_bytes, begin, end,
                          job->scratch + (size_t)thread * job->scratch_bytes);
}

static void run_product(struct micro *m, struct product_job *job, uint32_t rows)
{
    lb_share_reset(&job->share, rows, kernels_row_chunk(job->ops, job->product),
                   lb_pool_threads(m->pool));
    lb_pool_run(m->pool, product_thread, job);
}

/* ---- weights ---- */

/* Fills the block with rows of the type; what they hold repeats after PATTERN_ROWS. */
static enum lb_status fill_weights(struct micro *m, uint32_t type, uint32_t n_in,
                                   struct lb_error *err)
{
    if (m->weights_n_in == n_in && m->weights_type == type)
        return LB_OK;
    size_t row_bytes = quant_row_bytes(type, n_in), total = m->weights_bytes / row_bytes;
    if (total < PATTERN_ROWS)
        return lb_fail(err, LB_ERR_INPUT, "--buffer: %zu bytes: expected at least %zu",
                       m->weights_bytes, PATTERN_ROWS * row_bytes);
    struct lb_random r = {.state = type * 1000003u + n_in};
    float *row = lb_calloc(n_in, sizeof *row), scale = 1 / sqrtf((float)n_in);
    if (!row)
        return lb_fail(err, LB_ERR_NOMEM, "out of memory for a row of weights");
    for (size_t i = 0; i < PATTERN_ROWS; i++) {
        for (uint32_t k = 0; k < n_in; k++)
            row[k] = (float)(2 * lb_random_unit(&r) - 1) * scale;
        quant_info(type)->quantize(row, m->weights + i * row_bytes, n_in);
    }
    for (size_t i = PATTERN_ROWS; i < total; i += PATTERN_ROWS) {
        size_t rows = total - i < PATTERN_ROWS ? total - i : PATTERN_ROWS;
        memcpy(m->weights + i * row_bytes, m->weights, rows * row_bytes);
    }
    lb_free(row);
    m->weights_type = type;
    m->weights_n_in = n_in;
    m->next_row = 0;
    return LB_OK;
}

/* The next `rows` rows of the block. */
static const uint8_t *next_weights(struct micro *m, size_t row_bytes, uint32_t rows)
{
    uint32_t total = (uint32_t)(m->weights_bytes / row_bytes);
    if (m->next_row + rows > total)
        m->next_row = 0;
    const uint8_t *w = m->weights + m->next_row * row_bytes;
    m->next_row += rows;
    return w;
}

/* ---- one sample ---- */

struct bench {
    struct product_job job;
    struct kernels_product product;
    float *x, *y, *reference;
    void *input;
    double *calls_ns;
};

static void close_bench(struct bench *b)
{
    lb_free(b->x);
    lb_free(b->y);
    lb_free(b->reference);
    lb_free(b->input);
    lb_free(b->job.scratch);
    lb_free(b->calls_ns);
}

static enum lb_status open_bench(struct micro *m, const struct micro_case *c, struct bench *b,
                                 struct lb_error *err)
{
    enum kernels_format format = kernels_format_of(c->type);
    size_t threads = (size_t)lb_pool_threads(m->pool);
    *b = (struct bench){
        .job = {.ops = c->ops, .scratch_bytes = kernels_scratch_bytes(c->n_tokens, 128)}};
    b->job.product = &b->product;
    b->x = lb_calloc((size_t)c->n_tokens * c->n_in, sizeof *b->x);
    b->y = lb_calloc((size_t)c->n_tokens * c->n_rows, sizeof *b->y);
    b->reference = lb_calloc((size_t)c->n_tokens * c->n_rows, sizeof *b->reference);
    b->input = lb_alloc_aligned(kernels_input_bytes(format, c->n_tokens, c->n_in), 64);
    b->job.scratch = lb_alloc_aligned(threads * b->job.scratch_bytes, 64);
    b->calls_ns = lb_calloc(MOST_CALLS, sizeof *b->calls_ns);
    if (!b->x || !b->y || !b->reference || !b->input || !b->job.scratch || !b->calls_ns) {
        close_bench(b);
        return lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", c->name);
    }
    struct lb_random r = {.state = 7};
    for (size_t i = 0; i < (size_t)c->n_tokens * c->n_in; i++)
        b->x[i] = (float)(2 * lb_random_unit(&r) - 1);
    c->ops->prepare(format, b->x, c->n_in, c->n_in, c->n_tokens, 0, c->n_tokens, b->input);
    b->product = (struct kernels_product){.type = c->type,
                                          .n_in = c->n_in,
                                          .n_tokens = c->n_tokens,
                                          .order = c->order,
                                          .row_bytes = quant_row_bytes(c->type, c->n_in),
                                          .input = b->input,
                                          .y = b->y,
                                          .y_stride = c->n_rows};
    return LB_OK;
}

/* Compares with the portable kernels: as many rows as are different, an odd number, so that a tile
 * is cut. */
static enum lb_status check(struct micro *m, struct micro_case *c, struct bench *b,
                            struct lb_error *err)
{
    uint32_t rows = c->n_rows < PATTERN_ROWS ? c->n_rows : PATTERN_ROWS;
    b->job.w = m->weights;
    run_product(m, &b->job, rows);
    b->job.ops = &kernels_generic;
    b->product.y = b->reference;
    run_product(m, &b->job, rows);
    b->job.ops = c->ops;
    b->product.y = b->y;
    double error = 0, power = 0;
    c->output_hash = 0;
    for (uint32_t t = 0; t < c->n_tokens; t++) {
        size_t at = (size_t)t * c->n_rows;
        for (uint32_t i = 0; i < rows; i++) {
            double d = (double)b->y[at + i] - (double)b->reference[at + i];
            error += d * d;
            power += (double)b->reference[at + i] * (double)b->reference[at + i];
        }
        c->output_hash = c->output_hash * 31 + micro_hash(b->y + at, rows * sizeof *b->y);
    }
    c->deviation = sqrt(error / power);
    if (!(c->deviation <= BEARABLE_RMS)) /* also when it is no number */
        return lb_fail(err, LB_ERR_STATE,
                       "wrong result: deviates by %.3g from the portable kernels, expected %g",
                       c->deviation, BEARABLE_RMS);
    return LB_OK;
}

static int64_t timed_call(struct micro *m, struct bench *b, uint32_t rows)
{
    b->job.w = next_weights(m, b->product.row_bytes, rows);
    int64_t start = lb_now_ns();
    run_product(m, &b->job, rows);
    return lb_now_ns() - start;
}

/* As many rows as an iteration may have. */
static uint32_t choose_rows(struct micro *m, const struct micro_case *c, struct bench *b)
{
    uint32_t total = (uint32_t)(m->weights_bytes / b->product.row_bytes);
    uint32_t most = c->n_rows < total ? c->n_rows : total;
    uint32_t probe = PROBE_ROWS < most ? PROBE_ROWS : most;
    double took = (double)timed_call(m, b, probe) + 1;
    double rows = probe * (double)(ITERATION_CAP * m->sample_ns) / took;
    return rows >= most ? most : rows <= probe ? probe : (uint32_t)rows / 32 * 32;
}

static void take_sample(struct micro *m, struct micro_case *c, struct bench *b,
                        struct micro_result *s)
{
    struct memory_rate before = micro_memory_rate(m, m->sample_ns / READ_DIVISOR);
    int64_t start = lb_now_ns();
    do {
        b->calls_ns[s->iterations++] = (double)timed_call(m, b, c->rows);
    } while (s->iterations < MOST_CALLS && lb_now_ns() - start < m->sample_ns);
    s->memory = micro_mean_rate(before, micro_memory_rate(m, m->sample_ns / READ_DIVISOR));
    s->ns = stats_median(b->calls_ns, s->iterations);
    s->bytes = (double)b->product.row_bytes * c->rows;
    s->flops = 2.0 * c->rows * c->n_in * c->n_tokens;
    s->deviation = c->deviation;
    s->output_hash = c->output_hash;
}

static enum lb_status measure(struct micro *m, struct micro_case *c, struct micro_result *sample,
                              struct lb_error *err)
{
    struct bench b;
    enum lb_status status = fill_weights(m, c->type, c->n_in, err);
    if (status == LB_OK)
        status = open_bench(m, c, &b, err);
    if (status != LB_OK)
        return status;
    if (c->rows == 0) {
        status = check(m, c, &b, err);
        c->rows = choose_rows(m, c, &b);
    }
    if (status == LB_OK)
        take_sample(m, c, &b, sample);
    close_bench(&b);
    return status;
}

/* One case for each order in which the set can take such a product */
static bool add_orders(struct micro_list *list, uint32_t type, const struct kernels_ops *ops,
                       const struct shape *shape, uint32_t n_tokens)
{
    const uint32_t n_orders = kernels_heeds_order(ops, type, n_tokens) ? N_KERNELS_ORDERS : 1;
    for (uint32_t order = 0; order < n_orders; order++) {
        struct micro_case *c = micro_add(
            list, "product/%s/%s/%s/tokens:%u%s%s", quant_info(type)->name, ops->name, shape->name,
            n_tokens, n_orders > 1 ? "/" : "", n_orders > 1 ? kernels_order_name(order) : "");
        if (!c)
            return false;
        c->measure = measure;
        c->ops = ops;
        c->type = type;
        c->order = (enum kernels_order)order;
        c->n_in = shape->n_in;
        c->n_rows = shape->n_rows;
        c->n_tokens = n_tokens;
    }
    return true;
}

enum lb_status micro_list_products(struct micro_list *list, struct lb_error *err)
{
    size_t n_sets;
    const struct kernels_ops *const *sets = kernels_list(&n_sets);
    for (uint32_t type = 0; type < QUANT_TYPE_LIMIT; type++) {
        for (size_t s = 0; quant_info(type) && s < sizeof shapes / sizeof *shapes; s++)
            for (size_t t = 0; t < sizeof token_counts / sizeof *token_counts; t++)
                for (size_t k = 0; k < n_sets; k++)
                    if (sets[k]->available() &&
                        !add_orders(list, type, sets[k], &shapes[s], token_counts[t]))
                        return lb_fail(err, LB_ERR_NOMEM, "out of memory for benchmarks");
    }
    return LB_OK;
}
