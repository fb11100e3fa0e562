/* study_run: see study_run.h. */
#include "run/study_run.h"

#include "base/clock.h"
#include "common/amounts.h"
#include "common/file_io.h"
#include "common/json_text.h"
#include "common/progress.h"
#include "machine/environment.h"
#include "predict/simulate_against.h"
#include "result/cell_profiles.h"
#include "result/identities.h"
#include "result/layer_table.h"
#include "sample/prompts.h"
#include "sample/runner.h"
#include "study/scenario_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* What follows the cell's name; all of it where it begins with none. */
static const char *without_cell(const char *text)
{
    const char *end = strstr(text, ": "), *equals = strchr(text, '=');
    bool named = end && ((equals && equals < end) || strncmp(text, "reference", 9) == 0);
    return named ? end + 2 : text;
}

/* The same of several cells, whatever the numbers. */
static bool same_kind(const char *a, const char *b)
{
    static const char numbers[] = "0123456789.+-";
    const char *x = without_cell(a), *y = without_cell(b);
    if (x == a || y == b)
        return false;
    for (;;) {
        x += strspn(x, numbers);
        y += strspn(y, numbers);
        if (*x != *y)
            return false;
        if (!*x)
            return true;
        x++, y++;
    }
}

static const char *warning_at(const struct study_run *run, size_t i)
{
    return json_string_value(json_array_get(run->results.warnings, i));
}

static bool told_before(const struct study_run *run, size_t i)
{
    for (size_t k = run->n_said; k < i; k++)
        if (same_kind(warning_at(run, k), warning_at(run, i)))
            return true;
    return false;
}

void study_run_say_warnings(struct study_run *run)
{
    const size_t count = json_array_size(run->results.warnings);
    for (size_t i = run->n_said; i < count && !run->options->quiet; i++) {
        size_t others = 0;
        char more[64] = "";
        if (told_before(run, i))
            continue;
        for (size_t k = i + 1; k < count; k++)
            others += same_kind(warning_at(run, i), warning_at(run, k));
        if (others > 0)
            snprintf(more, sizeof more, " (and %zu more cells: see summary.md)", others);
        fprintf(stderr, "note: %s%s\n", warning_at(run, i), more);
    }
    run->n_said = count;
}

/* ---- what is to be measured ---- */

/* "I/N"; *shard counts from 0. */
static enum lb_status parse_shard(const char *text, uint32_t *shard, uint32_t *n_shards,
                                  struct lb_error *err)
{
    char rest;
    *shard = 0;
    *n_shards = 1;
    if (!text)
        return LB_OK;
    if (sscanf(text, "%u/%u%c", shard, n_shards, &rest) != 2 || *shard < 1 || *shard > *n_shards)
        return lb_fail(err, LB_ERR_INPUT, "--shard: '%s': expected I/N with I from 1 to N", text);
    --*shard;
    return LB_OK;
}

/* For looking only, a model is not made; then nothing is clamped. */
static enum lb_status find_model(struct study_run *run, bool only_look, struct lb_error *err)
{
    const char *given = run->options->model ? run->options->model : run->scenario.model_path;
    enum lb_status status = given ? LB_OK : scenario_of_one_model(&run->scenario, err);
    if (status != LB_OK)
        return status;
    if (given)
        run->model_path = strdup(given);
    else if (!only_look)
        status = model_file_cached(&run->scenario.model_synth, &run->model_path, err);
    if (status == LB_OK && run->model_path)
        run->results.model_state = lb_file_state_at(run->model_path);
    if (status == LB_OK && run->model_path)
        status = lb_model_facts(run->model_path, &run->results.model, err);
    if (!run->model_path && status == LB_OK) {
        if (!only_look)
            return lb_fail(err, LB_ERR_NOMEM, "model: out of memory");
        run->results.model.n_layers = UINT32_MAX;
    }
    return status;
}

