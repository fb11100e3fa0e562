/*
 * gate_rule over recorded noise: false alarms, power and coverage on the samples that
 * results/gate-proof/whole.jsonl holds of real A/A runs, in which both arms were the same program.
 *
 * A trial takes a stretch of one recorded series, as long as the rule asks for its noise, and gives
 * each block of four neighbours its arms anew (ABBA or BAAB by a seed), since any of them could
 * have been measured as either; head is then slowed by the effect. Noise, spikes and drift are the
 * machine's.
 */
#include "base/random.h"
#include "bounds.h"
#include "gate/gate_order.h"
#include "gate/gate_rule.h"
#include "stats/stats.h"
#include "tests/check.h"

#include <jansson.h>
#include <math.h>

enum { MAX_SERIES = 1000, MAX_SAMPLES = 1000 };

struct series {
    double *values;
    size_t n; /* a multiple of GATE_BLOCK */
};

static struct series all[MAX_SERIES];
static size_t n_all;

/* Samples as lists [seq, block, head?, confirming?, ns, set aside?] in the order of measurement. */
static void add_series(const json_t *list)
{
    struct series *s = &all[n_all];
    size_t i;
    json_t *sample;
    if (n_all == MAX_SERIES || !(s->values = calloc(MAX_SAMPLES, sizeof *s->values)))
        return;
    json_array_foreach(list, i, sample)
    {
        if (json_integer_value(json_array_get(sample, 3)) == 0 && s->n < MAX_SAMPLES)
            s->values[s->n++] = json_number_value(json_array_get(sample, 4));
    }
    s->n -= s->n % GATE_BLOCK;
    n_all++;
}

static void read_series(const char *path)
{
    FILE *in = fopen(path, "r");
    json_t *run, *list;
    const char *cell;
    if (!in)
        return;
    while ((run = json_loadf(in, JSON_DISABLE_EOF_CHECK, NULL)) != NULL) {
        const char *kind = json_string_value(json_object_get(run, "kind"));
        if (kind && strcmp(kind, "none") == 0)
            json_object_foreach(json_object_get(run, "samples"), cell, list) add_series(list);
        json_decref(run);
    }
    fclose(in);
}

static void free_series(void)
{
    for (size_t i = 0; i < n_all; i++)
        free(all[i].values);
}

/* n samples of each arm from `from` on. */
static void deal(struct lb_random *random, const double *from, size_t n, double effect,
                 struct gate_value *out)
{
    bool head[GATE_BLOCK];
    for (size_t i = 0; i < 2 * n; i++) {
        if (i % GATE_BLOCK == 0)
            gate_order_block(random, head);
        bool is_head = head[i % GATE_BLOCK];
        out[i] = (struct gate_value){is_head ? from[i] * (1 + effect) : from[i],
                                     (uint32_t)(i / GATE_BLOCK), is_head};
    }
}

static struct gate_result judge(const struct gate_rule *rule, const struct gate_value *samples,
                                size_t n)
{
    struct gate_metric m = {"pass", false, {"ns", "ns"}, {"w", "w"}, {"m", "m"}, samples, 2 * n};
    struct gate_result r = {.verdict = GATE_FAILED};
    CHECK(gate_decide(rule, &m, 1, &r));
    return r;
}

/* A trial with noise of at most max_cv, judged; false: this stretch is too noisy, or too short for
 * its noise. */
static bool trial(struct lb_random *random, double max_cv, double effect,
                  struct gate_value *samples, size_t *n, struct gate_result *result)
{
    struct gate_rule rule = gate_rule_default(), quick = rule;
    const struct series *s = &all[lb_random_below(random, (uint32_t)n_all)];
    struct lb_random order = {lb_random_next(random)};
    quick.rounds = 1; /* only the noise is asked for */
    for (*n = rule.min_n; 2 * *n <= s->n;) {
        size_t blocks = (s->n - 2 * *n) / GATE_BLOCK;
        const double *from = s->values + GATE_BLOCK * lb_random_below(random, (uint32_t)blocks + 1);
        deal(&order, from, *n, effect, samples);
        double cv = judge(&quick, samples, *n).cv;
        size_t need = gate_samples_needed(&rule, cv);
        if (!(cv <= max_cv) || need == 0)
            return false;
        if (need <= *n) {
            *result = judge(&rule, samples, *n);
            return true;
        }
        *n = need;
    }
    return false;
}

/* Regressions found in `runs` trials. */
static int found_in(int runs, double max_cv, double effect)
{
    static struct gate_value samples[MAX_SAMPLES];
    struct lb_random random = {7};
    int found = 0, tries = 0;
    for (int i = 0; i < runs && tries < 100 * runs; tries++) {
        struct gate_result r;
        size_t n;
        if (!trial(&random, max_cv, effect, samples, &n, &r))
            continue;
        found += r.verdict == GATE_REGRESSION;
        i++;
    }
    CHECK(tries < 100 * runs, "few stretches have noise of at most %g%%", 100 * max_cv);
    return found;
}

/* How many of `runs` 95% intervals hold the effect. */
static int covered_in(int runs, double max_cv, double effect)
{
    static struct gate_value samples[MAX_SAMPLES];
    static struct stats_blocked arms[2][MAX_SAMPLES];
    struct lb_random random = {8};
    int held = 0;
    for (int i = 0, tries = 0; i < runs && tries < 100 * runs; tries++) {
        struct stats_bootstrap how = {0.95, 2000, (uint64_t)i};
        struct stats_interval interval;
        struct gate_result r;
        size_t n, count[2] = {0};
        if (!trial(&random, max_cv, effect, samples, &n, &r))
            continue;
        for (size_t k = 0; k < 2 * n; k++)
            arms[samples[k].head][count[samples[k].head]++] =
                (struct stats_blocked){samples[k].value, samples[k].block};
        CHECK(stats_ratio_interval_blocks(arms[0], n, arms[1], n, n / 2, how, &interval));
        held += interval.low <= 1 + effect && 1 + effect <= interval.high;
        i++;
    }
    return held;
}

int main(void)
{
    read_series("results/gate-proof/whole.jsonl");
    if (n_all < 10) {
        free_series();
        check_skip("no recorded runs in results/gate-proof/whole.jsonl");
    }
    int alarms = found_in(628, 0.03, 0), three = found_in(200, 0.02, 0.03);
    int five = found_in(300, 0.03, 0.05), held = covered_in(600, 0.03, 0.03);
    printf(
        "%zu series: %d false alarms in 628, +3%% found in %d of 200, +5%% in %d of 300, %d of 600 "
        "intervals hold the effect\n",
        n_all, alarms, three, five, held);
    CHECK(bounds_at_most(alarms, 628, 0.01));
    CHECK(bounds_at_least(three, 200, 0.90));
    CHECK(bounds_at_least(five, 300, 0.95));
    CHECK(held >= 0.93 * 600 && held <= 0.97 * 600);
    free_series();
    return check_done();
}
