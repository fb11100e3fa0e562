/*
 * simulate_model: what a simulated model streams: the tensors of its layers, from a file, from a
 * shape without a file, or made up of equal layers.
 */
#ifndef SIMULATE_MODEL_H
#define SIMULATE_MODEL_H

#include "base/status.h"
#include "cache/layout.h"
#include "engine.h"

#include <stdint.h>

struct sim_model {
    struct layout_tensor *tensors; /* in access order */
    uint32_t n_tensors, n_layers;
    bool experts;                     /* some tensors are of experts */
    uint64_t file_bytes, layer_bytes; /* of the file, of all layers */
};

enum lb_status sim_model_of_file(const char *path, struct sim_model *model, struct lb_error *err);
enum lb_status sim_model_of_shape(const struct lb_synth *synth, struct sim_model *model,
                                  struct lb_error *err);
/* n_layers of layer_bytes each, in rows of 4 KiB. */
enum lb_status sim_model_uniform(uint32_t n_layers, uint64_t layer_bytes, struct sim_model *model,
                                 struct lb_error *err);
void sim_model_free(struct sim_model *model);

#endif
