/* feed: units to rows, and the books of a pass. See feed.h. */
#include "feed.h"

#include "base/clock.h"
#include "base/memory.h"

#include <assert.h>
#include <string.h>

/* A layer's tensors: how many belong to part 0, and how many to each of so many experts. */
struct shape_of_layer {
    uint32_t dense, per_expert, experts;
};

static struct shape_of_layer shape_of(const struct model *model, uint32_t layer)
{
    struct shape_of_layer shape = {0, 0, 0};
    uint32_t n;
    const struct model_tensor *t = model_tensors(model, (int)layer, &n);
    while (shape.dense < n && t[shape.dense].experts == 0)
        shape.dense++;
    shape.per_expert = n - shape.dense;
    if (shape.per_expert > 0)
        shape.experts = t[shape.dense].experts;
    return shape;
}

static uint32_t tensors_in(const struct model *model, uint32_t layer)
{
    struct shape_of_layer shape = shape_of(model, layer);
    return shape.dense + shape.per_expert * shape.experts;
}

static struct layout_tensor layout_of(const struct model_tensor *t, uint32_t expert)
{
    return (struct layout_tensor){.layer = (uint32_t)t->layer,
                                  .part = t->experts > 0 ? 1 + expert : 0,
                                  .file_offset = t->file_offset + expert * t->expert_stride,
                                  .row_bytes = t->row_bytes,
                                  .n_rows = t->n_rows};
}

enum lb_status feed_layout_tensors(const struct model *model, struct layout_tensor **out,
                                   uint32_t *count, struct lb_error *err)
{
    uint32_t n_layers = model_config(model)->n_layers, n = 0, total = 0, at = 0;
    for (uint32_t l = 0; l < n_layers; l++)
        total += tensors_in(model, l);
    struct layout_tensor *tensors = lb_calloc(total, sizeof *tensors);
    if (!tensors)
        return lb_fail(err, LB_ERR_NOMEM, "layout: out of memory");
    for (uint32_t l = 0; l < n_layers; l++) {
        const struct shape_of_layer shape = shape_of(model, l);
        const struct model_tensor *t = model_tensors(model, (int)l, &n);
        for (uint32_t i = 0; i < shape.dense; i++)
            tensors[at++] = layout_of(&t[i], 0);
        for (uint32_t expert = 0; expert < shape.experts; expert++)
            for (uint32_t i = shape.dense; i < n; i++)
                tensors[at++] = layout_of(&t[i], expert);
    }
    *out = tensors;
    *count = total;
    return LB_OK;
}

/* Index into the layout's tensors of the rows of tensor `id` that `part` has. */
static uint32_t tensor_of(const struct feed *feed, uint32_t layer, uint32_t part, uint32_t id)
{
    const struct shape_of_layer shape = shape_of(feed->model, layer);
    return feed->first_tensor[layer] + id + (part > 0 ? (part - 1) * shape.per_expert : 0);
}

enum lb_status feed_open(struct feed *feed, struct lb_error *err)
{
    uint32_t n_layers = model_config(feed->model)->n_layers, most = 0;
    for (uint32_t u = 0; u < feed->layout->n_units; u++)
        if (feed->layout->units[u].n_runs > most)
            most = feed->layout->units[u].n_runs;
    feed->runs = lb_calloc(most, sizeof *feed->runs);
    feed->first_tensor = lb_calloc(n_layers + 1, sizeof *feed->first_tensor);
    if (!feed->runs || !feed->first_tensor)
        return lb_fail(err, LB_ERR_NOMEM, "weights: out of memory");
    for (uint32_t l = 0; l < n_layers; l++)
        feed->first_tensor[l + 1] = feed->first_tensor[l] + tensors_in(feed->model, l);
    return LB_OK;
}

void feed_close(struct feed *feed)
{
    lb_free(feed->runs);
    lb_free(feed->tensors);
    lb_free(feed->first_tensor);
    lb_free(feed->resident_runs);
}

/* Keeps a thread busy, as slower arithmetic would (hidden option `slow`). */
static void spin_until(int64_t end_ns)
{
    while (lb_now_ns() < end_ns)
        ;
}

/* A kernel timer is late by about 50 us, more than a share of most waits: the end is spun. */
static void sleep_until(int64_t end_ns)
{
    const int64_t late = 60000;
    int64_t ns = end_ns - lb_now_ns() - late;
    struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    if (ns > 0)
        nanosleep(&t, NULL);
    spin_until(end_ns);
}

/* The interval since the mark was compute of the current layer. */
static void account_compute(struct feed *feed)
{
    int64_t now = lb_now_ns(), took = now - feed->mark_ns;
    if (feed->slow_factor > 0 && strcmp(feed->slow, "compute") == 0) {
        spin_until(now + (int64_t)((double)took * feed->slow_factor));
        now = lb_now_ns();
    }
    feed->access.compute_ns += now - feed->mark_ns;
    feed->unit_access.compute_ns += now - feed->mark_ns;
    feed->mark_ns = now;
}

