/*
 * layout: packs the rows of each layer's tensors into frames, and frames into units.
 * See layout.h.
 *
 * The packing runs twice over the same code: once to count (which is also how the
 * frame size is chosen), once to write into arrays of exactly that size.
 */
#include "cache/layout.h"

#include "base/memory.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#define FRAME_LARGEST  (2u << 20)
#define FRAME_SMALLEST 4096u
/* Rows keep their place modulo this, so that weights are as aligned in memory as in the file. */
#define KEPT_ALIGN 64u
/* Share of the frames' memory that may hold nothing before smaller frames are taken: 1 of 64. */
#define WASTE_SHARE 64u
/* Large frames are cut down by as much as makes them fit the layers, in steps of this, until no
 * more than 1 of 256 is wasted. */
#define FRAME_STEP       8192u
#define LARGE_FRAME      (1u << 20)
#define FINE_WASTE_SHARE 256u
/* Experts have few sizes, of which a power of two may be no part but a very small one. Each frame
 * is a read of its own, so a frame that fits them is looked for in steps of a share of its size. */
#define EXPERT_STEP_SHARE 64u

struct packing {
    /* fixed */
    const struct layout_tensor *tensors;
    const uint32_t *order; /* tensors in the order of placement */
    uint64_t unit_bytes, file_bytes;
    uint32_t align, frame_bytes;
    struct layout *out; /* NULL: count only */
    /* counts so far */
    uint32_t n_units, n_extents, n_runs;
    uint64_t n_frames;
    /* the unit that is being filled */
    uint32_t first_extent, first_run;
    uint32_t frame;  /* the one that is being filled */
    uint64_t fill;   /* bytes of it that are taken */
    bool has_matrix; /* a tensor of more than one row lies in the unit */
    struct layout_extent extent;
    bool extent_open;
};

static uint64_t down(uint64_t value, uint64_t align)
{
    return value & ~(align - 1);
}

static uint64_t up(uint64_t value, uint64_t align)
{
    return down(value + align - 1, align);
}

static void close_extent(struct packing *p)
{
    if (!p->extent_open)
        return;
    if (p->out)
        p->out->extents[p->n_extents] = p->extent;
    p->n_extents++;
    p->extent_open = false;
}

static void next_frame(struct packing *p)
{
    close_extent(p);
    p->frame++;
    p->fill = 0;
}

/* Writes units of frames [from, to) of what was packed since the last unit ended; its extents
 * and runs are the next ones from *extent and *run on. */
static void write_unit(struct packing *p, const struct layout_tensor *last, uint32_t from,
                       uint32_t to, uint32_t *extent, uint32_t *run)
{
    struct layout *out = p->out;
    struct layout_unit u = {.layer = last->layer,
                            .part = p->unit_bytes == LAYOUT_UNIT_LAYER ? 0 : last->part,
                            .n_frames = to - from,
                            .first_extent = *extent};
    u.first_run = *run;
    for (; *extent < p->n_extents && out->extents[*extent].frame < to; ++*extent) {
        out->extents[*extent].frame -= from;
        u.read_bytes += out->extents[*extent].bytes;
    }
    for (; *run < p->n_runs && out->runs[*run].frame < to; ++*run) {
        struct layout_run *r = &out->runs[*run];
        r->frame -= from;
        u.bytes += (r->last - r->first) * p->tensors[r->tensor].row_bytes;
    }
    u.n_extents = *extent - u.first_extent;
    u.n_runs = *run - u.first_run;
    out->bytes += u.bytes;
    out->read_bytes += u.read_bytes;
    out->units[p->n_units] = u;
}

