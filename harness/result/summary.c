/* summary: see summary.h. */
#include "result/summary.h"

#include "sample/prediction_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double per_pass(const struct sample *s, double sum)
{
    return sum / (s->n_pass ? s->n_pass : 1);
}

#define FIGURE(name, value)                                                                        \
    static double name(const struct sample *s)                                                     \
    {                                                                                              \
        return (double)(value);                                                                    \
    }
#define PER_PASS(name, sum) FIGURE(name, per_pass(s, (double)(sum)))
PER_PASS(hits, s->decode.hits)
PER_PASS(prefetched, s->decode.prefetched)
PER_PASS(late, s->decode.late)
PER_PASS(misses, s->decode.misses)
PER_PASS(wait, s->decode.wait_ns)
PER_PASS(compute, s->decode.compute_ns)
PER_PASS(other, s->decode.other_ns)
PER_PASS(busy, s->decode.compute_ns + s->decode.other_ns)
PER_PASS(bytes_read, s->decode.bytes_read)
PER_PASS(drafted, s->drafted)
PER_PASS(drafts_kept, s->drafts_kept)
PER_PASS(draft_time, s->draft_ns)
FIGURE(prefill, s->prefill_ns)
FIGURE(first_token, s->ttft_ns)
FIGURE(peak, s->printed ? (double)s->usage.peak_rss_bytes : (double)s->peak_rss_bytes)
FIGURE(major_faults, s->printed ? (double)s->usage.major_faults : (double)s->major_faults)
FIGURE(wasted, (double)s->all.wasted / (double)(s->all.passes ? s->all.passes : 1))
FIGURE(demand, sample_experts(s).demand_bytes)
FIGURE(expert_hits, sample_experts(s).hit_rate)
FIGURE(expert_hit_bytes, sample_experts(s).hit_rate_bytes)
FIGURE(experts_of_token, sample_experts(s).per_token)
FIGURE(tokens_of_expert, sample_experts(s).tokens)

/* A mean wait; NAN where there was no such access. */
static double mean(int64_t ns, uint64_t n)
{
    return n > 0 ? (double)ns / (double)n : NAN;
}
FIGURE(cached_wait, mean(s->cached_wait_ns, s->decode.hits + s->decode.prefetched))
FIGURE(uncached_wait, mean(s->uncached_wait_ns, s->decode.late + s->decode.misses))

/* What a sample contributes to each figure, which is the median over the samples that have one. */
static const struct {
    size_t offset;
    double (*of)(const struct sample *s);
} figures[] = {
#define OF(field) offsetof(struct summary, field)
    {OF(prefill_ns), prefill},
    {OF(ttft_ns), first_token},
    {OF(tokens_a_pass), sample_tokens_a_pass},
    {OF(token_ns), sample_token_ns},
    {OF(drafted), drafted},
    {OF(drafts_kept), drafts_kept},
    {OF(draft_ns), draft_time},
    {OF(outcomes[LB_HIT]), hits},
    {OF(outcomes[LB_PREFETCHED]), prefetched},
    {OF(outcomes[LB_LATE]), late},
    {OF(outcomes[LB_MISS]), misses},
    {OF(wait_ns), wait},
    {OF(compute_ns), compute},
    {OF(other_ns), other},
    {OF(bytes_read), bytes_read},
    {OF(cached_ns), cached_wait},
    {OF(uncached_ns), uncached_wait},
    {OF(wasted), wasted},
    {OF(peak_rss_bytes), peak},
    {OF(major_faults), major_faults},
    {OF(experts.demand_bytes), demand},
    {OF(experts.hit_rate), expert_hits},
    {OF(experts.hit_rate_bytes), expert_hit_bytes},
    {OF(experts.per_token), experts_of_token},
    {OF(experts.tokens), tokens_of_expert},
#undef OF
};

static bool usable(const struct sample *s)
{
    return !*s->failed && s->n_pass > 0;
}

/* NAN when there is none. */
static double least_of(const struct cell_samples *c, double (*of)(const struct sample *s))
{
    double least = NAN;
    for (size_t i = 0; i < c->count; i++)
        if (usable(&c->list[i]))
            least = fmin(least, of(&c->list[i])); /* fmin ignores NAN */
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
    return s->decode.needed_bytes > 0 ? per_pass(s, (double)s->decode.needed_bytes)
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
    return floor_least(needed, (double)s->all.cache_bytes);
}

void summary_look_back(struct sample *s)
{
    uint32_t n_units = 0;
    size_t n = 0;
    for (size_t i = 0; i < s->n_units; i++)
        n_units = s->units[i].unit >= n_units ? s->units[i].unit + 1 : n_units;
    if (s->decode.experts_needed == 0 || s->n_units != s->all.unit_accesses)
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
        least = floor_clairvoyant(units, n, bytes_of, n_units, (double)s->all.cache_bytes);
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

/* The figure of each usable sample, NANs left out. */
static size_t values_of(const struct cell_samples *c, double (*of)(const struct sample *s),
                        double *values)
{
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++) {
        values[n] = usable(&c->list[i]) ? of(&c->list[i]) : NAN;
        n += !isnan(values[n]);
    }
    return n;
}

/* Another program says nothing of these. */
static void leave_out(struct summary *s)
{
    double *const unknown[] = {&s->prefill_ns,
                               &s->ttft_ns,
                               &s->outcomes[LB_HIT],
                               &s->outcomes[LB_PREFETCHED],
                               &s->outcomes[LB_LATE],
                               &s->outcomes[LB_MISS],
                               &s->wait_ns,
                               &s->compute_ns,
                               &s->other_ns,
                               &s->bytes_read,
                               &s->cached_ns,
                               &s->uncached_ns,
                               &s->wasted,
                               &s->drafted,
                               &s->drafts_kept,
                               &s->draft_ns};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        *unknown[i] = NAN;
    s->foreign = true;
}

struct summary summary_of(const struct cell_samples *cell, const struct floor *floor)
{
    struct summary s = {.floor = *floor};
    for (size_t i = 0; i < cell->count; i++) {
        const struct sample *sample = &cell->list[i];
        s.n += usable(sample);
        s.n_failed += *sample->failed != '\0';
        s.n_broken += sample->broken && json_array_size(sample->broken) > 0;
    }
    double *values = malloc((cell->count + 1) * sizeof *values);
    if (s.n == 0 || !values) {
        free(values);
        return s;
    }
    size_t n = values_of(cell, sample_pass_ns, values);
    (void)stats_summarise(values, n, &s.pass);
    s.estimate = stats_estimate(values, n);
    s.pass_ns = s.estimate.median;
    s.outliers = (double)s.pass.outliers;
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        n = values_of(cell, figures[i].of, values);
        *(double *)((char *)&s + figures[i].offset) = n > 0 ? stats_median(values, n) : NAN;
    }
    free(values);
    for (size_t i = 0; i < cell->count && !s.foreign; i++)
        if (cell->list[i].printed)
            leave_out(&s);
    s.token_floor_ns = floor->ns / s.tokens_a_pass;
    s.tokens_per_s = 1e9 / s.token_ns;
    s.token_bytes = s.bytes_read / s.tokens_a_pass;
    s.bandwidth_used = s.bytes_read / s.pass_ns * 1e9;
    acceptance(cell, s.acceptance);
    if (s.pass_ns > 0)
        s.share_of_floor = floor->ns / s.pass_ns;
    if (floor->all_load_ns > 0)
        s.c_over_t = floor->compute_ns / floor->all_load_ns;
    return s;
}
