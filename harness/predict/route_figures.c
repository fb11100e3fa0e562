/* route_figures: see route_figures.h. */
#include "predict/route_figures.h"

#include "plan/replay.h"

#include <math.h>
#include <stdlib.h>

static const double route_shares[ROUTE_SHARES] = {0.125, 0.25, 0.5};

static double entropy_of(const uint64_t *uses, uint32_t n)
{
    double all = 0, entropy = 0;
    for (uint32_t e = 0; e < n; e++)
        all += (double)uses[e];
    for (uint32_t e = 0; e < n; e++)
        if (uses[e] > 0)
            entropy -= (double)uses[e] / all * log((double)uses[e] / all);
    return entropy / log(n);
}

static void entropies(const struct route_trace *t, uint32_t n_experts, uint64_t *uses,
                      struct route_figures *f)
{
    uint32_t n = 0;
    for (uint32_t layer = 0; layer < t->n_layers; layer++) {
        bool any = false;
        for (uint32_t e = 0; e < n_experts; e++)
            uses[e] = 0;
        for (uint64_t i = 0; i < t->length; i++)
            if (t->accesses[i] / t->n_experts == layer) {
                uses[t->accesses[i] % t->n_experts]++;
                any = true;
            }
        if (!any)
            continue;
        double entropy = entropy_of(uses, n_experts);
        f->entropy_least = n == 0 ? entropy : fmin(f->entropy_least, entropy);
        f->entropy_most = fmax(f->entropy_most, entropy);
        f->entropy += entropy;
        n++;
    }
    f->entropy /= n > 0 ? n : 1;
}

/* last: for each object the line that used it last, counted from 1 in its layer. */
static void overlaps(const struct route_trace *t, uint32_t n_experts, uint64_t *last,
                     uint64_t *lines, struct route_figures *f)
{
    uint64_t both = 0, all = 0;
    for (uint64_t i = 0; i < t->n_lines; i++) {
        const struct route_line *line = &t->lines[i];
        uint64_t number = ++lines[line->layer];
        for (uint64_t k = line->first; k < line->first + line->n; k++) {
            both += number > 1 && last[t->accesses[k]] == number - 1;
            all += number > 1;
            last[t->accesses[k]] = number;
        }
    }
    f->overlap = all > 0 ? (double)both / (double)all : 0;
    f->even = t->n_lines > 0 ? (double)t->length / (double)t->n_lines / n_experts : 0;
}

static enum lb_status hits(const struct route_trace *t, uint32_t n_experts, struct route_figures *f,
                           struct lb_error *err)
{
    uint32_t sparse = 0;
    enum lb_status status = LB_OK;
    for (uint64_t i = 0; i < t->n_lines && t->lines[i].pass == t->lines[0].pass; i++)
        sparse++;
    for (int s = 0; status == LB_OK && s < ROUTE_SHARES; s++) {
        struct replay_result result;
        struct replay_options o = {.n_units = t->n_layers * t->n_experts,
                                   .replacement = "lru",
                                   .slots = (uint32_t)(route_shares[s] * sparse * n_experts),
                                   .seed = 1};
        o.slots = o.slots > 0 ? o.slots : 1;
        status = replay_run(&o, t->accesses, t->length, &result, err);
        if (status == LB_OK)
            f->lru[s] = (double)result.hits / (double)(t->length - t->n_objects);
    }
    return status;
}

enum lb_status route_figures_of(const struct route_trace *t, uint32_t n_experts,
                                struct route_figures *figures, struct lb_error *err)
{
    *figures = (struct route_figures){0};
    if (t->length <= t->n_objects)
        return lb_fail(err, LB_ERR_INPUT, "routes: no expert is used twice: expected more tokens");
    uint64_t *uses = calloc(n_experts + 1, sizeof *uses);
    uint64_t *last = calloc((size_t)t->n_layers * t->n_experts, sizeof *last);
    uint64_t *lines = calloc(t->n_layers, sizeof *lines);
    enum lb_status status =
        uses && last && lines ? LB_OK : lb_fail(err, LB_ERR_NOMEM, "routes: out of memory");
    if (status == LB_OK) {
        entropies(t, n_experts, uses, figures);
        overlaps(t, n_experts, last, lines, figures);
        status = hits(t, n_experts, figures, err);
    }
    free(uses);
    free(last);
    free(lines);
    return status;
}

void route_figures_print(const struct route_figures *f, FILE *out)
{
    fprintf(out,
            "  entropy of a layer's experts    %.3f of even ones' (layers: %.3f to %.3f)\n"
            "  neighbouring tokens share       %.1f%% of their experts (even routing: %.1f%%)\n"
            "  lru hits, slots for",
            f->entropy, f->entropy_least, f->entropy_most, 100 * f->overlap, 100 * f->even);
    for (int s = 0; s < ROUTE_SHARES; s++)
        fprintf(out, "%s %g%%: %.1f%%", s ? "," : "", 100 * route_shares[s], 100 * f->lru[s]);
    fputs(" of the accesses\n", out);
}
