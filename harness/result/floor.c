/* floor: see floor.h. */
#include "result/floor.h"

struct floor floor_of(double compute_ns, double needed_bytes, double cache_bytes, double bandwidth)
{
    struct floor floor = {.compute_ns = compute_ns, .bandwidth = bandwidth};
    if (bandwidth > 0) {
        double missing = needed_bytes - cache_bytes;
        floor.load_ns = missing > 0 ? missing / bandwidth * 1e9 : 0;
        floor.all_load_ns = needed_bytes / bandwidth * 1e9;
    }
    floor.ns = floor.compute_ns > floor.load_ns ? floor.compute_ns : floor.load_ns;
    return floor;
}

bool floor_is_wrong(const struct floor *floor, double pass_ns)
{
    return floor->ns > pass_ns;
}

double floor_cyclic_misses(double n, double c)
{
    return c < n && n > 1 ? n * (n - c) / (n - 1) : 0;
}