static int by_access(const void *a, const void *b)
{
    const struct layout_run *x = a, *y = b;
    if (x->tensor != y->tensor)
        return x->tensor < y->tensor ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

static bool has_size(uint64_t unit_bytes)
{
    return unit_bytes > LAYOUT_UNIT_EXPERT;
}

/* Ends the unit, whose last tensor is given; for a unit size, cuts its frames into pieces of
 * nearly equal size. */
static void end_unit(struct packing *p, const struct layout_tensor *last)
{
    close_extent(p);
    uint32_t n_frames = p->frame + (p->fill > 0), pieces = 1;
    if (has_size(p->unit_bytes)) {
        uint64_t per_piece = p->unit_bytes / p->frame_bytes;
        if (per_piece == 0)
            per_piece = 1;
        pieces = (uint32_t)((n_frames + per_piece - 1) / per_piece);
    }
    uint32_t extent = p->first_extent, run = p->first_run;
    for (uint32_t i = 0; i < pieces; i++) {
        uint32_t from = (uint32_t)((uint64_t)n_frames * i / pieces);
        uint32_t to = (uint32_t)((uint64_t)n_frames * (i + 1) / pieces);
        if (p->out) {
            uint32_t first = run;
            write_unit(p, last, from, to, &extent, &run);
            qsort(p->out->runs + first, run - first, sizeof *p->out->runs, by_access);
        }
        p->n_units++;
    }
    p->n_frames += n_frames;
    p->first_extent = p->n_extents;
    p->first_run = p->n_runs;
    p->frame = 0;
    p->fill = 0;
    p->has_matrix = false;
}

/* Frame offset at which file offset `at` would come to lie: in the open extent when it touches
 * it, else in a new one. */
static uint64_t place(const struct packing *p, uint64_t at, bool *joins)
{
    *joins = p->extent_open && at >= p->extent.file_offset &&
             down(at, p->align) <= p->extent.file_offset + p->extent.bytes;
    if (*joins)
        return p->extent.frame_offset + (at - p->extent.file_offset);
    return up(p->fill, p->align) + (at - down(at, p->align));
}

static void pack_tensor(struct packing *p, uint32_t index)
{
    const struct layout_tensor *t = &p->tensors[index];
    for (uint32_t row = 0; row < t->n_rows;) {
        uint64_t at = t->file_offset + row * t->row_bytes;
        bool joins;
        uint64_t offset = place(p, at, &joins);
        uint64_t fit = offset < p->frame_bytes ? (p->frame_bytes - offset) / t->row_bytes : 0;
        if (fit == 0) {
            next_frame(p);
            continue;
        }
        uint32_t n = fit < t->n_rows - row ? (uint32_t)fit : t->n_rows - row;
        if (!joins) {
            close_extent(p);
            p->extent = (struct layout_extent){.file_offset = down(at, p->align),
                                               .frame = p->frame,
                                               .frame_offset = (uint32_t)up(p->fill, p->align)};
            p->extent_open = true;
        }
        uint64_t end = up(at + n * t->row_bytes, p->align);
        if (end > p->file_bytes)
            end = p->file_bytes;
        if (end > p->extent.file_offset + p->extent.bytes)
            p->extent.bytes = (uint32_t)(end - p->extent.file_offset);
        p->fill = (uint64_t)p->extent.frame_offset + p->extent.bytes;
        if (p->out)
            p->out->runs[p->n_runs] = (struct layout_run){.tensor = index,
                                                          .first = row,
                                                          .last = row + n,
                                                          .frame = p->frame,
                                                          .frame_offset = (uint32_t)offset};
        p->n_runs++;
        row += n;
    }
}

/* Vectors (norms, biases) share the unit of a neighbour: a unit of their own would waste most of
 * a frame. */
static bool starts_unit(const struct packing *p, const struct layout_tensor *t)
{
    return p->unit_bytes == LAYOUT_UNIT_TENSOR && t->n_rows > 1 && p->has_matrix;
}

static bool crosses(const struct packing *p, const struct layout_tensor *last,
                    const struct layout_tensor *t)
{
    return t->layer != last->layer || (t->part != last->part && p->unit_bytes != LAYOUT_UNIT_LAYER);
}

static void pack(struct packing *p, uint32_t n_tensors)
{
    const struct layout_tensor *last = &p->tensors[p->order[0]];
    for (uint32_t i = 0; i < n_tensors; i++) {
        const struct layout_tensor *t = &p->tensors[p->order[i]];
        if (crosses(p, last, t) || starts_unit(p, t))
            end_unit(p, last);
        if (t->layer != last->layer && p->out)
            p->out->layer_first_unit[t->layer] = p->n_units;
        last = t;
        pack_tensor(p, p->order[i]);
        p->has_matrix |= t->n_rows > 1;
    }
    end_unit(p, last);
    if (p->out)
        p->out->layer_first_unit[last->layer + 1] = p->n_units;
}

static enum lb_status check_tensors(const struct layout_tensor *tensors, uint32_t n,
                                    uint64_t file_bytes, struct lb_error *err)
{
    if (n == 0)
        return lb_fail(err, LB_ERR_INPUT, "layers: no tensors to stream");
    for (uint32_t i = 0; i < n; i++) {
        const struct layout_tensor *t = &tensors[i];
        uint32_t before = i ? tensors[i - 1].layer : 0;
        if (i && t->layer == before && t->part < tensors[i - 1].part)
            return lb_fail(err, LB_ERR_INPUT,
                           "tensor %u: part %u after part %u of layer %u: expected parts in order",
                           i, t->part, tensors[i - 1].part, before);
        if (t->layer != before && (i == 0 || t->layer != before + 1))
            return lb_fail(err, LB_ERR_INPUT,
                           "tensor %u: layer %u after layer %u: expected layers "
                           "0, 1, 2, ... in order",
                           i, t->layer, before);
        if (t->n_rows == 0 || t->row_bytes == 0 || t->file_offset > file_bytes ||
            t->row_bytes > (file_bytes - t->file_offset) / t->n_rows)
            return lb_fail(err, LB_ERR_INPUT,
                           "layer %u, tensor %u: %u rows of %llu bytes at offset %llu: expected "
                           "inside the file of %llu bytes",
                           t->layer, i, t->n_rows, (unsigned long long)t->row_bytes,
                           (unsigned long long)t->file_offset, (unsigned long long)file_bytes);
    }
    return LB_OK;
}

/* Bytes that a frame must have: the longest row and what alignment puts before it. */
static uint64_t frame_needed(const struct layout_tensor *tensors, uint32_t n, uint32_t align)
{
    uint64_t longest = 0;
    for (uint32_t i = 0; i < n; i++)
        if (tensors[i].row_bytes > longest)
            longest = tensors[i].row_bytes;
    return up(longest + align - 1, align);
}

static uint64_t waste_of(const struct packing *model, uint32_t n_tensors, uint64_t size,
                         uint64_t bytes)
{
    struct packing p = *model;
    p.frame_bytes = (uint32_t)size;
    pack(&p, n_tensors);
    return p.n_frames * size - bytes;
}

/* A layer's last frame is half empty on average: where nearly everything fits, memory for which
 * reads must be made again in every pass. A slightly smaller frame that a layer fills more evenly
 * saves most of that. */
static uint32_t fit_frame(const struct packing *model, uint32_t n_tensors, uint64_t needed,
                          uint64_t bytes, uint32_t largest)
{
    uint64_t least = UINT64_MAX, best = largest;
    for (uint64_t size = largest; size > largest / 2 && size >= needed; size -= FRAME_STEP) {
        uint64_t waste = waste_of(model, n_tensors, size, bytes);
        if (waste < least) {
            least = waste;
            best = size;
        }
        if (waste <= bytes / FINE_WASTE_SHARE)
            break;
    }
    return (uint32_t)best;
}

/* Units are experts or pieces of them. */
static bool of_experts(const struct packing *p, uint32_t n_tensors)
{
    return p->unit_bytes >= LAYOUT_UNIT_EXPERT && p->tensors[p->order[n_tensors - 1]].part > 0;
}

/* The largest power of two whose frames waste little, or somewhat less than that where frames are
 * large; of experts the largest size of any kind; the least wasteful when all waste. */
static uint32_t choose_frame(const struct packing *model, uint32_t n_tensors, uint64_t needed,
                             uint64_t bytes)
{
    const bool experts = of_experts(model, n_tensors);
    uint64_t most = FRAME_LARGEST, best = 0, least = UINT64_MAX;
    if (has_size(model->unit_bytes))
        while (most > FRAME_SMALLEST && most > model->unit_bytes)
            most /= 2;
    while (most < needed)
        most *= 2;
    for (uint64_t size = most; size >= needed && size >= FRAME_SMALLEST;
         size = experts ? size - up(size / EXPERT_STEP_SHARE, FRAME_SMALLEST) : size / 2) {
        uint64_t waste = waste_of(model, n_tensors, size, bytes);
        if (waste < least) {
            least = waste;
            best = size;
        }
        if (waste <= bytes / WASTE_SHARE)
            break;
    }
    return experts || best < LARGE_FRAME
               ? (uint32_t)best
               : fit_frame(model, n_tensors, needed, bytes, (uint32_t)best);
}

struct placed {
    uint32_t layer, part, index;
    uint64_t file_offset;
};

static int by_file(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->layer != y->layer)
        return x->layer < y->layer ? -1 : 1;
    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    return (x->file_offset > y->file_offset) - (x->file_offset < y->file_offset);
}

