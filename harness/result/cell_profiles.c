/* cell_profiles: see cell_profiles.h. */
#include "result/cell_profiles.h"

#include "common/progress.h"
#include "sample/runner.h"

static enum lb_status profile_cell(struct results *r, uint32_t i, uint32_t timeout_s,
                                   struct lb_error *err)
{
    const struct cell *cell = &r->matrix->cells[i];
    struct runner_work work = {.settings = &cell->settings,
                               .model_path = r->model_path,
                               .n_layers = r->model.n_layers,
                               .work_seed = r->seed,
                               .timeout_s = timeout_s,
                               .model_state = &r->model_state,
                               .profile = true};
    struct sample sample;
    enum lb_status status = runner_measure(&work, &sample, err);
    if (status != LB_OK)
        return status;
    if (*sample.failed || !sample.profile)
        results_warn(r, "%s: no profile: %s", cell->name,
                     *sample.failed ? sample.failed : "out of memory");
    else
        results_attach(r, i, "profile", json_incref(sample.profile));
    sample_free(&sample);
    return LB_OK;
}

enum lb_status cell_profiles(struct results *r, uint32_t timeout_s, struct lb_error *err)
{
    struct progress progress = progress_begin("profile");
    enum lb_status status = LB_OK;
    for (uint32_t i = 0; status == LB_OK && i < r->matrix->count; i++) {
        const struct cell *cell = &r->matrix->cells[i];
        progress_update(&progress, i, r->matrix->count, cell->name);
        if (!cell->skipped && !cell->peer && !results_attached(r, i, "profile"))
            status = profile_cell(r, i, timeout_s, err);
    }
    progress_end(&progress);
    return status;
}
