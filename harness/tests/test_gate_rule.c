/*
 * gate_rule: a list of cases with the verdict that each must have; mutants of the rule, each of
 * which must fail at least one of them; false alarms and power by simulation, with exact binomial
 * bounds.
 */
#include "bounds.h"
#include "gate/gate_rule.h"
#include "noise.h"
#include "tests/check.h"

#include <math.h>

/* The rule under test, or a mutant of it. */
typedef bool (*decide_fn)(const struct gate_rule *rule, const struct gate_metric *metrics, size_t n,
                          struct gate_result *results);

#define MAX_N       80
#define MAX_METRICS 25

static struct gate_value samples[MAX_METRICS][2 * MAX_N];

static struct gate_metric metric(struct gate_value *s, size_t n)
{
    return (struct gate_metric){"pass", false, {"ns", "ns"}, {"w", "w"}, {"m", "m"}, s, 2 * n};
}

static struct gate_metric noisy(uint64_t seed, size_t n, double cv, double effect)
{
    struct noise noise = {seed};
    noise_measure(&noise, samples[0], n, cv, effect);
    return metric(samples[0], n);
}

/* Without drift or spikes: n of each arm at exact quantiles of a normal distribution. */
static struct gate_metric clean(size_t n, double cv, double effect)
{
    for (size_t i = 0; i < 2 * n; i++) {
        bool head = i % 4 == 1 || i % 4 == 2;
        size_t k = (i / 2 * 7) % n; /* both arms take the quantiles in a mixed order */
        double value = 1e6 * exp(cv * stats_normal_quantile(((double)k + 0.5) / (double)n));
        samples[0][i] =
            (struct gate_value){value * (head ? 1 + effect : 1), (uint32_t)(i / 4), head};
    }
    return metric(samples[0], n);
}

static const char *mutant; /* name of the one that runs; NULL: the rule itself */
static int surprises;

static void expect(decide_fn decide, const struct gate_metric *m, enum gate_verdict verdict,
                   const char *reason)
{
    struct gate_rule rule = gate_rule_default();
    struct gate_result r;
    bool good = decide(&rule, m, 1, &r) && r.verdict == verdict && strstr(r.reason, reason);
    surprises += !good;
    if (!mutant)
        CHECK(good, "got %s (%s), expected %s (%s)", gate_verdict_name(r.verdict), r.reason,
              gate_verdict_name(verdict), reason);
}

/* ---- the cases ---- */

static void verdicts(decide_fn decide)
{
    struct gate_metric m = clean(20, 0.01, 0.05);
    expect(decide, &m, GATE_REGRESSION, "worse by 5.0%");
    m.higher_is_better = true;
    expect(decide, &m, GATE_IMPROVEMENT, "better by 5.0%");
    m = clean(20, 0.01, -0.05);
    expect(decide, &m, GATE_IMPROVEMENT, "better by 5.3%");
    m.higher_is_better = true;
    expect(decide, &m, GATE_REGRESSION, "worse by 5.3%");
    m = clean(20, 0.01, 0);
    expect(decide, &m, GATE_SAME, "within the floor");
    m = clean(20, 0, 0);
    expect(decide, &m, GATE_SAME, "within the floor");
    m = clean(20, 0, 1);
    expect(decide, &m, GATE_REGRESSION, "worse by 100.0%");
}

static bool interval_decides(const struct gate_result *r)
{
    return r->p_worse < 0.01 && r->interval.low <= 1;
}

static bool ranks_decide(const struct gate_result *r)
{
    return r->p_worse > 0.01 && r->interval.low > 1;
}

/* The first noise from *seed on that makes the rule's figures as wanted, medians more than 2% apart
 * and the noise within its limit; *seed remembers it. */
static struct gate_metric search(uint64_t *seed, bool (*wanted)(const struct gate_result *))
{
    struct gate_rule rule = gate_rule_default();
    struct gate_result r;
    for (; *seed < 5000; ++*seed) {
        struct gate_metric m = noisy(*seed, 20, 0.03, 0.02);
        if (gate_decide(&rule, &m, 1, &r) && r.ratio > 1.02 && r.cv <= rule.max_cv && wanted(&r))
            return m;
    }
    CHECK(false, "no such noise");
    return noisy(0, 20, 0.03, 0.02);
}

