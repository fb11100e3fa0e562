/*
 * sampler: see sampler.h.
 *
 * All arithmetic is double precision with the exponential spelt out here, because the last bit of
 * libm's differs between machines, and one bit can decide a draw.
 */
#include "text/sampler.h"

#include "base/memory.h"

#include <math.h>
#include <stdbool.h>

struct candidate {
    float logit;
    int32_t id;
    double weight; /* exp((logit - highest) / temperature) */
};

struct sampler {
    struct sampler_options options;
    uint64_t next; /* place of sampler_next */
    uint32_t n_vocab;
    struct candidate *candidates; /* [n_vocab] */
};

enum lb_status sampler_open(const struct sampler_options *options, uint32_t n_vocab,
                            struct sampler **sampler, struct lb_error *err)
{
    *sampler = NULL;
    if (!(options->temperature >= 0) || isinf(options->temperature))
        return lb_fail(err, LB_ERR_INPUT, "temperature: %g: expected 0 or more",
                       (double)options->temperature);
    if (!(options->top_p > 0 && options->top_p <= 1))
        return lb_fail(err, LB_ERR_INPUT, "top-p: %g: expected more than 0 and at most 1",
                       (double)options->top_p);
    if (n_vocab == 0 || n_vocab > INT32_MAX)
        return lb_fail(err, LB_ERR_INPUT, "vocabulary of %u tokens: expected 1 to 2147483647",
                       n_vocab);
    struct sampler *s = lb_calloc(1, sizeof *s);
    if (s)
        s->candidates = lb_calloc(n_vocab, sizeof *s->candidates);
    if (!s || !s->candidates) {
        lb_free(s);
        return lb_fail(err, LB_ERR_NOMEM, "sampler: out of memory");
    }
    s->options = *options;
    s->n_vocab = n_vocab;
    *sampler = s;
    return LB_OK;
}

void sampler_close(struct sampler *sampler)
{
    if (sampler)
        lb_free(sampler->candidates);
    lb_free(sampler);
}

/* e^x for x <= 0: x = k ln 2 + r, |r| <= ln 2 / 2; e^r by its series, whose 14th term is below
 * 1e-17; times 2^k. */
static double exp_same_everywhere(double x)
{
    if (x < -700)
        return 0;
    double k = floor(x * 1.4426950408889634 + 0.5);
    double r = x - k * 6.93147180369123816490e-01 - k * 1.90821492927058770002e-10;
    double sum = 1;
    for (int i = 14; i > 0; i--)
        sum = 1 + sum * r / i;
    return ldexp(sum, (int)k);
}

static int32_t greedy(const float *logits, uint32_t n)
{
    int32_t best = -1;
    for (uint32_t i = 0; i < n; i++)
        if (!isnan(logits[i]) && (best < 0 || logits[i] > logits[best]))
            best = (int32_t)i;
    return best;
}

/* ---- a heap of candidates, the most likely on top, of equals the lowest id ---- */

static bool above(const struct candidate *a, const struct candidate *b)
{
    return a->logit != b->logit ? a->logit > b->logit : a->id < b->id;
}

static void sift_down(struct candidate *heap, size_t n, size_t i)
{
    struct candidate moved = heap[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && above(&heap[child + 1], &heap[child]))
            child++;
        if (!above(&heap[child], &moved))
            break;
        heap[i] = heap[child];
    }
    heap[i] = moved;
}

static void heapify(struct candidate *heap, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift_down(heap, n, i);
}

/* Moves the top behind the end of the shrunken heap. */
static void pop(struct candidate *heap, size_t *n)
{
    struct candidate top = heap[0];
    heap[0] = heap[--*n];
    if (*n)
        sift_down(heap, *n, 0);
    heap[*n] = top;
}

/* Keeps the k most likely, and of those the fewest that hold the share `p` of the probability.
 * Returns the first of the kept ones; they end the array, the most likely last. */
static size_t keep_likely(struct candidate *c, size_t n, size_t k, double p)
{
    size_t rest = n;
    double total = 0, kept = 0;
    heapify(c, n);
    if (k < n) {
        while (rest > n - k)
            pop(c, &rest);
        for (size_t i = n; i-- > rest;)
            total += c[i].weight;
        for (size_t i = n; i-- > rest;)
            if ((kept += c[i].weight) >= p * total)
                return i;
        return rest;
    }
    for (size_t i = 0; i < n; i++)
        total += c[i].weight;
    while (rest > 0 && kept < p * total) {
        pop(c, &rest);
        kept += c[rest].weight;
    }
    return rest;
}

/* Draws from c[begin, end) in proportion to the weights. */
static int32_t draw(struct lb_random random, const struct candidate *c, size_t begin, size_t end)
{
    double total = 0, sum = 0;
    int32_t last = -1;
    for (size_t i = end; i-- > begin;)
        total += c[i].weight;
    double mark = lb_random_unit(&random) * total;
    for (size_t i = end; i-- > begin;) {
        if (c[i].weight == 0)
            continue;
        last = c[i].id;
        if ((sum += c[i].weight) > mark)
            break;
    }
    return last;
}

int32_t sampler_at(struct sampler *sampler, uint64_t place, const float *logits)
{
    const struct sampler_options *o = &sampler->options;
    struct candidate *c = sampler->candidates;
    int32_t best = greedy(logits, sampler->n_vocab);
    if (o->temperature == 0 || best < 0 || (isinf(logits[best]) && logits[best] < 0))
        return best;
    size_t n = 0;
    for (uint32_t i = 0; i < sampler->n_vocab; i++) {
        if (isnan(logits[i]))
            continue;
        /* equal first: the difference of two infinities is no number */
        double below = logits[i] == logits[best] ? 0 : (double)logits[i] - (double)logits[best];
        c[n++] = (struct candidate){logits[i], (int32_t)i,
                                    exp_same_everywhere(below / (double)o->temperature)};
    }
    size_t k = o->top_k && o->top_k < n ? o->top_k : n, begin = 0;
    if (k < n || o->top_p < 1)
        begin = keep_likely(c, n, k, (double)o->top_p);
    return draw(lb_random_at(o->seed, place), c, begin, n);
}

int32_t sampler_next(struct sampler *sampler, const float *logits)
{
    return sampler_at(sampler, sampler->next++, logits);
}
