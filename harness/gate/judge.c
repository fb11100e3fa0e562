/*
 * judge: see judge.h.
 *
 * 1. read the scenario, find its model (of commands: their metrics); 2. exact counts against the
 * committed baseline; 3. with --base, times of both binaries in turns; 4. the report in all forms
 * asked for, and the exit code.
 */
#include "gate/judge.h"

#include "base/clock.h"
#include "base/file_state.h"
#include "common/exit_codes.h"
#include "common/file_io.h"
#include "common/find_number.h"
#include "common/json_text.h"
#include "common/process.h"
#include "common/progress.h"
#include "common/shipped.h"
#include "gate/gate_report.h"
#include "machine/environment.h"
#include "study/model_file.h"
#include "study/scenario_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum form { FORM_MARKDOWN, FORM_JUNIT, FORM_JSON, N_FORMS };

struct gate {
    const struct gate_options *options;
    struct scenario scenario;
    struct matrix matrix;
    struct lb_model_facts facts;
    char *model_paths[SCENARIO_QUANTS], *baseline; /* models: one, or one of each quant */
    size_t n_models;
    char head[PATH_MAX], slow[2][64];
    const char *extra[3]; /* of the head */
    const struct compare_metric *metrics[GATE_MOST_METRICS];
    struct compare_metric printed[GATE_MOST_METRICS]; /* of commands */
    char *names[GATE_MOST_METRICS];
    struct settings settings; /* of the one cell of commands */
    struct gate_cell *cells;
    size_t n_cells;
    struct gate_times_plan plan;
    struct gate_counts counts;
    struct gate_times times;
    json_t *environment, *warnings;
    struct file_stream forms[N_FORMS];
    char machine[2][65];
    bool have_counts, have_times;
    struct lb_file_state watched[SCENARIO_QUANTS + 2]; /* models, head, base: as they were */
    struct progress progress;
    int64_t start_ns;
};

static enum lb_status no_memory(struct lb_error *err)
{
    return lb_fail(err, LB_ERR_NOMEM, "gate: out of memory");
}

/* ---- what is to be measured ---- */

static enum lb_status check_cells(const struct gate *g, struct lb_error *err)
{
    for (size_t i = 0; i < g->matrix.count; i++) {
        const struct settings *s = &g->matrix.cells[i].settings;
        const char *name = g->matrix.cells[i].name;
        if (*s->engine.slow && !g->options->allow_slow)
            return lb_fail(err, LB_ERR_INPUT,
                           "%s: %s: slowed on purpose (slow: %s %g%%): expected "
                           "a scenario without 'slow' (or --allow-slow)",
                           g->scenario.path, name, s->engine.slow, s->engine.slow_percent);
        if (g->matrix.cells[i].peer)
            return lb_fail(err, LB_ERR_INPUT,
                           "%s: %s: expected a scenario without other programs: --base-cmd and "
                           "--head-cmd gate those",
                           g->scenario.path, name);
        if (strcmp(s->engine.speculation.speculate, "replay") == 0)
            return lb_fail(err, LB_ERR_INPUT,
                           "%s: %s: speculate: replay: expected off, ngram or draft: a replay is "
                           "told what it guesses",
                           g->scenario.path, name);
        if (strcmp(s->page_cache, "as-is") != 0 || s->memory_limit > 0)
            return lb_fail(err, LB_ERR_INPUT,
                           "%s: %s: expected a cell without page_cache and memory_limit: the gate "
                           "does not set them",
                           g->scenario.path, name);
    }
    return LB_OK;
}

/* The models; their layers are as many. */
static enum lb_status find_models(struct gate *g, struct lb_error *err)
{
    const char *given = g->options->model ? g->options->model : g->scenario.model_path;
    const size_t n = given || g->scenario.n_quants == 0 ? 1 : g->scenario.n_quants;
    enum lb_status status = LB_OK;
    for (; status == LB_OK && g->n_models < n; g->n_models++) {
        struct model_synth synth = g->scenario.model_synth;
        char **path = &g->model_paths[g->n_models];
        synth.quant = g->scenario.n_quants ? g->scenario.quants[g->n_models] : synth.quant;
        if (given)
            *path = strdup(given);
        else
            status = model_file_cached(&synth, path, err);
        if (status == LB_OK && !*path)
            status = no_memory(err);
    }
    return status == LB_OK ? lb_model_facts(g->model_paths[0], &g->facts, err) : status;
}

