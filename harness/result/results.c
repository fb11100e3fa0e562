/* results: see results.h. */
#include "result/results.h"

#include "base/clock.h"
#include "common/array.h"
#include "common/file_io.h"
#include "common/folder_lock.h"
#include "common/json_text.h"
#include "result/document.h"
#include "result/journal.h"
#include "result/layer_lines.h"
#include "result/log_check.h"
#include "result/results_json.h"
#include "result/route_lines.h"
#include "result/summary_table.h"
#include "result/summary_text.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Everything is written when that took less than one part in so many of the time since. */
#define WRITE_EVERY 20

static const char *const file_names[N_RESULT_FILES] = {
    [RESULT_JSON] = "result.json",     [LAYERS_JSONL] = "layers.jsonl",
    [SAMPLES_JSONL] = "samples.jsonl", [ROUTES_CSV] = "routes.csv",
    [SUMMARY_CSV] = "summary.csv",     [SUMMARY_MD] = "summary.md"};

static enum lb_status no_memory(struct lb_error *err)
{
    return lb_fail(err, LB_ERR_NOMEM, "results: out of memory");
}

static enum lb_status prepare(struct results *r, const char *directory, struct lb_error *err)
{
    size_t n = r->matrix->count + 1;
    r->lock = -1;
    r->directory = strdup(directory);
    r->by_cell = calloc(n, sizeof *r->by_cell);
    r->warnings = json_array();
    r->attached = json_object();
    bool all = r->directory && r->by_cell && r->warnings && r->attached;
    for (size_t i = 0; i < N_RESULT_FILES; i++) {
        r->files[i] = file_text("%s/%s", directory, file_names[i]);
        all = all && r->files[i];
    }
    return all ? raw_paths_plan(r->matrix, &r->paths, err) : no_memory(err);
}

/* But for what a run leaves that was killed before its first result was there. */
static bool is_empty(const char *directory)
{
    DIR *dir = opendir(directory);
    bool empty = true;
    struct dirent *entry;
    while (dir && empty && (entry = readdir(dir)) != NULL)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                strncmp(entry->d_name, ".layerbench-", 12) == 0;
    if (dir)
        closedir(dir);
    return empty;
}

static int64_t realtime_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

enum lb_status results_open(struct results *r, const char *directory, struct lb_error *err)
{
    enum lb_status status = prepare(r, directory, err);
    if (status == LB_OK)
        status = file_make_directory(directory, err);
    if (status == LB_OK)
        status = folder_lock(directory, &r->lock, err);
    if (status == LB_OK && !is_empty(directory))
        status =
            lb_fail(err, LB_ERR_INPUT,
                    "%s: is not empty: expected a new or empty directory (or --resume)", directory);
    if (status != LB_OK)
        return status;
    r->started_realtime_ns = realtime_ns();
    r->origin_ns = lb_now_ns();
    return LB_OK;
}

enum lb_status results_check_model(struct results *r, const char *sha256, struct lb_error *err)
{
    if (!sha256 || strlen(sha256) >= sizeof r->model_sha256)
        return LB_OK;
    if (!*r->model_sha256)
        snprintf(r->model_sha256, sizeof r->model_sha256, "%s", sha256);
    if (strcmp(r->model_sha256, sha256) == 0)
        return LB_OK;
    return lb_fail(err, LB_ERR_INPUT,
                   "belongs to another model (its bytes differ): cannot be joined");
}

/* Times go on after the last sample. How long the run lay still only the wall clock says, which may
 * have been set. */
static void go_on_in_time(struct results *r)
{
    int64_t elapsed = realtime_ns() - r->started_realtime_ns;
    for (uint32_t i = 0; i < r->matrix->count; i++)
        for (size_t k = 0; k < r->by_cell[i].count; k++)
            if (elapsed <= r->by_cell[i].list[k].start_ns)
                elapsed = r->by_cell[i].list[k].start_ns + 1;
    r->origin_ns = lb_now_ns() - elapsed;
}

