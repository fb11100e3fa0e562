/* off: nothing is predicted. */
#include "plan/predictor.h"

const struct predictor predict_off = {
    .name = "off",
    .about = "nothing: loads of experts begin when the router has chosen",
};
