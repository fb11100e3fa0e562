/* model_file: the model of a run: synthetic ones are made once and kept under models/. */
#ifndef MODEL_FILE_H
#define MODEL_FILE_H

#include "base/status.h"
#include "engine.h"

#include <stdint.h>

struct model_synth {
    const char *shape, *quant;
    uint64_t seed;
    uint32_t n_layers;         /* 0: as the shape */
    struct lb_routing routing; /* of a mixture of experts */
};
/* Nothing chosen yet: seed 1, the usual routing. */
struct model_synth model_synth_default(void);
/* What the engine calls it; for as long as `synth` is there. */
struct lb_synth model_synth_engine(const struct model_synth *synth);

/* "synthetic routing (skew 0.7, persistence 0.45)": what is said wherever such a model is shown. */
const char *model_routing_text(const struct lb_routing *routing, char *text, size_t size);

/* Writes the model to `path` (directories are made, a temporary name is used until it is whole),
 * with progress on a terminal. */
enum lb_status model_file_synth(const struct model_synth *synth, const char *path,
                                struct lb_error *err);

/* The cached file of a synthetic model, made when it is not there: models/SHAPE-QUANT-SEED.gguf
 * (SHAPE-LAYERS-QUANT-SEED when the number of layers is not the shape's; then -skewX-persistenceY
 * where a mixture's routing is not the usual). *path: malloc. */
enum lb_status model_file_cached(const struct model_synth *synth, char **path,
                                 struct lb_error *err);

#endif
