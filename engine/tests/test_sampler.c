/*
 * sampler: what may be chosen (exact sets), how often (chi-square with fixed seeds), ties, logits
 * that are no numbers, and that a seed decides everything.
 */
#include "base/memory.h"
#include "tests/check.h"
#include "text/sampler.h"

#include <math.h>

static struct sampler *open_sampler(float temperature, uint32_t k, float p, uint64_t seed,
                                    uint32_t n)
{
    struct lb_error err = LB_ERROR_INIT;
    struct sampler_options o = {temperature, k, p, seed};
    struct sampler *s;
    CHECK(sampler_open(&o, n, &s, &err) == LB_OK, "%s", err.text);
    return s;
}

static int32_t one(float temperature, uint32_t k, float p, uint64_t seed, const float *logits,
                   uint32_t n)
{
    struct sampler *s = open_sampler(temperature, k, p, seed, n);
    int32_t id = sampler_next(s, logits);
    sampler_close(s);
    return id;
}

static void greedy(void)
{
    const float inf = INFINITY;
    CHECK(one(0, 0, 1, 1, (float[]){1, 3, 2, 3}, 4) == 1);
    CHECK(one(0, 0, 1, 1, (float[]){-1, -1, -1}, 3) == 0);
    CHECK(one(0, 0, 1, 1, (float[]){NAN, -5, NAN, -4}, 4) == 3);
    CHECK(one(0, 0, 1, 1, (float[]){NAN, NAN}, 2) == -1);
    CHECK(one(0, 0, 1, 1, (float[]){-inf, NAN, -inf}, 3) == 0);
    CHECK(one(0, 0, 1, 1, (float[]){0, inf, NAN}, 3) == 1);
    int first_infinite = 0;
    /* a temperature near 0, one candidate, and almost no probability mass: greedy too */
    for (uint64_t seed = 0; seed < 50; seed++) {
        const float logits[] = {0.5f, 2, 1.999f, -inf, 2, NAN};
        int32_t id = one(1e-30f, 0, 1, seed, logits, 6);
        CHECK(id == 1 || id == 4, "seed %d: %d", (int)seed, id);
        CHECK(one(5, 1, 1, seed, logits, 6) == 1);
        CHECK(one(5, 0, 1e-6f, seed, logits, 6) == 1);
        id = one(1, 0, 1, seed, (float[]){1, inf, NAN, inf}, 4);
        CHECK(id == 1 || id == 3, "seed %d: %d", (int)seed, id);
        first_infinite += id == 1;
        CHECK(one(1, 2, 0.9f, seed, (float[]){NAN, NAN}, 2) == -1);
        CHECK(one(1, 0, 1, seed, (float[]){NAN, -inf}, 2) == 1);
    }
    CHECK(first_infinite > 10 && first_infinite < 40, "%d of 50", first_infinite);
}

#define N 8

/* Which ids come up in many draws, as a bit mask; counts[N] if not NULL. */
static unsigned drawn(float temperature, uint32_t k, float p, const float *logits, int draws,
                      int *counts)
{
    struct sampler *s = open_sampler(temperature, k, p, 12345, N);
    unsigned seen = 0;
    for (int i = 0; i < draws; i++) {
        int32_t id = sampler_next(s, logits);
        CHECK(id >= 0 && id < N, "%d", id);
        seen |= 1u << id;
        if (counts)
            counts[id]++;
    }
    sampler_close(s);
    return seen;
}

static void exact_sets(void)
{
    /* probabilities 0.4, 0.2, 0.2, 0.1, 0.05, 0.05, 0, - in this order of ids: 3 1 6 0 5 2 7 4 */
    const float logits[N] = {logf(0.1f), logf(0.2f),  logf(0.05f), logf(0.4f),
                             NAN,        logf(0.05f), logf(0.2f),  -INFINITY};
    CHECK(drawn(1, 0, 1, logits, 4000, NULL) ==
          (1u << 0 | 1u << 1 | 1u << 2 | 1u << 3 | 1u << 5 | 1u << 6));
    CHECK(drawn(1, 1, 1, logits, 4000, NULL) == 1u << 3);
    CHECK(drawn(1, 2, 1, logits, 4000, NULL) == (1u << 3 | 1u << 1)); /* 1 and 6 tie: lower id */
    CHECK(drawn(1, 3, 1, logits, 4000, NULL) == (1u << 3 | 1u << 1 | 1u << 6));
    CHECK(drawn(1, 5, 1, logits, 4000, NULL) == (1u << 3 | 1u << 1 | 1u << 6 | 1u << 0 | 1u << 2));
    CHECK(drawn(1, 0, 0.39f, logits, 4000, NULL) == 1u << 3);
    CHECK(drawn(1, 0, 0.5f, logits, 4000, NULL) == (1u << 3 | 1u << 1));
    CHECK(drawn(1, 0, 0.79f, logits, 4000, NULL) == (1u << 3 | 1u << 1 | 1u << 6));
    CHECK(drawn(1, 0, 0.89f, logits, 4000, NULL) == (1u << 3 | 1u << 1 | 1u << 6 | 1u << 0));
    /* a share that is reached exactly is enough */
    const float twins[N] = {1, 1, -INFINITY, NAN, NAN, NAN, NAN, NAN};
    CHECK(drawn(1, 0, 0.5f, twins, 4000, NULL) == 1 && drawn(1, 2, 0.5f, twins, 4000, NULL) == 1);
    /* top-p is of what top-k left: 0.4 of 0.8 is half */
    CHECK(drawn(1, 3, 0.49f, logits, 4000, NULL) == 1u << 3);
    CHECK(drawn(1, 3, 0.7f, logits, 4000, NULL) == (1u << 3 | 1u << 1));
    CHECK(drawn(1, 100, 1, logits, 4000, NULL) == drawn(1, 0, 1, logits, 4000, NULL));
    /* temperature comes before top-p: a high one levels 0.4 down towards 1/6 */
    CHECK(drawn(1000, 0, 0.3f, logits, 4000, NULL) == (1u << 3 | 1u << 1));
}

