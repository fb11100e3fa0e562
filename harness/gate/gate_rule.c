/*
 * gate_rule: see gate_rule.h.
 *
 * gate_decide: (1) check that each metric can be compared; (2) split its samples into arms and
 * compute medians, noise, interval and both one-sided p; (3) correct the p over all metrics;
 * (4) judge.
 */
#include "gate/gate_rule.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gate_rule gate_rule_default(void)
{
    return (struct gate_rule){.alpha = 0.01,
                              .floor = 0.02,
                              .level = 0.99,
                              .rounds = 10000,
                              .seed = 1,
                              .max_cv = 0.04,
                              .min_n = 20,
                              .max_metrics = 24};
}

const char *gate_verdict_name(enum gate_verdict verdict)
{
    static const char *const names[] = {"same",         "improvement",    "regression",
                                        "inconclusive", "not comparable", "failed"};
    return names[verdict];
}

static const char *const arm_names[] = {"base", "head"};

/* ---- can it be compared? ---- */

#define REFUSE(result, code, ...)                                                                  \
    do {                                                                                           \
        (result)->verdict = (code);                                                                \
        snprintf((result)->reason, sizeof(result)->reason, __VA_ARGS__);                           \
        return false;                                                                              \
    } while (0)

static bool check_labels(const struct gate_metric *m, struct gate_result *r)
{
    for (int a = 0; a < 2; a++) {
        if (!m->unit[a])
            REFUSE(r, GATE_FAILED, "missing: %s has no such cell", arm_names[a]);
        if (!m->work[a] || !m->machine[a])
            REFUSE(r, GATE_FAILED, "%s does not say what work it did, or where", arm_names[a]);
    }
    if (strcmp(m->unit[0], m->unit[1]) != 0)
        REFUSE(r, GATE_FAILED, "units differ: base %s, head %s", m->unit[0], m->unit[1]);
    if (strcmp(m->work[0], m->work[1]) != 0)
        REFUSE(r, GATE_FAILED, "different work: base %s, head %s", m->work[0], m->work[1]);
    if (strcmp(m->machine[0], m->machine[1]) != 0)
        REFUSE(r, GATE_NOT_COMPARABLE, "different machines: base %s, head %s", m->machine[0],
               m->machine[1]);
    return true;
}

/* Blocks are numbered by the caller; here each gets an index in order of appearance. */
static uint32_t block_index(uint32_t *blocks, size_t *n_blocks, uint32_t block)
{
    for (size_t i = *n_blocks; i-- > 0;) /* the last one first: blocks are runs */
        if (blocks[i] == block)
            return (uint32_t)i;
    blocks[*n_blocks] = block;
    return (uint32_t)(*n_blocks)++;
}

struct arms {
    struct stats_blocked *samples[2]; /* base, head; of one allocation */
    double *values[2], *scratch;
    uint32_t *blocks;
    int *balance; /* of a block: samples of head less those of base */
    size_t n[2], n_blocks;
};

static void close_arms(struct arms *arms)
{
    free(arms->samples[0]);
    free(arms->values[0]);
    free(arms->blocks);
    free(arms->balance);
}

static bool open_arms(struct arms *arms, size_t n)
{
    *arms = (struct arms){0};
    arms->samples[0] = malloc((2 * n + 1) * sizeof **arms->samples);
    arms->values[0] = malloc((3 * n + 1) * sizeof **arms->values);
    arms->blocks = malloc((n + 1) * sizeof *arms->blocks);
    arms->balance = calloc(n + 1, sizeof *arms->balance);
    if (!arms->samples[0] || !arms->values[0] || !arms->blocks || !arms->balance) {
        close_arms(arms);
        return false;
    }
    arms->samples[1] = arms->samples[0] + n;
    arms->values[1] = arms->values[0] + n;
    arms->scratch = arms->values[0] + 2 * n;
    return true;
}

static bool split(const struct gate_metric *m, struct arms *arms, struct gate_result *r)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct gate_value *s = &m->samples[i];
        if (!isfinite(s->value) || s->value < 0)
            REFUSE(r, GATE_FAILED, "sample %zu is %g: expected a number of 0 or more", i, s->value);
        uint32_t block = block_index(arms->blocks, &arms->n_blocks, s->block);
        arms->values[s->head][arms->n[s->head]] = s->value;
        arms->samples[s->head][arms->n[s->head]++] = (struct stats_blocked){s->value, block};
        arms->balance[block] += s->head ? 1 : -1;
    }
    for (int a = 0; a < 2; a++)
        if (arms->n[a] == 0)
            REFUSE(r, GATE_FAILED, "nothing measured: %s has no samples", arm_names[a]);
    for (size_t b = 0; b < arms->n_blocks; b++)
        if (arms->balance[b] != 0)
            REFUSE(r, GATE_FAILED, "block %u has %d more samples of %s than of %s", arms->blocks[b],
                   abs(arms->balance[b]), arm_names[arms->balance[b] > 0],
                   arm_names[arms->balance[b] < 0]);
    return true;
}