/* Each condition alone decides once: the other two hold. */
static void conditions(decide_fn decide)
{
    struct gate_metric m = clean(40, 0.002, 0.01);
    expect(decide, &m, GATE_SAME, "within the floor");
    m = clean(40, 0.002, -0.01);
    expect(decide, &m, GATE_SAME, "within the floor");
    /* ranks separable and medians more than 2% apart, but the interval reaches 1 */
    static uint64_t seed;
    m = search(&seed, interval_decides);
    expect(decide, &m, GATE_SAME, "not separable");
    /* medians more than 2% apart, interval without 1, ranks not separable */
    static uint64_t other_seed;
    m = search(&other_seed, ranks_decide);
    expect(decide, &m, GATE_SAME, "not separable");
}

static void refusals(decide_fn decide)
{
    struct gate_metric m = clean(20, 0.01, 0.05);
    m.n = 0;
    expect(decide, &m, GATE_FAILED, "nothing measured: base has no samples");
    m = clean(20, 0.01, 0.05);
    for (size_t i = 0; i < m.n; i++)
        samples[0][i].head = false;
    expect(decide, &m, GATE_FAILED, "nothing measured: head has no samples");
    static const double bad[] = {NAN, INFINITY, -1};
    static const char *const text[] = {"is nan", "is inf", "is -1"};
    for (int i = 0; i < 3; i++) {
        m = clean(20, 0.01, 0);
        samples[0][5].value = bad[i];
        expect(decide, &m, GATE_FAILED, text[i]);
    }
    m = clean(20, 0.01, 0);
    m.unit[1] = NULL;
    expect(decide, &m, GATE_FAILED, "missing: head has no such cell");
    m = clean(20, 0.01, 0);
    m.unit[1] = "us";
    expect(decide, &m, GATE_FAILED, "units differ: base ns, head us");
    m = clean(20, 0.01, 0);
    m.work[1] = "v";
    expect(decide, &m, GATE_FAILED, "different work: base w, head v");
    m.work[0] = m.work[1] = NULL;
    expect(decide, &m, GATE_FAILED, "does not say what work");
    m = clean(20, 0.01, 0);
    m.machine[0] = "x";
    expect(decide, &m, GATE_NOT_COMPARABLE, "different machines: base x, head m");
    m = clean(20, 0.01, 0);
    samples[0][6].head = !samples[0][6].head;
    expect(decide, &m, GATE_FAILED, "block 1 has 2 more samples of base than of head");
}

static void doubtful(decide_fn decide)
{
    struct gate_metric m = clean(18, 0.01, 0.05);
    expect(decide, &m, GATE_INCONCLUSIVE, "18 samples an arm: at least 20 are needed");
    m = clean(20, 0.06, 0);
    expect(decide, &m, GATE_INCONCLUSIVE, "at most 4.0% can be judged");
    /* separable, but less than what such noise lets find */
    m = clean(40, 0.06, 0.05);
    expect(decide, &m, GATE_INCONCLUSIVE, "at most 4.0% can be judged");
    m = clean(40, 0.06, 0.3);
    expect(decide, &m, GATE_REGRESSION, "worse by 30.0%");
    m = clean(40, 0.06, -0.3);
    expect(decide, &m, GATE_INCONCLUSIVE, "at most 4.0% can be judged");
}

static bool alone_a_regression(const struct gate_result *r)
{
    return r->verdict == GATE_REGRESSION && r->p_worse > 0.001;
}

/* One metric of 24 with a p that is below 0.01 alone, not so after the correction. */
static void many(decide_fn decide)
{
    struct gate_rule rule = gate_rule_default();
    struct gate_result r[MAX_METRICS];
    struct gate_metric m[MAX_METRICS];
    for (size_t i = 0; i < MAX_METRICS; i++) {
        struct noise noise = {1000 + i};
        noise_measure(&noise, samples[i], 20, 0.01, 0);
        m[i] = metric(samples[i], 20);
    }
    static uint64_t seed;
    m[0] = search(&seed, alone_a_regression);
    bool good = decide(&rule, m, 24, r);
    for (size_t i = 0; i < 24; i++)
        good = good && r[i].verdict == GATE_SAME;
    good = good && decide(&rule, m, 25, r);
    for (size_t i = 0; i < 25; i++)
        good = good && r[i].verdict == GATE_FAILED && strstr(r[i].reason, "25 metrics: at most 24");
    surprises += !good;
    if (!mutant)
        CHECK(good, "24 metrics, then 25");
}

static int all_cases(decide_fn decide, const char *name)
{
    mutant = name;
    surprises = 0;
    verdicts(decide);
    conditions(decide);
    refusals(decide);
    doubtful(decide);
    many(decide);
    return surprises;
}

