/*
 * simulate_profile: what a model takes on this machine: one prompt, two decode passes without
 * prefetch, so that compute and reads do not overlap and each is seen alone. Where tokens are
 * guessed, a decode pass checks a draft of full length.
 */
#ifndef SIMULATE_PROFILE_H
#define SIMULATE_PROFILE_H

#include "settings/options.h"

struct sim_profile {
    uint32_t n_layers;
    double *layer_ns;     /* compute of each layer in a decode pass */
    double other_ns;      /* of a decode pass outside the layers */
    double prompt_factor; /* compute of the prompt's pass as a multiple of a decode pass's */
    double bandwidth;     /* of the layers' reads, bytes/s, with the settings' storage and device */
    uint64_t fixed_bytes; /* memory beside the layers: resident tensors, workspace, KV caches */
    uint64_t kv_bytes;    /* of these, the KV caches */
    uint32_t context;     /* positions that they have */
};

/* Opens the model with the settings, but prefetch off. */
enum lb_status sim_profile_measure(const struct settings *settings, struct sim_profile *profile,
                                   struct lb_error *err);
void sim_profile_free(struct sim_profile *profile);

#endif
