/* measure: what the process of one sample does. */
#ifndef MEASURE_H
#define MEASURE_H

#include "settings/options.h"

struct measure {
    uint64_t work_seed;    /* of the prompt's tokens */
    uint64_t first_prompt; /* of settings.prompts, for the first sequence; the others follow */
    uint32_t result_fd;
    uint64_t log_capacity;
    bool profile, json;
};

/* Opens the model of the settings, measures, and hands the sample over; the exit code. */
int measure(const struct measure *measure, struct settings *settings);

#endif
