/* fit: choosing scales when quantising. See fit.h. */
#include "quant/fit.h"

#include "quant/blocks.h"
#include "quant/quant.h"

#include <math.h>

#define HALF_MAX   65504.0f
#define GROUPS_MAX 16

float fit_peak(const float *x, size_t n)
{
    float peak = 0;
    for (size_t i = 0; i < n; i++)
        if (fabsf(x[i]) > fabsf(peak))
            peak = x[i];
    return peak;
}

void fit_range(const float *x, size_t n, float *low, float *high)
{
    *low = *high = x[0];
    for (size_t i = 1; i < n; i++) {
        *low = x[i] < *low ? x[i] : *low;
        *high = x[i] > *high ? x[i] : *high;
    }
}

float fit_half(float scale, uint16_t *half)
{
    *half = quant_float_to_half(fminf(fmaxf(scale, -HALF_MAX), HALF_MAX));
    return quant_half_to_float(*half);
}

int fit_nearest(float x, float step, int low, int high)
{
    float q = step != 0 ? x / step : 0;
    if (!(q > (float)low)) /* NaN too */
        return low;
    return q < (float)high ? (int)lrintf(q) : high;
}

uint8_t fit_iq4(float x, float step)
{
    float q = step != 0 ? x / step : 0;
    uint8_t best = 0;
    for (uint8_t i = 1; i < 16; i++)
        if (fabsf(q - quant_iq4_values[i]) < fabsf(q - quant_iq4_values[best]))
            best = i;
    return best;
}

float fit_signed_groups(const float *x, int n_groups, int group, float peak_at, int limit,
                        uint16_t *d, int *s)
{
    float scales[GROUPS_MAX] = {0};
    for (int j = 0; j < n_groups; j++)
        scales[j] = fit_peak(x + j * group, (size_t)group) / peak_at;
    float step = fit_half(fit_peak(scales, (size_t)n_groups) / (float)-limit, d);
    for (int j = 0; j < n_groups; j++)
        s[j] = fit_nearest(scales[j], step, -limit, limit - 1);
    return step;
}

float fit_odd_groups(const float *x, int n_groups, int group, float peak_at, int limit, float unit,
                     uint16_t *d, int *s)
{
    float largest = fabsf(fit_peak(x, (size_t)(n_groups * group))) / peak_at;
    float step = unit * fit_half(largest / (float)(2 * limit - 1) / unit, d);
    for (int j = 0; j < n_groups; j++) {
        float scale = fabsf(fit_peak(x + j * group, (size_t)group)) / peak_at;
        s[j] = fit_nearest(scale - step, 2 * step, 0, limit - 1);
    }
    return step;
}

/* The least integer in 0..limit with integer * step >= x, as far as the limit allows. */
static int round_up(float x, float step, int limit)
{
    float q = step > 0 ? ceilf(x / step) : 0;
    return q < (float)limit ? (int)q : limit;
}

void fit_offset_groups(const float *x, int n_groups, int group, int q_max, int limit, uint16_t *d,
                       uint16_t *dmin, int *s, int *m)
{
    float lows[GROUPS_MAX], highs[GROUPS_MAX], lowest = 0, widest = 0;
    for (int j = 0; j < n_groups; j++) {
        fit_range(x + j * group, (size_t)group, &lows[j], &highs[j]);
        lows[j] = fminf(lows[j], 0); /* offsets only go down */
        lowest = fminf(lowest, lows[j]);
    }
    float offset = fit_half(-lowest / (float)limit, dmin);
    for (int j = 0; j < n_groups; j++) {
        m[j] = round_up(-lows[j], offset, limit);
        highs[j] = fmaxf(highs[j] + offset * (float)m[j], 0) / (float)q_max;
        widest = fmaxf(widest, highs[j]);
    }
    float step = fit_half(widest / (float)limit, d);
    for (int j = 0; j < n_groups; j++)
        s[j] = round_up(highs[j], step, limit);
}