/* Chi-square of the counts against expected probabilities; those of 0 must not occur. */
static double chi_square(const int *counts, const double *p, int draws)
{
    double sum = 0;
    for (int i = 0; i < N; i++) {
        double expected = p[i] * draws;
        CHECK(p[i] > 0 || counts[i] == 0, "id %d", i);
        if (p[i] > 0)
            sum += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    return sum;
}

static void distribution(void)
{
    const float logits[N] = {0.3f, -1, 2, 0, NAN, 1.5f, -2, 0.9f};
    const double limit = 24.3; /* 7 cells less 1: 6 degrees of freedom, p = 0.0005 */
    const int draws = 40000;
    static const float temperatures[] = {0.5f, 1, 2};
    for (int mode = 0; mode < 3; mode++) {
        for (int t = 0; t < 3; t++) {
            double p[N] = {0}, total = 0;
            int counts[N] = {0};
            /* mode 1: the four likeliest; mode 2: all, by way of the heap */
            for (int i = 0; i < N; i++)
                if (!isnan(logits[i]) && (mode != 1 || logits[i] >= 0.3f))
                    total += p[i] = exp((double)logits[i] / (double)temperatures[t]);
            for (int i = 0; i < N; i++)
                p[i] /= total;
            drawn(temperatures[t], mode == 1 ? 4 : 0, mode == 2 ? 0.9999f : 1, logits, draws,
                  counts);
            double x = chi_square(counts, p, draws);
            CHECK(x < limit, "mode %d, temperature %g: chi-square %g", mode,
                  (double)temperatures[t], x);
        }
    }
}

static void seeds(void)
{
    enum { VOCAB = 1000, DRAWS = 200 };
    float logits[VOCAB];
    struct lb_random r = {3};
    for (int i = 0; i < VOCAB; i++)
        logits[i] = (float)(lb_random_unit(&r) * 6);
    struct sampler *a = open_sampler(0.8f, 40, 0.95f, 42, VOCAB);
    struct sampler *b = open_sampler(0.8f, 40, 0.95f, 42, VOCAB);
    struct sampler *c = open_sampler(0.8f, 40, 0.95f, 43, VOCAB);
    uint64_t before = lb_memory_allocations(), sum = 0;
    int differ = 0;
    for (int i = 0; i < DRAWS; i++) {
        int32_t x = sampler_next(a, logits);
        CHECK(x == sampler_next(b, logits));
        differ += x != sampler_next(c, logits);
        sum = sum * 31 + (uint64_t)x;
    }
    CHECK(differ > DRAWS / 2);
    CHECK(lb_memory_allocations() == before);
    /* written down once: another machine or compiler must draw the same */
    CHECK(sum == 7785001840804469737u, "hash of the draws: %llu", (unsigned long long)sum);
    sampler_close(a);
    sampler_close(b);
    sampler_close(c);
}

/* A place's token does not depend on what was drawn before, nor how often. */
static void places(void)
{
    enum { PLACES = 64 };
    float logits[N];
    int32_t in_turn[PLACES];
    struct lb_random r = {5};
    for (int i = 0; i < N; i++)
        logits[i] = (float)lb_random_unit(&r);
    struct sampler *s = open_sampler(0.8f, 0, 1, 7, N);
    unsigned differ = 0;
    for (int i = 0; i < PLACES; i++) {
        in_turn[i] = sampler_next(s, logits);
        differ += in_turn[i] != in_turn[0];
    }
    CHECK(differ > PLACES / 2, "%u", differ);
    for (uint64_t i = PLACES; i-- > 0;)
        CHECK(sampler_at(s, i, logits) == in_turn[i] && sampler_at(s, i, logits) == in_turn[i]);
    sampler_close(s);
}

static void errors(void)
{
    static const struct {
        struct sampler_options o;
        const char *text;
    } bad[] = {
        {{-1, 0, 1, 0}, "temperature: -1: expected 0 or more"},
        {{NAN, 0, 1, 0}, "temperature: nan: expected 0 or more"},
        {{INFINITY, 0, 1, 0}, "temperature: inf: expected 0 or more"},
        {{1, 0, 0, 0}, "top-p: 0: expected more than 0 and at most 1"},
        {{1, 0, 1.5f, 0}, "top-p: 1.5: expected more than 0 and at most 1"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct lb_error err = LB_ERROR_INIT;
        struct sampler *s;
        CHECK(sampler_open(&bad[i].o, 10, &s, &err) == LB_ERR_INPUT && !s);
        CHECK_TEXT(err.text, bad[i].text);
    }
    for (uint64_t n = 1; n <= 3; n++) {
        struct lb_error err = LB_ERROR_INIT;
        struct sampler_options o = {0, 0, 1, 0};
        struct sampler *s;
        lb_memory_fail_at(n);
        enum lb_status status = sampler_open(&o, 10, &s, &err);
        lb_memory_fail_at(0);
        CHECK(status == (n < 3 ? LB_ERR_NOMEM : LB_OK) && (s != NULL) == (n == 3));
        sampler_close(s);
    }
}

int main(void)
{
    greedy();
    exact_sets();
    distribution();
    seeds();
    places();
    errors();
    return check_done();
}
