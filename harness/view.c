/* view: tolerant reading of a result. See view.h. */
#include "view.h"

#include "values.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct view_block {
    struct view_block *next;
    max_align_t data[];
};

void *view_alloc(struct view *view, size_t count, size_t size)
{
    struct view_block *block = NULL;
    if (size == 0 || count < (SIZE_MAX - sizeof *block) / size)
        block = calloc(1, sizeof *block + count * size);
    if (!block) {
        fputs("layerbench: out of memory\n", stderr);
        exit(5);
    }
    block->next = view->blocks;
    view->blocks = block;
    return block->data;
}

static char *format_text(struct view *view, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = view_alloc(view, (size_t)(length < 0 ? 0 : length) + 1, 1);
    vsnprintf(text, (size_t)(length < 0 ? 0 : length) + 1, format, args);
    return text;
}

char *view_text(struct view *view, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = format_text(view, format, args);
    va_end(args);
    return text;
}

/* Room for one more in an array that doubles at powers of two. */
static void *grown(struct view *view, void *array, size_t count, size_t size)
{
    if (count != 0 && (count & (count - 1)) != 0)
        return array;
    void *larger = view_alloc(view, count ? 2 * count : 1, size);
    if (count)
        memcpy(larger, array, count * size);
    return larger;
}

void view_note(struct view *view, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    view->notes = grown(view, view->notes, view->n_notes, sizeof *view->notes);
    view->notes[view->n_notes++] = format_text(view, format, args);
    va_end(args);
}

/* ---- JSON ---- */

static const char *text_of(struct view *view, const json_t *value)
{
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_boolean(value))
        return json_is_true(value) ? "on" : "off";
    if (json_is_integer(value))
        return view_text(view, "%lld", (long long)json_integer_value(value));
    if (json_is_real(value))
        return view_text(view, "%.6g", json_real_value(value));
    if (json_is_object(value) || json_is_array(value)) {
        char *dump = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
        const char *copy = view_text(view, "%s", dump ? dump : "");
        free(dump);
        return copy;
    }
    return "";
}

const char *view_field(struct view *view, const json_t *object, const char *path)
{
    char key[64];
    while (*path) {
        size_t length = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)length, path);
        object = json_object_get(object, key);
        path += length + (path[length] == '.');
    }
    const json_t *inner = json_object_get(object, "value");
    return text_of(view, inner ? inner : object);
}

const char *view_option(struct view *view, const struct view_cell *cell, const char *key)
{
    return text_of(view, json_object_get(cell->options, key));
}

static int64_t integer(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? (int64_t)json_number_value(value) : 0;
}

const char *view_outcome_name(enum lb_outcome outcome)
{
    static const char *const names[VIEW_OUTCOMES] = {"hit", "prefetched", "late", "miss"};
    return names[outcome];
}

/* ---- statistics ---- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The interval between the k-th smallest and the k-th largest value contains the median of the
 * distribution with probability 1 - 2 P(Binomial(n, 1/2) < k), whatever the distribution. */
struct view_estimate view_estimate(double *values, size_t n)
{
    struct view_estimate e = {.middle = NAN, .low = NAN, .high = NAN, .n = n};
    if (n == 0)
        return e;
    qsort(values, n, sizeof *values, ascending);
    e.middle = n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
    double probability = pow(0.5, (double)n), below = probability;
    size_t k = 1;
    while (k < n / 2) {
        probability *= (double)(n - k + 1) / (double)k;
        if (below + probability > 0.025)
            break;
        below += probability;
        k++;
    }
    e.low = values[k - 1];
    e.high = values[n - k];
    return e;
}

/* ---- cells ---- */

/* Options that change what is computed or the machine it runs on: cells that differ in one of
 * them do not belong on one line. */
static const char *const work_options[] = {
    "batch",   "threads", "prompt_tokens", "context",   "generate_tokens", "device",
    "kernels", "kv",      "memory_limit",  "page_cache"};

static const char *work_of(struct view *view, const struct view_cell *cell)
{
    const char *text = "";
    for (size_t i = 0; i < sizeof work_options / sizeof *work_options; i++) {
        const char *value = view_option(view, cell, work_options[i]);
        if (*value)
            text = view_text(view, "%s%s%s %s", text, *text ? ", " : "", work_options[i], value);
    }
    return text;
}

static double number_option(struct view *view, const struct view_cell *cell, const char *key)
{
    double value = NAN;
    value_parse_real(view_option(view, cell, key), &value);
    return value;
}

