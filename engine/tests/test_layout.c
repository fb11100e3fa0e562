/* layout: every row lies whole in one frame, is read from the right place, and nothing overlaps. */
#include "base/memory.h"
#include "base/random.h"
#include "cache/layout.h"
#include "tests/check.h"

#include <stdbool.h>

static uint64_t row_offset(const struct layout_tensor *t, uint32_t row)
{
    return t->file_offset + row * t->row_bytes;
}

/* The extent of the run's frame that reads the whole run to the run's place, or NULL. */
static const struct layout_extent *source_of(const struct layout *l, const struct layout_unit *u,
                                             const struct layout_run *r,
                                             const struct layout_tensor *t)
{
    for (uint32_t e = 0; e < u->n_extents; e++) {
        const struct layout_extent *x = &l->extents[u->first_extent + e];
        uint64_t from = row_offset(t, r->first), to = row_offset(t, r->last);
        if (x->frame == r->frame && from >= x->file_offset && to <= x->file_offset + x->bytes &&
            x->frame_offset + (from - x->file_offset) == r->frame_offset)
            return x;
    }
    return NULL;
}

static void check_extents(const struct layout *l, const struct layout_unit *u, uint32_t align,
                          uint64_t file_bytes)
{
    uint64_t sum = 0, fill = 0;
    uint32_t frame = 0, bad = 0;
    for (uint32_t e = 0; e < u->n_extents; e++) {
        const struct layout_extent *x = &l->extents[u->first_extent + e];
        uint64_t end = x->file_offset + x->bytes;
        bad += x->file_offset % align != 0 || (x->bytes % align != 0 && end != file_bytes);
        bad += x->frame_offset % align != 0 || end > file_bytes || x->bytes == 0;
        bad += x->frame < frame || x->frame > frame + 1;
        if (x->frame != frame)
            fill = 0;
        bad += x->frame_offset < fill || x->frame_offset + x->bytes > l->frame_bytes;
        fill = x->frame_offset + x->bytes;
        frame = x->frame;
        sum += x->bytes;
    }
    CHECK(bad == 0 && frame + 1 == u->n_frames, "%u bad extents", bad);
    CHECK(sum == u->read_bytes);
}

/* Everything that layout.h promises, row by row. */
static void check_layout(const struct layout *l, const struct layout_tensor *tensors, uint32_t n,
                         const struct layout_options *o, const char *what)
{
    uint32_t align = o->align > 1 ? o->align : 1, bad = 0, extents = 0, runs = 0;
    uint64_t bytes = 0, read_bytes = 0;
    CHECK(l->n_layers == tensors[n - 1].layer + 1 && l->n_tensors == n, "%s", what);
    for (uint32_t i = 0; i < l->n_layers; i++)
        for (uint32_t k = l->layer_first_unit[i]; k < l->layer_first_unit[i + 1]; k++)
            bad += l->units[k].layer != i;
    CHECK(bad == 0 && l->layer_first_unit[0] == 0 && l->layer_first_unit[l->n_layers] == l->n_units,
          "%s", what);
    uint32_t *next_row = lb_calloc(n, sizeof *next_row), last_tensor = 0;
    for (uint32_t k = 0; k < l->n_units; k++) {
        const struct layout_unit *u = &l->units[k];
        bad += u->first_extent != extents || u->first_run != runs || u->n_frames == 0;
        check_extents(l, u, align, o->file_bytes);
        uint64_t sum = 0;
        for (uint32_t i = 0; i < u->n_runs; i++) {
            const struct layout_run *r = &l->runs[u->first_run + i];
            const struct layout_tensor *t = &tensors[r->tensor];
            bad += t->layer != u->layer || r->first != next_row[r->tensor] || r->last <= r->first;
            bad += r->tensor < last_tensor || !source_of(l, u, r, t);
            bad += u->part != (o->unit_bytes == LAYOUT_UNIT_LAYER ? 0 : t->part);
            last_tensor = r->tensor;
            next_row[r->tensor] = r->last;
            sum += (r->last - r->first) * t->row_bytes;
        }
        bad += sum != u->bytes;
        bytes += u->bytes;
        read_bytes += u->read_bytes;
        extents += u->n_extents;
        runs += u->n_runs;
        if (o->unit_bytes > LAYOUT_UNIT_EXPERT && u->n_frames > 1)
            bad += (uint64_t)u->n_frames * l->frame_bytes > o->unit_bytes;
    }
    for (uint32_t i = 0; i < n; i++)
        bad += next_row[i] != tensors[i].n_rows;
    CHECK(bad == 0, "%s: %u promises broken", what, bad);
    CHECK(bytes == l->bytes && read_bytes == l->read_bytes, "%s", what);
    lb_free(next_row);
}

