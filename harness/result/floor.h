/*
 * floor: the least time that a decode pass can take, whatever the design. The only place where it
 * is calculated: measured and simulated cells, tables, figures and tune take it from here. Pure.
 *
 *   floor = max( computation with all weights at hand,
 *                bytes that a pass must read / bandwidth )
 *
 * Where every pass needs all layers it must read what the cache cannot hold. A mixture of experts
 * needs others in each pass, and only a part of them lies in the cache, whatever its size: the
 * least that can be read is what somebody reads who knows all choices beforehand (clairvoyant).
 *
 * Both parts are bounds as far as their inputs are: of a run take the least computation of a
 * resident pass and the highest bandwidth that was seen, in raw reads or in a pass. A pass below
 * its floor proves an input wrong, and wherever the number stands it says so.
 */
#ifndef FLOOR_H
#define FLOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Times in ns; all 0 where they are not known. */
struct floor {
    double compute_ns;
    double load_ns;     /* of what must be read */
    double all_load_ns; /* of all that is needed */
    double bandwidth;   /* bytes/s; 0: none to speak of (memory) or not known */
    double ns;          /* the larger of compute_ns and load_ns */
};

/* compute_ns: of a pass without waiting; needed and least: bytes that it needs, and must read.
 * bandwidth 0: nothing is read, or none is known; then computation alone is the floor. */
struct floor floor_of(double compute_ns, double needed, double least, double bandwidth);

/* Bytes that a pass must read where every pass needs the same. */
double floor_least(double needed, double cache);
/* The same of n accesses of units, all known beforehand: Belady's rule, on bytes instead of units
 * (some of a unit may stay), so that no way to cut the weights does better, and from whatever it is
 * best that the cache holds at the start. Of a cyclic scan that is floor_least() a pass. bytes_of
 * and *units begin with unit 0, below n_units. NAN: out of memory. */
double floor_clairvoyant(const uint32_t *units, size_t n, const double *bytes_of, uint32_t n_units,
                         double cache);

/* Whether a pass of this time shows that the floor is wrong. */
bool floor_is_wrong(const struct floor *floor, double pass_ns);

/* Layers that a pass must load, whatever is evicted, where every pass needs n layers in the same
 * order and c of them fit (Belady's rule on a cyclic scan: of n - 1 accesses after a layer's load,
 * c - 1 find theirs): n (n - c) / (n - 1); 0 where all fit. */
double floor_cyclic_misses(double n_layers, double cache_layers);

#endif
