/* datapoint_row: see datapoint_row.h. */
#include "report/datapoint_row.h"

#include "common/amounts.h"
#include "common/json_text.h"
#include "result/results_json.h"
#include "settings/options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static json_t *known(json_t *value)
{
    return json_is_null(value) ? NULL : value;
}

/* A value of the environment, NULL where it is not known. */
static json_t *environment(const struct result_view *view, const char *key)
{
    const json_t *all = json_object_get(view->document, "environment");
    return known(json_object_get(json_object_get(all, key), "value"));
}

/* Options that say most, and those that are not as usual. */
static bool tells(const struct option *o, const json_t *value, const json_t *usual)
{
    static const char *const always[] = {"prefetch", "replacement", "cache_layers", "cache_bytes",
                                         "threads"};
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        if (strcmp(o->name, always[i]) == 0)
            return true;
    bool same = json_is_number(value) && json_is_number(usual)
                    ? json_number_value(value) == json_number_value(usual)
                    : json_equal(value, usual);
    return !same && !(o->flags & OPTION_HIDDEN) && strcmp(o->name, "device") != 0;
}

static json_t *setting_json(struct result_view *view, const struct view_cell *cell)
{
    const struct settings settings = settings_default();
    json_t *usual = results_options(&settings), *setting = json_object();
    size_t count;
    const struct option *table = options_table(&count);
    for (size_t i = 0; i < count; i++) {
        const struct option *o = &table[i];
        json_t *value = json_object_get(cell->options, o->name);
        if (!value || !tells(o, value, json_object_get(usual, o->name)))
            continue;
        if (o->kind == OPTION_TEXT)
            json_object_set_new(setting, o->name, json_text("a file"));
        else if (option_is_size(o))
            json_object_set_new(setting, o->name,
                                json_text(view_option_label(view, cell, o->name)));
        else
            json_object_set(setting, o->name, value);
    }
    json_decref(usual);
    return setting;
}

/* What is emulated, or which kind of drive; "" where neither is known. */
static json_t *drive_json(struct result_view *view, const struct view_cell *cell)
{
    const char *device = json_string_value(environment(view, "model_device"));
    const char *rotational = json_string_value(environment(view, "model_rotational"));
    const json_t *emulated = json_object_get(cell->options, "device");
    json_t *drive = json_object();
    const char *kind = !device                            ? NULL
                       : strncmp(device, "nvme", 4) == 0  ? "NVMe"
                       : device[0] == 'v'                 ? "virtual disk"
                       : rotational && *rotational == '0' ? "SSD"
                       : rotational                       ? "hard disk"
                                                          : NULL;
    if (json_is_object(emulated) || json_is_string(emulated))
        json_object_set(drive, "emulated", (json_t *)emulated);
    else
        json_object_set_new(drive, "kind", json_text(kind));
    json_object_set_new(drive, "bytes_per_second", json_number(cell->floor.bandwidth));
    return drive;
}

static json_t *model_json(const struct result_view *view)
{
    static const char *const keys[] = {"architecture", "layers", "file_bytes", "layer_bytes"};
    const json_t *scenario = json_object_get(view->document, "scenario");
    const json_t *model = json_object_get(json_object_get(scenario, "effective"), "model");
    const json_t *asked = json_object_get(json_object_get(scenario, "requested"), "model");
    json_t *shape = json_object();
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        json_object_set(shape, keys[i], json_object_get(model, keys[i]));
    json_object_set(shape, "synthetic", json_object_get(json_object_get(asked, "synth"), "shape"));
    return shape;
}

json_t *datapoint_json(struct result_view *view, const struct view_cell *cell)
{
    double share = cell->floor.ns / cell->pass.median;
    json_t *row = json_object();
    json_object_set_new(row, "schema_version", json_integer(1));
    json_object_set(row, "processor", environment(view, "cpu_model"));
    json_object_set(row, "processors", environment(view, "processors"));
    json_object_set(row, "memory_bytes", environment(view, "memory_bytes"));
    json_object_set_new(row, "drive", drive_json(view, cell));
    json_object_set_new(row, "model", model_json(view));
    json_object_set_new(row, "setting", setting_json(view, cell));
    json_object_set_new(row, "samples", json_integer((json_int_t)cell->pass.n));
    json_object_set_new(row, "tokens_per_second", json_number(view_speed(cell, cell->pass.median)));
    json_object_set_new(row, "pass_ns", json_number(cell->pass.median));
    json_object_set_new(row, "share_of_floor", json_number(share > 0 ? share : NAN));
    json_object_set(row, "version", environment(view, "version"));
    json_object_set(row, "revision", environment(view, "git_revision"));
    return row;
}

/* ---- Markdown ---- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "-";
}

static const char *size_of(const json_t *object, const char *key, char *text, size_t size)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value))
        return "-";
    return amount_human_size(json_number_value(value), text, size);
}

static void put_values(const json_t *object, FILE *out)
{
    const char *key;
    json_t *value;
    bool any = false;
    json_object_foreach((json_t *)object, key, value)
    {
        const char *gap = any ? ", " : "";
        any = true;
        if (json_is_number(value))
            fprintf(out, "%s%s=%.9g", gap, key, json_number_value(value));
        else
            fprintf(out, "%s%s=%s", gap, key,
                    json_is_true(value)    ? "on"
                    : json_is_false(value) ? "off"
                                           : json_string_value(value));
    }
}

static void put_drive(const json_t *drive, FILE *out)
{
    const json_t *emulated = json_object_get(drive, "emulated");
    char rate[32];
    if (json_is_object(emulated)) {
        fputs("emulated: ", out);
        put_values(emulated, out);
    } else if (emulated) {
        fprintf(out, "emulated: %s", json_string_value(emulated));
    } else {
        fprintf(out, "%s", text_of(drive, "kind"));
        if (json_is_number(json_object_get(drive, "bytes_per_second")))
            fprintf(out, ", %s/s", size_of(drive, "bytes_per_second", rate, sizeof rate));
    }
}

static void put_number(const json_t *row, const char *key, FILE *out)
{
    const json_t *value = json_object_get(row, key);
    if (json_is_number(value))
        fprintf(out, json_number_value(value) < 1000 ? "%.3g" : "%.0f", json_number_value(value));
    else
        fputc('-', out);
}

void datapoint_markdown(const json_t *row, FILE *out)
{
    const json_t *model = json_object_get(row, "model");
    const char *synthetic = json_string_value(json_object_get(model, "synthetic"));
    char memory[32], bytes[32];
    fputs("| processor | memory | drive | model | setting | tokens/s | share of floor | layerbench "
          "|\n|---|---|---|---|---|--:|--:|---|\n",
          out);
    fprintf(out, "| %s, %lld processors | %s | ", text_of(row, "processor"),
            (long long)json_integer_value(json_object_get(row, "processors")),
            size_of(row, "memory_bytes", memory, sizeof memory));
    put_drive(json_object_get(row, "drive"), out);
    fprintf(out, " | %s, %lld layers, %s%s%s | ", text_of(model, "architecture"),
            (long long)json_integer_value(json_object_get(model, "layers")),
            size_of(model, "file_bytes", bytes, sizeof bytes), synthetic ? ", synthetic " : "",
            synthetic ? synthetic : "");
    put_values(json_object_get(row, "setting"), out);
    fputs(" | ", out);
    put_number(row, "tokens_per_second", out);
    fputs(" | ", out);
    put_number(row, "share_of_floor", out);
    fprintf(out, " | %s (%s) |\n", text_of(row, "version"), text_of(row, "revision"));
}
