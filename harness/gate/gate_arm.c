/* gate_arm: see gate_arm.h. */
#include "gate/gate_arm.h"

#include "common/file_io.h"
#include "common/find_number.h"
#include "machine/program.h"

#include <inttypes.h>
#include <stdlib.h>

enum { MAX_ARGUMENTS = 128 };

static enum lb_status no_memory(struct lb_error *err)
{
    return lb_fail(err, LB_ERR_NOMEM, "gate: out of memory");
}

/* ---- arguments ---- */

static char *argument(const struct option *option, const struct settings *settings)
{
    char text[OPTION_LONGEST];
    option_format(option, settings, text, sizeof text);
    return file_text("--%s=%s", option->name, text);
}

static bool make_arguments(const struct scenario *s, const char *model_path, struct gate_cell *cell)
{
    size_t n = 0, room = s->n_fixed + s->n_axes + 3;
    cell->arguments = room < MAX_ARGUMENTS - 8 ? calloc(room, sizeof *cell->arguments) : NULL;
    if (!cell->arguments)
        return false;
    cell->arguments[n++] = file_text("--model=%s", model_path);
    cell->arguments[n++] = file_text("--work-seed=%" PRIu64, s->seed);
    for (size_t i = 0; i < s->n_fixed; i++)
        cell->arguments[n++] = argument(s->fixed[i].option, cell->settings);
    for (size_t i = 0; i < s->n_axes; i++)
        cell->arguments[n++] = argument(s->axes[i].option, cell->settings);
    for (size_t i = 0; i < n; i++)
        if (!cell->arguments[i])
            return false;
    return true;
}

enum lb_status gate_cells_make(const struct scenario *s, const struct matrix *matrix,
                               char *const *model_paths, size_t n_models, struct gate_cell **cells,
                               struct lb_error *err)
{
    *cells = calloc(n_models * matrix->count + 1, sizeof **cells);
    if (!*cells)
        return no_memory(err);
    for (size_t i = 0; i < n_models * matrix->count; i++) {
        const struct cell *from = &matrix->cells[i % matrix->count];
        const size_t model = i / matrix->count;
        struct gate_cell *cell = &(*cells)[i];
        *cell = (struct gate_cell){
            .name = from->name, .settings = &from->settings, .batch = from->settings.engine.batch};
        if (n_models > 1)
            cell->name = cell->own_name = file_text("quant=%s %s", s->quants[model], from->name);
        if (!cell->name || !make_arguments(s, model_paths[model], cell))
            return no_memory(err);
    }
    return LB_OK;
}

void gate_cells_free(struct gate_cell *cells, size_t count)
{
    for (size_t i = 0; cells && i < count; i++) {
        for (char **a = cells[i].arguments; a && *a; a++)
            free(*a);
        free(cells[i].arguments);
        free(cells[i].own_name);
    }
    free(cells);
}

/* ---- the process ---- */

/* What the command printed, and its time, as a sample; NULL: a number is not there, and why. */
static json_t *read_command(const struct gate_cell *cell, const struct program_end *end,
                            char failed[256])
{
    json_t *sample =
        json_pack("{s:s, s:I, s:I}", "tokens_hash", "of a command", "wall_ns",
                  (json_int_t)end->usage.wall_ns, "cpu_ns", (json_int_t)end->usage.cpu_ns);
    for (size_t i = 0; i < cell->n_metrics; i++) {
        const struct compare_metric *m = cell->metrics[i];
        double value;
        char why[160];
        if (m->place && !find_number(end->text, end->messages, m->place, &value, why)) {
            snprintf(failed, 256, "%s: %s", m->name, why);
            json_decref(sample);
            return NULL;
        }
        if (m->place)
            json_object_set_new(sample, m->key, json_real(value));
    }
    return sample;
}

static json_t *read_sample(const struct gate_arm *arm, const struct program_end *end,
                           char failed[256])
{
    json_t *sample =
        end->text ? json_loadb(end->text, end->length, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (!sample)
        snprintf(failed, 256, "no result: expected JSON from %s sample --json", arm->program);
    return sample;
}

enum lb_status gate_arm_measure(const struct gate_arm *arm, const struct gate_cell *cell,
                                uint32_t timeout_s, json_t **sample, char failed[256],
                                struct lb_error *err)
{
    const char *list[MAX_ARGUMENTS] = {arm->program, "sample", "--json"};
    const char *const shell[] = {"sh", "-c", arm->program, NULL};
    size_t n = 3;
    for (char **a = cell->arguments; a && *a; a++)
        list[n++] = *a;
    for (const char *const *a = arm->extra; a && *a && n < MAX_ARGUMENTS - 1; a++)
        list[n++] = *a;
    const struct program program = {.path = arm->command ? "sh" : arm->program,
                                    .argv = arm->command ? shell : list,
                                    .affinity = cell->settings->affinity,
                                    .timeout_s = timeout_s,
                                    .result = -1};
    struct program_end end;
    enum lb_status status = program_run(&program, &end, err);
    snprintf(failed, 256, "%s", end.failed);
    *sample = NULL;
    if (status == LB_OK && !*failed)
        *sample = arm->command ? read_command(cell, &end, failed) : read_sample(arm, &end, failed);
    program_free(&end);
    return status;
}
