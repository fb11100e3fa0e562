/* previous: what the layer needed when it was last. */
#include "plan/predictor.h"

static uint32_t guess(const struct predictor_view *view, uint32_t *units, float *confidence)
{
    uint32_t n = 0;
    for (uint32_t unit = view->first; unit < view->end; unit++) {
        if (!prediction_was_needed(view->prediction, unit))
            continue;
        units[n] = unit;
        confidence[n++] = view->precision;
    }
    return n;
}

const struct predictor predict_previous = {
    .name = "previous",
    .about = "the layer's experts at the last token",
    .guess = guess,
};
