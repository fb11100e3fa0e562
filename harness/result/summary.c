/* summary: see summary.h. */
#include "result/summary.h"

#include "sample/prediction_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a sample contributes to one figure. */
typedef double (*figure)(const struct sample *s);

static double per_pass(const struct sample *s, double sum)
{
    return sum / (s->n_pass ? s->n_pass : 1);
}

#define PER_PASS(name, field)                                                                      \
    static double name(const struct sample *s)                                                     \
    {                                                                                              \
        return per_pass(s, (double)s->decode.field);                                               \
    }
PER_PASS(hits, hit)
PER_PASS(prefetched, prefetched)
PER_PASS(late, late)
PER_PASS(misses, miss)
PER_PASS(wait, wait_ns)
PER_PASS(compute, compute_ns)
PER_PASS(other, other_ns)
PER_PASS(bytes, bytes_read)

static double prefill(const struct sample *s)
{
    return (double)s->prefill_ns;
}

static double first_token(const struct sample *s)
{
    return (double)s->ttft_ns;
}

static double pass_time(const struct sample *s)
{
    return sample_pass_ns(s);
}

static double busy(const struct sample *s)
{
    return compute(s) + other(s);
}

static double drafted(const struct sample *s)
{
    return per_pass(s, (double)s->drafted);
}

static double drafts_kept(const struct sample *s)
{
    return per_pass(s, (double)s->drafts_kept);
}

static double draft_time(const struct sample *s)
{
    return per_pass(s, (double)s->draft_ns);
}

static double wasted(const struct sample *s)
{
    return (double)s->wasted / (double)(s->passes ? s->passes : 1);
}

static double peak(const struct sample *s)
{
    return (double)s->peak_rss_bytes;
}

static double cached_wait(const struct sample *s)
{
    double n = (double)(s->decode.hit + s->decode.prefetched);
    return n > 0 ? (double)s->cached_wait_ns / n : NAN;
}

static double uncached_wait(const struct sample *s)
{
    double n = (double)(s->decode.late + s->decode.miss);
    return n > 0 ? (double)s->uncached_wait_ns / n : NAN;
}

#define OF_EXPERTS(name, field)                                                                    \
    static double name(const struct sample *s)                                                     \
    {                                                                                              \
        return sample_experts(s).field;                                                            \
    }
OF_EXPERTS(demand, demand_bytes)
OF_EXPERTS(expert_hits, hit_rate)
OF_EXPERTS(expert_hit_bytes, hit_rate_bytes)
OF_EXPERTS(experts_of_token, per_token)
OF_EXPERTS(tokens_of_expert, tokens)

static bool usable(const struct sample *s)
{
    return !*s->failed && s->n_pass > 0;
}

/* The figure of each usable sample, NANs left out; malloc. */
static double *values_of(const struct cell_samples *c, figure f, size_t *count)
{
    double *values = malloc((c->count + 1) * sizeof *values);
    *count = 0;
    for (size_t i = 0; values && i < c->count; i++) {
        double value = usable(&c->list[i]) ? f(&c->list[i]) : NAN;
        if (!isnan(value))
            values[(*count)++] = value;
    }
    return values;
}

/* NAN when there is none. */
static double median_of(const struct cell_samples *c, figure f)
{
    size_t n;
    double *values = values_of(c, f, &n), median = values && n > 0 ? stats_median(values, n) : NAN;
    free(values);
    return median;
}

/* NAN when there is none. */
static double least_of(const struct cell_samples *c, figure f)
{
    double least = NAN;
    for (size_t i = 0; i < c->count; i++)
        if (usable(&c->list[i]))
            least = fmin(least, f(&c->list[i])); /* fmin ignores NAN */
    return least;
}