static void account_other(struct feed *feed)
{
    int64_t now = lb_now_ns();
    feed->pass.other_ns += now - feed->mark_ns;
    feed->mark_ns = now;
}

/* What the streamer says of a unit's access goes into its layer's. */
static void account_unit(struct feed *feed, const struct streamer_access *unit, bool first)
{
    struct lb_access *a = &feed->access, *u = &feed->unit_access;
    *u = (struct lb_access){.pass = feed->pass.pass,
                            .layer = (uint16_t)unit->layer,
                            .prefill = feed->pass.prefill,
                            .outcome = (uint8_t)unit->outcome,
                            .unit = unit->unit,
                            .evicted = unit->evicted,
                            .need_ns = unit->need_ns,
                            .ready_ns = unit->ready_ns,
                            .wait_ns = unit->wait_ns,
                            .queue_ns = unit->queue_ns,
                            .read_ns = unit->read_ns,
                            .bytes = unit->bytes,
                            .held_bytes = unit->held_bytes};
    if (first) {
        *a = *u;
        return;
    }
    if (u->outcome > a->outcome)
        a->outcome = u->outcome;
    a->ready_ns = u->ready_ns;
    a->wait_ns += u->wait_ns;
    a->queue_ns += u->queue_ns;
    a->read_ns += u->read_ns;
    a->bytes += u->bytes;
    a->held_bytes = u->held_bytes;
    a->evicted += u->evicted;
}

static void drop_unit(struct feed *feed)
{
    account_compute(feed);
    if (feed->unit_log)
        lb_ring_push(feed->unit_log, &feed->unit_access);
    streamer_release(feed->streamer, feed->unit);
    feed->holding = false;
    account_other(feed);
}

static void place_runs(struct feed *feed, const uint8_t *const *frames)
{
    const struct layout_unit *u = &feed->layout->units[feed->unit];
    const struct layout_run *run = &feed->layout->runs[u->first_run];
    for (uint32_t i = 0; i < u->n_runs; i++) {
        const struct layout_tensor *t = &feed->tensors[run[i].tensor];
        const uint8_t *data = frames ? frames[run[i].frame] + run[i].frame_offset
                                     : feed->mapped + t->file_offset + run[i].first * t->row_bytes;
        feed->runs[i] =
            (struct model_run){.data = data, .first = run[i].first, .last = run[i].last};
    }
    feed->cursor = 0;
}

static enum lb_status take_unit(struct feed *feed, uint32_t unit, bool first, struct lb_error *err)
{
    const uint8_t *const *frames;
    struct streamer_access access;
    account_other(feed);
    enum lb_status status = streamer_acquire(feed->streamer, unit, &frames, &access, err);
    if (status != LB_OK)
        return status;
    if (feed->slow_factor > 0 && access.wait_ns > 0 && strcmp(feed->slow, "wait") == 0) {
        int64_t before = lb_now_ns();
        sleep_until(before + (int64_t)((double)access.wait_ns * feed->slow_factor));
        access.wait_ns += lb_now_ns() - before;
    }
    feed->unit = unit;
    feed->holding = true;
    account_unit(feed, &access, first);
    place_runs(feed, frames);
    /* what the call took beyond the wait is bookkeeping */
    int64_t now = lb_now_ns();
    feed->pass.other_ns += now - feed->mark_ns - access.wait_ns;
    feed->mark_ns = now;
    return LB_OK;
}

static enum lb_status acquire_resident(struct feed *feed, uint32_t id, uint32_t row,
                                       const struct model_run **runs, uint32_t *n_runs)
{
    struct model_run *run = &feed->resident_runs[id];
    uint64_t row_bytes = feed->resident[id].row_bytes;
    run->data = (const uint8_t *)run->data - run->first * row_bytes + row * row_bytes;
    run->first = row;
    *runs = run;
    *n_runs = 1;
    return LB_OK;
}

/* The next run of the tensor at `row` in the held unit; false when it lies in a later unit. */
static bool find_run(struct feed *feed, uint32_t tensor, uint32_t row)
{
    const struct layout_unit *u = &feed->layout->units[feed->unit];
    const struct layout_run *run = &feed->layout->runs[u->first_run];
    for (; feed->cursor < u->n_runs; feed->cursor++)
        if (run[feed->cursor].tensor == tensor && run[feed->cursor].first == row)
            return true;
    return false;
}