/* ---- mutants ---- */

#define MUTANT(name)                                                                               \
    static bool name(const struct gate_rule *rule, const struct gate_metric *metrics, size_t n,    \
                     struct gate_result *results)

/* Runs the rule on changed copies of metrics and samples. */
struct changed {
    struct gate_metric metrics[MAX_METRICS];
    struct gate_value samples[MAX_METRICS][2 * MAX_N];
};

static struct changed *copy(const struct gate_metric *metrics, size_t n)
{
    static struct changed c;
    for (size_t i = 0; i < n; i++) {
        c.metrics[i] = metrics[i];
        memcpy(c.samples[i], metrics[i].samples, metrics[i].n * sizeof *metrics[i].samples);
        c.metrics[i].samples = c.samples[i];
    }
    return &c;
}

MUTANT(sign_flipped)
{
    struct changed *c = copy(metrics, n);
    for (size_t i = 0; i < n; i++)
        c->metrics[i].higher_is_better = !metrics[i].higher_is_better;
    return gate_decide(rule, c->metrics, n, results);
}

MUTANT(direction_ignored)
{
    struct changed *c = copy(metrics, n);
    for (size_t i = 0; i < n; i++)
        c->metrics[i].higher_is_better = false;
    return gate_decide(rule, c->metrics, n, results);
}

MUTANT(arms_swapped)
{
    struct changed *c = copy(metrics, n);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < metrics[i].n; k++)
            c->samples[i][k].head = !c->samples[i][k].head;
    return gate_decide(rule, c->metrics, n, results);
}

MUTANT(floor_dropped)
{
    struct gate_rule r = *rule;
    r.floor = 0;
    return gate_decide(&r, metrics, n, results);
}

MUTANT(test_dropped)
{
    struct gate_rule r = *rule;
    r.alpha = 1.1;
    return gate_decide(&r, metrics, n, results);
}

MUTANT(interval_dropped)
{
    struct gate_rule r = *rule;
    r.level = 0;
    return gate_decide(&r, metrics, n, results);
}

MUTANT(one_block)
{
    struct changed *c = copy(metrics, n);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < metrics[i].n; k++)
            c->samples[i][k].block = 0;
    return gate_decide(rule, c->metrics, n, results);
}

MUTANT(noise_limit_dropped)
{
    struct gate_rule r = *rule;
    r.max_cv = 1;
    return gate_decide(&r, metrics, n, results);
}

MUTANT(least_n_dropped)
{
    struct gate_rule r = *rule;
    r.min_n = 1;
    return gate_decide(&r, metrics, n, results);
}

MUTANT(count_limit_dropped)
{
    struct gate_rule r = *rule;
    r.max_metrics = 1000;
    return gate_decide(&r, metrics, n, results);
}

MUTANT(correction_dropped)
{
    for (size_t i = 0; i < n; i++)
        if (!gate_decide(rule, metrics + i, 1, results + i))
            return false;
    return n > 24 ? gate_decide(rule, metrics, n, results) : true;
}

/* Overwrites the verdict of those metrics that the condition names. */
#define PASSES_WHERE(name, condition)                                                              \
    MUTANT(name)                                                                                   \
    {                                                                                              \
        bool good = gate_decide(rule, metrics, n, results);                                        \
        for (size_t i = 0; i < n; i++)                                                             \
            if (condition)                                                                         \
                results[i].verdict = GATE_SAME;                                                    \
        return good;                                                                               \
    }

PASSES_WHERE(empty_passes, metrics[i].n == 0)
PASSES_WHERE(missing_cell_passes, !metrics[i].unit[1])
PASSES_WHERE(always_passes, true)
PASSES_WHERE(inconclusive_passes, results[i].verdict == GATE_INCONCLUSIVE)
PASSES_WHERE(failure_passes, results[i].verdict == GATE_FAILED)

MUTANT(always_fails)
{
    bool good = gate_decide(rule, metrics, n, results);
    for (size_t i = 0; i < n; i++)
        results[i].verdict = GATE_REGRESSION;
    return good;
}

MUTANT(nan_skipped)
{
    struct changed *c = copy(metrics, n);
    for (size_t i = 0; i < n; i++) {
        size_t kept = 0;
        for (size_t k = 0; k < metrics[i].n; k++)
            if (!isnan(metrics[i].samples[k].value))
                c->samples[i][kept++] = metrics[i].samples[k];
        c->metrics[i].n = kept;
    }
    return gate_decide(rule, c->metrics, n, results);
}

