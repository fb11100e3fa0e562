/*
 * test_trace: the trace of a run is well-formed, and adds up to what its result says.
 *
 *   test_trace               made-up results, of layers and of smaller units
 *   test_trace RESULT CELL   the first run of that cell of any result
 */
#include "report/trace_events.h"

#include "tests/check.h"
#include "tests/temporary.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define CELL       "prefetch=async/replacement=belady/cache_layers=6/prefetch_distance=2"
#define CACHE_MB   (6 * 4.194304)
#define N_OUTCOMES 4

struct event {
    const char *phase, *name, *id;
    int64_t thread, at_ns, length_ns;
    const json_t *args;
};

static char directory[TEMPORARY_PATH];

static int64_t nanoseconds(const json_t *microseconds)
{
    return (int64_t)llround(json_number_value(microseconds) * 1000);
}

static struct event *read_events(const json_t *trace, size_t *n)
{
    const json_t *list = json_object_get(trace, "traceEvents"), *json;
    struct event *events = calloc(json_array_size(list) + 1, sizeof *events);
    int64_t first_ns = INT64_MAX;
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
        first_ns = events[i].at_ns < first_ns ? events[i].at_ns : first_ns;
    }
    *n = json_array_size(list);
    CHECK(*n == 0 || first_ns == 0, "the first event is at %lld ns", (long long)first_ns);
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

/* Two slices of a thread are apart, or one lies in the other; also for viewers that cut
 * microseconds to nanoseconds: no end falls together with a start or with another end. */