enum { MOST = 60 };

/* Layers of a few matrices and vectors, each layer's tensors in a random order in the file. */
static uint32_t random_model(struct lb_random *r, struct layout_tensor *tensors, uint64_t *file)
{
    bool mixture = lb_random_below(r, 2);
    uint32_t layers = 1 + lb_random_below(r, 5), n = 0;
    uint64_t at = 32 * lb_random_below(r, 1000);
    for (uint32_t layer = 0; layer < layers; layer++) {
        uint32_t first = n, count = 1 + lb_random_below(r, 11), part = 0;
        for (uint32_t i = 0; i < count; i++)
            tensors[n++] = (struct layout_tensor){
                .layer = layer,
                .part = part += mixture && lb_random_below(r, 3) == 0,
                .row_bytes = 2 * (1 + lb_random_below(r, 3000)),
                .n_rows = lb_random_below(r, 3) ? 1 + lb_random_below(r, 900) : 1};
        for (uint32_t i = count; i > 0; i--) { /* file places in shuffled order, some with gaps */
            uint32_t pick = first + lb_random_below(r, count);
            while (tensors[pick].file_offset)
                pick = first + (pick - first + 1) % count;
            at += lb_random_below(r, 8) ? 32 : 50000;
            tensors[pick].file_offset = at;
            at = (at + tensors[pick].n_rows * tensors[pick].row_bytes + 31) & ~UINT64_C(31);
        }
    }
    *file = at + lb_random_below(r, 2) * 777;
    return n;
}

static void random_models(void)
{
    struct lb_random r = {7};
    static const uint32_t aligns[] = {1, 4096};
    static const uint64_t unit_sizes[] = {
        LAYOUT_UNIT_LAYER, LAYOUT_UNIT_TENSOR, LAYOUT_UNIT_EXPERT, 5000, 100000, 1000000};
    for (int round = 0; round < 60; round++) {
        struct layout_tensor tensors[MOST] = {0};
        struct layout_options o = {0};
        uint32_t n = random_model(&r, tensors, &o.file_bytes);
        for (int a = 0; a < 2; a++) {
            for (int u = 0; u < 6; u++) {
                struct lb_error err = LB_ERROR_INIT;
                struct layout *l;
                char what[80];
                o.align = aligns[a];
                o.unit_bytes = unit_sizes[u];
                o.frame_bytes = round % 3 ? 0 : 16384u << lb_random_below(&r, 5);
                snprintf(what, sizeof what, "seed 7, round %d, align %u, unit %llu", round, o.align,
                         (unsigned long long)o.unit_bytes);
                CHECK(layout_build(tensors, n, &o, &l, &err) == LB_OK, "%s: %s", what, err.text);
                if (l)
                    check_layout(l, tensors, n, &o, what);
                layout_free(l);
            }
        }
    }
}

/* The shape of a real layer: llama-2-7b, mostly 4.5 bits a weight. In file order the tensors of
 * a layer touch, so that reading it is one extent a frame. */
static uint32_t large_layers(struct layout_tensor *tensors, uint64_t *file)
{
    static const uint32_t rows[] = {1, 4096, 4096, 4096, 4096, 1, 11008, 11008, 4096};
    static const uint64_t row_bytes[] = {16384, 2304, 2304, 3360, 2304, 16384, 2304, 2304, 9030};
    static const uint32_t file_order[] = {0, 8, 6, 7, 5, 2, 4, 1, 3};
    uint32_t n = 0;
    uint64_t at = 64 << 20;
    for (uint32_t layer = 0; layer < 4; layer++) {
        for (uint32_t i = 0; i < 9; i++)
            tensors[n + i] = (struct layout_tensor){
                .layer = layer, .row_bytes = row_bytes[i], .n_rows = rows[i]};
        for (uint32_t i = 0; i < 9; i++) {
            tensors[n + file_order[i]].file_offset = at;
            at += rows[file_order[i]] * row_bytes[file_order[i]];
        }
        n += 9;
    }
    *file = at;
    return n;
}

