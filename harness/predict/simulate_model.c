/* simulate_model: see simulate_model.h. */
#include "predict/simulate_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROW = 4096 };

struct ranked {
    struct layout_tensor tensor;
    uint32_t rank;
};

struct collection {
    struct ranked *list;
    size_t count, room;
    uint64_t file_bytes;
    size_t n_tensors; /* of the file: more layers than that it cannot have */
    uint32_t beyond;  /* a layer above them, or 0 */
    bool failed;      /* out of memory */
};

static void take_file(void *ctx, uint32_t version, uint64_t file_bytes, size_t n_pairs,
                      size_t n_tensors)
{
    struct collection *c = ctx;
    (void)version;
    (void)n_pairs;
    c->file_bytes = file_bytes;
    c->room = c->n_tensors = n_tensors;
    c->list = calloc(n_tensors + 1, sizeof *c->list);
    c->failed = !c->list;
}

static void take_tensor(void *ctx, const char *name, const char *type, uint32_t n_dims,
                        const uint64_t *ne, uint64_t file_offset, uint64_t bytes)
{
    struct collection *c = ctx;
    uint32_t layer, rank;
    bool of_experts;
    (void)type;
    if (c->failed || !lb_tensor_order(name, &layer, &rank, &of_experts))
        return;
    if (layer >= c->n_tensors) {
        c->beyond = layer;
        return;
    }
    uint64_t rows = ne[1] * ne[2] * ne[3], slices = of_experts && n_dims == 3 ? ne[2] : 1;
    if (rows == 0 || rows > UINT32_MAX)
        return;
    if (c->count + slices > c->room) {
        size_t room = 2 * (c->count + slices);
        struct ranked *list = realloc(c->list, room * sizeof *list);
        c->failed = !list;
        if (!list)
            return;
        c->list = list;
        c->room = room;
    }
    for (uint32_t i = 0; i < slices; i++)
        c->list[c->count++] =
            (struct ranked){.tensor = {.layer = layer,
                                       .part = of_experts ? 1 + i : 0,
                                       .file_offset = file_offset + bytes / slices * i,
                                       .row_bytes = bytes / rows,
                                       .n_rows = (uint32_t)(rows / slices)},
                            .rank = rank};
}

static int by_access(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->tensor.layer != y->tensor.layer)
        return x->tensor.layer < y->tensor.layer ? -1 : 1;
    if (x->tensor.part != y->tensor.part)
        return x->tensor.part < y->tensor.part ? -1 : 1;
    return (x->rank > y->rank) - (x->rank < y->rank);
}

static enum lb_status finish(struct collection *c, enum lb_status status, const char *what,
                             struct sim_model *model, struct lb_error *err)
{
    *model = (struct sim_model){.file_bytes = c->file_bytes};
    if (status == LB_OK && c->failed)
        status = lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", what);
    if (status == LB_OK && c->beyond)
        status = lb_fail(err, LB_ERR_INPUT,
                         "%s: tensors of layer %u, expected layers below %zu, the "
                         "number of tensors",
                         what, c->beyond, c->n_tensors);
    if (status == LB_OK && c->count == 0)
        status = lb_fail(err, LB_ERR_INPUT, "%s: no layers (expected tensors blk.*)", what);
    if (status == LB_OK) {
        qsort(c->list, c->count, sizeof *c->list, by_access);
        model->tensors = calloc(c->count, sizeof *model->tensors);
        if (!model->tensors)
            status = lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", what);
    }
    for (size_t i = 0; status == LB_OK && i < c->count; i++) {
        const struct layout_tensor *t = &c->list[i].tensor;
        model->tensors[model->n_tensors++] = *t;
        model->layer_bytes += t->row_bytes * t->n_rows;
        model->n_layers = t->layer + 1;
        model->experts |= t->part > 0;
    }
    free(c->list);
    return status;
}

enum lb_status sim_model_of_file(const char *path, struct sim_model *model, struct lb_error *err)
{
    struct collection c = {0};
    struct lb_inspect inspect = {.ctx = &c, .file = take_file, .tensor = take_tensor};
    return finish(&c, lb_inspect_file(path, &inspect, err), path, model, err);
}

enum lb_status sim_model_of_shape(const struct lb_synth *synth, struct sim_model *model,
                                  struct lb_error *err)
{
    struct collection c = {0};
    struct lb_inspect inspect = {.ctx = &c, .file = take_file, .tensor = take_tensor};
    return finish(&c, lb_synth_inspect(synth, &inspect, err), synth->shape, model, err);
}

enum lb_status sim_model_uniform(uint32_t n_layers, uint64_t layer_bytes, struct sim_model *model,
                                 struct lb_error *err)
{
    uint64_t rows = (layer_bytes + ROW - 1) / ROW;
    *model = (struct sim_model){.n_layers = n_layers, .n_tensors = n_layers};
    if (rows == 0 || rows > UINT32_MAX)
        return lb_fail(err, LB_ERR_INPUT, "layer_bytes %llu: expected 1 byte to 16 TiB",
                       (unsigned long long)layer_bytes);
    model->tensors = calloc(n_layers, sizeof *model->tensors);
    if (!model->tensors)
        return lb_fail(err, LB_ERR_NOMEM, "simulation: out of memory");
    for (uint32_t i = 0; i < n_layers; i++)
        model->tensors[i] = (struct layout_tensor){
            .layer = i, .file_offset = i * rows * ROW, .row_bytes = ROW, .n_rows = (uint32_t)rows};
    model->file_bytes = model->layer_bytes = n_layers * rows * ROW;
    return LB_OK;
}

void sim_model_free(struct sim_model *model)
{
    free(model->tensors);
    model->tensors = NULL;
}