/* What samples would stumble over, said before the first. */
static enum lb_status check_prompts(const struct matrix *m, struct lb_error *err)
{
    enum lb_status status = LB_OK;
    const char *read = "";
    for (size_t i = 0; i < m->count && status == LB_OK; i++) {
        const char *path = m->cells[i].settings.prompts;
        struct prompts prompts = {NULL, 0};
        if (*path && strcmp(path, read) != 0)
            status = prompts_read(path, &prompts, err);
        read = path;
        prompts_free(&prompts);
    }
    return status;
}

/* For --save-scenario: what is measured, with the command line's numbers. */
static enum lb_status save_scenario(const struct study_run_options *o, const json_t *document,
                                    struct lb_error *err)
{
    json_t *saved = json_deep_copy(document);
    if (o->model)
        json_object_set_new(saved, "model", json_pack("{s:s}", "path", o->model));
    if (o->repetitions)
        json_object_set_new(saved, "repetitions", json_integer(o->repetitions));
    if (o->seed != STUDY_RUN_NO_SEED)
        json_object_set_new(saved, "seed", json_integer((json_int_t)o->seed));
    enum lb_status status = json_replace_file(o->save_scenario, saved, JSON_INDENT(2), err);
    json_decref(saved);
    return status;
}

/* Of the file, or made for the model; with what the command line sets and varies. */
static enum lb_status read_scenario(struct study_run *run, const char *path, struct lb_error *err)
{
    const struct study_run_options *o = run->options;
    const char *place = path ? path : "scenario of the command line";
    json_t *document = NULL;
    char sha256[65] = "";
    enum lb_status status = LB_OK;
    if (path)
        status = scenario_document(path, &document, sha256, err);
    else if (!(document = sweep_document(&o->sweep, o->model)))
        status = lb_fail(err, LB_ERR_NOMEM, "scenario: out of memory");
    if (status == LB_OK && o->sweep.set.count + o->sweep.vary.count > 0) {
        status = sweep_apply(&o->sweep, document, err);
        if (status == LB_OK)
            status = scenario_hash(document, sha256, err);
    }
    if (status == LB_OK)
        status = scenario_from_json(document, place, sha256, &run->scenario, err);
    if (status == LB_OK && o->save_scenario)
        status = save_scenario(o, document, err);
    json_decref(document);
    return status;
}

/* Other programs that are not here are left out, and said to be. */
static void skip_absent(struct matrix *m)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->cells[i].peer && !peer_found(m->cells[i].peer))
            m->cells[i].skipped = "there is no such program here";
}

enum lb_status study_run_prepare(struct study_run *run, const char *path, bool only_look,
                                 struct lb_error *err)
{
    const struct study_run_options *o = run->options;
    uint32_t shard, n_shards;
    enum lb_status status = LB_OK;
    if (!only_look || !path)
        status = json_can_name(o->model, "result.json", err);
    if (status == LB_OK && !only_look)
        status = json_can_name(path, "result.json", err);
    if (status == LB_OK)
        status = read_scenario(run, path, err);
    if (status == LB_OK)
        status = parse_shard(o->shard, &shard, &n_shards, err);
    if (status == LB_OK)
        status = find_model(run, only_look, err);
    if (status == LB_OK)
        status = matrix_build(&run->scenario, run->results.model.n_layers, &run->matrix, err);
    if (status == LB_OK && o->filter)
        status = matrix_filter(&run->matrix, o->filter, err);
    if (status == LB_OK)
        status = matrix_add_references(&run->matrix, err);
    if (status == LB_OK)
        status = check_prompts(&run->matrix, err);
    skip_absent(&run->matrix);
    if (status != LB_OK)
        return status;
    struct results *r = &run->results;
    r->scenario = &run->scenario;
    r->matrix = &run->matrix;
    r->model_path = run->model_path;
    r->repetitions = o->repetitions ? o->repetitions : run->scenario.repetitions;
    r->warmup = run->scenario.warmup;
    r->seed = o->seed != STUDY_RUN_NO_SEED ? o->seed : run->scenario.seed;
    r->filter = o->filter;
    r->shard = o->shard;
    r->log = true;
    status = matrix_order(&run->matrix, r->repetitions, r->warmup, r->seed, &run->order,
                          &run->n_order, err);
    if (status == LB_OK)
        status = matrix_cut(&run->matrix, shard, n_shards, run->order, &run->n_order, err);
    return status;
}

