/* simulate_replay: the accesses of a recorded run (layers.jsonl) as a sequence to simulate. */
#include "predict/simulation.h"
#include "result/access_line.h"

#include "common/file_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS_MAX = UINT16_MAX + 1 };

struct replay {
    const char *path;
    char *cell; /* the chosen one; malloc */
    uint32_t rep;
    struct sim_accesses *accesses;
    size_t room;
    uint64_t *bytes; /* [LAYERS_MAX] largest load of each layer */
    uint32_t n_layers;
};

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

static enum lb_status take_access(struct replay *r, const struct access_line *line,
                                  struct lb_error *err)
{
    if (!r->cell) {
        r->cell = access_line_cell(line);
        if (!r->cell)
            return lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", r->path);
    }
    if (strlen(r->cell) != line->cell_length || memcmp(line->cell, r->cell, line->cell_length) != 0)
        return LB_OK;
    if (r->accesses->length == 0)
        r->rep = line->event.rep;
    if (line->event.rep != r->rep)
        return LB_OK;
    uint32_t layer = line->event.layer;
    if (layer >= r->n_layers)
        r->n_layers = layer + 1;
    if (line->event.whole.bytes > r->bytes[layer])
        r->bytes[layer] = line->event.whole.bytes;
    return append(r, layer, (double)line->event.whole.compute_ns, err);
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
    char *text = NULL;
    size_t size = 0, number = 0;
    struct access_line line = {.json = NULL};
    enum lb_status status = LB_OK;
    while (status == LB_OK && getline(&text, &size, in) >= 0) {
        number++;
        status = access_line_read(&line, text)
                     ? take_access(r, &line, err)
                     : lb_fail(err, LB_ERR_INPUT, "%s:%zu: expected an access as a run logs them",
                               r->path, number);
    }
    access_line_free(&line);
    free(text);
    return status;
}

enum lb_status sim_replay(const char *path, const char *cell, struct sim_model *model,
                          struct sim_accesses *accesses, struct lb_error *err)
{
    FILE *in = file_open(path, err);
    if (!in)
        return LB_ERR_INPUT;
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
