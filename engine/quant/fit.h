/*
 * fit: choosing scales when quantising; private to the quant room.
 *
 * Plain extremes, no search: the element of largest magnitude is met exactly (up
 * to the rounding of the scale), so the error of an element is about one step of
 * its group at most.
 */
#ifndef QUANT_FIT_H
#define QUANT_FIT_H

#include <stddef.h>
#include <stdint.h>

/* The element of largest magnitude, with its sign. */
float fit_peak(const float *x, size_t n);
/* Smallest and largest element. */
void fit_range(const float *x, size_t n, float *low, float *high);
/* Stores a scale as half (the largest half when it does not fit); returns what was stored. */
float fit_half(float scale, uint16_t *half);
/* x / step as the nearest integer in low..high; 0 when step is 0. */
int fit_nearest(float x, float step, int low, int high);
/* Index of the value of quant_iq4_values that is nearest to x / step. */
uint8_t fit_iq4(float x, float step);

/*
 * n_groups groups of `group` elements share one half d: group j gets the integer
 * scale s[j] in -limit..limit-1, so that its peak / peak_at is about d * s[j].
 * Returns d as stored.
 */
float fit_signed_groups(const float *x, int n_groups, int group, float peak_at, int limit,
                        uint16_t *d, int *s);

/*
 * The same with odd scales: group j gets s[j] in 0..limit-1, so that its peak / peak_at is about
 * step * (2 * s[j] + 1), step = d * unit. Returns step.
 */
float fit_odd_groups(const float *x, int n_groups, int group, float peak_at, int limit, float unit,
                     uint16_t *d, int *s);

/*
 * Groups with scale and offset: x is about d * s[j] * q - dmin * m[j], q in 0..q_max, s and m in
 * 0..limit. Scales are rounded up, so that no element lies outside the group's range.
 */
void fit_offset_groups(const float *x, int n_groups, int group, int q_max, int limit, uint16_t *d,
                       uint16_t *dmin, int *s, int *m);

#endif
