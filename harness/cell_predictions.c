/* cell_predictions: see cell_predictions.h. */
#include "cell_predictions.h"

#include "simulate_cell.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Do outcomes follow from the order of accesses alone? */
static bool is_exact(const struct settings *s)
{
    const struct lb_options *o = &s->engine;
    return (strcmp(o->prefetch, "off") == 0 || strcmp(o->prefetch, "sync") == 0) && !*o->fault &&
           strcmp(o->replacement, "random") != 0;
}

/* The first usable sample whose decode outcomes are not the predicted ones, or NULL. */
static const struct sample *differing(const struct cell_samples *c, const struct sim_prediction *p)
{
    for (size_t k = 0; k < c->count; k++) {
        const struct sample *s = &c->list[k];
        const struct sample_sums *d = &s->decode;
        double n = s->n_pass;
        if (*s->failed || s->n_pass == 0)
            continue;
        if (llround(p->hit * n) != (long long)d->hit ||
            llround(p->prefetched * n) != (long long)d->prefetched ||
            llround(p->late * n) != (long long)d->late ||
            llround(p->miss * n) != (long long)d->miss)
            return s;
    }
    return NULL;
}

static void attach(struct results *r, uint32_t i, const struct sim_prediction *p)
{
    const struct cell *cell = &r->matrix->cells[i];
    json_t *object =
        json_pack("{s:f, s:f, s:f, s:{s:f, s:f, s:f, s:f}}", "pass_ns", p->pass_ns, "wait_ns",
                  p->wait_ns, "bytes_read", p->bytes, "outcomes", "hit", p->hit, "prefetched",
                  p->prefetched, "late", p->late, "miss", p->miss);
    if (is_exact(&cell->settings)) {
        const struct sample *other = differing(&r->by_cell[i], p);
        json_object_set_new(object, "exact", json_boolean(other == NULL));
        if (other)
            results_warn(r,
                         "%s: outcomes %" PRIu64 "/%" PRIu64 "/%" PRIu64 "/%" PRIu64
                         " in %u passes: the planner predicts %g/%g/%g/%g a pass",
                         cell->name, other->decode.hit, other->decode.prefetched,
                         other->decode.late, other->decode.miss, other->n_pass, p->hit,
                         p->prefetched, p->late, p->miss);
    }
    results_attach(r, i, "prediction", object);
}

static void predict(struct results *r, uint32_t i, const struct sim_model *model)
{
    const struct settings *s = &r->matrix->cells[i].settings;
    int reference = matrix_reference(r->matrix, i);
    struct summary summary = results_summary(r, i);
    uint32_t chunks = (s->prompt_tokens + s->engine.max_tokens - 1) / s->engine.max_tokens;
    struct sim_accesses in_order = {NULL, 0, NULL};
    struct sim_prediction prediction;
    struct lb_error err = LB_ERROR_INIT;
    if (reference < 0 || summary.n == 0 || summary.floor.bandwidth <= 0 ||
        strcmp(s->engine.prefetch, "resident") == 0)
        return;
    struct summary resident = results_summary(r, (uint32_t)reference);
    struct sim_times times = {.layers_ns = resident.compute_ns,
                              .other_ns = resident.other_ns,
                              .bandwidth = summary.floor.bandwidth};
    if (resident.n == 0)
        return;
    if (sim_predict(model, &times, &in_order, s, chunks * s->engine.batch, s->generate_tokens,
                    &prediction, &err) == LB_OK)
        attach(r, i, &prediction);
    else
        results_warn(r, "%s: no prediction: %s", r->matrix->cells[i].name, err.text);
}

void cell_predictions(struct results *r)
{
    struct sim_model model;
    struct lb_error err = LB_ERROR_INIT;
    if (sim_model_of_file(r->model_path, &model, &err) != LB_OK) {
        results_warn(r, "no predictions: %s", err.text);
        return;
    }
    for (uint32_t i = 0; i < r->matrix->count; i++)
        predict(r, i, &model);
    sim_model_free(&model);
}
