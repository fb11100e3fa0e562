/* feed: units to rows, and the books of a pass. See feed.h. */
#include "feed.h"

#include "base/clock.h"
#include "base/memory.h"

#include <assert.h>
#include <string.h>

/* Experts held together take about a fourth of the cache: others need room to load meanwhile. */
#define HELD_SHARE 4

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

/* Units of part 0 of a layer, at most. */
static uint32_t most_always(const struct layout *layout)
{
    uint32_t most = 0;
    for (uint32_t l = 0; l < layout->n_layers; l++) {
        uint32_t n;
        layout_part(layout, l, 0, &n);
        most = n > most ? n : most;
    }
    return most;
}

static uint32_t most_units(const struct layout *layout)
{
    uint32_t most = 0;
    for (uint32_t l = 0; l < layout->n_layers; l++) {
        uint32_t n = layout->layer_first_unit[l + 1] - layout->layer_first_unit[l];
        most = n > most ? n : most;
    }
    return most;
}

enum lb_status feed_open(struct feed *feed, struct lb_error *err)
{
    uint32_t n_layers = model_config(feed->model)->n_layers, most = 0;
    for (uint32_t u = 0; u < feed->layout->n_units; u++)
        if (feed->layout->units[u].n_runs > most)
            most = feed->layout->units[u].n_runs;
    uint32_t n_held = FEED_HELD;
    if (most_always(feed->layout) > n_held)
        n_held = most_always(feed->layout);
    feed->held = lb_calloc(n_held, sizeof *feed->held);
    feed->runs = lb_calloc((size_t)n_held * most, sizeof *feed->runs);
    feed->first_tensor = lb_calloc(n_layers + 1, sizeof *feed->first_tensor);
    feed->needed = lb_calloc(model_config(feed->model)->experts.count + 1, sizeof *feed->needed);
    feed->units = lb_calloc(most_units(feed->layout), sizeof *feed->units);
    if (!feed->held || !feed->runs || !feed->first_tensor || !feed->needed || !feed->units)
        return lb_fail(err, LB_ERR_NOMEM, "weights: out of memory");
    for (uint32_t i = 0; i < n_held; i++)
        feed->held[i].runs = feed->runs + (size_t)i * most;
    for (uint32_t l = 0; l < n_layers; l++)
        feed->first_tensor[l + 1] = feed->first_tensor[l] + tensors_in(feed->model, l);
    return LB_OK;
}