static double mebibytes_option(struct view *view, const struct view_cell *cell, const char *key)
{
    uint64_t bytes;
    return value_parse_size(view_option(view, cell, key), &bytes) ? (double)bytes / 0x1p20 : NAN;
}

struct view_cell *view_cell(struct view *view, const char *name, bool add)
{
    for (size_t i = 0; i < view->n_cells; i++)
        if (strcmp(view->cells[i].name, name) == 0)
            return &view->cells[i];
    if (!add)
        return NULL;
    view->cells = grown(view, view->cells, view->n_cells, sizeof *view->cells);
    struct view_cell *cell = &view->cells[view->n_cells++];
    *cell = (struct view_cell){.name = view_text(view, "%s", name),
                               .label = view_text(view, "%s", name),
                               .prefetch = "",
                               .replacement = "",
                               .work = "",
                               .cache = NAN,
                               .distance = NAN,
                               .batch = 1,
                               .predicted_pass_ns = NAN,
                               .floor = {NAN, NAN, NAN, NAN, NAN}};
    return cell;
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* Sums over `passes`, from the sample's key "decode" or, where there is none, from the sample. */
static void read_sums(const json_t *json, double passes, struct view_sample *sample)
{
    const json_t *outcomes = json_object_get(json, "outcomes");
    for (int i = 0; i < VIEW_OUTCOMES; i++)
        sample->outcomes[i] =
            (double)integer(outcomes, view_outcome_name((enum lb_outcome)i)) / passes;
    sample->wait_ns = (double)integer(json, "wait_ns") / passes;
    sample->compute_ns = (double)integer(json, "compute_ns") / passes;
    sample->other_ns = (double)integer(json, "other_ns") / passes;
    sample->bytes_read = (double)integer(json, "bytes_read") / passes;
}

/* False for a sample without times. */
static bool read_sample(const struct view *view, const json_t *json, struct view_sample *sample)
{
    const json_t *passes = json_object_get(json, "pass_ns"), *pass;
    const json_t *decode = json_object_get(json, "decode");
    double n = 0, sum = 0;
    size_t i;
    *sample = (struct view_sample){
        .rep = integer(json, "rep"),
        .seq = integer(json, "seq"),
        .start_ns = integer(json, "start_ns"),
        .ttft_ns = integer(json, "ttft_ns"),
        .prefill_ns = integer(json, "prefill_ns"),
        .wasted = (double)integer(json, "wasted"),
        .peak_rss_bytes = (double)integer(json, "peak_rss_bytes"),
        .tokens_hash = json_string_value(json_object_get(json, "tokens_hash")),
    };
    json_array_foreach(passes, i, pass)
    {
        if (json_number_value(pass) > 0) {
            sum += json_number_value(pass);
            n++;
        }
    }
    bool decoded = strcmp(view->pass_kind, "decode pass") == 0;
    sample->pass_ns = decoded ? (n > 0 ? sum / n : 0) : (double)sample->prefill_ns;
    if (decoded && decode)
        read_sums(decode, n > 0 ? n : 1, sample);
    else
        read_sums(json, n + (sample->prefill_ns > 0), sample);
    return sample->pass_ns > 0;
}

/* The options as they took effect where the result says so, else as asked for. */
static void decode_options(struct view *view, struct view_cell *cell, const json_t *json)
{
    cell->options = json_object_get(json, "options");
    cell->prefetch = view_option(view, cell, "prefetch");
    cell->replacement = view_option(view, cell, "replacement");
    cell->distance = number_option(view, cell, "prefetch_distance");
    cell->work = work_of(view, cell);
    double batch = number_option(view, cell, "batch");
    cell->batch = batch > 0 ? batch : 1;
    cell->cache = strcmp(view->cache_unit, "layers") == 0
                      ? number_option(view, cell, "cache_layers")
                      : mebibytes_option(view, cell, "cache_bytes");
}

static void summarise(struct view *view, struct view_cell *cell)
{
    struct view_sample *mean = &cell->mean;
    double *passes = view_alloc(view, cell->n_samples, sizeof *passes), n = (double)cell->n_samples;
    for (size_t i = 0; i < cell->n_samples; i++) {
        const struct view_sample *s = &cell->samples[i];
        passes[i] = s->pass_ns;
        mean->pass_ns += s->pass_ns / n;
        mean->wait_ns += s->wait_ns / n;
        mean->compute_ns += s->compute_ns / n;
        mean->other_ns += s->other_ns / n;
        mean->bytes_read += s->bytes_read / n;
        for (int o = 0; o < VIEW_OUTCOMES; o++)
            mean->outcomes[o] += s->outcomes[o] / n;
        if (s->peak_rss_bytes > mean->peak_rss_bytes)
            mean->peak_rss_bytes = s->peak_rss_bytes;
    }
    cell->pass = view_estimate(passes, cell->n_samples);
    if (cell->n_samples == 0 && !cell->problem)
        cell->problem = "no sample was measured";
}

static struct view_floor read_floor(const json_t *json)
{
    const json_t *floor = json_object_get(json, "floor");
    const json_t *sample = json_array_get(json_object_get(json, "samples"), 0);
    struct view_floor f = {number(floor, "ns"), number(floor, "compute_ns"),
                           number(floor, "load_ns"), number(floor, "all_load_ns"),
                           number(floor, "bandwidth")};
    if (isnan(f.ns))
        f.ns = number(sample, "floor_ns");
    return f;
}

static void read_cell(struct view *view, const json_t *json, size_t index)
{
    const char *name = json_string_value(json_object_get(json, "name"));
    if (!name) {
        view_note(view, "cells[%zu]: has no name; left out", index);
        return;
    }
    struct view_cell *cell = view_cell(view, name, true);
    if (cell->options) {
        view_note(view, "cell '%s' stands twice; the first counts", name);
        return;
    }
    const json_t *samples = json_object_get(json, "samples"), *sample;
    decode_options(view, cell, json);
    cell->floor = read_floor(json);
    cell->reference = json_is_true(json_object_get(json, "reference"));
    cell->predicted_pass_ns = number(json_object_get(json, "prediction"), "pass_ns");
    const char *failed = json_string_value(json_object_get(json, "failed"));
    cell->problem = json_string_value(json_object_get(json, "invalid"));
    if (!cell->problem)
        cell->problem = json_string_value(json_object_get(json, "skipped"));
    cell->samples = view_alloc(view, json_array_size(samples) + 1, sizeof *cell->samples);
    size_t i, damaged = 0;
    json_array_foreach(samples, i, sample)
    {
        if (read_sample(view, sample, &cell->samples[cell->n_samples]))
            cell->n_samples++;
        else
            damaged++;
    }
    if (damaged)
        view_note(view, "cell '%s': %zu sample%s without times; left out", name, damaged,
                  damaged == 1 ? "" : "s");
    if (failed && cell->n_samples > 0)
        view_note(view, "cell '%s': %zu samples failed: %s", name,
                  json_array_size(json_object_get(json, "failures")), failed);
    else if (failed && !cell->problem)
        cell->problem = failed;
    summarise(view, cell);
}

/* ---- labels ---- */

static bool option_varies(struct view *view, const char *key)
{
    const char *first = NULL;
    for (size_t i = 0; i < view->n_cells; i++) {
        const char *value = view_option(view, &view->cells[i], key);
        if (first && strcmp(first, value) != 0)
            return true;
        first = value;
    }
    return false;
}

static const char *label_part(struct view *view, const struct view_cell *cell, const char *key)
{
    const char *value = view_option(view, cell, key);
    bool no_distance =
        strcmp(cell->prefetch, "off") == 0 || strcmp(cell->prefetch, "resident") == 0;
    if (!*value || (no_distance && strcmp(key, "prefetch_distance") == 0))
        return "";
    if (strcmp(key, "cache_layers") == 0)
        return view_text(view, " C=%s", value);
    if (strcmp(key, "prefetch_distance") == 0)
        return view_text(view, " d=%s", value);
    if (value[0] >= 'a' && value[0] <= 'z' && strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
        return view_text(view, " %s", value);
    return view_text(view, " %s=%s", key, value);
}

/* "async belady C=8 d=2": prefetch and replacement always, then what else varies. */
static void label_cells(struct view *view)
{
    static const char *const leading[] = {"cache_layers", "cache_bytes", "prefetch_distance"};
    const char *keys[64];
    size_t n = 0, n_leading = sizeof leading / sizeof *leading;
    for (size_t i = 0; i < n_leading; i++)
        if (option_varies(view, leading[i]))
            keys[n++] = leading[i];
    const char *key;
    json_t *value;
    if (view->n_cells > 0 && view->cells[0].options) {
        json_object_foreach((json_t *)view->cells[0].options, key, value)
        {
            bool led = strcmp(key, "prefetch") == 0 || strcmp(key, "replacement") == 0;
            for (size_t i = 0; i < n_leading; i++)
                led = led || strcmp(key, leading[i]) == 0;
            if (!led && n < sizeof keys / sizeof *keys && option_varies(view, key))
                keys[n++] = key;
        }
    }
    for (size_t c = 0; c < view->n_cells; c++) {
        struct view_cell *cell = &view->cells[c];
        if (!*cell->prefetch)
            continue;
        const char *text = *cell->replacement
                               ? view_text(view, "%s %s", cell->prefetch, cell->replacement)
                               : cell->prefetch;
        for (size_t i = 0; i < n; i++)
            text = view_text(view, "%s%s", text, label_part(view, cell, keys[i]));
        cell->label = text;
    }
}

/* ---- the document ---- */

/* Layers where every cell says its cache in layers, else MiB; decode where any cell decoded. */
static void choose_units(struct view *view, const json_t *cells)
{
    const json_t *cell, *sample;
    size_t i, j;
    bool decoded = false;
    json_array_foreach(cells, i, cell)
    {
        const json_t *options = json_object_get(cell, "options");
        if (!json_is_number(json_object_get(options, "cache_layers")) &&
            json_object_get(options, "cache_bytes"))
            view->cache_unit = "MiB";
        json_array_foreach(json_object_get(cell, "samples"), j, sample)
        {
            decoded = decoded || json_array_size(json_object_get(sample, "pass_ns")) > 0;
        }
    }
    if (!decoded)
        view->pass_kind = "prompt pass";
}

static void read_document(struct view *view)
{
    const json_t *cells = json_object_get(view->document, "cells"), *cell;
    view->scenario = view_field(view, view->document, "scenario.requested.name");
    view->about = view_field(view, view->document, "scenario.requested.about");
    view->machine = view_field(view, view->document, "environment.cpu_model");
    view->revision = view_field(view, view->document, "environment.git_revision");
    view->n_layers = (size_t)strtoul(
        view_field(view, view->document, "scenario.effective.model.layers"), NULL, 10);
    if (!json_is_array(cells))
        view_note(view, "result.json has no list layerbench.cells");
    else if (json_array_size(cells) == 0)
        view_note(view, "result.json holds no cell: nothing has been measured");
    if (json_is_false(json_object_get(view->document, "complete")))
        view_note(view, "the run is not complete; drawn is what was measured");
    choose_units(view, cells);
    size_t i;
    json_array_foreach(cells, i, cell)
    {
        read_cell(view, cell, i);
    }
    for (i = 0; i < view->n_cells; i++)
        if (view->cells[i].problem)
            view_note(view, "cell '%s' is not drawn: %s", view->cells[i].name,
                      view->cells[i].problem);
    label_cells(view);
}

enum lb_status view_open(const char *path, struct view *view, struct lb_error *err)
{
    *view = (struct view){.scenario = "", .about = "", .machine = "", .revision = ""};
    view->cache_unit = "layers";
    view->pass_kind = "decode pass";
    struct stat st;
    if (stat(path, &st) != 0)
        return lb_fail(err, LB_ERR_INPUT, "%s: no such result", path);
    const char *slash = strrchr(path, '/');
    if (S_ISDIR(st.st_mode))
        view->dir = view_text(view, "%s", path);
    else
        view->dir =
            slash ? view_text(view, "%.*s", (int)(slash - path) + 1, path) : view_text(view, ".");
    for (size_t n = strlen(view->dir); n > 1 && view->dir[n - 1] == '/'; n--)
        view->dir[n - 1] = '\0';
    const char *file = S_ISDIR(st.st_mode) ? view_text(view, "%s/result.json", path) : path;
    json_error_t error;
    view->root = json_load_file(file, 0, &error);
    view->document = json_object_get(view->root, "layerbench");
    if (view->document) {
        read_document(view);
        return LB_OK;
    }
    if (json_object_get(view->root, "comparisons"))
        return LB_OK;
    const char *log = view_text(view, "%s/layers.jsonl", view->dir);
    const char *what = view->root ? view_text(view,
                                              "%s: not a result of layerbench "
                                              "(expected a key 'layerbench')",
                                              file)
                       : access(file, F_OK) != 0
                           ? view_text(view, "%s: no such file", file)
                           : view_text(view, "%s: damaged: line %d, column %d: %s", file,
                                       error.line, error.column, error.text);
    if (access(log, R_OK) != 0 || (view->root && !S_ISDIR(st.st_mode))) {
        lb_fail(err, LB_ERR_INPUT, "%s", what);
        view_close(view);
        return LB_ERR_INPUT;
    }
    view_note(view, "%s; drawn is what layers.jsonl shows", what);
    return LB_OK;
}

void view_close(struct view *view)
{
    json_decref(view->root);
    while (view->blocks) {
        struct view_block *next = view->blocks->next;
        free(view->blocks);
        view->blocks = next;
    }
    *view = (struct view){.dir = NULL};
}
