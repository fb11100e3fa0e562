/* synthetic: synthetic models for those outside the engine. */
#include "base/memory.h"
#include "engine.h"
#include "quant/quant.h"
#include "synth/synth.h"

struct lb_routing lb_usual_routing(void)
{
    return (struct lb_routing){synth_usual_routing.skew, synth_usual_routing.persistence};
}

static struct synth_routing routing_of(const struct lb_synth *synth)
{
    return synth->routing
               ? (struct synth_routing){synth->routing->skew, synth->routing->persistence}
               : synth_usual_routing;
}

static struct synth_options options_of(const struct lb_synth *synth,
                                       const struct synth_routing *routing)
{
    return (struct synth_options){.shape = synth->shape,
                                  .mix = synth->quant,
                                  .seed = synth->seed,
                                  .n_layers = synth->n_layers,
                                  .routing = routing,
                                  .progress = synth->progress,
                                  .progress_ctx = synth->progress_ctx};
}

enum lb_status lb_synth_write(const struct lb_synth *synth, const char *path, struct lb_error *err)
{
    const struct synth_routing routing = routing_of(synth);
    const struct synth_options options = options_of(synth, &routing);
    return synth_write(&options, path, err);
}

/* The shape asked for; false: unknown. */
static bool shape_of(const struct lb_synth *synth, struct synth_shape *shape, struct lb_error *err)
{
    const struct synth_shape *named = synth_find_shape(synth->shape, err);
    if (!named)
        return false;
    *shape = *named;
    if (synth->n_layers > 0)
        shape->n_layers = synth->n_layers;
    return true;
}

enum lb_status lb_synth_inspect(const struct lb_synth *synth, const struct lb_inspect *inspect,
                                struct lb_error *err)
{
    const uint64_t align = 32; /* general.alignment of what synth writes */
    struct synth_shape shape;
    struct synth_tensor *tensors;
    size_t n;
    if (!shape_of(synth, &shape, err))
        return LB_ERR_INPUT;
    enum lb_status status = synth_plan(&shape, synth->quant, &tensors, &n, err);
    if (status != LB_OK)
        return status;
    const struct synth_routing routing = routing_of(synth);
    const struct synth_options options = options_of(synth, &routing);
    uint64_t header;
    status = synth_header_bytes(&shape, &options, tensors, n, &header, err);
    if (status != LB_OK) {
        lb_free(tensors);
        return status;
    }
    uint64_t end = header;
    for (size_t i = 0; i < n; i++)
        end += (tensors[i].bytes + align - 1) / align * align;
    if (inspect->file)
        inspect->file(inspect->ctx, 3, end, 0, n);
    uint64_t at = header;
    for (size_t i = 0; inspect->tensor && i < n; i++) {
        const struct synth_tensor *t = &tensors[i];
        inspect->tensor(inspect->ctx, t->name, quant_info(t->type)->name, t->n_dims, t->ne, at,
                        t->bytes);
        at += (t->bytes + align - 1) / align * align;
    }
    lb_free(tensors);
    return LB_OK;
}

enum lb_status lb_synth_routes(const struct lb_synth *synth, uint32_t sequence, uint32_t n_tokens,
                               void (*take)(void *ctx, uint32_t token, uint32_t layer,
                                            const uint32_t *experts, uint32_t n),
                               void *ctx, struct lb_error *err)
{
    struct synth_shape shape;
    struct synth_routing routing = routing_of(synth);
    return shape_of(synth, &shape, err)
               ? synth_routes(&shape, &routing, synth->seed, sequence, n_tokens, take, ctx, err)
               : LB_ERR_INPUT;
}
