/*
 * floor: the least time that a decode pass can take, whatever the design. The only place where it
 * is calculated: measured and simulated cells, tables, figures and tune take it from here. Pure.
 *
 *   floor = max( computation with all weights at hand,
 *                (bytes that a pass needs - bytes of the cache) / bandwidth )
 *
 * A pass needs all layers; of a mixture of experts, those that were chosen.
 *
 * Both parts are bounds as far as their inputs are: of a run take the least computation of a
 * resident pass and the highest bandwidth that was seen, in raw reads or in a pass. A pass below
 * its floor proves an input wrong, and wherever the number stands it says so.
 */
#ifndef FLOOR_H
#define FLOOR_H

#include <stdbool.h>

/* Times in ns; all 0 where they are not known. */
struct floor {
    double compute_ns;
    double load_ns;     /* of what the cache cannot hold */
    double all_load_ns; /* of all that is needed */
    double bandwidth;   /* bytes/s; 0: none to speak of (memory) or not known */
    double ns;          /* the larger of compute_ns and load_ns */
};

/* compute_ns: of a pass without waiting. bandwidth 0: nothing is read, or none is known; then
 * computation alone is the floor. */
struct floor floor_of(double compute_ns, double needed_bytes, double cache_bytes, double bandwidth);

/* Whether a pass of this time shows that the floor is wrong. */
bool floor_is_wrong(const struct floor *floor, double pass_ns);

/* Layers that a pass must load, whatever is evicted, where every pass needs n layers in the same
 * order and c of them fit (Belady's rule on a cyclic scan: of n - 1 accesses after a layer's load,
 * c - 1 find theirs): n (n - c) / (n - 1); 0 where all fit. */
double floor_cyclic_misses(double n_layers, double cache_layers);

#endif