bool results_has(const struct results *r, uint32_t cell, int32_t rep)
{
    for (size_t k = 0; k < r->by_cell[cell].count; k++) {
        if (r->by_cell[cell].list[k].rep == rep)
            return true;
    }
    return false;
}

/* Takes the sample over. */
static enum lb_status keep_sample(struct results *r, uint32_t cell, struct sample *sample,
                                  struct lb_error *err)
{
    struct cell_samples *c = &r->by_cell[cell];
    struct sample *place = array_add(&c->list, &c->count, sizeof *place);
    if (!place)
        return no_memory(err);
    if (*sample->notice)
        results_warn(r, "%s: %s", r->matrix->cells[cell].name, sample->notice);
    *place = *sample;
    memset(sample, 0, sizeof *sample);
    return LB_OK;
}

static bool is_known(void *ctx, const char *cell, int32_t rep)
{
    const struct results *r = ctx;
    int i = matrix_find(r->matrix, cell);
    return i >= 0 && results_has(r, (uint32_t)i, rep);
}

/* A sample of the journal that result.json lacks. */
static enum lb_status take_journalled(void *ctx, const char *cell, struct sample *sample,
                                      struct lb_error *err)
{
    struct results *r = ctx;
    int i = matrix_find(r->matrix, cell);
    if (i >= 0 && !results_has(r, (uint32_t)i, sample->rep))
        return keep_sample(r, (uint32_t)i, sample, err);
    sample_free(sample);
    if (i >= 0)
        return LB_OK;
    return lb_fail(err, LB_ERR_INPUT, "has a cell '%s' that does not belong to this run", cell);
}

enum lb_status results_resume(struct results *r, const char *directory, struct lb_error *err)
{
    enum lb_status status = prepare(r, directory, err);
    json_t *document = NULL;
    if (status == LB_OK)
        status = folder_lock(directory, &r->lock, err);
    if (status != LB_OK)
        return status;
    status = document_read(r->files[RESULT_JSON], &document, err);
    if (status == LB_OK)
        status = document_check(r->files[RESULT_JSON], document, err);
    if (status != LB_OK)
        goto done;
    status = results_from_json(r, document, err);
    if (status == LB_OK)
        status = journal_read(r->files[SAMPLES_JSONL], take_journalled, r, err);
    if (status == LB_OK)
        status = log_check_forget(r, r->files[LAYERS_JSONL], err);
    if (status == LB_OK)
        status = layer_lines_mend(r->files[LAYERS_JSONL], is_known, r, err);
    if (status == LB_OK)
        status = route_lines_mend(r->files[ROUTES_CSV], is_known, r, err);
    if (status == LB_OK)
        go_on_in_time(r);
    lb_error_prefix(err, "%s", r->files[RESULT_JSON]);
done:
    json_decref(document);
    return status;
}

double results_bandwidth(const struct results *r, uint32_t cell, const char **source)
{
    double best = raw_paths_bandwidth(&r->paths, r->matrix, cell, source);
    for (uint32_t i = 0; i < r->matrix->count; i++) {
        if (!raw_paths_same(&r->paths, i, cell))
            continue;
        for (size_t k = 0; k < r->by_cell[i].count; k++) {
            const struct sample *s = &r->by_cell[i].list[k];
            double used = *s->failed || s->decode.wall_ns <= 0
                              ? 0
                              : (double)s->decode.bytes_read / (double)s->decode.wall_ns * 1e9;
            if (used > best) {
                best = used;
                *source = "the passes of a cell that reads in the same way";
            }
        }
    }
    return best;
}

struct summary results_summary(const struct results *r, uint32_t cell)
{
    const char *source;
    int reference = matrix_reference(r->matrix, cell);
    struct floor floor =
        summary_floor(&r->by_cell[cell], reference < 0 ? NULL : &r->by_cell[reference],
                      results_bandwidth(r, cell, &source));
    return summary_of(&r->by_cell[cell], &floor);
}