bool summary_prediction(const struct cell_samples *c, size_t depth, struct summary_prediction *p)
{
    struct prediction_figures f = {.misses = 0};
    double passes = 0;
    bool any = false;
    for (size_t i = 0; i < c->count; i++) {
        if (!usable(&c->list[i]) || !prediction_json_add(c->list[i].prediction, depth, &f))
            continue;
        any = true;
        passes += c->list[i].n_pass;
    }
    if (any)
        *p = (struct summary_prediction){.precision = f.right / f.guessed,
                                         .recall = f.right / f.needed,
                                         .foreseen = f.foreseen / f.misses,
                                         .lead_ns = f.foreseen_ns / f.foreseen,
                                         .misses = f.misses / passes,
                                         .loads = f.loads / passes,
                                         .vain = f.vain / passes};
    return any;
}

/* What a decode pass needs: all layers, but for the experts that it does not use. */
static double bytes_of_pass(const struct sample *s)
{
    return s->needed_bytes > 0 && s->n_pass > 0 ? (double)s->needed_bytes / s->n_pass
                                                : (double)s->layer_bytes;
}

/* Bytes that a decode pass must read, whatever is evicted for what. */
static double least_of_pass(const struct sample *s)
{
    double needed = bytes_of_pass(s);
    if (strcmp(s->prefetch, "resident") == 0)
        return 0;
    if (s->clairvoyant_hit_bytes > 0)
        return needed - per_pass(s, (double)s->clairvoyant_hit_bytes);
    return floor_least(needed, (double)s->cache_bytes);
}

void summary_look_back(struct sample *s)
{
    uint32_t n_units = 0;
    size_t n = 0;
    for (size_t i = 0; i < s->n_units; i++)
        n_units = s->units[i].unit >= n_units ? s->units[i].unit + 1 : n_units;
    if (s->experts_needed == 0 || s->n_units != s->unit_accesses)
        return;
    uint32_t *units = malloc((s->n_units + 1) * sizeof *units);
    double *bytes_of = calloc(n_units + 1, sizeof *bytes_of), needed = 0, least = NAN;
    for (size_t i = 0; units && bytes_of && i < s->n_units; i++) {
        const struct lb_access *a = &s->units[i];
        if (a->prefill)
            continue;
        units[n++] = a->unit;
        bytes_of[a->unit] = (double)a->weights;
        needed += (double)a->weights;
    }
    if (units && bytes_of)
        least = floor_clairvoyant(units, n, bytes_of, n_units, (double)s->cache_bytes);
    if (needed > least)
        s->clairvoyant_hit_bytes = (uint64_t)(needed - least);
    free(units);
    free(bytes_of);
}

struct floor summary_floor(const struct cell_samples *cell, const struct cell_samples *reference,
                           double bandwidth)
{
    const struct sample *s = NULL;
    for (size_t i = 0; i < cell->count && !s; i++)
        s = usable(&cell->list[i]) ? &cell->list[i] : NULL;
    double compute_ns = reference ? least_of(reference, busy) : NAN;
    if (!s || isnan(compute_ns))
        return (struct floor){.bandwidth = bandwidth};
    return floor_of(compute_ns, bytes_of_pass(s), least_of_pass(s), bandwidth);
}

const char *summary_failed(const struct cell_samples *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (*c->list[i].failed)
            return c->list[i].failed;
    return NULL;
}

const char *summary_broken(const struct cell_samples *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (json_array_size(c->list[i].broken) > 0)
            return json_string_value(json_array_get(c->list[i].broken, 0));
    return NULL;
}

static void spread(const struct cell_samples *cell, struct summary *out)
{
    size_t n;
    double *values = values_of(cell, pass_time, &n);
    if (values && n > 0 && stats_summarise(values, n, &out->pass)) {
        out->estimate = stats_estimate(values, n);
        out->pass_ns = out->estimate.median;
    }
    free(values);
}

