/* model_file: see model_file.h. */
#include "study/model_file.h"

#include "common/file_io.h"
#include "common/folder_lock.h"
#include "common/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct model_synth model_synth_default(void)
{
    return (struct model_synth){.seed = 1, .routing = lb_usual_routing()};
}

struct lb_synth model_synth_engine(const struct model_synth *synth)
{
    return (struct lb_synth){.shape = synth->shape,
                             .quant = synth->quant,
                             .seed = synth->seed,
                             .n_layers = synth->n_layers,
                             .routing = &synth->routing};
}

const char *model_routing_text(const struct lb_routing *routing, char *text, size_t size)
{
    snprintf(text, size, "synthetic routing (skew %g, persistence %g)", routing->skew,
             routing->persistence);
    return text;
}

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
    struct lb_synth how = model_synth_engine(synth);
    how.progress = show;
    how.progress_ctx = &progress;
    enum lb_status status = make_parent(path, err);
    if (status == LB_OK)
        status = lb_synth_write(&how, path, err);
    progress_end(&progress);
    return status;
}

enum lb_status model_file_cached(const struct model_synth *synth, char **path, struct lb_error *err)
{
    char layers[16] = "", routing[64] = "";
    const struct lb_routing usual = lb_usual_routing(), *r = &synth->routing;
    if (synth->n_layers)
        snprintf(layers, sizeof layers, "-%u", synth->n_layers);
    if (r->skew != usual.skew || r->persistence != usual.persistence)
        snprintf(routing, sizeof routing, "-skew%g-persistence%g", r->skew, r->persistence);
    *path = file_text("models/%s%s-%s-%llu%s.gguf", synth->shape, layers, synth->quant,
                      (unsigned long long)synth->seed, routing);
    if (!*path)
        return lb_fail(err, LB_ERR_NOMEM, "model: out of memory");
    if (file_exists(*path))
        return LB_OK;
    enum lb_status status = file_make_directory("models", err);
    int lock = status == LB_OK ? folder_lock_wait("models", "looks for the model there") : -1;
    if (status == LB_OK && !file_exists(*path))
        status = model_file_synth(synth, *path, err);
    folder_unlock(&lock);
    if (status != LB_OK) {
        free(*path);
        *path = NULL;
    }
    return status;
}