/* ---- measures ---- */

static double median_of(const double *x, size_t n, double *scratch)
{
    memcpy(scratch, x, n * sizeof *x);
    return stats_median(scratch, n);
}

/* 1.4826 MAD / median of each arm by itself, so that spikes do not count and a real difference
 * between the arms is no noise; root mean square of both, as they enter the error of the ratio: one
 * noisy arm is not hidden by a quiet one. */
static double arms_cv(const struct arms *arms, const double median[2])
{
    double squares = 0;
    for (int a = 0; a < 2; a++) {
        for (size_t i = 0; i < arms->n[a]; i++)
            arms->scratch[i] =
                median[a] > 0 ? fabs(arms->values[a][i] / median[a] - 1) : arms->values[a][i] != 0;
        double cv = 1.4826 * stats_median(arms->scratch, arms->n[a]);
        squares += cv * cv;
    }
    return sqrt(squares / 2);
}

static bool first_is_slowest(const struct gate_metric *m)
{
    for (size_t i = 1; i < m->n; i++)
        if (m->higher_is_better ? m->samples[i].value <= m->samples[0].value
                                : m->samples[i].value >= m->samples[0].value)
            return false;
    return true;
}

/* false: out of memory */
static bool measure(const struct gate_rule *rule, const struct gate_metric *m, struct arms *arms,
                    struct gate_result *r)
{
    struct stats_bootstrap how = {rule->level, rule->rounds, rule->seed};
    double higher, lower; /* p of head being higher, of it being lower */
    for (int a = 0; a < 2; a++) {
        r->n[a] = arms->n[a];
        r->median[a] = median_of(arms->values[a], arms->n[a], arms->scratch);
        if (!stats_outliers(arms->values[a], arms->n[a], NULL, &r->outliers[a]))
            return false;
    }
    r->ratio = stats_ratio(r->median[1], r->median[0]);
    r->cv = arms_cv(arms, r->median);
    r->first_is_slowest = first_is_slowest(m);
    if (!stats_mann_whitney(arms->values[0], arms->n[0], arms->values[1], arms->n[1], &higher) ||
        !stats_mann_whitney(arms->values[1], arms->n[1], arms->values[0], arms->n[0], &lower) ||
        !stats_ratio_interval_blocks(arms->samples[0], arms->n[0], arms->samples[1], arms->n[1],
                                     arms->n_blocks, how, &r->interval))
        return false;
    r->p_worse = m->higher_is_better ? lower : higher;
    r->p_better = m->higher_is_better ? higher : lower;
    return true;
}

/* ---- judging ---- */

static void judge(const struct gate_rule *rule, const struct gate_metric *m, struct gate_result *r)
{
    size_t n = r->n[0] < r->n[1] ? r->n[0] : r->n[1];
    double worse = m->higher_is_better ? stats_ratio(1, r->ratio) : r->ratio;
    bool above = r->interval.low > 1, below = r->interval.high < 1;
    bool noisy = r->cv > rule->max_cv;
    double floor = noisy ? r->least_effect : rule->floor;
    if (n < rule->min_n) {
        r->verdict = GATE_INCONCLUSIVE;
        snprintf(r->reason, sizeof r->reason, "%zu samples an arm: at least %zu are needed", n,
                 rule->min_n);
    } else if (r->p_worse < rule->alpha && worse > 1 + floor &&
               (m->higher_is_better ? below : above)) {
        r->verdict = GATE_REGRESSION;
        snprintf(r->reason, sizeof r->reason, "worse by %.1f%%, p = %.2g%s", 100 * (worse - 1),
                 r->p_worse, noisy ? ", more than the noise explains" : "");
    } else if (noisy) {
        r->verdict = GATE_INCONCLUSIVE;
        snprintf(r->reason, sizeof r->reason,
                 "noise of %.1f%% (coefficient of variation): at most %.1f%% can be judged",
                 100 * r->cv, 100 * rule->max_cv);
    } else if (r->p_better < rule->alpha && 1 / worse > 1 + rule->floor &&
               (m->higher_is_better ? above : below)) {
        r->verdict = GATE_IMPROVEMENT;
        snprintf(r->reason, sizeof r->reason, "better by %.1f%%, p = %.2g", 100 * (1 / worse - 1),
                 r->p_better);
    } else {
        r->verdict = GATE_SAME;
        snprintf(r->reason, sizeof r->reason, "%s; a slowdown of %.1f%% would be found",
                 fabs(r->ratio - 1) <= rule->floor ? "within the floor"
                                                   : "not separable from noise",
                 100 * r->least_effect);
    }
}

