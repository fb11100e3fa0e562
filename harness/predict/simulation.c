/*
 * simulation: predicts the cells of a study with the engine's own planner under a virtual clock.
 *
 * 1. what streams: a model, a shape, or equal layers; 2. how long things take: given, by rates, or
 * profiled; 3. the cells: a scenario's, or the options with --vary; 4. each cell's steady state.
 */
#include "predict/simulation.h"

#include "base/memory.h"
#include "common/array.h"
#include "plan/pattern.h"
#include "predict/simulate_against.h"
#include "predict/simulate_profile.h"
#include "study/scenario_file.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the cells of --vary, as a scenario in memory ---- */

struct made {
    struct scenario scenario;
    struct scenario_value *fixed;
    struct scenario_axis *axes;
    char **texts; /* owns all texts */
    size_t n_texts;
};

static char *keep(struct made *m, char *text)
{
    char **place = text ? array_add(&m->texts, &m->n_texts, sizeof *place) : NULL;
    if (place)
        return *place = text;
    free(text);
    return NULL;
}

static enum lb_status no_memory(struct lb_error *err)
{
    return lb_fail(err, LB_ERR_NOMEM, "simulation: out of memory");
}

/* The value's canonical text, so that 1024KiB and 1MiB name the same cell. */
static enum lb_status add_value(struct made *m, struct scenario_axis *axis, const char *text,
                                struct lb_error *err)
{
    struct settings settings = settings_default();
    char canonical[OPTION_LONGEST];
    enum lb_status status = option_set(axis->option, &settings, text, err);
    if (status != LB_OK) {
        lb_error_prefix(err, "--vary %s", axis->option->name);
        return status;
    }
    option_format(axis->option, &settings, canonical, sizeof canonical);
    char *kept = keep(m, strdup(canonical));
    const char **place = kept ? array_add(&axis->texts, &axis->count, sizeof *place) : NULL;
    if (place)
        *place = kept;
    return place ? LB_OK : no_memory(err);
}

/* One axis, unless it is varied again: values of the same option count together. */
static enum lb_status add_axes(struct made *m, const struct sweep_list *vary, struct lb_error *err)
{
    json_t *lists = json_object(), *list, *value;
    const char *name;
    char text[OPTION_LONGEST];
    enum lb_status status = LB_OK;
    for (size_t i = 0; status == LB_OK && i < vary->count; i++)
        status = sweep_values(vary->texts[i], lists, err) ? LB_OK : err->code;
    json_object_foreach(lists, name, list)
    {
        struct scenario_axis *axis = &m->axes[m->scenario.n_axes];
        size_t i;
        if (status != LB_OK)
            break;
        *axis = (struct scenario_axis){.option = options_named(name, err)};
        m->scenario.n_axes++;
        json_array_foreach(list, i, value)
        {
            scenario_option_text(axis->option, value, text, sizeof text);
            if (status == LB_OK)
                status = add_value(m, axis, text, err);
        }
    }
    json_decref(lists);
    return status;
}

static void free_made(struct made *m)
{
    for (size_t i = 0; i < m->scenario.n_axes; i++)
        free(m->axes[i].texts);
    for (size_t i = 0; i < m->n_texts; i++)
        free(m->texts[i]);
    free(m->texts);
    free(m->axes);
    free(m->fixed);
}

static enum lb_status make_scenario(const struct sim_arguments *a, const struct settings *settings,
                                    struct made *m, struct lb_error *err)
{
    size_t count;
    const struct option *table = options_table(&count);
    *m = (struct made){.scenario = {.path = "--vary"}};
    m->scenario.axes = m->axes = calloc(a->vary.count + 1, sizeof *m->axes);
    m->scenario.fixed = m->fixed = calloc(count, sizeof *m->fixed);
    enum lb_status status = m->axes && m->fixed ? LB_OK : no_memory(err);
    for (size_t i = 0; status == LB_OK && i < count; i++) {
        char text[OPTION_LONGEST];
        option_format(&table[i], settings, text, sizeof text);
        if (!*text)
            continue;
        const char *kept = keep(m, strdup(text));
        m->fixed[m->scenario.n_fixed++] = (struct scenario_value){&table[i], kept};
        if (!kept)
            status = no_memory(err);
    }
    return status == LB_OK ? add_axes(m, &a->vary, err) : status;
}

/* ---- one study ---- */

struct study {
    const struct sim_arguments *a;
    const struct settings *settings; /* of the command line */
    struct sim_model model;
    struct lb_synth synth; /* shape NULL: the model is no synthetic one */
    struct sim_accesses accesses;
    struct route_trace routes;
    struct route_drawing drawn; /* what these were drawn for; 0: they were not */
    struct matrix matrix;
    struct sim_row *rows;
};