static void waste(void)
{
    struct layout_tensor tensors[MOST];
    struct layout_options o = {.align = 4096};
    uint32_t n = large_layers(tensors, &o.file_bytes);
    static const uint64_t unit_sizes[] = {LAYOUT_UNIT_LAYER, LAYOUT_UNIT_TENSOR, 16 << 20, 4 << 20};
    for (int i = 0; i < 4; i++) {
        struct lb_error err = LB_ERROR_INIT;
        struct layout *l;
        o.unit_bytes = unit_sizes[i];
        CHECK(layout_build(tensors, n, &o, &l, &err) == LB_OK, "%s", err.text);
        uint64_t frames = 0;
        for (uint32_t u = 0; u < l->n_units; u++)
            frames += l->units[u].n_frames;
        check_layout(l, tensors, n, &o, "large layers");
        /* a tensor's last frame is half empty on average; a layer's frames are made to fit */
        CHECK(frames * l->frame_bytes - l->bytes <= l->bytes / (i == 1 ? 32 : 200), "frames of %u",
              l->frame_bytes);
        CHECK(l->read_bytes - l->bytes <= l->bytes / 64, "%llu read for %llu",
              (unsigned long long)l->read_bytes, (unsigned long long)l->bytes);
        CHECK(l->frame_bytes >= 256 << 10);
        if (i == 0)
            for (uint32_t u = 0; u < l->n_units; u++)
                CHECK(l->units[u].n_extents == l->units[u].n_frames);
        if (i == 1) /* vectors join a neighbour */
            CHECK(l->n_units == 4 * 7, "%u units", l->n_units);
        layout_free(l);
    }
}

/* A mixture as files have it: norms and attention, then three tensors of all experts, gate, down
 * and up. One unit for part 0, one for each expert, of three extents where its slices lie. */
static void experts(void)
{
    enum { LAYERS = 3, EXPERTS = 20, SLICE = 6 * 2304 };
    static struct layout_tensor tensors[LAYERS * (2 + 3 * EXPERTS)];
    uint32_t n = 0;
    uint64_t layer_bytes = 4096 + 40 * 2304 + 3 * EXPERTS * SLICE, before = 100000;
    for (uint32_t layer = 0; layer < LAYERS; layer++) {
        uint64_t at = before + layer * layer_bytes, attention = at + 4096,
                 slices = attention + 40 * 2304;
        tensors[n++] = (struct layout_tensor){layer, 0, at, 4096, 1};
        tensors[n++] = (struct layout_tensor){layer, 0, attention, 2304, 40};
        for (uint32_t e = 0; e < EXPERTS; e++) /* gate, up, down */
            for (uint32_t k = 0; k < 3; k++)
                tensors[n++] = (struct layout_tensor){
                    layer, 1 + e, slices + ((3 - k) % 3 * EXPERTS + e) * SLICE, 2304, 6};
    }
    struct layout_options o = {.align = 1, .file_bytes = before + LAYERS * layer_bytes};
    struct lb_error err = LB_ERROR_INIT;
    struct layout *l;
    o.unit_bytes = LAYOUT_UNIT_EXPERT;
    CHECK(layout_build(tensors, n, &o, &l, &err) == LB_OK, "%s", err.text);
    check_layout(l, tensors, n, &o, "experts");
    CHECK(l->n_units == LAYERS * (1 + EXPERTS));
    for (uint32_t layer = 0; layer < LAYERS; layer++) {
        for (uint32_t part = 0; part <= EXPERTS; part++) {
            uint32_t count, unit = layout_part(l, layer, part, &count);
            CHECK(count == 1 && unit == layer * (1 + EXPERTS) + part);
            CHECK(l->units[unit].n_extents >= (part ? 3 : 1) && l->units[unit].part == part);
            CHECK(l->units[unit].bytes == (part ? 3 * SLICE : 4096 + 40 * 2304));
        }
        uint32_t count;
        layout_part(l, layer, EXPERTS + 1, &count);
        CHECK(count == 0);
    }
    layout_free(l);
    o.unit_bytes = 16384; /* pieces of an expert */
    o.frame_bytes = 8192;
    CHECK(layout_build(tensors, n, &o, &l, &err) == LB_OK, "%s", err.text);
    check_layout(l, tensors, n, &o, "pieces of experts");
    for (uint32_t layer = 0; layer < LAYERS; layer++) {
        for (uint32_t part = 0, next = l->layer_first_unit[layer]; part <= EXPERTS; part++) {
            uint32_t count, unit = layout_part(l, layer, part, &count);
            uint64_t bytes = 0;
            for (uint32_t i = 0; i < count; i++)
                bytes += l->units[unit + i].bytes;
            CHECK(unit == next && count > 1 && bytes == (part ? 3 * SLICE : 4096 + 40 * 2304));
            next = unit + count;
        }
    }
    layout_free(l);
    o = (struct layout_options){.align = 1, .file_bytes = o.file_bytes};
    CHECK(layout_build(tensors, n, &o, &l, &err) == LB_OK && l->n_units == LAYERS, "whole layers");
    layout_free(l);
    tensors[4].part = 0;
    CHECK(layout_build(tensors, n, &o, &l, &err) == LB_ERR_INPUT);
    CHECK_TEXT(err.text, "tensor 4: part 0 after part 1 of layer 0: expected parts in order");
}