/* How many runs of the held unit, from run `begin` on, belong to the same tensor. */
static uint32_t runs_of_tensor(const struct feed *feed, uint32_t begin)
{
    const struct layout_unit *u = &feed->layout->units[feed->unit];
    const struct layout_run *run = &feed->layout->runs[u->first_run];
    uint32_t end = begin + 1;
    while (end < u->n_runs && run[end].tensor == run[begin].tensor)
        end++;
    return end - begin;
}

/* The layer's next unit, in the place of the one held; false when there is none. */
static bool next_unit(const struct feed *feed, uint32_t layer, uint32_t *unit)
{
    *unit = feed->holding ? feed->unit + 1 : feed->layout->layer_first_unit[layer];
    return *unit < feed->layout->layer_first_unit[layer + 1];
}

/* All experts of the layer are needed, whatever the router says. */
static void need_experts(struct feed *feed, uint32_t first, uint32_t end)
{
    for (uint32_t unit = first; unit < end; unit++)
        streamer_need(feed->streamer, &unit, 1);
}

static enum lb_status step_to(struct feed *feed, uint32_t unit, struct lb_error *err)
{
    bool first = !feed->holding;
    const struct layout_unit *units = feed->layout->units;
    if (!first && units[unit].part > 0 && units[unit - 1].part == 0)
        need_experts(feed, unit, feed->layout->layer_first_unit[units[unit].layer + 1]);
    if (feed->holding)
        drop_unit(feed);
    return take_unit(feed, unit, first, err);
}

static enum lb_status acquire(void *ctx, int layer, uint32_t part, uint32_t id, uint32_t row,
                              const struct model_run **runs, uint32_t *n_runs, struct lb_error *err)
{
    struct feed *feed = ctx;
    if (layer < 0)
        return acquire_resident(feed, id, row, runs, n_runs);
    uint32_t tensor = tensor_of(feed, (uint32_t)layer, part, id), next;
    while (!feed->holding || !find_run(feed, tensor, row)) {
        bool more = next_unit(feed, (uint32_t)layer, &next);
        assert(more);
        (void)more;
        enum lb_status status = step_to(feed, next, err);
        if (status != LB_OK)
            return status;
    }
    *runs = feed->runs + feed->cursor;
    *n_runs = runs_of_tensor(feed, feed->cursor);
    return LB_OK;
}

/* A later tensor, if all of it lies in the held unit. */
static bool peek(void *ctx, int layer, uint32_t part, uint32_t id, const struct model_run **runs,
                 uint32_t *n_runs)
{
    struct feed *feed = ctx;
    if (layer < 0 || !feed->holding)
        return false;
    const struct layout_unit *u = &feed->layout->units[feed->unit];
    const struct layout_run *run = &feed->layout->runs[u->first_run];
    uint32_t tensor = tensor_of(feed, (uint32_t)layer, part, id), i = feed->cursor;
    while (i < u->n_runs && run[i].tensor != tensor)
        i++;
    if (i == u->n_runs || run[i].first != 0)
        return false;
    *runs = feed->runs + i;
    *n_runs = runs_of_tensor(feed, i);
    return run[i + *n_runs - 1].last == feed->tensors[tensor].n_rows;
}

static enum lb_status release(void *ctx, int layer, struct lb_error *err)
{
    struct feed *feed = ctx;
    uint32_t next;
    /* the streamer knows one sequence: what no token needed is read as well */
    while (next_unit(feed, (uint32_t)layer, &next)) {
        enum lb_status status = step_to(feed, next, err);
        if (status != LB_OK)
            return status;
    }
    drop_unit(feed);
    struct lb_access *a = &feed->access;
    uint64_t *counter[] = {&feed->sum.hits, &feed->sum.prefetched, &feed->sum.late,
                           &feed->sum.misses};
    feed->sum.accesses++;
    ++*counter[a->outcome];
    feed->pass.compute_ns += a->compute_ns;
    feed->pass.wait_ns += a->wait_ns;
    if (feed->log)
        lb_ring_push(feed->log, a);
    return LB_OK;
}

struct model_weights feed_weights(struct feed *feed)
{
    return (struct model_weights){
        .ctx = feed, .acquire = acquire, .peek = peek, .release = release};
}

void feed_pass_begin(struct feed *feed, bool prefill, uint32_t tokens)
{
    uint32_t number = feed->pass.wall_ns ? feed->pass.pass + 1 : feed->pass.pass;
    feed->mark_ns = lb_now_ns();
    feed->pass = (struct lb_pass){
        .pass = number, .prefill = prefill, .tokens = tokens, .start_ns = feed->mark_ns};
}

void feed_pass_end(struct feed *feed, bool ok)
{
    if (feed->holding) {
        streamer_release(feed->streamer, feed->unit);
        feed->holding = false;
    }
    if (!ok)
        streamer_rewind(feed->streamer);
    account_other(feed);
    feed->pass.wall_ns = feed->mark_ns - feed->pass.start_ns;
}
