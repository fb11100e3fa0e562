/*
 * whole_engine: the ids that a model generates greedily, one a line; for test_arm_engine.sh, which
 * builds it for another processor.
 *
 *   whole_engine MODEL KERNELS STORAGE PREFETCH N ID...
 */
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>

static int fail(const struct lb_error *err)
{
    fprintf(stderr, "%s\n", err->text);
    return 1;
}

int main(int argc, char **argv)
{
    struct lb_options o = lb_options_default();
    struct lb_sampling greedy = {.top_p = 1};
    struct lb_error err = LB_ERROR_INIT;
    struct lb_engine *engine;
    struct lb_sampler *sampler;
    int32_t ids[256];
    size_t n = 0;
    if (argc < 7)
        return 2;
    o.model_path = argv[1];
    o.kernels = argv[2];
    o.storage = argv[3];
    o.prefetch = argv[4];
    o.cache_layers = 2;
    o.threads = 2;
    for (int i = 6; i < argc && n < 256; i++)
        ids[n++] = atoi(argv[i]);
    if (lb_engine_open(&o, &engine, &err) != LB_OK)
        return fail(&err);
    uint32_t n_vocab = lb_engine_model(engine).n_vocab;
    float *logits = malloc(n_vocab * sizeof *logits);
    if (!logits || lb_sampler_open(&greedy, n_vocab, &sampler, &err) != LB_OK ||
        lb_engine_prefill(engine, 0, ids, n, false, logits, &err) != LB_OK)
        return fail(&err);
    for (int i = 0; i < atoi(argv[5]); i++) {
        int32_t id = lb_sampler_next(sampler, logits);
        printf("%d\n", id);
        if (lb_engine_decode(engine, &id, 1, logits, &err) != LB_OK)
            return fail(&err);
    }
    lb_sampler_close(sampler);
    free(logits);
    lb_engine_close(engine);
    return 0;
}