/* Experts of two sizes of which a power of two is no part: few reads each, little waste. */
static void experts_of_two_sizes(void)
{
    enum { EXPERTS = 64, GATE = 144 * 512 };
    static struct layout_tensor tensors[2 * 3 * EXPERTS];
    uint32_t n = 0;
    uint64_t at = 4096;
    for (uint32_t layer = 0; layer < 2; layer++) {
        const uint64_t down_row = layer ? 210 : 144;
        for (uint32_t e = 0; e < EXPERTS; e++) {
            tensors[n++] = (struct layout_tensor){layer, 1 + e, at + e * GATE, 144, 512};
            tensors[n++] =
                (struct layout_tensor){layer, 1 + e, at + (EXPERTS + e) * GATE, 144, 512};
            tensors[n++] = (struct layout_tensor){
                layer, 1 + e, at + 2 * EXPERTS * GATE + e * 512 * down_row, down_row, 512};
        }
        at += EXPERTS * (2 * GATE + 512 * down_row);
    }
    struct layout_options o = {.unit_bytes = LAYOUT_UNIT_EXPERT, .align = 64, .file_bytes = at};
    struct lb_error err = LB_ERROR_INIT;
    struct layout *l;
    CHECK(layout_build(tensors, n, &o, &l, &err) == LB_OK, "%s", err.text);
    check_layout(l, tensors, n, &o, "experts of two sizes");
    uint64_t frames = 0;
    for (uint32_t u = 0; u < l->n_units; u++) {
        frames += l->units[u].n_frames;
        CHECK(l->units[u].n_extents <= 10, "%u reads", l->units[u].n_extents);
    }
    CHECK(frames * l->frame_bytes - l->bytes <= l->bytes / 64, "frames of %u", l->frame_bytes);
    layout_free(l);
}

static void refusals(void)
{
    struct layout_tensor t[2] = {{.layer = 0, .row_bytes = 100, .n_rows = 10},
                                 {.layer = 2, .row_bytes = 100, .n_rows = 10}};
    struct layout_options o = {.align = 1, .file_bytes = 2000};
    struct lb_error err = LB_ERROR_INIT;
    struct layout *l;
    CHECK(layout_build(t, 2, &o, &l, &err) == LB_ERR_INPUT && !l);
    CHECK_TEXT(err.text, "tensor 1: layer 2 after layer 0: expected layers 0, 1, 2, ... in order");
    err.code = LB_OK;
    t[1].layer = 1;
    t[1].file_offset = 1001;
    CHECK(layout_build(t, 2, &o, &l, &err) == LB_ERR_INPUT && !l);
    CHECK_TEXT(err.text, "layer 1, tensor 1: 10 rows of 100 bytes at offset 1001: expected inside "
                         "the file of 2000 bytes");
    err.code = LB_OK;
    t[1].file_offset = 1000;
    o.frame_bytes = 128;
    CHECK(layout_build(t, 2, &o, &l, &err) == LB_ERR_INPUT && !l);
    CHECK_TEXT(err.text, "frame of 128 bytes: expected a multiple of 64, at least 192");
    CHECK(layout_build(t, 0, &o, &l, &err) == LB_ERR_INPUT && !l);
}

static void out_of_memory(void)
{
    struct layout_tensor tensors[MOST];
    struct layout_options o = {.align = 4096, .unit_bytes = 4 << 20};
    uint32_t n = large_layers(tensors, &o.file_bytes);
    for (uint64_t k = 1;; k++) {
        struct lb_error err = LB_ERROR_INIT;
        struct layout *l;
        lb_memory_fail_at(k);
        enum lb_status s = layout_build(tensors, n, &o, &l, &err);
        lb_memory_fail_at(0);
        if (s == LB_OK) {
            CHECK(k > 4);
            layout_free(l);
            break;
        }
        CHECK(s == LB_ERR_NOMEM && !l, "%s", err.text);
    }
}

int main(void)
{
    random_models();
    waste();
    experts();
    experts_of_two_sizes();
    refusals();
    out_of_memory();
    return check_done();
}