/* ---- where the result goes ---- */

/* "latest" beside the run points to it; a failure is no reason to stop. */
static void point_latest(const char *parent, const char *id)
{
    char *link = file_text("%s/latest", parent);
    char *temporary = file_text("%s/.latest-%ld", parent, (long)getpid());
    if (link && temporary) {
        unlink(temporary);
        if (symlink(id, temporary) == 0 && rename(temporary, link) != 0)
            unlink(temporary);
    }
    free(link);
    free(temporary);
}

/* results/runs/NAME/YYYYMMDD-HHMMSS; a number is added when that is taken. */
static enum lb_status open_new(struct study_run *run, struct lb_error *err)
{
    char *parent = file_text("results/runs/%s", run->scenario.name);
    enum lb_status status = parent ? file_make_directory(parent, err)
                                   : lb_fail(err, LB_ERR_NOMEM, "run: out of memory");
    for (int attempt = 1; status == LB_OK; attempt++) {
        char id[64];
        time_t now = time(NULL);
        struct tm utc;
        size_t n = strftime(id, sizeof id, "%Y%m%d-%H%M%S", gmtime_r(&now, &utc));
        if (attempt > 1)
            snprintf(id + n, sizeof id - n, "-%d", attempt);
        char *directory = file_text("%s/%s", parent, id);
        if (!directory)
            status = lb_fail(err, LB_ERR_NOMEM, "run: out of memory");
        else if (mkdir(directory, 0755) == 0) {
            status = results_open(&run->results, directory, err);
            point_latest(parent, id);
            free(directory);
            break;
        } else if (errno != EEXIST)
            status = lb_fail(err, LB_ERR_INPUT, "%s: %s", directory, strerror(errno));
        free(directory);
    }
    free(parent);
    return status;
}

/* Takes the list over. */
static void take_warnings(struct results *r, json_t *texts)
{
    size_t i;
    json_t *text;
    json_array_foreach(texts, i, text) results_warn(r, "%s", json_string_value(text));
    json_decref(texts);
}

enum lb_status study_run_open(struct study_run *run, struct lb_error *err)
{
    const struct study_run_options *o = run->options;
    struct results *r = &run->results;
    char *directory =
        o->out ? strdup(o->out) : file_text("results/runs/%s/latest", run->scenario.name);
    char *file = directory ? file_text("%s/result.json", directory) : NULL;
    enum lb_status status = LB_OK;
    if (!file)
        status = lb_fail(err, LB_ERR_NOMEM, "run: out of memory");
    else if (o->resume && file_exists(file))
        status = results_resume(r, directory, err);
    else if (o->resume && !o->out)
        status =
            lb_fail(err, LB_ERR_INPUT, "--resume: no run of %s to go on with", run->scenario.name);
    else
        status = o->out ? results_open(r, directory, err) : open_new(run, err);
    free(directory);
    free(file);
    if (status == LB_OK) {
        r->environment = environment_collect(run->model_path, r->directory);
        const json_t *sha256 = json_object_get(r->environment, "model_sha256");
        status = results_check_model(r, json_string_value(json_object_get(sha256, "value")), err);
    }
    if (status == LB_OK) {
        for (size_t i = 0; i < run->matrix.n_notes; i++)
            results_warn(r, "%s", run->matrix.notes[i]);
        take_warnings(r, environment_warnings(r->environment));
        study_run_say_warnings(run);
    }
    return status;
}

/* ---- measuring ---- */

/* Samples take the prompts of a file in turn. */
static uint64_t prompt_of(const struct cell *cell, int32_t rep)
{
    return *cell->settings.prompts && rep > 0 ? (uint64_t)rep : 0;
}

