/* model_file: see model_file.h. */
#include "study/model_file.h"

#include "common/file_io.h"
#include "common/progress.h"
#include "engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void show(void *ctx, uint64_t done, uint64_t total)
{
    progress_update(ctx, done, total, NULL);
}

static enum lb_status make_parent(const char *path, struct lb_error *err)
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return LB_OK;
    char *parent = file_text("%.*s", (int)(slash - path), path);
    if (!parent)
        return lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", path);
    enum lb_status status = file_make_directory(parent, err);
    free(parent);
    return status;
}

enum lb_status model_file_synth(const struct model_synth *synth, const char *path,
                                struct lb_error *err)
{
    struct progress progress = progress_begin("synth");
    struct lb_synth how = {synth->shape,    synth->quant, synth->seed,
                           synth->n_layers, show,         &progress};
    /* the process in the name: two runs that make the same model do not disturb each other */
    char *temporary = file_text("%s.%ld.tmp", path, (long)getpid());
    if (!temporary)
        return lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", path);
    enum lb_status status = make_parent(path, err);
    if (status == LB_OK)
        status = lb_synth_write(&how, temporary, err);
    if (status == LB_OK && rename(temporary, path) != 0)
        status = lb_fail(err, LB_ERR_INPUT, "%s: cannot write: %s", path, strerror(errno));
    if (status != LB_OK)
        unlink(temporary);
    progress_end(&progress);
    free(temporary);
    return status;
}

enum lb_status model_file_cached(const struct model_synth *synth, char **path, struct lb_error *err)
{
    char layers[16] = "";
    if (synth->n_layers)
        snprintf(layers, sizeof layers, "-%u", synth->n_layers);
    *path = file_text("models/%s%s-%s-%llu.gguf", synth->shape, layers, synth->quant,
                      (unsigned long long)synth->seed);
    if (!*path)
        return lb_fail(err, LB_ERR_NOMEM, "model: out of memory");
    if (file_exists(*path))
        return LB_OK;
    enum lb_status status = model_file_synth(synth, *path, err);
    if (status != LB_OK) {
        free(*path);
        *path = NULL;
    }
    return status;
}

/* ---- facts ---- */

struct facts {
    struct model_facts *out;
    uint64_t *layers; /* bytes by layer, out->n_layers of them */
    enum lb_status status;
};

static void facts_file(void *ctx, uint32_t version, uint64_t file_bytes, size_t n_pairs,
                       size_t n_tensors)
{
    struct facts *f = ctx;
    (void)version;
    (void)n_pairs;
    (void)n_tensors;
    f->out->file_bytes = file_bytes;
}

static void facts_pair(void *ctx, const char *key, const char *kind, const char *value)
{
    struct facts *f = ctx;
    (void)kind;
    size_t n = strlen(f->out->architecture);
    if (strcmp(key, "general.architecture") == 0) {
        snprintf(f->out->architecture, sizeof f->out->architecture, "%s", value);
    } else if (n > 0 && strncmp(key, f->out->architecture, n) == 0 &&
               strcmp(key + n, ".block_count") == 0) {
        f->out->n_layers = (uint32_t)strtoul(value, NULL, 10);
        free(f->layers);
        f->layers = calloc(f->out->n_layers + 1, sizeof *f->layers);
        if (!f->layers)
            f->status = LB_ERR_NOMEM;
    }
}

static void facts_tensor(void *ctx, const char *name, const char *type, uint32_t n_dims,
                         const uint64_t *ne, uint64_t file_offset, uint64_t bytes)
{
    struct facts *f = ctx;
    unsigned layer;
    (void)type;
    (void)n_dims;
    (void)ne;
    (void)file_offset;
    if (f->layers && sscanf(name, "blk.%u.", &layer) == 1 && layer < f->out->n_layers) {
        f->layers[layer] += bytes;
        f->out->layer_bytes += bytes;
    }
}

enum lb_status model_file_facts(const char *path, struct model_facts *facts, struct lb_error *err)
{
    struct facts f = {.out = facts};
    struct lb_inspect inspect = {&f, facts_file, facts_pair, facts_tensor};
    memset(facts, 0, sizeof *facts);
    enum lb_status status = lb_inspect_file(path, &inspect, err);
    if (status == LB_OK && f.status != LB_OK)
        status = lb_fail(err, LB_ERR_NOMEM, "%s: out of memory", path);
    if (status == LB_OK && (facts->n_layers == 0 || facts->layer_bytes == 0))
        status =
            lb_fail(err, LB_ERR_INPUT, "%s: no layers (expected %s.block_count and blk.* tensors)",
                    path, *facts->architecture ? facts->architecture : "ARCHITECTURE");
    for (uint32_t i = 0; status == LB_OK && i < facts->n_layers; i++) {
        if (f.layers[i] > facts->largest_layer)
            facts->largest_layer = f.layers[i];
    }
    free(f.layers);
    return status;
}