/* Order of placement: as in the file when a layer or a part is read whole, else as accessed. */
static uint32_t *order_of(const struct layout_tensor *tensors, uint32_t n, uint64_t unit_bytes)
{
    bool by_layer = unit_bytes == LAYOUT_UNIT_LAYER, by_part = unit_bytes == LAYOUT_UNIT_EXPERT;
    uint32_t *order = lb_calloc(n, sizeof *order);
    struct placed *placed = lb_calloc(n, sizeof *placed);
    if (order && placed) {
        for (uint32_t i = 0; i < n; i++)
            placed[i] = (struct placed){tensors[i].layer, by_layer ? 0 : tensors[i].part, i,
                                        tensors[i].file_offset};
        if (by_layer || by_part)
            qsort(placed, n, sizeof *placed, by_file);
        for (uint32_t i = 0; i < n; i++)
            order[i] = placed[i].index;
    } else {
        lb_free(order);
        order = NULL;
    }
    lb_free(placed);
    return order;
}

static struct layout *allocate(const struct packing *counted, uint32_t n_layers, uint32_t n_tensors)
{
    struct layout *l = lb_calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->n_layers = n_layers;
    l->n_tensors = n_tensors;
    l->n_units = counted->n_units;
    l->frame_bytes = counted->frame_bytes;
    l->units = lb_calloc(counted->n_units, sizeof *l->units);
    l->extents = lb_calloc(counted->n_extents, sizeof *l->extents);
    l->runs = lb_calloc(counted->n_runs, sizeof *l->runs);
    l->layer_first_unit = lb_calloc((size_t)n_layers + 1, sizeof *l->layer_first_unit);
    if (l->units && l->extents && l->runs && l->layer_first_unit)
        return l;
    layout_free(l);
    return NULL;
}