static enum lb_status measure_sample(struct study_run *run, const struct matrix_slot *which,
                                     struct sample *sample, struct lb_error *err)
{
    const struct cell *cell = &run->matrix.cells[which->cell];
    const struct runner_work work = {.settings = &cell->settings,
                                     .model_path = run->model_path,
                                     .n_layers = run->results.model.n_layers,
                                     .work_seed = run->results.seed,
                                     .first_prompt = prompt_of(cell, which->rep),
                                     .peer = cell->peer,
                                     .timeout_s = run->options->timeout,
                                     .model_state = &run->results.model_state};
    enum lb_status status = runner_measure(&work, sample, err);
    uint64_t asked = (uint64_t)cell->settings.generate_tokens * cell->settings.engine.batch;
    if (status == LB_OK && !*sample->failed && !cell->peer && sample->tokens != asked)
        snprintf(sample->failed, sizeof sample->failed,
                 "%" PRIu64 " tokens decoded: expected %" PRIu64 ", as asked for", sample->tokens,
                 asked);
    return status;
}

/* The first good sample of the same work in any cell, to compare hashes with. */
static const struct sample *same_work_sample(const struct study_run *run, uint32_t cell,
                                             uint64_t first_prompt, const char **other)
{
    const struct matrix *m = &run->matrix;
    for (size_t i = 0; i < m->count; i++) {
        const struct cell_samples *c = &run->results.by_cell[i];
        if (m->cells[i].work != m->cells[cell].work ||
            !matrix_same_work(&m->cells[i].settings, &m->cells[cell].settings))
            continue;
        for (size_t k = 0; k < c->count; k++) {
            if (!*c->list[k].failed && c->list[k].first_prompt == first_prompt) {
                *other = m->cells[i].name;
                return &c->list[k];
            }
        }
    }
    return NULL;
}

static void check_sample(struct study_run *run, uint32_t cell, struct sample *sample)
{
    const struct settings *settings = &run->matrix.cells[cell].settings;
    const char *other_cell = NULL;
    if (*sample->failed || run->matrix.cells[cell].peer) /* of another program nothing is known */
        return;
    sample->broken = identities_check(sample, settings);
    const struct sample *other = same_work_sample(run, cell, sample->first_prompt, &other_cell);
    char *differs = other ? identities_compare(sample, other, other_cell) : NULL;
    if (differs)
        json_append_text(sample->broken, "%s", differs);
    free(differs);
}

static int64_t since_start(const struct study_run *run)
{
    return lb_now_ns() - run->results.origin_ns;
}

/* With a budget: is there time for another round? Rounds are whole, so that cells stay equal. */
static bool time_is_up(struct study_run *run, size_t next)
{
    const struct matrix_slot *s = &run->order[next];
    double spent = (double)(lb_now_ns() - run->start_ns) / 1e9;
    bool new_round = next > 0 && s->rep > 0 && run->order[next - 1].rep != s->rep;
    if (!run->options->budget || !new_round)
        return false;
    if (run->n_measured == 0)
        return false;
    double rounds = run->results.repetitions + run->results.warmup;
    double round = spent / (double)run->n_measured * (double)run->n_order / rounds;
    if (spent + round <= run->options->budget)
        return false;
    results_warn(&run->results, "budget of %u s: %d of %u repetitions measured",
                 run->options->budget, s->rep, run->results.repetitions);
    return true;
}