void feed_close(struct feed *feed)
{
    lb_free(feed->held);
    lb_free(feed->runs);
    lb_free(feed->tensors);
    lb_free(feed->first_tensor);
    lb_free(feed->needed);
    lb_free(feed->units);
    lb_free(feed->resident_runs);
    lb_free(feed->kept);
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

/* The interval since the mark was compute of the current layer: of units that are held together, it
 * counts with the one that came last. */
static void account_compute(struct feed *feed)
{
    int64_t now = lb_now_ns(), took = now - feed->mark_ns;
    if (feed->slow_factor > 0 && strcmp(feed->slow, "compute") == 0) {
        spin_until(now + (int64_t)((double)took * feed->slow_factor));
        now = lb_now_ns();
    }
    feed->access.compute_ns += now - feed->mark_ns;
    feed->held[feed->n_held - 1].access.compute_ns += now - feed->mark_ns;
    feed->mark_ns = now;
}

static void account_other(struct feed *feed)
{
    int64_t now = lb_now_ns();
    feed->pass.other_ns += now - feed->mark_ns;
    feed->mark_ns = now;
}

static void count_expert(struct feed *feed, const struct lb_access *unit)
{
    const uint64_t bytes = feed->layout->units[unit->unit].bytes, hit = unit->outcome == LB_HIT;
    feed->sum.expert_units++;
    feed->sum.expert_bytes += bytes;
    feed->sum.expert_hits += hit;
    feed->sum.expert_hit_bytes += hit * bytes;
}

/* What the streamer says of a unit's access goes into its layer's. */
static void account_unit(struct feed *feed, const struct streamer_access *unit, struct lb_access *u)
{
    struct lb_access *a = &feed->access;
    *u = (struct lb_access){.pass = feed->pass.pass,
                            .layer = (uint16_t)unit->layer,
                            .part = (uint16_t)feed->layout->units[unit->unit].part,
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
                            .weights = feed->layout->units[unit->unit].bytes,
                            .held_bytes = unit->held_bytes};
    if (u->part > 0)
        count_expert(feed, u);
    if (!feed->in_layer) {
        *a = *u;
        feed->in_layer = true;
        return;
    }
    if (u->outcome > a->outcome)
        a->outcome = u->outcome;
    a->ready_ns = u->ready_ns > a->ready_ns ? u->ready_ns : a->ready_ns;
    a->wait_ns += u->wait_ns;
    a->queue_ns += u->queue_ns;
    a->read_ns += u->read_ns;
    a->bytes += u->bytes;
    a->weights += u->weights;
    a->held_bytes = u->held_bytes;
    a->evicted += u->evicted;
}

static void drop_held(struct feed *feed)
{
    if (feed->n_held == 0)
        return;
    account_compute(feed);
    for (uint32_t i = 0; i < feed->n_held; i++) {
        if (feed->unit_log)
            lb_ring_push(feed->unit_log, &feed->held[i].access);
        streamer_release(feed->streamer, feed->held[i].unit);
    }
    feed->n_held = 0;
    account_other(feed);
}

static void place_runs(struct feed *feed, const uint8_t *const *frames, struct feed_held *held)
{
    const struct layout_unit *u = &feed->layout->units[held->unit];
    const struct layout_run *run = &feed->layout->runs[u->first_run];
    for (uint32_t i = 0; i < u->n_runs; i++) {
        const struct layout_tensor *t = &feed->tensors[run[i].tensor];
        const uint8_t *data = frames ? frames[run[i].frame] + run[i].frame_offset
                                     : feed->mapped + t->file_offset + run[i].first * t->row_bytes;
        held->runs[i] =
            (struct model_run){.data = data, .first = run[i].first, .last = run[i].last};
    }
}

/* One of n units, beside those held; *which says which. */
static enum lb_status hold_any(struct feed *feed, const uint32_t *units, uint32_t n,
                               uint32_t *which, struct lb_error *err)
{
    struct feed_held *held = &feed->held[feed->n_held];
    const uint8_t *const *frames;
    struct streamer_access access;
    account_other(feed);
    enum lb_status status =
        streamer_acquire_any(feed->streamer, units, n, which, &frames, &access, err);
    if (status != LB_OK)
        return status;
    if (feed->slow_factor > 0 && access.wait_ns > 0 && strcmp(feed->slow, "wait") == 0) {
        int64_t before = lb_now_ns();
        sleep_until(before + (int64_t)((double)access.wait_ns * feed->slow_factor));
        access.wait_ns += lb_now_ns() - before;
    }
    held->unit = units[*which];
    feed->n_held++;
    account_unit(feed, &access, &held->access);
    place_runs(feed, frames, held);
    /* what the call took beyond the wait is bookkeeping */
    int64_t now = lb_now_ns();
    feed->pass.other_ns += now - feed->mark_ns - access.wait_ns;
    feed->mark_ns = now;
    return LB_OK;
}

/* That unit in place of whatever is held, or beside it. */
static enum lb_status step_to(struct feed *feed, uint32_t unit, struct lb_error *err)
{
    uint32_t which;
    if (!feed->keeps)
        drop_held(feed);
    else if (feed->n_held > 0)
        account_compute(feed);
    return hold_any(feed, &unit, 1, &which, err);
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

/* The runs of a tensor from `row` on that are held; *n of them, 0: none. */
static const struct model_run *find_runs(const struct feed *feed, uint32_t tensor, uint32_t row,
                                         uint32_t *n)
{
    *n = 0;
    for (uint32_t i = 0; i < feed->n_held; i++) {
        const struct layout_unit *u = &feed->layout->units[feed->held[i].unit];
        const struct layout_run *run = &feed->layout->runs[u->first_run];
        uint32_t low = 0, high = u->n_runs; /* runs are in the order of tensors and rows */
        while (low < high) {
            uint32_t mid = low + (high - low) / 2;
            bool before =
                run[mid].tensor != tensor ? run[mid].tensor < tensor : run[mid].first < row;
            low = before ? mid + 1 : low;
            high = before ? high : mid;
        }
        if (low == u->n_runs || run[low].tensor != tensor || run[low].first != row)
            continue;
        while (low + *n < u->n_runs && run[low + *n].tensor == tensor)
            ++*n;
        return feed->held[i].runs + low;
    }
    return NULL;
}

static void count_need(struct feed *feed, uint32_t unit)
{
    feed->sum.units_needed++;
    feed->sum.needed_bytes += feed->layout->units[unit].bytes;
}

/* The unit after the one held, of the same part; where none is, the next of part 0. */
static uint32_t unit_after(struct feed *feed, uint32_t part)
{
    if (part > 0 && feed->n_held > 0 && feed->layout->units[feed->held[0].unit].part == part)
        return feed->held[0].unit + 1;
    count_need(feed, feed->next);
    return feed->next++;
}

static enum lb_status acquire(void *ctx, int layer, uint32_t part, uint32_t id, uint32_t row,
                              const struct model_run **runs, uint32_t *n_runs, struct lb_error *err)
{
    struct feed *feed = ctx;
    if (layer < 0)
        return acquire_resident(feed, id, row, runs, n_runs);
    uint32_t tensor = tensor_of(feed, (uint32_t)layer, part, id);
    if (!feed->in_layer)
        feed->next = feed->layout->layer_first_unit[layer];
    while (!(*runs = find_runs(feed, tensor, row, n_runs))) {
        uint32_t unit = unit_after(feed, part);
        assert(unit < feed->layout->layer_first_unit[layer + 1]);
        enum lb_status status = step_to(feed, unit, err);
        if (status != LB_OK)
            return status;
    }
    return LB_OK;
}

/* A later tensor, if all of it is held. */
static bool peek(void *ctx, int layer, uint32_t part, uint32_t id, const struct model_run **runs,
                 uint32_t *n_runs)
{
    struct feed *feed = ctx;
    if (layer < 0)
        return false;
    uint32_t tensor = tensor_of(feed, (uint32_t)layer, part, id);
    *runs = find_runs(feed, tensor, 0, n_runs);
    return *runs && (*runs)[*n_runs - 1].last == feed->tensors[tensor].n_rows;
}

/* ---- experts ---- */

/* Whether a layer is one unit, experts and all: then what is needed is what is held. */
static bool is_whole(const struct feed *feed, uint32_t layer)
{
    return feed->layout->layer_first_unit[layer + 1] - feed->layout->layer_first_unit[layer] == 1;
}

/* The units of these experts, into feed->units; *n of them. What is_whole has none. */
static void units_of(struct feed *feed, uint32_t layer, const uint32_t *experts, uint32_t n_experts,
                     uint32_t *n)
{
    *n = 0;
    for (uint32_t i = 0; i < n_experts && !is_whole(feed, layer); i++) {
        uint32_t count, first = layout_part(feed->layout, layer, 1 + experts[i], &count);
        for (uint32_t k = 0; k < count; k++)
            feed->units[(*n)++] = first + k;
    }
}

static void need(void *ctx, int layer, const uint32_t *experts, uint32_t n)
{
    struct feed *feed = ctx;
    uint32_t n_units;
    memcpy(feed->needed, experts, n * sizeof *experts);
    feed->n_needed = n;
    feed->sum.experts_needed += n;
    feed->sum.expert_layers += n > 0;
    if (n > 0)
        feed->sum.expert_choices +=
            (uint64_t)feed->pass.tokens * model_config(feed->model)->experts.used;
    units_of(feed, (uint32_t)layer, experts, n, &n_units);
    for (uint32_t i = 0; i < n_units; i++)
        count_need(feed, feed->units[i]);
    if (n_units > 0)
        streamer_need(feed->streamer, feed->units, n_units);
}

static void take_needed(struct feed *feed, uint32_t at, uint32_t *experts, uint32_t *n)
{
    experts[(*n)++] = feed->needed[at];
    memmove(feed->needed + at, feed->needed + at + 1,
            (--feed->n_needed - at) * sizeof *feed->needed);
}

/* The first units of the needed experts that are not taken yet; whether each is all of its. */
static bool first_units(struct feed *feed, uint32_t layer)
{
    bool single = true;
    for (uint32_t i = 0; i < feed->n_needed; i++) {
        uint32_t count;
        feed->units[i] = layout_part(feed->layout, layer, 1 + feed->needed[i], &count);
        single &= count == 1;
    }
    return single;
}

static uint64_t held_bytes(const struct feed *feed)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < feed->n_held; i++)
        bytes += feed->layout->units[feed->held[i].unit].bytes;
    return bytes;
}

