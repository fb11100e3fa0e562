/* route_units: see route_units.h. */
#include "predict/route_units.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct making {
    const struct route_trace *trace;
    const struct layout *layout;
    struct route_units *out;
    uint32_t *units; /* of out->routes */
    uint64_t n_units, n_order, n_first;
    uint64_t *first;
    bool *chosen; /* [n_experts] of the layer at hand */
    bool counts;  /* the pass at hand */
};

static void take(struct making *m, uint32_t unit)
{
    const struct layout_unit *u = &m->layout->units[unit];
    if (u->part > 0)
        m->units[m->n_units++] = unit;
    if (!m->counts)
        return;
    m->out->order[m->n_order++] = unit;
    m->out->layer_bytes[u->layer] += (double)u->bytes;
    m->out->read_bytes += (double)u->read_bytes;
}

static enum lb_status take_expert(struct making *m, uint32_t layer, uint32_t expert,
                                  struct lb_error *err)
{
    uint32_t n = 0, first = 0;
    if (layer < m->layout->n_layers)
        first = layout_part(m->layout, layer, 1 + expert, &n);
    if (n == 0)
        return lb_fail(err, LB_ERR_INPUT,
                       "routes: layer %u, expert %u: the model, by this unit, has no such expert",
                       layer, expert);
    for (uint32_t i = 0; i < n; i++)
        take(m, first + i);
    return LB_OK;
}

/* A pass: lines[0..n-1]. */
static enum lb_status make_pass(struct making *m, const struct route_line *lines, uint64_t n,
                                struct lb_error *err)
{
    enum lb_status status = LB_OK;
    for (uint32_t layer = 0; layer < m->layout->n_layers && status == LB_OK; layer++) {
        uint32_t dense, unit = layout_part(m->layout, layer, 0, &dense);
        for (uint32_t i = 0; i < dense; i++)
            take(m, unit + i);
        m->first[m->n_first++] = m->n_units;
        /* the engine asks for them in ascending order, each once */
        memset(m->chosen, 0, m->trace->n_experts * sizeof *m->chosen);
        for (uint64_t k = 0; k < n; k++)
            for (uint64_t i = 0; i < lines[k].n && lines[k].layer == layer; i++)
                m->chosen[m->trace->accesses[lines[k].first + i] % m->trace->n_experts] = true;
        for (uint32_t e = 0; e < m->trace->n_experts && status == LB_OK; e++)
            if (m->chosen[e])
                status = take_expert(m, layer, e, err);
    }
    return status;
}

static uint64_t count_passes(const struct route_trace *trace)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < trace->n_lines; i++)
        n += i == 0 || trace->lines[i].pass != trace->lines[i - 1].pass;
    return n;
}

static uint32_t largest_expert(const struct layout *l)
{
    uint32_t largest = 1, n;
    for (uint32_t i = 0; i < l->n_units; i++) {
        layout_part(l, l->units[i].layer, l->units[i].part, &n);
        largest = l->units[i].part > 0 && n > largest ? n : largest;
    }
    return largest;
}

enum lb_status route_units_make(const struct route_trace *trace, const struct layout *layout,
                                uint64_t warmup, struct route_units *out, struct lb_error *err)
{
    *out = (struct route_units){.length = 0};
    struct making m = {.trace = trace, .layout = layout, .out = out};
    uint64_t passes = count_passes(trace), at = 0, most = trace->length * largest_expert(layout);
    if (trace->n_layers > layout->n_layers)
        return lb_fail(err, LB_ERR_INPUT, "routes: layer %u: the model has %u layers",
                       trace->n_layers - 1, layout->n_layers);
    m.units = malloc((most + 1) * sizeof *m.units);
    m.first = malloc((passes * layout->n_layers + 1) * sizeof *m.first);
    m.chosen = calloc(trace->n_experts, sizeof *m.chosen);
    out->order = malloc((most + passes * layout->n_units + 1) * sizeof *out->order);
    out->layer_bytes = calloc(layout->n_layers, sizeof *out->layer_bytes);
    out->routes = (struct plan_routes){
        .units = m.units, .first = m.first, .n_passes = passes, .n_layers = layout->n_layers};
    enum lb_status status = m.units && m.first && m.chosen && out->order && out->layer_bytes
                                ? LB_OK
                                : lb_fail(err, LB_ERR_NOMEM, "simulation: out of memory");
    for (uint64_t i = 0, end; i < trace->n_lines && status == LB_OK; i = end) {
        for (end = i; end < trace->n_lines && trace->lines[end].pass == trace->lines[i].pass; end++)
            ;
        m.counts = at++ >= warmup || passes <= warmup;
        out->passes += m.counts;
        status = make_pass(&m, trace->lines + i, end - i, err);
    }
    if (status == LB_OK) {
        m.first[m.n_first] = m.n_units;
        out->length = m.n_order;
        out->read_bytes /= (double)out->passes;
        for (uint32_t l = 0; l < layout->n_layers; l++) {
            out->layer_bytes[l] /= (double)out->passes;
            out->bytes += out->layer_bytes[l];
        }
    }
    free(m.chosen);
    return status;
}

void route_units_free(struct route_units *units)
{
    free((void *)units->routes.units);
    free((void *)units->routes.first);
    free(units->order);
    free(units->layer_bytes);
}
