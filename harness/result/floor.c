/* floor: see floor.h. */
#include "result/floor.h"

#include <math.h>
#include <stdlib.h>

struct floor floor_of(double compute_ns, double needed, double least, double bandwidth)
{
    struct floor floor = {.compute_ns = compute_ns, .bandwidth = bandwidth};
    if (bandwidth > 0) {
        floor.load_ns = least / bandwidth * 1e9;
        floor.all_load_ns = needed / bandwidth * 1e9;
    }
    floor.ns = floor.compute_ns > floor.load_ns ? floor.compute_ns : floor.load_ns;
    return floor;
}

bool floor_is_wrong(const struct floor *floor, double pass_ns)
{
    return floor->ns > pass_ns;
}

double floor_least(double needed, double cache)
{
    double missing = needed - cache;
    return missing > 0 ? missing : 0;
}

/* ---- clairvoyant ---- */

/* What lies in the cache, the furthest next use on top: a heap of positions, each the next use of
 * one unit. Those that have passed lie below all others. */
struct clairvoyant {
    const uint32_t *units;
    size_t *heap, n_heap;
    double *cached; /* [n_units] bytes */
    double held;
};

static void push(struct clairvoyant *c, size_t position)
{
    size_t at = c->n_heap++;
    for (; at > 0 && c->heap[(at - 1) / 2] < position; at = (at - 1) / 2)
        c->heap[at] = c->heap[(at - 1) / 2];
    c->heap[at] = position;
}

static void pop(struct clairvoyant *c)
{
    size_t last = c->heap[--c->n_heap], at = 0;
    for (size_t child; (child = 2 * at + 1) < c->n_heap; at = child) {
        child += child + 1 < c->n_heap && c->heap[child + 1] > c->heap[child];
        if (c->heap[child] <= last)
            break;
        c->heap[at] = c->heap[child];
    }
    c->heap[at] = last;
}

/* Bytes leave, those needed last first, until what is held fits. */
static void shrink(struct clairvoyant *c, double cache)
{
    while (c->held > cache && c->n_heap > 0) {
        double *furthest = &c->cached[c->units[c->heap[0]]];
        double leaves = fmin(*furthest, c->held - cache);
        *furthest -= leaves;
        c->held -= leaves;
        if (c->held > cache)
            pop(c);
    }
}

static void hold(struct clairvoyant *c, size_t next, double bytes)
{
    c->cached[c->units[next]] = bytes;
    c->held += bytes;
    push(c, next);
}

double floor_clairvoyant(const uint32_t *units, size_t n, const double *bytes_of, uint32_t n_units,
                         double cache)
{
    struct clairvoyant c = {.units = units};
    size_t *next = malloc((n + 1) * sizeof *next), *first = malloc(n_units * sizeof *first);
    double least = 0;
    c.heap = malloc((n + n_units + 1) * sizeof *c.heap);
    c.cached = calloc(n_units, sizeof *c.cached);
    if (!next || !first || !c.heap || !c.cached) {
        least = NAN;
        goto done;
    }
    for (uint32_t u = 0; u < n_units; u++)
        first[u] = n;
    for (size_t i = n; i-- > 0;) {
        next[i] = first[units[i]];
        first[units[i]] = i;
    }
    for (uint32_t u = 0; u < n_units; u++)
        if (first[u] < n)
            hold(&c, first[u], bytes_of[u]);
    shrink(&c, cache);
    for (size_t i = 0; i < n; i++) {
        double *cached = &c.cached[units[i]];
        least += bytes_of[units[i]] - *cached;
        c.held -= *cached;
        *cached = 0;
        if (next[i] < n)
            hold(&c, next[i], bytes_of[units[i]]);
        shrink(&c, cache);
    }
done:
    free(next);
    free(first);
    free(c.heap);
    free(c.cached);
    return least;
}

double floor_cyclic_misses(double n, double c)
{
    return c < n && n > 1 ? n * (n - c) / (n - 1) : 0;
}
