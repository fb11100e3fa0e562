/* gbench_file: see gbench_file.h. */
#include "result/gbench_file.h"

#include "common/json_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char origin[] = "google-benchmark";

bool gbench_file_is(const json_t *document)
{
    return !json_object_get(document, "layerbench") &&
           json_is_array(json_object_get(document, "benchmarks")) &&
           json_is_object(json_object_get(document, "context"));
}

bool gbench_file_imported(const json_t *ours)
{
    return json_object_get(ours, origin) != NULL;
}

static double ns_of(const json_t *benchmark)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    static const double ns[] = {1, 1e3, 1e6, 1e9};
    const char *unit = json_string_value(json_object_get(benchmark, "time_unit"));
    for (size_t i = 0; unit && i < sizeof units / sizeof *units; i++)
        if (strcmp(units[i], unit) == 0)
            return ns[i];
    return 1;
}

/* Numbers that are no measurements. */
static bool tells_place(const char *key)
{
    static const char *const keys[] = {"family_index", "per_family_instance_index",
                                       "repetitions",  "repetition_index",
                                       "threads",      "iterations"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

static json_t *sample_of(json_t *benchmark)
{
    json_t *sample = json_object(), *value;
    const char *key;
    json_object_foreach(benchmark, key, value)
    {
        bool time = strcmp(key, "real_time") == 0 || strcmp(key, "cpu_time") == 0;
        if (json_is_number(value) && !tells_place(key))
            json_object_set_new(
                sample, key, json_real(json_number_value(value) * (time ? ns_of(benchmark) : 1)));
    }
    return sample;
}

static json_t *cell_named(json_t *cells, const char *name)
{
    json_t *cell;
    size_t i;
    json_array_foreach(cells, i, cell)
    {
        if (strcmp(json_string_value(json_object_get(cell, "name")), name) == 0)
            return cell;
    }
    cell = json_pack("{s:s, s:{}, s:[]}", "name", name, "options", "samples");
    json_array_append_new(cells, cell);
    return cell;
}

static void take(json_t *cells, json_t *benchmark)
{
    const char *name = json_string_value(json_object_get(benchmark, "run_name"));
    const char *type = json_string_value(json_object_get(benchmark, "run_type"));
    if (!name)
        name = json_string_value(json_object_get(benchmark, "name"));
    json_t *cell = name ? cell_named(cells, name) : NULL;
    if (json_is_true(json_object_get(benchmark, "error_occurred")))
        json_object_set(cell, "failed", json_object_get(benchmark, "error_message"));
    else if (!type || strcmp(type, "iteration") == 0)
        json_array_append_new(json_object_get(cell, "samples"), sample_of(benchmark));
}

/* What has to be the same for times to be compared, as far as the file says it. */
static json_t *machine_of(const json_t *context)
{
    static const char *const keys[] = {"host_name", "num_cpus", "caches", "library_build_type"};
    char text[1024] = "google-benchmark";
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *value = json_object_get(context, keys[i]);
        char *dump = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
        size_t n = strlen(text);
        snprintf(text + n, sizeof text - n, " %s", dump ? dump : "-");
        free(dump);
    }
    return json_text(text);
}

/* "2026-11-30T14:00:00+00:00" as ns since 1970; 0: it does not say */
static json_int_t started(const json_t *context)
{
    const char *date = json_string_value(json_object_get(context, "date"));
    struct tm when = {.tm_isdst = 0};
    int hours = 0, minutes = 0;
    const char *zone = date ? strptime(date, "%Y-%m-%dT%H:%M:%S", &when) : NULL;
    if (!zone)
        return 0;
    if (sscanf(zone, "%3d:%2d", &hours, &minutes) == 2 && hours < 0)
        minutes = -minutes;
    return ((json_int_t)timegm(&when) - 3600 * hours - 60 * minutes) * 1000000000;
}

bool gbench_file_import(json_t *document)
{
    const json_t *context = json_object_get(document, "context");
    json_t *cells = json_array(), *benchmark;
    size_t i;
    json_array_foreach(json_object_get(document, "benchmarks"), i, benchmark)
    {
        take(cells, benchmark);
    }
    json_t *ours = json_pack("{s:b, s:{}, s:{s:{s:o}}, s:I, s:o}", origin, 1, "scenario",
                             "environment", "comparability_key", "value", machine_of(context),
                             "started_realtime_ns", started(context), "cells", cells);
    return ours && json_object_set_new(document, "layerbench", ours) == 0;
}
