/* result_view_cells: the cells of a result: options, samples, labels. See result_view.h. */
#include "result/result_view.h"

#include "common/amounts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Whole numbers from 0 to this count: 31 years of nanoseconds, so that sums do not overflow. */
#define NUMBER_MOST INT64_C(1000000000000000000)

static bool is_sound(const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) >= 0 &&
           json_integer_value(value) <= NUMBER_MOST;
}

/* These may be below 0: a difference, and -1 for what is not known. */
static bool may_be_negative(const char *key)
{
    return strcmp(key, "other_ns") == 0 || strcmp(key, "cached_before_ppm") == 0 ||
           strcmp(key, "kernel_bytes") == 0;
}

static bool is_sound_at(const char *key, const json_t *value)
{
    return is_sound(value) ||
           (json_is_integer(value) && may_be_negative(key) &&
            json_integer_value(value) >= -NUMBER_MOST && json_integer_value(value) < 0);
}

/* The key of a number that is none of those, in a sample or what it holds; NULL: all are sound. */
static const char *unsound(const json_t *json)
{
    const char *key, *inner;
    json_t *value, *item;
    size_t i;
    json_object_foreach((json_t *)json, key, value)
    {
        if (json_is_number(value) && !is_sound_at(key, value))
            return key;
        if (json_is_object(value) && strcmp(key, "profile") != 0 && strcmp(key, "printed") != 0 &&
            (inner = unsound(value)))
            return inner;
        json_array_foreach(value, i, item)
        {
            if (json_is_number(item) && !is_sound(item))
                return key;
        }
    }
    return NULL;
}

double view_busy_ns(const struct view_cell *cell)
{
    if (cell->log.passes > 0)
        return cell->log.busy_ns / (double)cell->log.passes;
    return cell->median.bytes_read / cell->floor.bandwidth * 1e9;
}

/* ---- cells ---- */

/* Cells that differ in what is computed (matrix_same_work), or in what it runs on, do not belong on
 * one line. */
static bool tells_work(const struct option *o)
{
    return !(o->flags & OPTION_STREAMING) || (o->flags & OPTION_MACHINE);
}

/* Whether the option has more than one value among the cells that were asked for. */
static bool option_varies(const struct result_view *view, const char *key)
{
    const json_t *first = NULL;
    for (size_t i = 0; i < view->n_cells; i++) {
        const json_t *value = json_object_get(view->cells[i].options, key);
        if (view->cells[i].reference || !value)
            continue;
        if (first && !json_equal(first, value))
            return true;
        first = value;
    }
    return false;
}

/* "threads 2", of a file of prompts its name alone: "prose" */
static const char *work_text(struct result_view *view, const struct view_cell *cell,
                             const char *key)
{
    if (strcmp(key, "prompts") == 0)
        return view_option_label(view, cell, key);
    return view_text(view, "%s %s", key, view_option(view, cell, key));
}

/* Of the options with one of the flags, or that tell the work where they are 0: what varies. */
static const char *varying(struct result_view *view, const struct view_cell *cell, unsigned flags,
                           const char *except)
{
    size_t count;
    const struct option *table = options_table(&count);
    const char *text = "";
    for (size_t k = 0; k < count; k++) {
        const char *name = table[k].name;
        bool wanted = flags ? (table[k].flags & flags) != 0 : tells_work(&table[k]);
        if (!wanted || strcmp(name, except) == 0 || !option_varies(view, name))
            continue;
        text = view_text(view, "%s%s%s", text, *text ? ", " : "", work_text(view, cell, name));
    }
    return text;
}

const char *view_work(struct result_view *view, const struct view_cell *cell, const char *except)
{
    return varying(view, cell, 0, except);
}

static double number_option(struct result_view *view, const struct view_cell *cell, const char *key)
{
    double value = NAN;
    amount_parse_real(view_option(view, cell, key), &value);
    return value;
}

double view_speed(const struct view_cell *cell, double pass_ns)
{
    return cell->median.tokens_a_pass * 1e9 / (pass_ns + cell->median.draft_ns);
}