static bool examine(const struct gate_rule *rule, const struct gate_metric *m,
                    struct gate_result *r)
{
    struct arms arms;
    bool good = true;
    if (!check_labels(m, r))
        return true;
    if (!open_arms(&arms, m->n))
        return false;
    r->verdict = GATE_SAME; /* for now: it can be judged */
    if (split(m, &arms, r))
        good = measure(rule, m, &arms, r);
    close_arms(&arms);
    return good;
}

/* Corrects the p of all metrics that can be judged, both directions. */
static bool correct(struct gate_result *results, size_t n)
{
    double *p = malloc((n + 1) * sizeof *p);
    bool good = p != NULL;
    for (int better = 0; better < 2 && good; better++) {
        size_t k = 0;
        for (size_t i = 0; i < n; i++)
            if (results[i].verdict == GATE_SAME)
                p[k++] = better ? results[i].p_better : results[i].p_worse;
        good = stats_holm(p, k, p);
        k = 0;
        for (size_t i = 0; i < n && good; i++)
            if (results[i].verdict == GATE_SAME)
                *(better ? &results[i].p_better : &results[i].p_worse) = p[k++];
    }
    free(p);
    return good;
}

bool gate_decide(const struct gate_rule *rule, const struct gate_metric *metrics, size_t n,
                 struct gate_result *results)
{
    for (size_t i = 0; i < n; i++) {
        struct gate_result *r = &results[i];
        *r = (struct gate_result){.median = {NAN, NAN},
                                  .ratio = NAN,
                                  .interval = {NAN, NAN},
                                  .p_worse = NAN,
                                  .p_better = NAN,
                                  .cv = NAN,
                                  .least_effect = NAN};
        if (n > rule->max_metrics) {
            r->verdict = GATE_FAILED;
            snprintf(r->reason, sizeof r->reason, "%zu metrics: at most %zu may gate together", n,
                     rule->max_metrics);
        } else if (!examine(rule, &metrics[i], r)) {
            return false;
        }
    }
    if (!correct(results, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct gate_result *r = &results[i];
        if (r->verdict != GATE_SAME)
            continue;
        r->least_effect = gate_least_effect(rule, r->cv, r->n[0]);
        judge(rule, &metrics[i], r);
    }
    return true;
}

void gate_confirm(struct gate_result *first, const struct gate_result *second)
{
    enum gate_verdict before = first->verdict;
    *first = *second;
    if (second->verdict == before || second->verdict >= GATE_INCONCLUSIVE)
        return;
    first->verdict = GATE_SAME;
    snprintf(first->reason, sizeof first->reason,
             "not confirmed: first %s, with fresh samples %s (ratio %.3f)",
             gate_verdict_name(before), gate_verdict_name(second->verdict), second->ratio);
}

int gate_exit_code(const struct gate_result *results, size_t n)
{
    bool seen[GATE_FAILED + 1] = {false};
    for (size_t i = 0; i < n; i++)
        seen[results[i].verdict] = true;
    return n == 0 || seen[GATE_FAILED] ? 5
           : seen[GATE_NOT_COMPARABLE] ? 4
           : seen[GATE_REGRESSION]     ? 1
           : seen[GATE_INCONCLUSIVE]   ? 3
                                       : 0;
}

size_t gate_samples_needed(const struct gate_rule *rule, double cv)
{
    if (!(cv <= rule->max_cv))
        return 0;
    size_t n = 20 * (size_t)ceil(100 * cv);
    return n > rule->min_n ? n : rule->min_n;
}

double gate_least_effect(const struct gate_rule *rule, double cv, size_t n)
{
    double power = stats_normal_quantile(0.9);
    double error = 1.2533 * cv * sqrt(2 / (double)n); /* of the ratio of medians */
    double interval = stats_normal_quantile(0.5 + rule->level / 2);
    return fmax(rule->floor + power * error, (interval + power) * error);
}

enum gate_relation gate_relate(const struct gate_rule *rule, double ratio,
                               struct stats_interval interval)
{
    double above = 1 + rule->floor, below = 1 / above;
    if (interval.low >= below && interval.high <= above)
        return GATE_RELATION_SAME;
    if ((interval.low > 1 && ratio > above) || (interval.high < 1 && ratio < below))
        return GATE_RELATION_DIFFERENT;
    return GATE_RELATION_UNKNOWN;
}