MUTANT(nan_is_zero)
{
    struct changed *c = copy(metrics, n);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < metrics[i].n; k++)
            if (isnan(c->samples[i][k].value))
                c->samples[i][k].value = 0;
    return gate_decide(rule, c->metrics, n, results);
}

#define IGNORES(name, field)                                                                       \
    MUTANT(name)                                                                                   \
    {                                                                                              \
        struct changed *c = copy(metrics, n);                                                      \
        for (size_t i = 0; i < n; i++)                                                             \
            c->metrics[i].field[1] = c->metrics[i].field[0];                                       \
        return gate_decide(rule, c->metrics, n, results);                                          \
    }

IGNORES(units_ignored, unit)
IGNORES(work_ignored, work)
IGNORES(machine_ignored, machine)

/* Head was recorded in another unit and nobody noticed. */
MUTANT(units_changed)
{
    struct changed *c = copy(metrics, n);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < metrics[i].n; k++)
            c->samples[i][k].value *= c->samples[i][k].head ? 1e-3 : 1;
    return gate_decide(rule, c->metrics, n, results);
}

static void mutants(void)
{
#define NAMED(f)                                                                                   \
    {                                                                                              \
        f, #f                                                                                      \
    }
    static const struct {
        decide_fn decide;
        const char *name;
    } all[] = {NAMED(sign_flipped),        NAMED(direction_ignored),   NAMED(arms_swapped),
               NAMED(floor_dropped),       NAMED(test_dropped),        NAMED(interval_dropped),
               NAMED(one_block),           NAMED(noise_limit_dropped), NAMED(least_n_dropped),
               NAMED(count_limit_dropped), NAMED(correction_dropped),  NAMED(empty_passes),
               NAMED(missing_cell_passes), NAMED(always_passes),       NAMED(inconclusive_passes),
               NAMED(failure_passes),      NAMED(always_fails),        NAMED(nan_skipped),
               NAMED(nan_is_zero),         NAMED(units_ignored),       NAMED(work_ignored),
               NAMED(machine_ignored),     NAMED(units_changed)};
    CHECK(all_cases(gate_decide, NULL) == 0);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        CHECK(all_cases(all[i].decide, all[i].name) > 0, "the mutant '%s' lives", all[i].name);
    mutant = NULL;
}

/* ---- what stands around the verdict ---- */

static void confirmation(void)
{
    static const struct {
        enum gate_verdict first, second, expected;
    } cases[] = {{GATE_REGRESSION, GATE_REGRESSION, GATE_REGRESSION},
                 {GATE_REGRESSION, GATE_SAME, GATE_SAME},
                 {GATE_REGRESSION, GATE_IMPROVEMENT, GATE_SAME},
                 {GATE_REGRESSION, GATE_INCONCLUSIVE, GATE_INCONCLUSIVE},
                 {GATE_REGRESSION, GATE_FAILED, GATE_FAILED},
                 {GATE_REGRESSION, GATE_NOT_COMPARABLE, GATE_NOT_COMPARABLE},
                 {GATE_IMPROVEMENT, GATE_IMPROVEMENT, GATE_IMPROVEMENT},
                 {GATE_IMPROVEMENT, GATE_REGRESSION, GATE_SAME}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gate_result a = {.verdict = cases[i].first, .ratio = 1.1};
        struct gate_result b = {.verdict = cases[i].second, .ratio = 1.05, .reason = "second"};
        gate_confirm(&a, &b);
        CHECK(a.verdict == cases[i].expected && a.ratio == 1.05, "case %zu: %s", i,
              gate_verdict_name(a.verdict));
        bool rejected = cases[i].expected == GATE_SAME;
        CHECK((strstr(a.reason, "not confirmed: first") != NULL) == rejected, "%s", a.reason);
    }
}

static void exit_codes(void)
{
    struct gate_result r[3] = {{.verdict = GATE_SAME}, {.verdict = GATE_IMPROVEMENT}, {0}};
    CHECK(gate_exit_code(r, 0) == 5 && gate_exit_code(r, 3) == 0);
    r[2].verdict = GATE_INCONCLUSIVE;
    CHECK(gate_exit_code(r, 3) == 3);
    r[1].verdict = GATE_REGRESSION;
    CHECK(gate_exit_code(r, 3) == 1);
    r[0].verdict = GATE_NOT_COMPARABLE;
    CHECK(gate_exit_code(r, 3) == 4);
    r[2].verdict = GATE_FAILED;
    CHECK(gate_exit_code(r, 3) == 5);
}