static enum lb_status take(void *ctx, int layer, uint32_t *experts, uint32_t max, uint32_t *n,
                           struct lb_error *err)
{
    struct feed *feed = ctx;
    *n = 0;
    if (is_whole(feed, (uint32_t)layer)) {
        while (*n < max && feed->n_needed > 0)
            take_needed(feed, 0, experts, n);
        return LB_OK;
    }
    const uint64_t share = streamer_memory_bytes(feed->streamer) / HELD_SHARE;
    uint32_t which, most = max < FEED_HELD ? max : FEED_HELD;
    drop_held(feed);
    bool single = first_units(feed, (uint32_t)layer);
    while (*n == 0 || (single && *n < most && feed->n_needed > 0 && held_bytes(feed) < share &&
                       streamer_has_any(feed->streamer, feed->units, feed->n_needed))) {
        enum lb_status status = hold_any(feed, feed->units, feed->n_needed, &which, err);
        if (status != LB_OK)
            return status;
        take_needed(feed, which, experts, n);
        memmove(feed->units + which, feed->units + which + 1,
                (feed->n_needed - which) * sizeof *feed->units);
    }
    return LB_OK;
}

/* ---- predictions ---- */

static const void *kept(void *ctx, int layer, uint32_t id)
{
    const struct feed *feed = ctx;
    return feed->kept ? feed->kept[(size_t)layer * feed->kept_width + id] : NULL;
}