static enum lb_status read_scenario(struct gate *g, const char *path, struct lb_error *err)
{
    enum lb_status status = scenario_read(path, &g->scenario, err);
    if (status == LB_OK)
        status = find_models(g, err);
    if (status == LB_OK)
        status = matrix_build(&g->scenario, g->facts.n_layers, &g->matrix, err);
    if (status == LB_OK)
        status = check_cells(g, err);
    if (status == LB_OK)
        status =
            gate_cells_make(&g->scenario, &g->matrix, g->model_paths, g->n_models, &g->cells, err);
    g->n_cells = g->n_models * g->matrix.count;
    if (status == LB_OK) {
        char usual[PATH_MAX], room[PATH_MAX];
        snprintf(usual, sizeof usual, "results/baselines/%s.json", g->scenario.name);
        g->baseline =
            strdup(g->options->baseline          ? g->options->baseline
                   : g->options->update_baseline ? usual
                                                 : shipped_file(usual, room, sizeof room));
        status = g->baseline ? LB_OK : no_memory(err);
    }
    return status;
}

static enum lb_status choose_metrics(struct gate *g, struct lb_error *err)
{
    const char *text = g->options->metrics ? g->options->metrics : "pass";
    char copy[256], *rest = copy, *name;
    size_t count, most = GATE_MOST_METRICS;
    const struct compare_metric *known = compare_metrics(&count);
    snprintf(copy, sizeof copy, "%s", text);
    while ((name = strsep(&rest, ",")) != NULL) {
        size_t i = 0;
        while (i < count && strcmp(known[i].name, name) != 0)
            i++;
        if (i == count || strcmp(name, "bytes_read") == 0 || g->plan.n_metrics == most)
            return lb_fail(err, LB_ERR_INPUT,
                           "--metrics: '%s': expected some of pass, prefill, ttft, wait, "
                           "tokens_per_second with commas between",
                           name);
        g->metrics[g->plan.n_metrics++] = &known[i];
    }
    if (g->options->base && g->n_cells * g->plan.n_metrics > most)
        return lb_fail(err, LB_ERR_INPUT,
                       "%s: %zu cells with %zu metrics each: expected at most %zu metrics to gate "
                       "together",
                       g->scenario.path, g->n_cells, g->plan.n_metrics, most);
    return LB_OK;
}

/* "wall", "NAME=PLACE" or "NAME=PLACE:higher" */
static enum lb_status read_metric(struct gate *g, const char *text, struct lb_error *err)
{
    static const char higher[] = ":higher";
    size_t k = g->plan.n_metrics, name = strcspn(text, "="), length = strlen(text);
    struct compare_metric *m = &g->printed[k];
    char why[160] = "";
    *m = (struct compare_metric){.name = "wall", .unit = "ns", .key = "wall_ns"};
    if (strcmp(text, "wall") != 0) {
        char *copy = g->names[k] = strdup(text);
        if (!copy)
            return no_memory(err);
        *m = (struct compare_metric){.name = copy, .unit = "", .key = copy};
        copy[name] = '\0';
        m->place = name < length ? copy + name + 1 : "";
        if (length > name + sizeof higher && strcmp(text + length - 7, higher) == 0) {
            m->higher_is_better = true;
            copy[length - 7] = '\0';
        }
        if (name == 0 || name > 40 || name == length || !find_number_valid(m->place, why))
            return lb_fail(err, LB_ERR_INPUT,
                           "--metric: '%.80s'%s%s: expected wall or NAME=PLACE, the place a JSON "
                           "pointer such as /1/avg_ts or a regular expression",
                           text, *why ? ": " : "", why);
    }
    for (size_t i = 0; i < k; i++)
        if (strcmp(g->metrics[i]->name, m->name) == 0)
            return lb_fail(err, LB_ERR_INPUT, "--metric: '%s' stands there twice", m->name);
    g->metrics[g->plan.n_metrics++] = m;
    return LB_OK;
}

/* The cell of two commands. */
static enum lb_status take_commands(struct gate *g, struct lb_error *err)
{
    const struct gate_options *o = g->options;
    enum lb_status status = o->n_metric == 0 ? read_metric(g, "wall", err) : LB_OK;
    for (size_t i = 0; i < o->n_metric && status == LB_OK; i++)
        status = read_metric(g, o->metric[i], err);
    g->scenario.name = "commands";
    g->settings = settings_default();
    g->cells = calloc(1, sizeof *g->cells);
    g->n_cells = 1;
    if (!g->cells)
        return no_memory(err);
    *g->cells = (struct gate_cell){.name = "command",
                                   .settings = &g->settings,
                                   .batch = 1,
                                   .metrics = g->metrics,
                                   .n_metrics = g->plan.n_metrics};
    g->plan.arms[0] = (struct gate_arm){.program = o->base_cmd, .command = true};
    g->plan.arms[1] = (struct gate_arm){.program = o->head_cmd, .command = true};
    return status;
}