/* By place, over all samples. */
static void acceptance(const struct cell_samples *cell, double of[LB_DRAFT_MOST])
{
    for (size_t place = 0; place < LB_DRAFT_MOST; place++) {
        double reached = 0, right = 0;
        for (size_t i = 0; i < cell->count; i++) {
            reached += (double)cell->list[i].draft_reached[place];
            right += (double)cell->list[i].draft_right[place];
        }
        of[place] = reached > 0 ? right / reached : NAN;
    }
}

/* The same with what the cell's batch decides. */
static double median_with(const struct cell_samples *c, double batch,
                          double (*of)(const struct sample *s, double batch))
{
    double *values = malloc((c->count + 1) * sizeof *values), median = NAN;
    size_t n = 0;
    for (size_t i = 0; values && i < c->count; i++)
        if (usable(&c->list[i]))
            values[n++] = of(&c->list[i], batch);
    if (n > 0)
        median = stats_median(values, n);
    free(values);
    return median;
}

static double usage_peak(const struct sample *s)
{
    return (double)s->usage.peak_rss_bytes;
}

/* Another program says nothing of these. */
static void leave_out(const struct cell_samples *cell, struct summary *s)
{
    double *const unknown[] = {&s->prefill_ns, &s->ttft_ns, &s->hit,         &s->prefetched,
                               &s->late,       &s->miss,    &s->wait_ns,     &s->compute_ns,
                               &s->other_ns,   &s->bytes,   &s->cached_ns,   &s->uncached_ns,
                               &s->wasted,     &s->drafted, &s->drafts_kept, &s->draft_ns};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        *unknown[i] = NAN;
    s->foreign = true;
    s->peak_rss_bytes = median_of(cell, usage_peak);
}

struct summary summary_of(const struct cell_samples *cell, const struct floor *floor,
                          uint32_t batch)
{
    struct summary s = {.floor = *floor};
    for (size_t i = 0; i < cell->count; i++) {
        const struct sample *sample = &cell->list[i];
        s.n += usable(sample);
        s.n_failed += *sample->failed != '\0';
        s.n_broken += sample->broken && json_array_size(sample->broken) > 0;
    }
    if (s.n == 0)
        return s;
    spread(cell, &s);
    s.prefill_ns = median_of(cell, prefill);
    s.ttft_ns = median_of(cell, first_token);
    s.hit = median_of(cell, hits);
    s.prefetched = median_of(cell, prefetched);
    s.late = median_of(cell, late);
    s.miss = median_of(cell, misses);
    s.wait_ns = median_of(cell, wait);
    s.compute_ns = median_of(cell, compute);
    s.other_ns = median_of(cell, other);
    s.bytes = median_of(cell, bytes);
    s.cached_ns = median_of(cell, cached_wait);
    s.uncached_ns = median_of(cell, uncached_wait);
    s.wasted = median_of(cell, wasted);
    s.peak_rss_bytes = median_of(cell, peak);
    s.experts = (struct sample_experts){.demand_bytes = median_of(cell, demand),
                                        .hit_rate = median_of(cell, expert_hits),
                                        .hit_rate_bytes = median_of(cell, expert_hit_bytes),
                                        .per_token = median_of(cell, experts_of_token),
                                        .tokens = median_of(cell, tokens_of_expert)};
    s.tokens_a_pass = median_with(cell, batch, sample_tokens_a_pass);
    s.token_ns = median_with(cell, batch, sample_token_ns);
    s.token_floor_ns = floor->ns / s.tokens_a_pass;
    s.tokens_per_s = 1e9 / s.token_ns;
    s.drafted = median_of(cell, drafted);
    s.drafts_kept = median_of(cell, drafts_kept);
    s.draft_ns = median_of(cell, draft_time);
    acceptance(cell, s.acceptance);
    if (s.pass_ns > 0)
        s.share_of_floor = floor->ns / s.pass_ns;
    for (size_t i = 0; i < cell->count && !s.foreign; i++)
        if (cell->list[i].printed)
            leave_out(cell, &s);
    if (floor->all_load_ns > 0)
        s.c_over_t = floor->compute_ns / floor->all_load_ns;
    return s;
}
