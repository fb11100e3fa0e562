/* length: see length.h. */
#include "draft/length.h"

#define FORGET     0.97 /* what an estimate keeps of the past with each draft */
#define HOPE       0.7  /* acceptance that nothing is known of, */
#define HOPE_COUNT 1.0  /* and how many drafts' worth it is */
#define NEWEST     0.3  /* share of the newest pass in the time of its length */
#define PROBE      24   /* every so many passes a neighbouring length is measured anew */

void length_open(struct length *l, uint32_t most, bool adapts)
{
    *l = (struct length){.most = most < DRAFT_MOST ? most : DRAFT_MOST, .adapts = adapts};
}

/* Between lengths that were measured in a straight line, beyond them as the nearest; 0: none. */
static double time_of(const struct length *l, uint32_t k)
{
    uint32_t low = k, high = k;
    while (low > 0 && l->pass_ns[low] == 0)
        low--;
    while (high < l->most && l->pass_ns[high] == 0)
        high++;
    double below = l->pass_ns[low], above = l->pass_ns[high];
    if (below == 0 || above == 0 || low == high)
        return below > 0 ? below : above;
    return below + (above - below) * (k - low) / (high - low);
}

static double acceptance_at(const struct length *l, uint32_t place)
{
    return (l->kept[place] + HOPE * HOPE_COUNT) / (l->tried[place] + HOPE_COUNT);
}

static uint32_t best(const struct length *l)
{
    double yield = 1, all_right = 1, fastest = 0;
    uint32_t length = 0;
    for (uint32_t k = 0; k <= l->most; k++) {
        if (yield / time_of(l, k) > fastest) {
            fastest = yield / time_of(l, k);
            length = k;
        }
        if (k < l->most) {
            all_right *= acceptance_at(l, k);
            yield += all_right;
        }
    }
    return length;
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

void length_took(struct length *l, uint32_t drafted, double ns)
{
    double *time = &l->pass_ns[drafted < l->most ? drafted : l->most];
    l->n++;
    *time = *time == 0 ? ns : (1 - NEWEST) * *time + NEWEST * ns;
}

double length_yield(double acceptance, uint32_t k)
{
    double yield = 1, all_right = 1;
    for (uint32_t i = 0; i < k; i++)
        yield += all_right *= acceptance;
    return yield;
}
