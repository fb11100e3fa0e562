/* test_trace: the trace of a run is well-formed, and adds up to what its result says. */
#include "trace.h"

#include "base/check.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define CELL         "fixture/prefetch:async/replacement:belady/cache_layers:6/prefetch_distance:2"
#define CACHE_LAYERS 6

struct event {
    const char *phase, *name, *id;
    int64_t thread, at_ns, length_ns;
    const json_t *args;
};

static char directory[] = "/tmp/test_trace.XXXXXX";

static int64_t nanoseconds(const json_t *microseconds)
{
    return (int64_t)llround(json_number_value(microseconds) * 1000);
}

static struct event *read_events(const json_t *trace, size_t *n)
{
    const json_t *list = json_object_get(trace, "traceEvents"), *json;
    struct event *events = calloc(json_array_size(list) + 1, sizeof *events);
    size_t i;
    json_array_foreach(list, i, json)
    {
        events[i] = (struct event){
            .phase = json_string_value(json_object_get(json, "ph")),
            .name = json_string_value(json_object_get(json, "name")),
            .id = json_string_value(json_object_get(json, "id")),
            .thread = json_integer_value(json_object_get(json, "tid")),
            .at_ns = nanoseconds(json_object_get(json, "ts")),
            .length_ns = nanoseconds(json_object_get(json, "dur")),
            .args = json_object_get(json, "args"),
        };
        CHECK(events[i].phase && events[i].name, "event %zu", i);
        CHECK(events[i].at_ns >= 0, "event %zu", i);
    }
    *n = json_array_size(list);
    return events;
}

static bool is(const struct event *e, const char *phase)
{
    return strcmp(e->phase, phase) == 0;
}

static void check_pairs(const struct event *events, size_t n)
{
    size_t begins = 0, ends = 0;
    for (size_t i = 0; i < n; i++) {
        size_t partners = 0;
        ends += is(&events[i], "e");
        if (!is(&events[i], "b"))
            continue;
        begins++;
        for (size_t j = 0; j < n; j++)
            partners += is(&events[j], "e") && strcmp(events[j].id, events[i].id) == 0 &&
                        strcmp(events[j].name, events[i].name) == 0 &&
                        events[j].at_ns >= events[i].at_ns;
        CHECK(partners == 1, "b '%s' id %s has %zu ends", events[i].name, events[i].id, partners);
    }
    CHECK(begins > 0 && begins == ends, "%zu b, %zu e", begins, ends);
}

/* Two slices of a thread are apart, or one lies in the other. */
static void check_nesting(const struct event *events, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; is(&events[i], "X") && j < i; j++) {
            const struct event *a = &events[i], *b = &events[j];
            int64_t a_end = a->at_ns + a->length_ns, b_end = b->at_ns + b->length_ns;
            if (!is(b, "X") || a->thread != b->thread)
                continue;
            bool apart = a_end <= b->at_ns || b_end <= a->at_ns;
            bool inside = (a->at_ns >= b->at_ns && a_end <= b_end) ||
                          (b->at_ns >= a->at_ns && b_end <= a_end);
            CHECK(apart || inside, "'%s' at %lld and '%s' at %lld", a->name, (long long)a->at_ns,
                  b->name, (long long)b->at_ns);
        }
    }
}

static bool in_a_slice(const struct event *events, size_t n, const struct event *flow)
{
    for (size_t i = 0; i < n; i++)
        if (is(&events[i], "X") && events[i].thread == flow->thread &&
            events[i].at_ns <= flow->at_ns && events[i].at_ns + events[i].length_ns > flow->at_ns)
            return true;
    return false;
}

static void check_flows(const struct event *events, size_t n)
{
    size_t starts = 0, ends = 0;
    for (size_t i = 0; i < n; i++) {
        size_t partners = 0;
        if (is(&events[i], "s") || is(&events[i], "f"))
            CHECK(in_a_slice(events, n, &events[i]), "flow %s", events[i].id);
        ends += is(&events[i], "f");
        if (!is(&events[i], "s"))
            continue;
        starts++;
        for (size_t j = 0; j < n; j++)
            partners += is(&events[j], "f") && strcmp(events[j].id, events[i].id) == 0 &&
                        events[j].at_ns >= events[i].at_ns;
        CHECK(partners == 1, "flow %s has %zu ends", events[i].id, partners);
    }
    CHECK(starts > 0 && starts == ends, "%zu s, %zu f", starts, ends);
}

