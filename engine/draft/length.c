/* length: see length.h. */
#include "draft/length.h"

#define FORGET     0.97 /* what an estimate keeps of the past with each draft */
#define HOPE       0.7  /* acceptance that nothing is known of, */
#define HOPE_COUNT 1.0  /* and how many drafts' worth it is */
#define NEWEST     0.3  /* share of the newest pass in the times of its length */
#define PROBE      24   /* every so many passes a neighbouring length is measured anew */

void length_open(struct length *l, uint32_t most, bool adapts, bool overlaps)
{
    *l = (struct length){
        .most = most < DRAFT_MOST ? most : DRAFT_MOST, .adapts = adapts, .overlaps = overlaps};
}

double length_pass_ns(double compute_ns, double load_ns, bool overlaps)
{
    if (!overlaps)
        return compute_ns + load_ns;
    return compute_ns > load_ns ? compute_ns : load_ns;
}

static double between(double below, double above, double share)
{
    return below + (above - below) * share;
}

/* How much longer a pass took than computing and loading make it. */
static double excess(const struct length *l, const struct length_time *t)
{
    return t->pass_ns / length_pass_ns(t->compute_ns, t->load_ns, l->overlaps);
}

/* Of a length that was measured, what was measured; else predicted from computing and loading, both
 * and what passes take beyond them in a straight line between lengths that were measured, and as
 * the nearest outside. At least one was. */
static double time_of(const struct length *l, uint32_t k)
{
    uint32_t low = k, high = k;
    while (low > 0 && l->took[low].pass_ns == 0)
        low--;
    while (high < l->most && l->took[high].pass_ns == 0)
        high++;
    const struct length_time *a = &l->took[low], *b = &l->took[high];
    if (a->pass_ns == 0)
        a = b;
    if (b->pass_ns == 0)
        b = a;
    double share = low < high ? (double)(k - low) / (high - low) : 0;
    return between(excess(l, a), excess(l, b), share) *
           length_pass_ns(between(a->compute_ns, b->compute_ns, share),
                          between(a->load_ns, b->load_ns, share), l->overlaps);
}

static double acceptance_at(const struct length *l, uint32_t place)
{
    return (l->kept[place] + HOPE * HOPE_COUNT) / (l->tried[place] + HOPE_COUNT);
}

uint32_t length_best(uint32_t most, const double *acceptance, const double *pass_ns)
{
    double yield = 1, all_right = 1, fastest = 0;
    uint32_t length = 0;
    for (uint32_t k = 0; k <= most; k++) {
        if (yield / pass_ns[k] > fastest) {
            fastest = yield / pass_ns[k];
            length = k;
        }
        if (k < most) {
            all_right *= acceptance[k];
            yield += all_right;
        }
    }
    return length;
}

static uint32_t best(const struct length *l)
{
    double acceptance[DRAFT_MOST], pass_ns[DRAFT_MOST + 1];
    for (uint32_t k = 0; k < l->most; k++)
        acceptance[k] = acceptance_at(l, k);
    for (uint32_t k = 0; k <= l->most; k++)
        pass_ns[k] = time_of(l, k);
    return length_best(l->most, acceptance, pass_ns);
}

uint32_t length_next(const struct length *l)
{
    if (!l->adapts)
        return l->most;
    if (l->n < 2) /* the ends first: what lies between follows */
        return l->n == 0 ? l->most : 0;
    uint32_t k = best(l), probe = l->n / PROBE;
    if (l->n % PROBE != 0)
        return k;
    return probe % 2 ? (k < l->most ? k + 1 : k) : (k > 0 ? k - 1 : k + (l->most > 0));
}

void length_saw(struct length *l, uint32_t drafted, uint32_t kept)
{
    for (uint32_t i = 0; i < l->most; i++) {
        l->tried[i] *= FORGET;
        l->kept[i] *= FORGET;
        l->tried[i] += i < drafted && i <= kept;
        l->kept[i] += i < kept;
    }
}

static void average(double *mean, double newest)
{
    *mean += NEWEST * (newest - *mean);
}

void length_took(struct length *l, uint32_t drafted, const struct length_time *took)
{
    struct length_time *mean = &l->took[drafted < l->most ? drafted : l->most];
    l->n++;
    if (mean->pass_ns == 0)
        *mean = *took;
    average(&mean->pass_ns, took->pass_ns);
    average(&mean->compute_ns, took->compute_ns);
    average(&mean->load_ns, took->load_ns);
}

double length_yield(double acceptance, uint32_t k)
{
    double yield = 1, all_right = 1;
    for (uint32_t i = 0; i < k; i++)
        yield += all_right *= acceptance;
    return yield;
}