bool results_predicts(const struct results *r)
{
    struct summary_prediction p;
    for (uint32_t i = 0; i < r->matrix->count; i++)
        if (summary_prediction(&r->by_cell[i], 1, &p))
            return true;
    return false;
}

struct summary *results_summaries(const struct results *r)
{
    struct summary *list = calloc(r->matrix->count + 1, sizeof *list);
    for (uint32_t i = 0; list && i < r->matrix->count; i++)
        list[i] = results_summary(r, i);
    return list;
}

/* The first cell that has the same task as cell i. */
static uint32_t task_of(const struct results *r, const uint32_t *tasks, uint32_t i)
{
    for (uint32_t k = 0; k < i; k++)
        if (tasks[k] == k &&
            matrix_same_task(&r->matrix->cells[k].settings, &r->matrix->cells[i].settings))
            return k;
    return i;
}

double *results_relative(const struct results *r, const struct summary *list)
{
    const uint32_t n = (uint32_t)r->matrix->count;
    uint32_t *tasks = calloc(n + 1, sizeof *tasks);
    double *least = calloc(2 * (n + 1), sizeof *least), *relative = calloc(n + 1, sizeof *relative);
    for (uint32_t i = 0; tasks && least && i < n; i++) {
        const struct cell *cell = &r->matrix->cells[i];
        bool streams = strcmp(cell->settings.engine.prefetch, "resident") != 0;
        least[2 * i] = least[2 * i + 1] = NAN;
        tasks[i] = task_of(r, tasks, i);
        double *fastest = &least[2 * tasks[i] + streams];
        if (list[i].n > 0 && !cell->reference)
            *fastest = fmin(*fastest, list[i].token_ns);
    }
    for (uint32_t i = 0; tasks && least && relative && i < n; i++) {
        const double *of = &least[2 * tasks[i]];
        bool told = list[i].n > 0 && !r->matrix->cells[i].reference;
        relative[i] = told ? list[i].token_ns / (isnan(of[1]) ? of[0] : of[1]) : NAN;
    }
    free(tasks);
    free(least);
    return relative;
}

void results_attach(struct results *r, uint32_t cell, const char *key, json_t *value)
{
    const char *name = r->matrix->cells[cell].name;
    json_t *keys = json_object_get(r->attached, name);
    if (!keys) {
        keys = json_object();
        json_object_set_new(r->attached, name, keys);
    }
    json_object_set_new(keys, key, value);
}

bool results_attached(const struct results *r, uint32_t cell, const char *key)
{
    return json_object_get(json_object_get(r->attached, r->matrix->cells[cell].name), key) != NULL;
}

void results_warn(struct results *r, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t i;
    json_t *known;
    json_array_foreach(r->warnings, i, known)
    {
        if (strcmp(json_string_value(known), text) == 0)
            return; /* said before, or before a resume */
    }
    json_array_append_new(r->warnings, json_text(text));
}

/* Endings of what results_warn_of_figures() says, after a cell's name. */
static const char outliers_text[] = " samples are outliers (kept)", drift_text[] = ": drifts by ",
                  floor_text[] = ": the floor is wrong: ";

bool results_is_of_figures(const char *warning)
{
    return strstr(warning, outliers_text) || strstr(warning, drift_text) ||
           strstr(warning, floor_text);
}