enum lb_status layout_build(const struct layout_tensor *tensors, uint32_t n_tensors,
                            const struct layout_options *options, struct layout **layout,
                            struct lb_error *err)
{
    *layout = NULL;
    enum lb_status status = check_tensors(tensors, n_tensors, options->file_bytes, err);
    if (status != LB_OK)
        return status;
    uint32_t align = options->align > KEPT_ALIGN ? options->align : KEPT_ALIGN;
    assert((align & (align - 1)) == 0);
    uint64_t needed = frame_needed(tensors, n_tensors, align), bytes = 0;
    if (needed > UINT32_MAX / 2)
        return lb_fail(err, LB_ERR_UNSUPPORTED, "rows of %llu bytes: expected less than 1 GiB",
                       (unsigned long long)needed);
    if (options->frame_bytes && (options->frame_bytes < needed || options->frame_bytes % align))
        return lb_fail(err, LB_ERR_INPUT,
                       "frame of %u bytes: expected a multiple of %u, at least %llu",
                       options->frame_bytes, align, (unsigned long long)needed);
    for (uint32_t i = 0; i < n_tensors; i++)
        bytes += tensors[i].n_rows * tensors[i].row_bytes;

    uint32_t *order = order_of(tensors, n_tensors, options->unit_bytes);
    if (!order)
        return lb_fail(err, LB_ERR_NOMEM, "layout: out of memory");
    struct packing p = {.tensors = tensors,
                        .order = order,
                        .unit_bytes = options->unit_bytes,
                        .file_bytes = options->file_bytes,
                        .align = align,
                        .frame_bytes = options->frame_bytes};
    if (p.frame_bytes == 0)
        p.frame_bytes = choose_frame(&p, n_tensors, needed, bytes);
    struct packing counted = p;
    pack(&counted, n_tensors);
    p.out = allocate(&counted, tensors[n_tensors - 1].layer + 1, n_tensors);
    if (p.out)
        pack(&p, n_tensors);
    lb_free(order);
    *layout = p.out;
    return p.out ? LB_OK : lb_fail(err, LB_ERR_NOMEM, "layout: out of memory");
}

void layout_free(struct layout *layout)
{
    if (!layout)
        return;
    lb_free(layout->units);
    lb_free(layout->extents);
    lb_free(layout->runs);
    lb_free(layout->layer_first_unit);
    lb_free(layout);
}

/* The first of units [low, high), all of one layer, that belongs to `part` or a later one. */
static uint32_t first_of_part(const struct layout *l, uint32_t low, uint32_t high, uint64_t part)
{
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (l->units[middle].part < part)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t layout_part(const struct layout *layout, uint32_t layer, uint32_t part, uint32_t *n_units)
{
    uint32_t low = layout->layer_first_unit[layer], high = layout->layer_first_unit[layer + 1];
    uint32_t first = first_of_part(layout, low, high, part);
    *n_units = first_of_part(layout, first, high, (uint64_t)part + 1) - first;
    return first;
}