/* With --verbose: what the sample was like. */
static void say_sample(const struct study_run *run, uint32_t cell, const struct sample *sample)
{
    const char *name = run->matrix.cells[cell].name;
    const struct lb_stats *d = &sample->decode;
    char kind[32] = "warm-up", pass[32], wait[32], bytes[32];
    if (!run->options->verbose)
        return;
    if (sample->rep >= 0)
        snprintf(kind, sizeof kind, "rep %d", sample->rep + 1);
    fprintf(stderr, "[%u/%zu] %s, %s: ", sample->seq + 1, run->n_order, name, kind);
    if (*sample->failed || sample->n_pass == 0) {
        fprintf(stderr, "%s\n", *sample->failed ? sample->failed : "no decode pass");
        return;
    }
    double n = sample->n_pass;
    amount_human_duration((double)d->wall_ns / n, pass, sizeof pass);
    amount_human_duration((double)d->wait_ns / n, wait, sizeof wait);
    amount_human_size((double)d->bytes_read / n, bytes, sizeof bytes);
    fprintf(stderr, "a pass %s, waiting %s, %s read, %.3g late, %.3g missed%s\n", pass, wait, bytes,
            (double)d->late / n, (double)d->misses / n,
            json_array_size(sample->broken) > 0 ? "; INVALID" : "");
}

/* Samples that are still to be measured. */
static size_t count_open(const struct study_run *run)
{
    size_t n = 0;
    for (size_t i = 0; i < run->n_order; i++)
        n += run->order[i].rep < 0 ||
             !results_has(&run->results, run->order[i].cell, run->order[i].rep);
    return n;
}

/* Raw bandwidths, once in each round; a path that cannot be measured leaves its floors open. */
static void measure_paths(struct study_run *run, size_t next)
{
    bool new_round = next == 0 || run->order[next - 1].rep != run->order[next].rep;
    struct raw_paths *paths = &run->results.paths;
    for (size_t k = 0; new_round && run->order[next].rep >= 0 && k < paths->count; k++) {
        struct lb_error err = LB_ERROR_INIT;
        if (raw_paths_measure(paths, k, &run->matrix, run->model_path, since_start(run), &err) !=
            LB_OK)
            results_warn(&run->results, "%s: %s", paths->list[k].name, err.text);
        run->results.written_ns =
            0; /* only result.json holds these: written with the next sample */
    }
}

enum lb_status study_run_measure(struct study_run *run, struct lb_error *err)
{
    struct progress progress = progress_begin(run->scenario.name);
    struct results *r = &run->results;
    size_t n_open = count_open(run), done = 0;
    progress.shown &= !run->options->quiet;
    run->start_ns = lb_now_ns();
    /* before anything else lies there, so that the run can be resumed from any moment on */
    enum lb_status status = results_write(r, err);
    for (size_t i = 0; status == LB_OK && i < run->n_order && !time_is_up(run, i); i++) {
        const struct matrix_slot *which = &run->order[i];
        struct sample sample;
        if (which->rep >= 0 && results_has(r, which->cell, which->rep))
            continue;
        progress_update(&progress, done++, n_open, run->matrix.cells[which->cell].name);
        measure_paths(run, i);
        int64_t start = since_start(run);
        status = measure_sample(run, which, &sample, err);
        if (status != LB_OK)
            break;
        run->n_measured++;
        sample.rep = which->rep;
        sample.seq = which->seq;
        sample.start_ns = start;
        check_sample(run, which->cell, &sample);
        if (run->options->verbose)
            progress_end(&progress);
        say_sample(run, which->cell, &sample);
        if (which->rep >= 0)
            status = results_add(r, which->cell, &sample, err);
        sample_free(&sample);
    }
    progress_end(&progress);
    if (status == LB_OK && strcmp(run->options->profile, "ops") == 0)
        status = cell_profiles(r, run->options->timeout, err);
    if (status != LB_OK) { /* what was measured counts */
        struct lb_error ignored = LB_ERROR_INIT;
        results_warn(r, "%s", err->text);
        (void)results_write(r, &ignored);
        return status;
    }
    environment_finish(r->environment);
    take_warnings(r, environment_changes(r->environment));
    results_warn_of_figures(&run->results);
    r->complete = true;
    status = results_write(r, err);
    if (status == LB_OK)
        status = sim_attach(r, err);
    return status == LB_OK ? layer_table_write(r->directory, err) : status;
}

void study_run_close(struct study_run *run)
{
    free(run->order);
    results_close(&run->results);
    matrix_free(&run->matrix);
    scenario_free(&run->scenario);
    free(run->model_path);
}