void results_warn_of_figures(struct results *r)
{
    for (uint32_t i = 0; i < r->matrix->count; i++) {
        struct summary s = results_summary(r, i);
        const char *name = r->matrix->cells[i].name;
        if (s.n == 0)
            continue;
        if (strcmp(r->matrix->cells[i].settings.engine.speculation.speculate, "replay") == 0)
            results_warn(r, "speculate: replay: its drafts are told the text, with errors: what a "
                            "drafter of that acceptance would bring, not what one brings");
        if (s.n >= 5 && s.pass.outliers > 0)
            results_warn(r, "%s: %zu of %zu%s", name, s.pass.outliers, s.n, outliers_text);
        if (fabs(s.pass.drift) > 0.05)
            results_warn(r, "%s%s%+.0f%% over the run", name, drift_text, 100 * s.pass.drift);
        if (floor_is_wrong(&s.floor, s.pass_ns))
            results_warn(r,
                         "%s%sit lies above the measured pass by %.1f%%; what "
                         "it was made of was slower than what the pass had",
                         name, floor_text, 100 * (s.share_of_floor - 1));
    }
}

static enum lb_status write_text(const struct results *r, int file,
                                 void (*print)(const struct results *r, FILE *out),
                                 struct lb_error *err)
{
    struct file_stream to;
    enum lb_status status = file_stream_open(r->files[file], &to, err);
    if (status != LB_OK)
        return status;
    print(r, to.out);
    return file_stream_finish(&to, err);
}

enum lb_status results_write(struct results *r, struct lb_error *err)
{
    const int64_t begin_ns = lb_now_ns();
    json_t *document = results_to_json(r);
    char *text = document ? json_dumps(document, JSON_INDENT(1)) : NULL;
    enum lb_status status = LB_OK;
    if (document && !r->context)
        r->context = json_incref(json_object_get(document, "context"));
    status = text ? file_replace(r->files[RESULT_JSON], text, strlen(text), err)
                  : lb_fail(err, LB_ERR_STATE,
                            "%s: the result cannot be put into words "
                            "(out of memory, or Google Benchmark refused)",
                            r->directory);
    free(text);
    json_decref(document);
    if (status == LB_OK)
        unlink(r->files[SAMPLES_JSONL]); /* all its samples are in result.json now */
    if (status == LB_OK)
        status = write_text(r, SUMMARY_CSV, summary_print_csv, err);
    if (status == LB_OK)
        status = write_text(r, SUMMARY_MD, summary_print_markdown, err);
    r->written_ns = lb_now_ns();
    r->write_took_ns = r->written_ns - begin_ns;
    return status;
}

enum lb_status results_add(struct results *r, uint32_t cell, struct sample *sample,
                           struct lb_error *err)
{
    const char *name = r->matrix->cells[cell].name;
    summary_look_back(sample);
    enum lb_status status =
        r->log ? layer_lines_append(r->files[LAYERS_JSONL], name, sample, err) : LB_OK;
    if (status == LB_OK)
        status = route_lines_append(r->files[ROUTES_CSV], name, sample, err);
    if (status == LB_OK)
        status = journal_add(r->files[SAMPLES_JSONL], name, sample, err);
    if (status != LB_OK)
        return status;
    free(sample->log); /* on disk now */
    free(sample->units);
    free(sample->routes);
    sample->log = sample->units = NULL;
    sample->routes = NULL;
    sample->n_log = sample->n_units = sample->n_routes = 0;
    status = keep_sample(r, cell, sample, err);
    if (status == LB_OK && lb_now_ns() - r->written_ns > WRITE_EVERY * r->write_took_ns)
        status = results_write(r, err);
    return status;
}

void results_close(struct results *r)
{
    for (size_t i = 0; r->by_cell && i < r->matrix->count; i++) {
        for (size_t k = 0; k < r->by_cell[i].count; k++)
            sample_free(&r->by_cell[i].list[k]);
        free(r->by_cell[i].list);
    }
    free(r->by_cell);
    raw_paths_free(&r->paths);
    if (r->directory)
        folder_unlock(&r->lock);
    free(r->directory);
    for (size_t i = 0; i < N_RESULT_FILES; i++)
        free(r->files[i]);
    json_decref(r->context);
    json_decref(r->environment);
    json_decref(r->warnings);
    json_decref(r->attached);
    memset(r, 0, sizeof *r);
}