/* "compute:5" -> two options for the head's process. */
static enum lb_status read_slow(struct gate *g, struct lb_error *err)
{
    const char *text = g->options->slow_head;
    char kind[16];
    double percent;
    if (!text)
        return LB_OK;
    if (sscanf(text, "%15[a-z]:%lf", kind, &percent) != 2)
        return lb_fail(err, LB_ERR_INPUT, "--slow-head: '%s': expected KIND:PERCENT", text);
    snprintf(g->slow[0], sizeof g->slow[0], "--slow=%s", kind);
    snprintf(g->slow[1], sizeof g->slow[1], "--slow-percent=%g", percent);
    g->extra[0] = g->slow[0];
    g->extra[1] = g->slow[1];
    return LB_OK;
}

static enum lb_status check_program(const char *option, const char *path, struct lb_error *err)
{
    if (path && access(path, X_OK) != 0)
        return lb_fail(err, LB_ERR_INPUT, "--%s: %s: %s: expected a layerbench program", option,
                       path, strerror(errno));
    return LB_OK;
}

static enum lb_status find_programs(struct gate *g, struct lb_error *err)
{
    const struct gate_options *o = g->options;
    if (o->head || !realpath(process_program(), g->head))
        snprintf(g->head, sizeof g->head, "%s", o->head ? o->head : process_program());
    if (check_program("base", o->base, err) || check_program("head", o->head, err))
        return err->code;
    g->plan.arms[0] = (struct gate_arm){.program = o->base};
    g->plan.arms[1] = (struct gate_arm){.program = g->head, .extra = g->extra};
    return LB_OK;
}

/* ---- measuring ---- */

static void show_progress(void *ctx, uint32_t done, uint32_t expected, const char *cell)
{
    struct gate *g = ctx;
    progress_update(&g->progress, done, expected, cell);
}

static const char *watched_path(const struct gate *g, size_t i)
{
    return i < g->n_models        ? g->model_paths[i]
           : i == g->n_models     ? (*g->head ? g->head : NULL)
           : i == g->n_models + 1 ? g->options->base
                                  : NULL;
}

/* No verdict about two models, or about a binary that was built anew meanwhile. */
static enum lb_status check_watched(const struct gate *g, struct lb_error *err)
{
    for (size_t i = 0; i < g->n_models + 2; i++) {
        const char *path = watched_path(g, i);
        struct lb_file_state now = path ? lb_file_state_at(path) : g->watched[i];
        const char *change = lb_file_change(&g->watched[i], &now);
        if (change)
            return lb_fail(err, LB_ERR_STATE, "the %s changed during the gate: %s %s: no verdict",
                           i < g->n_models ? "model" : "program", path, change);
    }
    return LB_OK;
}

static enum lb_status check_counts(struct gate *g, struct lb_error *err)
{
    const struct gate_options *o = g->options;
    size_t n = g->n_cells;
    if (o->times_only)
        return LB_OK;
    g->have_counts = true;
    enum lb_status status =
        gate_counts_measure(&g->plan.arms[1], g->cells, n, o->timeout_s, &g->counts, err);
    if (status == LB_OK)
        status = check_watched(g, err);
    if (status == LB_OK && o->update_baseline)
        status = gate_counts_write(&g->counts, g->baseline, &g->scenario, err);
    if (status == LB_OK)
        status = gate_counts_compare(&g->counts, g->cells, n, g->baseline, g->scenario.sha256, err);
    return status;
}

/* The environment once more: had it changed, the arms would not have been measured on one machine.
 */
static void check_machine(struct gate *g)
{
    json_t *after = environment_collect(g->model_paths[0], ".");
    char key[65];
    environment_key(after, key);
    json_decref(after);
    if (strcmp(key, g->machine[0]) == 0)
        return;
    for (size_t i = 0; i < g->times.n_rows; i++) {
        struct gate_result *r = &g->times.rows[i].result;
        if (r->verdict >= GATE_NOT_COMPARABLE)
            continue;
        r->verdict = GATE_NOT_COMPARABLE;
        snprintf(r->reason, sizeof r->reason,
                 "the machine changed while it measured (comparability key)");
    }
}