static void check_counters(const struct event *events, size_t n)
{
    double in_flight = -1;
    size_t counters = 0;
    for (size_t i = 0; i < n; i++) {
        double value = json_number_value(json_object_get(events[i].args, "value"));
        if (!is(&events[i], "C"))
            continue;
        counters++;
        CHECK(value >= 0, "%s %g", events[i].name, value);
        if (strcmp(events[i].name, "layers resident") == 0)
            CHECK(value <= CACHE_LAYERS, "%g", value);
        if (strcmp(events[i].name, "loads in flight") == 0)
            in_flight = value;
    }
    CHECK(counters > 0, "no counters");
    CHECK(in_flight == 0, "%g at the end", in_flight);
}

static const json_t *find_sample(const json_t *result)
{
    const json_t *cells = json_object_get(json_object_get(result, "layerbench"), "cells"), *cell;
    size_t i;
    json_array_foreach(cells, i, cell)
    {
        if (strcmp(json_string_value(json_object_get(cell, "name")), CELL) == 0)
            return json_array_get(json_object_get(cell, "samples"), 0);
    }
    return NULL;
}

static void check_sums(const struct event *events, size_t n, const json_t *sample)
{
    int64_t wait = 0, compute = 0;
    const char *const outcomes[] = {"hit", "prefetched", "late", "miss"};
    json_int_t counts[4] = {0};
    for (size_t i = 0; i < n; i++) {
        const char *outcome = json_string_value(json_object_get(events[i].args, "outcome"));
        if (!is(&events[i], "X"))
            continue;
        wait += strcmp(events[i].name, "wait") == 0 ? events[i].length_ns : 0;
        compute += strcmp(events[i].name, "compute") == 0 ? events[i].length_ns : 0;
        for (int k = 0; k < 4 && strncmp(events[i].name, "layer ", 6) == 0; k++)
            counts[k] += strcmp(outcome, outcomes[k]) == 0;
    }
    CHECK(wait == json_integer_value(json_object_get(sample, "wait_ns")), "%lld", (long long)wait);
    CHECK(compute == json_integer_value(json_object_get(sample, "compute_ns")), "%lld",
          (long long)compute);
    for (int k = 0; k < 4; k++)
        CHECK(counts[k] == json_integer_value(
                               json_object_get(json_object_get(sample, "outcomes"), outcomes[k])),
              "%s: %lld", outcomes[k], (long long)counts[k]);
}

static void test_trace(void)
{
    char *text = NULL, path[64];
    size_t length = 0, n;
    struct lb_error err = LB_ERROR_INIT;
    struct trace_options options = {.cell = CELL, .rep = -1};
    FILE *out = open_memstream(&text, &length);
    CHECK(trace_write(directory, &options, out, &err) == LB_OK, "%s", err.text);
    fclose(out);
    snprintf(path, sizeof path, "%s/result.json", directory);
    json_t *trace = json_loadb(text, length, 0, NULL), *result = json_load_file(path, 0, NULL);
    CHECK(trace && result, "both are JSON");
    struct event *events = read_events(trace, &n);
    check_pairs(events, n);
    check_nesting(events, n);
    check_flows(events, n);
    check_counters(events, n);
    check_sums(events, n, find_sample(result));
    free(events);
    json_decref(trace);
    json_decref(result);
    free(text);
}

static void test_choice(void)
{
    FILE *out = fopen("/dev/null", "w");
    struct lb_error err = LB_ERROR_INIT;
    struct trace_options options = {.cell = "no such cell", .rep = -1};
    CHECK(trace_write(directory, &options, out, &err) == LB_ERR_INPUT, "unknown cell");
    CHECK(strncmp(err.text, "no cell 'no such cell'", 22) == 0, "%s", err.text);
    err = (struct lb_error)LB_ERROR_INIT;
    options.cell = "belady";
    CHECK(trace_write(directory, &options, out, &err) == LB_ERR_INPUT, "more than one");
    CHECK(strstr(err.text, "cells match 'belady'"), "%s", err.text);
    err = (struct lb_error)LB_ERROR_INIT;
    options.cell = "async belady C=6 d=2";
    CHECK(trace_write(directory, &options, out, &err) == LB_OK, "by label: %s", err.text);
    options.rep = 99;
    CHECK(trace_write(directory, &options, out, &err) == LB_ERR_INPUT, "no such repetition");
    err = (struct lb_error)LB_ERROR_INIT;
    CHECK(trace_write_folded(directory, &options, out, &err) == LB_ERR_INPUT, "no profile");
    CHECK(strstr(err.text, "has no profile"), "%s", err.text);
    fclose(out);
}

int main(void)
{
    char command[256];
    if (!mkdtemp(directory))
        check_skip("no temporary folder");
    snprintf(command, sizeof command,
             "awk -v dir=%s -v passes=3 -v reps=2 -f harness/tests/make-result.awk", directory);
    CHECK(system(command) == 0, "the fixture is made by awk");
    test_trace();
    test_choice();
    snprintf(command, sizeof command, "rm -r %s", directory);
    CHECK(system(command) == 0, "the temporary folder is removed");
    return check_done();
}
