/* hot: the units that the layer used most often so far (old uses count less, as in future.c), as
 * many as it needed when it was last. Each is as certain as it was often needed. */
#include "plan/predictor.h"

/* Least and most that a share of turns counts as. */
#define LEAST 0.001f
#define MOST  0.999f

/* units[0..n-1] by descending use: puts `unit` in its place, of `max` at most. */
static uint32_t insert(const struct future *future, uint32_t unit, uint32_t *units, uint32_t n,
                       uint32_t max)
{
    double uses = future_popularity(future, unit);
    uint32_t at = n;
    while (at > 0 && future_popularity(future, units[at - 1]) < uses)
        at--;
    if (at == max)
        return n;
    n = n < max ? n + 1 : n;
    for (uint32_t i = n - 1; i > at; i--)
        units[i] = units[i - 1];
    units[at] = unit;
    return n;
}

static uint32_t guess(const struct predictor_view *view, uint32_t *units, float *confidence)
{
    uint32_t max = prediction_last_need(view->prediction, view->layer), n = 0;
    for (uint32_t unit = view->first; max > 0 && unit < view->end; unit++)
        if (future_popularity(view->future, unit) > 0)
            n = insert(view->future, unit, units, n, max);
    for (uint32_t i = 0; i < n; i++) {
        float share = (float)future_likelihood(view->future, units[i]);
        confidence[i] = share < LEAST ? LEAST : share > MOST ? MOST : share;
    }
    return n;
}

const struct predictor predict_hot = {
    .name = "hot",
    .about = "the layer's most frequent experts so far",
    .guess = guess,
};