static enum lb_status find_model(struct study *s, const struct scenario *scenario,
                                 struct lb_error *err)
{
    const struct sim_arguments *a = s->a;
    const char *path = s->settings->engine.model_path;
    struct lb_synth synth = {.shape = a->shape,
                             .quant = a->quant,
                             .seed = 1,
                             .n_layers = a->layers,
                             .routing = &a->routing};
    if (a->shape) {
        s->synth = synth;
        return sim_model_of_shape(&synth, &s->model, err);
    }
    if (path)
        return sim_model_of_file(path, &s->model, err);
    if (a->layers && a->layer_bytes)
        return sim_model_uniform(a->layers, a->layer_bytes, &s->model, err);
    if (scenario && scenario->model_path)
        return sim_model_of_file(scenario->model_path, &s->model, err);
    if (scenario && scenario_of_one_model(scenario, err) != LB_OK)
        return err->code;
    if (scenario) {
        s->synth = synth = model_synth_engine(&scenario->model_synth);
        return sim_model_of_shape(&synth, &s->model, err);
    }
    if (a->replay)
        return LB_OK; /* the record names the layers */
    return lb_fail(err, LB_ERR_INPUT,
                   "what to stream: expected a scenario, --model, --shape, or --layers with "
                   "--layer-bytes");
}

static enum lb_status find_accesses(struct study *s, struct lb_error *err)
{
    const struct sim_arguments *a = s->a;
    if (a->replay && route_trace_is(a->replay)) {
        s->accesses.routes = &s->routes;
        return route_trace_read(a->replay, a->replay_cell, &s->routes, err);
    }
    if (a->replay)
        return sim_replay(a->replay, a->replay_cell, &s->model, &s->accesses, err);
    if (!a->pattern || strcmp(a->pattern, "sequential") == 0)
        return LB_OK;
    struct pattern_options po = {.name = a->pattern,
                                 .n_units = s->model.n_layers,
                                 .length = a->accesses,
                                 .stride = a->stride,
                                 .skew = a->skew,
                                 .seed = s->settings->engine.seed};
    uint32_t *order;
    enum lb_status status = pattern_make(&po, &order, &s->accesses.length, err);
    if (status == LB_OK) {
        s->accesses.order = malloc(s->accesses.length * sizeof *order);
        if (s->accesses.order)
            memcpy(s->accesses.order, order, s->accesses.length * sizeof *order);
        else
            status = no_memory(err);
        lb_free(order);
    }
    return status;
}

/* The times of one cell: what was given, and the profile of its work where one was asked for. */
static enum lb_status find_times(const struct study *s, const struct settings *settings,
                                 struct sim_profile *profile, struct sim_times *times,
                                 struct lb_error *err)
{
    const struct sim_arguments *a = s->a;
    *times = (struct sim_times){.layers_ns = (double)a->compute_ns,
                                .compute_rate = a->compute_rate,
                                .token_rate = a->token_rate,
                                .other_ns = (double)a->other_ns};
    if (!a->measure)
        return LB_OK;
    if (!profile->layer_ns) {
        enum lb_status status = sim_profile_measure(settings, profile, err);
        if (status != LB_OK)
            return status;
        if (profile->n_layers != s->model.n_layers)
            return lb_fail(err, LB_ERR_INPUT, "--measure: %s has %u layers, the simulated model %u",
                           settings->engine.model_path, profile->n_layers, s->model.n_layers);
    }
    times->layer_ns = profile->layer_ns;
    times->other_ns = profile->other_ns;
    times->bandwidth = profile->bandwidth;
    times->first_pass = a->as_run ? profile->prompt_factor : 0;
    return LB_OK;
}

/* What a scenario leaves open (the real storage, a cache sized by the memory there is) is as the
 * command line says. */
static void fill_in(struct lb_options *cell, const struct lb_options *given)
{
    cell->model_path = given->model_path;
    if (cell->device_bandwidth == 0) {
        cell->device_bandwidth = given->device_bandwidth;
        cell->device_latency_ns = given->device_latency_ns;
        cell->device_queue_depth = given->device_queue_depth;
    }
    if (cell->cache_layers == 0 && cell->cache_bytes == 0) {
        cell->cache_layers = given->cache_layers;
        cell->cache_bytes = given->cache_bytes;
    }
}

static bool same_drawing(const struct route_drawing *a, const struct route_drawing *b)
{
    return a->sequences == b->sequences && a->prompt == b->prompt && a->passes == b->passes &&
           a->tokens == b->tokens && a->yield == b->yield;
}

/* A mixture without recorded routes: what such a model would choose, where it is a synthetic one.
 */
static enum lb_status find_routes(struct study *s, const struct settings *settings, uint32_t passes,
                                  struct lb_error *err)
{
    const struct sim_arguments *a = s->a;
    struct route_drawing how = {.sequences = settings->engine.batch,
                                .prompt = a->as_run ? settings->prompt_tokens : 0,
                                .passes = passes,
                                .tokens = sim_pass_tokens(settings),
                                .yield = sim_pass_yield(settings)};
    if (!s->model.experts || a->replay || s->accesses.order || same_drawing(&how, &s->drawn))
        return LB_OK;
    if (!s->synth.shape)
        return lb_fail(err, LB_ERR_INPUT,
                       "a mixture of experts: expected --replay with routes that were recorded "
                       "(log_routes of a run), or --shape of a synthetic one");
    route_trace_free(&s->routes);
    s->drawn = how;
    s->accesses.routes = &s->routes;
    return route_trace_draw(&s->synth, &how, &s->routes, err);
}