static void predict(void *ctx, int layer, uint32_t depth, const uint32_t *experts, uint32_t n)
{
    struct feed *feed = ctx;
    uint32_t n_units;
    units_of(feed, (uint32_t)layer, experts, n, &n_units);
    if (n_units > 0 && depth > 0)
        streamer_predict(feed->streamer, (uint32_t)layer, depth, feed->units, n_units);
}

static void release(void *ctx, int layer)
{
    struct feed *feed = ctx;
    drop_held(feed);
    if (!feed->in_layer)
        return;
    feed->in_layer = false;
    struct lb_access *a = &feed->access;
    uint64_t *counter[] = {&feed->sum.hits, &feed->sum.prefetched, &feed->sum.late,
                           &feed->sum.misses};
    feed->sum.accesses++;
    ++*counter[a->outcome];
    feed->pass.compute_ns += a->compute_ns;
    feed->pass.wait_ns += a->wait_ns;
    if (feed->log)
        lb_ring_push(feed->log, a);
    if (feed->layer_done)
        feed->layer_done(feed->layer_done_ctx, (uint32_t)layer);
}

struct model_weights feed_weights(struct feed *feed)
{
    return (struct model_weights){.ctx = feed,
                                  .acquire = acquire,
                                  .peek = peek,
                                  .need = need,
                                  .take = take,
                                  .kept = kept,
                                  .predict = predict,
                                  .release = release};
}

bool feed_can_keep(const struct feed *feed)
{
    const struct layout *layout = feed->layout;
    uint64_t largest = 0, expert = 0;
    bool whole = true, divided = false;
    for (uint32_t l = 0; l < layout->n_layers; l++) {
        uint64_t frames = 0;
        for (uint32_t u = layout->layer_first_unit[l]; u < layout->layer_first_unit[l + 1]; u++) {
            const struct layout_unit *unit = &layout->units[u];
            frames += unit->part == 0 ? unit->n_frames : 0;
            if (unit->part > 0 && unit->n_frames > expert)
                expert = unit->n_frames;
            divided |= unit->part > 0 && u > 0 && layout->units[u - 1].layer == l &&
                       layout->units[u - 1].part == unit->part;
        }
        largest = frames > largest ? frames : largest;
        whole &= is_whole(feed, l);
    }
    if (whole)
        return true;
    return !divided &&
           streamer_memory_bytes(feed->streamer) >= 2 * (largest + expert) * layout->frame_bytes;
}

void feed_pass_begin(struct feed *feed, bool prefill, uint32_t tokens, bool keeps)
{
    uint32_t number = feed->pass.wall_ns ? feed->pass.pass + 1 : feed->pass.pass;
    feed->keeps = keeps;
    feed->mark_ns = lb_now_ns();
    feed->pass = (struct lb_pass){
        .pass = number, .prefill = prefill, .tokens = tokens, .start_ns = feed->mark_ns};
}

void feed_pass_end(struct feed *feed, bool ok)
{
    if (!ok) {
        feed->n_held = feed->n_needed = 0;
        feed->in_layer = false;
        streamer_rewind(feed->streamer);
    }
    account_other(feed);
}