/* A verdict on a resident cell names the state of the memory in which it was found. */
static void name_memory(const struct gate *g, struct gate_times_row *row)
{
    char *reason = row->result.reason;
    const size_t used = strlen(reason);
    struct memory_rate rate;
    if (gate_times_memory(&g->times, (uint32_t)(row->cell - g->cells), &rate))
        snprintf(reason + used, sizeof row->result.reason - used,
                 "%smemory read at %.1f GB/s in order, %.1f in streams", used ? "; " : "",
                 rate.in_order / 1e9, rate.in_streams / 1e9);
}

static void note_oddities(struct gate *g)
{
    for (size_t i = 0; i < g->times.n_rows; i++) {
        struct gate_times_row *row = &g->times.rows[i];
        name_memory(g, row);
        size_t outliers = row->result.outliers[0] + row->result.outliers[1];
        if (row->result.first_is_slowest)
            json_append_text(g->warnings, "%s: the first sample is the slowest: not warmed up?",
                             row->name);
        if (outliers > 0)
            json_append_text(g->warnings, "%s: %zu outliers (kept)", row->name, outliers);
    }
}

static enum lb_status measure_times(struct gate *g, struct lb_error *err)
{
    if (!g->plan.arms[0].program)
        return LB_OK;
    g->have_times = true;
    g->progress = progress_begin("gate");
    g->plan.progress = show_progress;
    g->plan.progress_ctx = g;
    enum lb_status status = gate_times_measure(&g->plan, &g->times, err);
    progress_end(&g->progress);
    if (status == LB_OK)
        status = check_watched(g, err);
    if (status == LB_OK) {
        check_machine(g);
        note_oddities(g);
    }
    return status;
}

/* ---- the report ---- */

/* 5 failed, else 4 not comparable, else 1 regression, else 3 inconclusive, else 0. */
static int exit_code(const struct gate *g)
{
    static const int rank[] = {[EXIT_OK] = 0,           [EXIT_REGRESSION] = 2,   [EXIT_USAGE] = 0,
                               [EXIT_INCONCLUSIVE] = 1, [EXIT_INCOMPARABLE] = 3, [EXIT_FAILED] = 4};
    int codes[2] = {EXIT_OK, EXIT_OK};
    if (g->have_counts)
        codes[0] = gate_counts_exit_code(&g->counts);
    if (g->have_times) {
        struct gate_result *results = calloc(g->times.n_rows + 1, sizeof *results);
        for (size_t i = 0; results && i < g->times.n_rows; i++)
            results[i] = g->times.rows[i].result;
        codes[1] = results ? gate_exit_code(results, g->times.n_rows) : EXIT_FAILED;
        free(results);
    }
    if (!g->have_counts && !g->have_times)
        return EXIT_FAILED;
    return rank[codes[0]] > rank[codes[1]] ? codes[0] : codes[1];
}

static void print_json(const struct gate_report *report, FILE *out)
{
    json_t *document = gate_report_json(report);
    (void)json_dumpf(document, out, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
    fputc('\n', out);
    json_decref(document);
}

/* Where GitHub wants a summary added; NULL: nowhere. */
static const char *step_summary(void)
{
    const char *path = getenv("GITHUB_STEP_SUMMARY");
    return path && *path ? path : NULL;
}

static enum lb_status check_baseline(const struct gate *g, struct lb_error *err)
{
    if (g->options->times_only)
        return LB_OK;
    if (g->options->update_baseline)
        return file_check_output(g->baseline, err);
    if (!file_exists(g->baseline))
        return lb_fail(err, LB_ERR_STATE,
                       "%s: there is no baseline of exact counts: expected "
                       "one (--update-baseline writes it, --times-only does without)",
                       g->baseline);
    FILE *in = file_open(g->baseline, err);
    if (!in)
        return LB_ERR_INPUT;
    fclose(in);
    return LB_OK;
}

/* Before anything is measured: what cannot be read or be written is to be known then. */
static enum lb_status open_forms(struct gate *g, struct lb_error *err)
{
    const struct gate_options *o = g->options;
    const char *const paths[N_FORMS] = {o->markdown, o->junit, o->json};
    enum lb_status status = LB_OK;
    if (o->json)
        status = json_can_name(g->model_paths[0], "the report", err);
    for (size_t i = 0; i < N_FORMS && status == LB_OK; i++)
        if (paths[i])
            status = file_stream_open(paths[i], &g->forms[i], err);
    if (status == LB_OK)
        status = check_baseline(g, err);
    if (status == LB_OK && step_summary() && file_append(step_summary(), "", 0, err) != LB_OK)
        status = err->code = LB_ERR_INPUT; /* as a report that cannot be opened */
    return status;
}

static enum lb_status append_summary(const struct gate_report *r, struct lb_error *err)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out)
        gate_report_markdown(r, out);
    enum lb_status status =
        out && fclose(out) == 0 ? file_append(step_summary(), text, length, err) : no_memory(err);
    free(text);
    return status;
}