static void check_nesting(const struct event *events, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; is(&events[i], "X") && j < i; j++) {
            const struct event *a = &events[i], *b = &events[j];
            int64_t a_end = a->at_ns + a->length_ns, b_end = b->at_ns + b->length_ns;
            if (!is(b, "X") || a->thread != b->thread)
                continue;
            bool apart = a_end + 2 <= b->at_ns || b_end + 2 <= a->at_ns ||
                         (a->length_ns == 0 && b->length_ns == 0);
            bool inside = (a->at_ns >= b->at_ns && a_end + 2 <= b_end) ||
                          (b->at_ns >= a->at_ns && b_end + 2 <= a_end);
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

static void check_counters(const struct event *events, size_t n, double cache_mb)
{
    double in_flight = -1, most = 0;
    size_t counters = 0;
    for (size_t i = 0; i < n; i++) {
        double value = json_number_value(json_object_get(events[i].args, "value"));
        if (!is(&events[i], "C"))
            continue;
        counters++;
        CHECK(value >= 0, "%s %g", events[i].name, value);
        if (strcmp(events[i].name, "cache MB") == 0)
            most = value > most ? value : most;
        if (strcmp(events[i].name, "loads in flight") == 0)
            in_flight = value;
    }
    CHECK(counters > 0, "no counters");
    CHECK(in_flight == 0, "%g at the end", in_flight);
    CHECK(most > 0 && most <= cache_mb * 1.001, "%g of %g MB in the cache", most, cache_mb);
}

static const json_t *find_sample(const json_t *result, const char *name)
{
    const json_t *cells = json_object_get(json_object_get(result, "layerbench"), "cells"), *cell;
    size_t i;
    json_array_foreach(cells, i, cell)
    {
        if (strcmp(json_string_value(json_object_get(cell, "name")), name) == 0)
            return json_array_get(json_object_get(cell, "samples"), 0);
    }
    return NULL;
}

static void check_sums(const struct event *events, size_t n, const json_t *sample)
{
    int64_t wait = 0, compute = 0;
    const char *const outcomes[] = {"hit", "prefetched", "late", "miss"};
    json_int_t counts[N_OUTCOMES] = {0}, passes = 0;
    double bytes = 0;
    for (size_t i = 0; i < n; i++) {
        const char *outcome = json_string_value(json_object_get(events[i].args, "outcome"));
        if (is(&events[i], "b") && strncmp(events[i].name, "load ", 5) == 0)
            bytes += json_number_value(json_object_get(events[i].args, "bytes"));
        if (!is(&events[i], "X"))
            continue;
        passes += strstr(events[i].name, " pass ") != NULL;
        int64_t ns = json_integer_value(json_object_get(events[i].args, "ns"));
        wait += strcmp(events[i].name, "wait") == 0 ? ns : 0;
        compute += strcmp(events[i].name, "compute") == 0 ? ns : 0;
        if (json_object_get(events[i].args, "ns"))
            CHECK(events[i].length_ns <= ns && events[i].length_ns >= ns - 10,
                  "'%s': %lld of %lld ns", events[i].name, (long long)events[i].length_ns,
                  (long long)ns);
        for (int k = 0; k < N_OUTCOMES && strncmp(events[i].name, "layer ", 6) == 0; k++)
            counts[k] += strcmp(outcome, outcomes[k]) == 0;
    }
    CHECK(wait == json_integer_value(json_object_get(sample, "wait_ns")), "%lld", (long long)wait);
    CHECK(compute == json_integer_value(json_object_get(sample, "compute_ns")), "%lld",
          (long long)compute);
    /* what was read and never used is in the sample only */
    double read = json_number_value(json_object_get(sample, "bytes_read"));
    CHECK(bytes > 0 && bytes <= read, "%g of %g bytes", bytes, read);
    CHECK(passes == 1 + (json_int_t)json_array_size(json_object_get(sample, "pass_ns")),
          "%lld passes", (long long)passes);
    for (int k = 0; k < N_OUTCOMES; k++)
        CHECK(counts[k] == json_integer_value(
                               json_object_get(json_object_get(sample, "outcomes"), outcomes[k])),
              "%s: %lld", outcomes[k], (long long)counts[k]);
}

/* Whether loads are those of units is what `units` says. */
static void check_units(const struct event *events, size_t n, bool units)
{
    for (size_t i = 0; i < n; i++)
        if (is(&events[i], "b"))
            CHECK((strstr(events[i].name, " unit ") != NULL) == units, "'%s'", events[i].name);
}

static void check_trace(const char *where, const char *cell, double cache_mb, bool units)
{
    char *text = NULL, path[512];
    size_t length = 0, n;
    struct lb_error err = LB_ERROR_INIT;
    struct trace_options options = {.cell = cell, .rep = -1};
    FILE *out = open_memstream(&text, &length);
    CHECK(trace_write(where, &options, out, &err) == LB_OK, "%s", err.text);
    fclose(out);
    snprintf(path, sizeof path, "%s/result.json", where);
    json_t *trace = json_loadb(text, length, 0, NULL), *result = json_load_file(path, 0, NULL);
    const json_t *sample = find_sample(result, cell);
    CHECK(trace && result && sample, "both are JSON, and the cell has a sample");
    if (cache_mb <= 0)
        cache_mb = json_number_value(json_object_get(sample, "cache_bytes")) / 1e6;
    struct event *events = read_events(trace, &n);
    check_pairs(events, n);
    check_nesting(events, n);
    check_flows(events, n);
    check_counters(events, n, cache_mb);
    check_sums(events, n, sample);
    check_units(events, n, units);
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

static void make_result(int units)
{
    char command[3 * TEMPORARY_PATH];
    const char *build = getenv("BUILD");
    snprintf(command, sizeof command,
             "rm -rf '%s' && %s/harness/tests/make_result '%s' passes=3 reps=2 units=%d", directory,
             build ? build : "build", directory, units);
    CHECK(system(command) == 0, "the fixture is made");
}

/* Units that do not make up their layer, as where their log was full, are left out. */
static void test_units_missing(void)
{
    char command[2 * TEMPORARY_PATH];
    snprintf(command, sizeof command,
             "sed -i 's/\"units\":\\[\\[[^]]*\\],/\"units\":[/' '%s'/layers.jsonl", directory);
    CHECK(system(command) == 0, "a unit of each line is taken away");
    check_trace(directory, CELL, CACHE_MB, false);
}

int main(int argc, char **argv)
{
    char command[TEMPORARY_PATH + 16];
    if (argc == 3) {
        check_trace(argv[1], argv[2], 0, true);
        return check_done();
    }
    temporary_folder(directory);
    make_result(1);
    check_trace(directory, CELL, CACHE_MB, false);
    test_choice();
    make_result(4);
    check_trace(directory, CELL, CACHE_MB, true);
    test_units_missing();
    snprintf(command, sizeof command, "rm -r '%s'", directory);
    CHECK(system(command) == 0, "the temporary folder is removed");
    return check_done();
}
