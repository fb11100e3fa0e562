/* simulate_replay: the accesses of a recorded run (layers.jsonl) as a sequence to simulate. */
#include "predict/simulation.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS_MAX = 65536 };

struct replay {
    const char *path;
    char *cell; /* the chosen one; malloc */
    json_int_t rep;
    struct sim_accesses *accesses;
    size_t room;
    uint64_t *bytes; /* [LAYERS_MAX] largest load of each layer */
    uint32_t n_layers;
    size_t line;
};

static enum lb_status bad_line(const struct replay *r, const char *expected, struct lb_error *err)
{
    return lb_fail(err, LB_ERR_INPUT, "%s:%zu: expected %s", r->path, r->line, expected);
}

static enum lb_status append(struct replay *r, uint32_t layer, double compute_ns,
                             struct lb_error *err)
{
    struct sim_accesses *a = r->accesses;
    if (a->length == r->room) {
        size_t room = r->room ? 2 * r->room : 1024;
        uint32_t *order = realloc(a->order, room * sizeof *order);
        a->order = order ? order : a->order;
        double *compute = order ? realloc(a->compute_ns, room * sizeof *compute) : NULL;
        a->compute_ns = compute ? compute : a->compute_ns;
        if (!compute)
            return lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", r->path);
        r->room = room;
    }
    a->order[a->length] = layer;
    a->compute_ns[a->length++] = compute_ns;
    return LB_OK;
}

static enum lb_status take_record(struct replay *r, const json_t *record, struct lb_error *err)
{
    const char *cell = json_string_value(json_object_get(record, "cell"));
    const json_t *rep = json_object_get(record, "rep"), *layer = json_object_get(record, "layer");
    const json_t *compute = json_object_get(record, "compute_ns");
    if (!cell || !json_is_integer(rep) || !json_is_integer(layer) || !json_is_integer(compute) ||
        json_integer_value(layer) < 0 || json_integer_value(layer) >= LAYERS_MAX)
        return bad_line(r, "an access with cell, rep, layer and compute_ns", err);
    if (!r->cell) {
        r->cell = strdup(cell);
        if (!r->cell)
            return lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", r->path);
    }
    if (strcmp(cell, r->cell) != 0)
        return LB_OK;
    if (r->accesses->length == 0)
        r->rep = json_integer_value(rep);
    if (json_integer_value(rep) != r->rep)
        return LB_OK;
    uint32_t index = (uint32_t)json_integer_value(layer);
    uint64_t bytes = (uint64_t)json_integer_value(json_object_get(record, "bytes"));
    if (index >= r->n_layers)
        r->n_layers = index + 1;
    if (bytes > r->bytes[index])
        r->bytes[index] = bytes;
    return append(r, index, (double)json_integer_value(compute), err);
}

/* Layers as large as their largest load; those never loaded as large as the others on average. */
static enum lb_status model_of_loads(const struct replay *r, struct sim_model *model,
                                     struct lb_error *err)
{
    uint64_t sum = 0, known = 0;
    for (uint32_t i = 0; i < r->n_layers; i++) {
        sum += r->bytes[i];
        known += r->bytes[i] > 0;
    }
    if (known == 0)
        return lb_fail(err, LB_ERR_INPUT, "%s: %s: no access read anything: expected --model",
                       r->path, r->cell);
    enum lb_status status = sim_model_uniform(r->n_layers, sum / known, model, err);
    model->file_bytes = model->layer_bytes = 0;
    for (uint32_t i = 0; status == LB_OK && i < r->n_layers; i++) {
        struct layout_tensor *t = &model->tensors[i];
        uint64_t bytes = r->bytes[i] ? r->bytes[i] : sum / known;
        t->n_rows = (uint32_t)((bytes + t->row_bytes - 1) / t->row_bytes);
        t->file_offset = model->file_bytes;
        model->file_bytes += t->n_rows * t->row_bytes;
    }
    model->layer_bytes = model->file_bytes;
    return status;
}

static enum lb_status read_lines(struct replay *r, FILE *in, struct lb_error *err)
{
    char *line = NULL;
    size_t size = 0;
    enum lb_status status = LB_OK;
    while (status == LB_OK && getline(&line, &size, in) >= 0) {
        r->line++;
        json_t *record = json_loads(line, 0, NULL);
        status = json_is_object(record) ? take_record(r, record, err)
                                        : bad_line(r, "a JSON object", err);
        json_decref(record);
    }
    free(line);
    return status;
}

enum lb_status sim_replay(const char *path, const char *cell, struct sim_model *model,
                          struct sim_accesses *accesses, struct lb_error *err)
{
    FILE *in = fopen(path, "r");
    if (!in)
        return lb_fail(err, LB_ERR_INPUT, "%s: %s", path, strerror(errno));
    struct replay r = {.path = path, .accesses = accesses};
    r.cell = cell ? strdup(cell) : NULL;
    r.bytes = calloc(LAYERS_MAX, sizeof *r.bytes);
    enum lb_status status = r.bytes && (r.cell || !cell)
                                ? read_lines(&r, in, err)
                                : lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", path);
    if (status == LB_OK && accesses->length == 0)
        status = lb_fail(err, LB_ERR_INPUT, "%s: no accesses%s%s", path, cell ? " of cell " : "",
                         cell ? cell : "");
    if (status == LB_OK && model->n_layers == 0)
        status = model_of_loads(&r, model, err);
    if (status == LB_OK && model->n_layers < r.n_layers)
        status = lb_fail(err, LB_ERR_INPUT, "%s: layer %u: the model has %u layers", path,
                         r.n_layers - 1, model->n_layers);
    fclose(in);
    free(r.bytes);
    free(r.cell);
    return status;
}