static enum lb_status write_forms(struct gate *g, const struct gate_report *r, struct lb_error *err)
{
    static void (*const print[N_FORMS])(const struct gate_report *report, FILE *out) = {
        gate_report_markdown, gate_report_junit, print_json};
    enum lb_status status = LB_OK;
    for (size_t i = 0; i < N_FORMS; i++) {
        if (!g->forms[i].out)
            continue;
        print[i](r, g->forms[i].out);
        enum lb_status ended = file_stream_finish(&g->forms[i], err);
        status = status == LB_OK ? ended : status;
    }
    if (step_summary()) {
        enum lb_status ended = append_summary(r, err);
        status = status == LB_OK ? ended : status;
    }
    return status;
}

static enum lb_status report(struct gate *g, int *code, struct lb_error *err)
{
    const struct gate_options *o = g->options;
    struct gate_report r = {.scenario = &g->scenario,
                            .plan = &g->plan,
                            .counts = g->have_counts ? &g->counts : NULL,
                            .times = g->have_times ? &g->times : NULL,
                            .baseline = g->baseline,
                            .base = g->plan.arms[0].program,
                            .head = g->plan.arms[1].program,
                            .slowed = o->slow_head,
                            .environment = g->environment,
                            .warnings = g->warnings,
                            .took_s = (double)(lb_now_ns() - g->start_ns) / 1e9,
                            .exit_code = *code,
                            .judged = *code};
    r.noise_is_warning = strcmp(o->noise_is, "warning") == 0;
    if (r.noise_is_warning && *code == EXIT_INCONCLUSIVE)
        r.exit_code = *code = EXIT_OK;
    enum lb_status status = write_forms(g, &r, err);
    if (status != LB_OK) /* what is printed says what the program ends with */
        r.exit_code = *code = EXIT_FAILED;
    gate_report_table(&r, stdout, o->colour);
    if (o->github || getenv("GITHUB_ACTIONS"))
        gate_report_github(&r, stdout);
    return status;
}

/* ---- all of it ---- */

static enum lb_status judge(struct gate *g, const char *path, int *code, struct lb_error *err)
{
    enum lb_status status = path ? read_scenario(g, path, err) : take_commands(g, err);
    if (status == LB_OK && path)
        status = choose_metrics(g, err);
    if (status == LB_OK && path)
        status = read_slow(g, err);
    if (status == LB_OK && path)
        status = find_programs(g, err);
    g->plan.metrics = g->metrics;
    if (status == LB_OK)
        status = open_forms(g, err);
    if (status != LB_OK)
        return status;
    for (size_t i = 0; i < g->n_models + 2; i++)
        if (watched_path(g, i))
            g->watched[i] = lb_file_state_at(watched_path(g, i));
    g->environment = environment_collect(g->model_paths[0], ".");
    g->warnings = environment_warnings(g->environment);
    environment_key(g->environment, g->machine[0]);
    g->plan.machine[0] = g->plan.machine[1] = g->machine[0];
    g->plan.cells = g->cells;
    g->plan.n_cells = g->n_cells;
    status = check_counts(g, err);
    if (status == LB_OK)
        status = measure_times(g, err);
    if (status == LB_OK) {
        *code = exit_code(g);
        status = report(g, code, err);
    }
    return status;
}

static void close_gate(struct gate *g)
{
    for (size_t i = 0; i < N_FORMS; i++)
        if (g->forms[i].out)
            file_stream_abandon(&g->forms[i]);
    gate_times_free(&g->times);
    gate_counts_free(&g->counts);
    gate_cells_free(g->cells, g->n_cells);
    for (size_t i = 0; i < GATE_MOST_METRICS; i++)
        free(g->names[i]);
    matrix_free(&g->matrix);
    scenario_free(&g->scenario);
    json_decref(g->environment);
    json_decref(g->warnings);
    for (size_t i = 0; i < g->n_models; i++)
        free(g->model_paths[i]);
    free(g->baseline);
}

enum lb_status gate_judge(const struct gate_options *o, const char *scenario, int *code,
                          struct lb_error *err)
{
    struct gate g = {.options = o,
                     .start_ns = lb_now_ns(),
                     .plan = {.rule = gate_rule_default(),
                              .seed = o->seed,
                              .timeout_s = o->timeout_s,
                              .pause_s = o->pause_s}};
    *code = EXIT_FAILED;
    enum lb_status status = judge(&g, scenario, code, err);
    close_gate(&g);
    return status;
}