/* Routes that were drawn have no weights of routers to ask. */
static void leave_out_gate_ahead(const struct study *s, struct cell *cell)
{
    if (s->a->replay || strcmp(cell->settings.engine.predict, "gate-ahead") != 0)
        return;
    fprintf(stderr, "layerbench simulate: %s: gate-ahead asks a model; simulated without\n",
            cell->name);
    cell->settings.engine.predict = "off";
}

static enum lb_status predict_cells(struct study *s, struct lb_error *err)
{
    struct sim_profile profile = {0};
    const struct cell *profiled = NULL;
    enum lb_status status = LB_OK;
    for (size_t i = 0; status == LB_OK && i < s->matrix.count; i++) {
        struct cell *cell = &s->matrix.cells[i];
        struct sim_times times;
        fill_in(&cell->settings.engine, &s->settings->engine);
        leave_out_gate_ahead(s, cell);
        if (profiled && (!matrix_same_work(&profiled->settings, &cell->settings) ||
                         sim_pass_tokens(&profiled->settings) != sim_pass_tokens(&cell->settings)))
            sim_profile_free(&profile);
        profiled = cell;
        uint32_t warmup = s->a->as_run ? 1 : s->a->warmup;
        double run_passes = cell->settings.generate_tokens / sim_pass_yield(&cell->settings);
        uint32_t passes = s->a->as_run ? (uint32_t)ceil(run_passes) : s->a->passes;
        status = find_routes(s, &cell->settings, s->a->as_run ? passes : warmup + passes, err);
        if (status == LB_OK)
            status = find_times(s, &cell->settings, &profile, &times, err);
        if (status == LB_OK)
            status = sim_predict(&s->model, &times, &s->accesses, &cell->settings, warmup, passes,
                                 &s->rows[i].p, err);
        if (status != LB_OK && s->matrix.count > 1)
            lb_error_prefix(err, "%s", cell->name);
        s->rows[i].cell = cell;
    }
    sim_profile_free(&profile);
    return status;
}

static void print_routing(const struct lb_synth *synth)
{
    const struct lb_routing routing = synth->routing ? *synth->routing : lb_usual_routing();
    char text[96];
    printf("%s\n", model_routing_text(&routing, text, sizeof text));
}

static enum lb_status run_study(struct study *s, const struct scenario *scenario, bool is_file,
                                struct lb_error *err)
{
    enum lb_status status = find_model(s, is_file ? scenario : NULL, err);
    if (status == LB_OK)
        status = find_accesses(s, err);
    if (status == LB_OK)
        status = matrix_build(scenario, s->model.n_layers, &s->matrix, err);
    if (status == LB_OK)
        status = matrix_leave_out_peers(&s->matrix, err);
    if (status != LB_OK)
        return status;
    for (size_t i = 0; i < s->matrix.n_notes; i++)
        fprintf(stderr, "layerbench simulate: %s\n", s->matrix.notes[i]);
    s->rows = calloc(s->matrix.count, sizeof *s->rows);
    status = s->rows ? predict_cells(s, err) : no_memory(err);
    if (status != LB_OK)
        return status;
    if (!s->a->json && s->drawn.sequences > 0)
        print_routing(&s->synth);
    if (!s->a->json)
        sim_print_table(s->rows, s->matrix.count, stdout);
    else if (sim_print_json(s->rows, s->matrix.count, stdout) != 0)
        status = no_memory(err);
    return status;
}

static void free_study(struct study *s)
{
    free(s->rows);
    matrix_free(&s->matrix);
    free(s->accesses.order);
    free(s->accesses.compute_ns);
    route_trace_free(&s->routes);
    sim_model_free(&s->model);
}

enum lb_status sim_scenario(const struct sim_arguments *a, const struct settings *settings,
                            const char *path, struct lb_error *err)
{
    struct study study = {.a = a, .settings = settings};
    struct scenario scenario = {0};
    struct made made = {0};
    enum lb_status status =
        path ? scenario_read(path, &scenario, err) : make_scenario(a, settings, &made, err);
    if (status == LB_OK)
        status = run_study(&study, path ? &scenario : &made.scenario, path != NULL, err);
    free_study(&study);
    free_made(&made);
    scenario_free(&scenario);
    return status;
}

enum lb_status sim_against(const struct sim_arguments *a, struct lb_error *err)
{
    struct sim_checks checks;
    enum lb_status status = sim_check_result(a->against, &checks, err);
    if (status == LB_OK && !a->json)
        sim_print_checks(&checks, stdout);
    else if (status == LB_OK && sim_print_checks_json(&checks, stdout) != 0)
        status = no_memory(err);
    sim_checks_free(&checks);
    return status;
}