struct view_cell *view_cell(struct result_view *view, const char *name, bool add)
{
    for (size_t i = 0; i < view->n_cells; i++)
        if (strcmp(view->cells[i].name, name) == 0)
            return &view->cells[i];
    if (!add)
        return NULL;
    view->cells = view_grow(view, view->cells, view->n_cells, sizeof *view->cells);
    struct view_cell *cell = &view->cells[view->n_cells++];
    *cell = (struct view_cell){.name = view_text(view, "%s", name),
                               .label = view_text(view, "%s", name),
                               .prefetch = "",
                               .replacement = "",
                               .work = "",
                               .task = "",
                               .cache = NAN,
                               .cache_bytes = NAN,
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

/* The cache as it took effect, from the first sample; where there is none, as asked for. */
static double cache_of(struct result_view *view, const struct view_cell *cell, const json_t *json)
{
    const json_t *sample = json_array_get(json_object_get(json, "samples"), 0);
    uint64_t bytes;
    if (strcmp(view->cache_unit, "layers") == 0) {
        double layers = number(sample, "cache_layers");
        return isnan(layers) ? number_option(view, cell, "cache_layers") : layers;
    }
    if (!isnan(number(sample, "cache_bytes")))
        return number(sample, "cache_bytes") / 0x1p20;
    return amount_parse_size(view_option(view, cell, "cache_bytes"), &bytes)
               ? (double)bytes / 0x1p20
               : NAN;
}

static void decode_options(struct result_view *view, struct view_cell *cell, const json_t *json)
{
    cell->options = json_object_get(json, "options");
    cell->reference = json_is_true(json_object_get(json, "reference"));
    const json_t *program = json_object_get(json, "program");
    cell->program = json_string_value(json_object_get(program, "label"));
    if (!cell->program)
        cell->program = json_string_value(json_object_get(program, "name"));
    cell->prefetch = cell->program /* figures tell lines and colours by it */
                         ? view_text(view, "%s", cell->program)
                         : view_option(view, cell, "prefetch");
    cell->replacement = view_option(view, cell, "replacement");
    cell->distance = number_option(view, cell, "prefetch_distance");
    double batch = number_option(view, cell, "batch");
    cell->batch = batch > 0 ? batch : 1;
    cell->cache = cache_of(view, cell, json);
    cell->cache_bytes = number(json_array_get(json_object_get(json, "samples"), 0), "cache_bytes");
}

/* As in summary.h. */
static void summarise(struct result_view *view, struct view_cell *cell)
{
    cell->median = summary_of(&cell->samples, &cell->floor);
    cell->pass = cell->median.estimate;
    if (cell->median.foreign) { /* only the whole is known */
        memset(cell->median.outcomes, 0, sizeof cell->median.outcomes);
        cell->median.wait_ns = cell->median.compute_ns = cell->median.bytes_read = 0;
        cell->median.other_ns = cell->median.pass_ns;
        cell->median.draft_ns = 0; /* if it guesses, its pass has it */
    }
    view->experts |= cell->median.n > 0 && !isnan(cell->median.experts.per_token);
    if (cell->median.n == 0 && !cell->problem)
        cell->problem = "no sample was measured";
}

static struct floor read_floor(const json_t *json)
{
    const json_t *floor = json_object_get(json, "floor");
    const json_t *sample = json_array_get(json_object_get(json, "samples"), 0);
    struct floor f = {.ns = number(floor, "ns"),
                      .compute_ns = number(floor, "compute_ns"),
                      .load_ns = number(floor, "load_ns"),
                      .all_load_ns = number(floor, "all_load_ns"),
                      .bandwidth = number(floor, "bandwidth")};
    if (isnan(f.ns))
        f.ns = number(sample, "floor_ns");
    return f;
}

static void read_cell(struct result_view *view, const json_t *json, size_t index)
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
    cell->predicted_pass_ns = number(json_object_get(json, "prediction"), "pass_ns");
    const char *failed = json_string_value(json_object_get(json, "failed"));
    cell->problem = json_string_value(json_object_get(json, "invalid"));
    if (!cell->problem)
        cell->problem = json_string_value(json_object_get(json, "skipped"));
    cell->samples.list = view_alloc(view, json_array_size(samples) + 1, sizeof *cell->samples.list);
    size_t i, damaged = 0;
    json_array_foreach(samples, i, sample)
    {
        const char *key = unsound(sample);
        struct sample *to = &cell->samples.list[cell->samples.count];
        if (key) {
            view_note(view,
                      "cell '%s': sample %zu: %s is no whole number from 0 to 10^18; left out",
                      name, i + 1, key);
            continue;
        }
        sample_from_json_partly(sample, (uint32_t)cell->batch, to);
        if (sample_pass_ns(to) > 0) {
            cell->samples.count++;
        } else {
            sample_free(to);
            damaged++;
        }
    }
    if (damaged)
        view_note(view, "cell '%s': %zu sample%s without times; left out", name, damaged,
                  damaged == 1 ? "" : "s");
    if (failed && cell->samples.count > 0)
        view_note(view, "cell '%s': %zu samples failed: %s", name,
                  json_array_size(json_object_get(json, "failures")), failed);
    else if (failed && !cell->problem)
        cell->problem = failed;
    summarise(view, cell);
}

/* ---- labels ---- */

static const char *label_part(struct result_view *view, const struct view_cell *cell,
                              const char *key)
{
    const char *value = view_option_label(view, cell, key);
    bool no_distance =
        strcmp(cell->prefetch, "off") == 0 || strcmp(cell->prefetch, "resident") == 0;
    if (!*value || (no_distance && strcmp(key, "prefetch_distance") == 0))
        return "";
    if (strcmp(key, "cache_layers") == 0 || strcmp(key, "cache_bytes") == 0)
        return view_text(view, " C=%s", value);
    if (strcmp(key, "memory_limit") == 0)
        return view_text(view, " limit=%s", value);
    if (strcmp(key, "device") == 0)
        return view_text(view, " %s", value);
    if (strcmp(key, "engine") == 0)
        return cell->program ? view_text(view, " %s", cell->program) : "";
    if (strcmp(key, "prefetch_distance") == 0)
        return view_text(view, " d=%s", value);
    if (value[0] >= 'a' && value[0] <= 'z' && strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
        return view_text(view, " %s", value);
    return view_text(view, " %s=%s", key, value);
}

/* Whether the option says something about a reference cell, which reads nothing. */
static bool is_of_compute(const char *key)
{
    static const char *const keys[] = {"batch",           "threads", "prompt_tokens", "prompts",
                                       "generate_tokens", "context", "kernels",       "kv"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

/* Options that tell the cells apart, besides prefetch and replacement: cache and distance first. */
static size_t varying_options(const struct result_view *view, const char **keys, size_t most)
{
    static const char *const leading[] = {"prefetch",     "replacement", "engine",
                                          "cache_layers", "cache_bytes", "prefetch_distance"};
    const size_t n_leading = sizeof leading / sizeof *leading;
    size_t n = 0;
    for (size_t i = 2; i < n_leading; i++)
        if (option_varies(view, leading[i]))
            keys[n++] = leading[i];
    const char *key;
    json_t *value;
    size_t ours = 0; /* another program's have fewer */
    while (ours + 1 < view->n_cells && view->cells[ours].program)
        ours++;
    json_object_foreach((json_t *)(view->n_cells ? view->cells[ours].options : NULL), key, value)
    {
        bool led = false;
        for (size_t i = 0; i < n_leading; i++)
            led = led || strcmp(key, leading[i]) == 0;
        if (!led && n < most && option_varies(view, key))
            keys[n++] = key;
    }
    return n;
}

/* "async belady C=8 d=2", without what is the same in all cells. Double quotes would end a name in
 * a figure's table. */
static void label_cells(struct result_view *view)
{
    const char *keys[64];
    size_t n = varying_options(view, keys, sizeof keys / sizeof *keys);
    bool modes = option_varies(view, "prefetch"), policies = option_varies(view, "replacement");
    if (!policies && n == 0)
        modes = true;
    for (size_t c = 0; c < view->n_cells; c++) {
        struct view_cell *cell = &view->cells[c];
        if (!*cell->prefetch)
            continue;
        bool resident = strcmp(cell->prefetch, "resident") == 0;
        bool named = (modes || resident) && !cell->program;
        char *text =
            view_text(view, "%s%s%s", named ? cell->prefetch : "", policies && !resident ? " " : "",
                      policies && !resident ? cell->replacement : "");
        for (size_t i = 0; i < n; i++)
            if (!cell->reference || is_of_compute(keys[i]))
                text = view_text(view, "%s%s", text, label_part(view, cell, keys[i]));
        for (char *quote = strchr(text, '"'); quote; quote = strchr(quote, '"'))
            *quote = '\'';
        cell->label = text + strspn(text, " ");
    }
}

/* Layers where every cell says its cache in layers, else MiB. */
static void choose_unit(struct result_view *view, const json_t *cells)
{
    const json_t *cell;
    size_t i;
    json_array_foreach(cells, i, cell)
    {
        const json_t *options = json_object_get(cell, "options");
        if (!json_is_true(json_object_get(cell, "reference")) &&
            !json_is_number(json_object_get(options, "cache_layers")) &&
            json_object_get(options, "cache_bytes"))
            view->cache_unit = "MiB";
    }
}

void view_read_cells(struct result_view *view, const json_t *cells)
{
    size_t i;
    const json_t *cell;
    choose_unit(view, cells);
    json_array_foreach(cells, i, cell)
    {
        read_cell(view, cell, i);
    }
    for (i = 0; i < view->n_cells; i++) {
        view->cells[i].work = view_work(view, &view->cells[i], "");
        view->cells[i].task = varying(view, &view->cells[i], OPTION_TASK, "");
    }
    label_cells(view);
    for (i = 0; i < view->n_cells; i++)
        if (view->cells[i].problem)
            view_note(view, "%s is not drawn: %s", view->cells[i].label, view->cells[i].problem);
}
