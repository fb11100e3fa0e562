/* pattern: see pattern.h. */
#include "plan/pattern.h"

#include "base/memory.h"
#include "base/random.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

static const char *const names[] = {"sequential", "reversed", "strided", "random", "skewed"};

const char *const *pattern_names(size_t *count)
{
    *count = sizeof names / sizeof *names;
    return names;
}

static void fill_strided(uint32_t *order, uint32_t n, uint32_t stride)
{
    uint64_t at = 0;
    for (uint32_t first = 0; first < stride && first < n; first++)
        for (uint64_t unit = first; unit < n; unit += stride)
            order[at++] = (uint32_t)unit;
}

static void fill_random(uint32_t *order, uint64_t length, uint32_t n, struct lb_random *random)
{
    for (uint64_t i = 0; i < length; i++)
        order[i] = lb_random_below(random, n);
}

/* By inversion: sums[k] is the weight of units 0..k. */
static enum lb_status fill_skewed(uint32_t *order, uint64_t length, uint32_t n, double skew,
                                  struct lb_random *random, struct lb_error *err)
{
    double *sums = lb_calloc(n, sizeof *sums), sum = 0;
    if (!sums)
        return lb_fail(err, LB_ERR_NOMEM, "access pattern: out of memory");
    for (uint32_t k = 0; k < n; k++)
        sums[k] = sum += pow(k + 1.0, -skew);
    for (uint64_t i = 0; i < length; i++) {
        double at = lb_random_unit(random) * sum;
        uint32_t low = 0, high = n - 1;
        while (low < high) {
            uint32_t middle = low + (high - low) / 2;
            if (sums[middle] > at)
                high = middle;
            else
                low = middle + 1;
        }
        order[i] = low;
    }
    lb_free(sums);
    return LB_OK;
}

enum lb_status pattern_make(const struct pattern_options *options, uint32_t **out, uint64_t *length,
                            struct lb_error *err)
{
    uint32_t n = options->n_units;
    struct lb_random random = {options->seed};
    bool is_random = strcmp(options->name, "random") == 0;
    bool is_skewed = strcmp(options->name, "skewed") == 0;
    bool is_strided = strcmp(options->name, "strided") == 0;
    bool is_reversed = strcmp(options->name, "reversed") == 0;
    *out = NULL;
    if (!is_random && !is_skewed && !is_strided && !is_reversed &&
        strcmp(options->name, "sequential") != 0)
        return lb_fail(err, LB_ERR_INPUT,
                       "pattern '%s': expected sequential, reversed, strided, random or skewed",
                       options->name);
    if (is_strided && options->stride == 0)
        return lb_fail(err, LB_ERR_INPUT, "stride 0: expected at least 1");
    if (is_skewed && !(options->skew > 0 && isfinite(options->skew)))
        return lb_fail(err, LB_ERR_INPUT, "skew %g: expected more than 0", options->skew);
    *length = (is_random || is_skewed) && options->length ? options->length : n;
    uint32_t *order = lb_calloc(*length, sizeof *order);
    if (!order)
        return lb_fail(err, LB_ERR_NOMEM, "access pattern: out of memory");
    enum lb_status status = LB_OK;
    if (is_random)
        fill_random(order, *length, n, &random);
    else if (is_skewed)
        status = fill_skewed(order, *length, n, options->skew, &random, err);
    else if (is_strided)
        fill_strided(order, n, options->stride);
    else
        for (uint32_t i = 0; i < n; i++)
            order[i] = is_reversed ? n - 1 - i : i;
    if (status != LB_OK) {
        lb_free(order);
        return status;
    }
    *out = order;
    return LB_OK;
}