static void figures(void)
{
    struct gate_rule rule = gate_rule_default();
    CHECK(gate_samples_needed(&rule, 0.005) == 20 && gate_samples_needed(&rule, 0.01) == 20);
    CHECK(gate_samples_needed(&rule, 0.02) == 40 && gate_samples_needed(&rule, 0.03) == 60);
    CHECK(gate_samples_needed(&rule, 0.031) == 80 && gate_samples_needed(&rule, 0.041) == 0);
    CHECK(gate_samples_needed(&rule, NAN) == 0);
    CHECK(gate_relate(&rule, 1, (struct stats_interval){0.99, 1.01}) == GATE_RELATION_SAME);
    CHECK(gate_relate(&rule, 1, (struct stats_interval){0.97, 1.01}) == GATE_RELATION_UNKNOWN);
    CHECK(gate_relate(&rule, 1.03, (struct stats_interval){1.01, 1.05}) == GATE_RELATION_DIFFERENT);
    CHECK(gate_relate(&rule, 0.9, (struct stats_interval){0.8, 0.95}) == GATE_RELATION_DIFFERENT);
    CHECK(gate_relate(&rule, 1.015, (struct stats_interval){1.01, 1.03}) == GATE_RELATION_UNKNOWN);
    struct gate_result r;
    struct gate_metric m = clean(20, 0.01, 0.05);
    samples[0][0].value *= 3;
    CHECK(gate_decide(&rule, &m, 1, &r) && r.first_is_slowest && r.outliers[0] == 1);
    CHECK(r.n[0] == 20 && r.n[1] == 20 && fabs(r.ratio - 1.05) < 0.005);
    CHECK(r.interval.low < r.ratio && r.ratio < r.interval.high);
    m = clean(20, 0.01, 0.05);
    CHECK(gate_decide(&rule, &m, 1, &r) && !r.first_is_slowest && fabs(r.cv - 0.01) < 0.001);
}

/* ---- simulation ---- */

static int regressions(int runs, size_t n, double cv, double effect)
{
    struct gate_rule rule = gate_rule_default();
    struct noise noise = {2024};
    int found = 0;
    for (int i = 0; i < runs; i++) {
        struct gate_result r;
        noise_measure(&noise, samples[0], n, cv, effect);
        struct gate_metric m = metric(samples[0], n);
        CHECK(gate_decide(&rule, &m, 1, &r));
        found += r.verdict == GATE_REGRESSION;
    }
    return found;
}

/* At most 1% with 95% confidence: so few alarms would be rarer than 5% if the rate were 1%. */
static void false_alarms(size_t n, double cv)
{
    const int runs = 628;
    int found = regressions(runs, n, cv, 0);
    CHECK(bounds_at_most(found, runs, 0.01), "n %zu, cv %g: %d false alarms in %d", n, cv, found,
          runs);
}

/* At least `power` with 95% confidence. */
static void power(size_t n, double cv, double effect, double least, int runs)
{
    int found = regressions(runs, n, cv, effect);
    CHECK(bounds_at_least(found, runs, least), "n %zu, cv %g: +%g%% found in %d of %d", n, cv,
          100 * effect, found, runs);
}

static void least_effect_is_found(void)
{
    struct gate_rule rule = gate_rule_default();
    double effect = gate_least_effect(&rule, 0.02, 40);
    int found = regressions(400, 40, 0.02, effect);
    CHECK(effect > 0.02 && effect < 0.03 && found >= 330 && found <= 390,
          "+%.2f%%: found in %d of 400", 100 * effect, found);
    CHECK(gate_least_effect(&rule, 0.02, 20) > effect &&
          gate_least_effect(&rule, 0.03, 40) > effect);
}

int main(void)
{
    mutants();
    confirmation();
    exit_codes();
    figures();
    false_alarms(20, 0.01);
    false_alarms(40, 0.02);
    false_alarms(60, 0.03);
    false_alarms(20, 0.08);
    false_alarms(20, 0.2);
    power(20, 0.01, 0.03, 0.90, 200);
    power(40, 0.02, 0.03, 0.90, 500);
    power(60, 0.03, 0.05, 0.95, 300);
    power(20, 0.08, 0.25, 0.95, 300);
    least_effect_is_found();
    return check_done();
}
